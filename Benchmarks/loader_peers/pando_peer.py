"""Pando itself as a loop in Python sees it: the same library, the batches as NumPy arrays or as PyTorch tensors."""
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))
os.environ.setdefault("PANDO_LIBRARY", str(ROOT / ".build-wheel/release/libPandoC.so"))
os.environ.setdefault("PANDO_BINARY", str(ROOT / ".build-wheel/release/pando"))
try:
    import pando
except ImportError as error:
    raise SystemExit(f"the library is not built ('make wheel'): {error}") from None


def prepare(jets, directory, source, variant):
    pando.convert(source, f"{directory}/jets.pando")


def batches(directory, source, variant, cores, limit):
    loader = pando.Loader(
        f"{directory}/jets.pando", 256, features=["pt", "eta_rel", "phi_rel"], threads=cores, drop_last=False,
        as_torch=variant == "torch", rank=0, world_size=1,
    )
    for batch in loader.batches(0):
        yield batch.features, batch.mask
