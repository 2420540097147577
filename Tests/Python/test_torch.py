"""Batches as tensors, and loaders inside PyTorch's own loader."""
import gc
import os
import subprocess
import sys

import numpy as np
import pytest

import pando
from conftest import ROOT, run

torch = pytest.importorskip("torch")
from torch.utils.data import DataLoader  # noqa: E402


def make(sample, **options):
    return pando.Loader(sample, options.pop("batch_size", 64), **{"features": "released", "drop_last": False, **options})


def jets(batches):
    return [int(jet) for batch in batches for jet in batch.jets]


def test_tensors_lie_in_the_loaders_memory(sample):
    arrays = make(sample, columns=["jet_pt", "event"]).batches(0)
    tensors = make(sample, columns=["jet_pt", "event"], as_torch=True).batches(0)
    for batch, other in zip(arrays, tensors):
        assert isinstance(other.features, torch.Tensor) and other.mask.dtype == torch.bool
        assert (batch.features == other.features.numpy()).all() and (batch["event"] == other["event"].numpy()).all()
        assert (other.epoch, other.step, other.rows) == (0, batch.step, batch.rows)
    same = batch.torch()
    assert same.features.data_ptr() == batch.features.__array_interface__["data"][0]
    assert "features [63, 128, 3]" in repr(same) and len(same) == 63
    with pytest.raises(AttributeError, match="has no labels; there are features"):
        same.labels


def test_a_tensor_alone_keeps_its_memory(sample):
    kept = [batch.features[:2] for batch in make(sample, prefetch=1, as_torch=True).batches(0)]
    expected = [batch.features[:2].copy() for batch in make(sample).batches(0)]
    for tensor, features in zip(kept, expected):
        assert (tensor.numpy() == features).all()


def test_devices_get_copies(sample):
    batch = next(make(sample, device="cpu").batches(0))
    assert batch.features.device.type == "cpu"
    # Another device than the memory's, and one that every PyTorch has.
    moved = batch.to("meta")
    assert moved.features.device.type == "meta" and moved.features.shape == batch.features.shape and moved.step == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_gets_pinned_copies(sample):
    batches = make(sample, device="cuda", pin_memory=True).batches(0)
    for batch, expected in zip(batches, make(sample).batches(0)):
        assert batch.features.is_cuda and (batch.features.cpu().numpy() == expected.features).all()


def test_dlpack_shares_the_memory(sample):
    batch = next(make(sample).batches(0))
    tensor = torch.from_dlpack(batch.features)
    assert tensor.data_ptr() == batch.features.__array_interface__["data"][0]


def test_inside_a_data_loader_batches_are_the_same(sample):
    expected = jets(make(sample).batches(0)), jets(make(sample).batches(1))
    loader = DataLoader(make(sample), batch_size=None, num_workers=0)
    assert jets(loader) == expected[0] and jets(loader) == expected[1]
    for batch in DataLoader(make(sample, as_torch=True), batch_size=None):
        assert isinstance(batch.features, torch.Tensor)


@pytest.mark.parametrize("method, as_torch", [("fork", False), ("spawn", True)])
def test_workers_share_the_batches(method, as_torch, sample):
    # Epochs that earlier tests left in the middle may wait in reference cycles, and a fork would find them running.
    gc.collect()
    loader = make(sample, as_torch=as_torch)
    seen = list(DataLoader(loader, batch_size=None, num_workers=2, multiprocessing_context=method))
    assert sorted(jets(seen)) == list(range(1727))
    whole = {batch.step: batch for batch in make(sample).batches(0)}
    assert len(seen) == 2 * len(whole)
    for step, batch in whole.items():
        parts = [part for part in seen if part.step == step]
        assert set(jets(parts)) == set(jets([batch])) and len(parts) == 2
        rows = {int(jet): features for jet, features in zip(batch.jets, batch.features)}
        for part in parts:
            for jet, features in zip(part.jets, part.features):
                assert (np.asarray(features) == rows[int(jet)]).all()


#: In processes of their own: PyTorch takes its time to end workers that failed.
FAILING = """
import sys, pando
from torch.utils.data import DataLoader
make = lambda: pando.Loader(sys.argv[1], 64, columns=[], drop_last=False)
count, batches = int(sys.argv[2]), []
if count == 2:
    batches = make().batches(0)
    next(batches)
try:
    list(DataLoader(make(), batch_size=None, num_workers=count, multiprocessing_context="fork"))
except pando.PandoError as error:
    print(type(error).__name__, error)
print(sum(1 for _ in batches))
"""


def test_workers_that_cannot_share_say_so(sample):
    out, _ = run(FAILING, sample, 3)
    assert "LoaderError" in out and "a world of 3 does not divide the 64 streams" in out


def test_workers_forked_in_the_middle_of_an_epoch_say_so(sample):
    out, _ = run(FAILING, sample, 2)
    assert out.startswith("ForkError") and "spawn" in out and out.endswith("\n26\n")


def test_torch_distributed_says_the_rank(sample, tmp_path):
    program = """
import sys, torch.distributed as dist, pando
dist.init_process_group("gloo", init_method=f"file://{sys.argv[2]}", rank=int(sys.argv[3]), world_size=2)
loader = pando.Loader(sys.argv[1], 64, columns=[], drop_last=False)
print(loader.rank.rank, loader.rank.world_size, loader.rank.origin, *(j for b in loader for j in b.jets))
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(sample), str(tmp_path / "meet"), str(rank)], stdout=subprocess.PIPE, text=True,
            # The numbers of the process count, not those of the launcher.
            env={**os.environ, "RANK": "0", "WORLD_SIZE": "1"},
        )
        for rank in range(2)
    ]
    said = [process.communicate(timeout=60)[0].split() for process in processes]
    assert [words[:3] for words in said] == [["0", "2", "torch.distributed"], ["1", "2", "torch.distributed"]]
    assert sorted(int(jet) for words in said for jet in words[3:]) == list(range(1727))


EXAMPLE = [sys.executable, str(ROOT / "examples/train_pytorch.py")]


@pytest.mark.skipif(not (ROOT / "examples/train_pytorch.py").exists(), reason="no example")
def test_the_example_goes_on_after_a_kill_as_if_nothing_had_been(sample, tmp_path):
    def train(name, *words, status=0):
        command = [*EXAMPLE, sample, "--checkpoint", tmp_path / name, "--epochs", "1", "--threads", "1", *words]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
        assert done.returncode == status, done.stderr
        return done.stdout

    whole = train("whole.pt")
    train("killed.pt", "--kill-after", "7", status=-9)
    train("killed.pt", "--kill-after", "8", status=-9)
    rest = train("killed.pt")
    assert rest.splitlines()[-1] == whole.splitlines()[-1] and "weights" in rest.splitlines()[-1]
    one, two = (torch.load(tmp_path / name) for name in ("whole.pt", "killed.pt"))
    assert all((one["model"][name] == two["model"][name]).all() for name in one["model"])


@pytest.mark.skipif(not (ROOT / "examples/train_pytorch.py").exists(), reason="no example")
def test_two_processes_under_torchrun_train_the_same_model(sample, tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    # PyTorch 1.13 under Python 3.11 stumbles over the default of these.
    command += ["--redirects", "1", "--tee", "1", EXAMPLE[1], sample]
    command += ["--checkpoint", tmp_path / "two.pt", "--epochs", "1", "--threads", "1"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "rank 1 of 2 (RANK, WORLD_SIZE)" in done.stderr or "rank 1 of 2 (torch.distributed)" in done.stderr
    alone = subprocess.run(
        [*EXAMPLE, str(sample), "--checkpoint", str(tmp_path / "one.pt"), "--epochs", "1", "--threads", "1"],
        capture_output=True, text=True, timeout=300,
    )
    assert alone.returncode == 0, alone.stderr
    one, two = (torch.load(tmp_path / name)["model"] for name in ("one.pt", "two.pt"))
    # The same global batches, added up in another order.
    assert all(torch.allclose(one[name], two[name], atol=2e-3) for name in one)
    out, _ = run("print(1)")
    assert out == "1\n"


def test_states_of_stateful_data_loaders_and_nodes_go_on_with_the_next_batch(sample):
    stateful = pytest.importorskip("torchdata.stateful_dataloader").StatefulDataLoader
    nodes = pytest.importorskip("torchdata.nodes")
    whole = [batch.jets.tolist() for batch in make(sample).batches(0)]
    kinds = [
        lambda: stateful(make(sample, as_torch=True), batch_size=None),
        lambda: nodes.Loader(nodes.IterableWrapper(make(sample, as_torch=True))),
    ]
    for kind in kinds:
        first = kind()
        batches = iter(first)
        seen = [next(batches).jets.tolist() for _ in range(5)]
        second = kind()
        second.load_state_dict(first.state_dict())
        assert seen + [batch.jets.tolist() for batch in second] == whole


def test_lightning_goes_on_in_the_middle_of_an_epoch(sample, tmp_path):
    pytest.importorskip("lightning")

    def train(name, *words):
        command = [sys.executable, "-W", "ignore", ROOT / "examples/train_lightning.py", sample, "--epochs", "1"]
        command += ["--checkpoint", tmp_path / name, *words]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1]

    whole = train("whole.ckpt")
    assert whole.startswith("steps (0, 0) to (0, 20), 21 in all")
    assert train("stopped.ckpt", "--stop-after", "9").startswith("steps (0, 0) to (0, 8), 9 in all")
    rest = train("stopped.ckpt")
    assert rest.startswith("steps (0, 9) to (0, 20), 21 in all") and rest.split("weights")[1] == whole.split("weights")[1]
