"""Batches as tensors, and loaders inside PyTorch's own loader."""
import gc
import shutil
import subprocess
import sys

import numpy as np
import pytest

import pando
from conftest import ROOT
from forked import Forked

torch = pytest.importorskip("torch")
from torch.utils.data import DataLoader  # noqa: E402


def make(sample, **options):
    return pando.Loader(sample, options.pop("batch_size", 64), **{"features": "released", "drop_last": False, **options})


def jets(batches):
    return [int(jet) for batch in batches for jet in batch.jets]


@pytest.fixture(scope="module")
def forked(tmp_path_factory):
    """Programs in processes that have PyTorch imported already."""
    made = Forked(tmp_path_factory.mktemp("forked"))
    yield made
    made.close()


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


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU here")
def test_without_a_gpu_pinning_is_a_warning(sample):
    with pytest.warns(UserWarning, match="no GPU here, so batches are not pinned"):
        batch = next(make(sample, pin_memory=True).batches(0))
    assert batch.features.shape == (64, 128, 3) and not batch.features.is_pinned()


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


@pytest.mark.parametrize("method, as_torch, count", [("fork", False, 2), ("spawn", True, 2), ("fork", False, 5), ("fork", False, 30)])
def test_workers_deal_out_the_batches(method, as_torch, count, sample):
    """The batches of one process, in their order, each once: also 30 workers for 27 batches."""
    # Epochs that earlier tests left in the middle may wait in reference cycles, and a fork would find them running.
    gc.collect()
    loader = make(sample, as_torch=as_torch)
    workers = DataLoader(loader, batch_size=None, num_workers=count, multiprocessing_context=method)
    whole = list(make(sample).batches(0))
    assert len(workers) == len(loader) == len(whole)
    seen = list(workers)
    assert [part.step for part in seen] == list(range(len(whole)))
    for part, batch in zip(seen, whole):
        assert (np.asarray(part.jets) == batch.jets).all() and (np.asarray(part.features) == batch.features).all()


def test_a_loop_with_workers_goes_on_with_the_next_batch(sample):
    gc.collect()
    options = {"features": None, "columns": [], "seed": 3}
    expected = list(make(sample, **options).batches(1))
    loader = make(sample, **options)
    workers = DataLoader(loader, batch_size=None, num_workers=2, multiprocessing_context="fork")
    loader.set_epoch(1)
    for batch in workers:
        if batch.step == 9:
            break
    again = make(sample, **options)
    again.load_state_dict(loader.state_after(batch))
    # As a training loop says before each epoch, also the one in whose middle it goes on.
    again.set_epoch(1)
    rest = list(DataLoader(again, batch_size=None, num_workers=3, multiprocessing_context="fork"))
    assert [(one.epoch, one.step) for one in rest] == [(1, step) for step in range(10, len(expected))]
    assert jets(rest) == jets(expected[10:])
    again.set_epoch(2)
    assert next(iter(again)).epoch == 2


def test_epochs_of_workers_are_those_that_are_set_or_go_on_where_workers_stay(sample):
    gc.collect()
    loader = make(sample, columns=[], features=None)
    whole = [[set(batch.jets.tolist()) for batch in make(sample, columns=[], features=None).batches(epoch)] for epoch in range(3)]
    assert whole[0] != whole[1]

    def steps(batches):
        """The jets of each batch."""
        found = []
        for batch in batches:
            found.append(set(batch.jets.tolist()))
            assert batch.epoch == epoch
        return found

    workers = DataLoader(loader, batch_size=None, num_workers=2, multiprocessing_context="fork")
    for epoch in (0, 2, 1):
        loader.set_epoch(epoch)
        assert steps(workers) == whole[epoch]
    staying = DataLoader(
        make(sample, columns=[], features=None), batch_size=None, num_workers=2, multiprocessing_context="fork",
        persistent_workers=True,
    )
    for epoch in range(3):
        assert steps(staying) == whole[epoch]


def test_workers_of_a_rank_share_the_part_of_that_rank(sample):
    gc.collect()
    for rank in range(2):
        options = {"features": None, "columns": [], "rank": rank, "world_size": 2}
        expected = [set(batch.jets.tolist()) for batch in make(sample, **options).batches(0)]
        workers = DataLoader(make(sample, **options), batch_size=None, num_workers=2, multiprocessing_context="fork")
        assert [set(batch.jets.tolist()) for batch in workers] == expected


#: In processes of their own: PyTorch takes its time to end workers that failed.
FAILING = """
import sys, pando
from torch.utils.data import DataLoader
make = lambda: pando.Loader(sys.argv[1], 64, columns=[], drop_last=False)
batches = make().batches(0)
next(batches)
try:
    list(DataLoader(make(), batch_size=None, num_workers=2, multiprocessing_context="fork"))
except pando.PandoError as error:
    print(type(error).__name__, error)
print(sum(1 for _ in batches))
"""


def test_workers_forked_in_the_middle_of_an_epoch_say_so(sample, forked):
    out, _ = forked("-c", FAILING, sample)
    assert out.startswith("ForkError") and "spawn" in out and out.endswith("\n26\n")


def test_torch_distributed_says_the_rank(sample, tmp_path, forked):
    program = """
import sys, torch.distributed as dist, pando
dist.init_process_group("gloo", init_method=f"file://{sys.argv[2]}", rank=int(sys.argv[3]), world_size=2)
loader = pando.Loader(sys.argv[1], 64, columns=[], drop_last=False)
print(loader.rank.rank, loader.rank.world_size, loader.rank.origin, *(j for b in loader for j in b.jets))
"""
    ended = forked.together(
        *(("-c", program, sample, tmp_path / "meet", rank) for rank in range(2)),
        # The numbers of the process count, not those of the launcher.
        environments=[{"RANK": "0", "WORLD_SIZE": "1"}] * 2,
    )
    assert [status for status, _, _ in ended] == [0, 0], ended
    assert "pando: rank 1 of 2 (torch.distributed; RANK, WORLD_SIZE say 0 of 1)\n" in ended[1][2]
    said = [out.split() for _, out, _ in ended]
    assert [words[:3] for words in said] == [["0", "2", "torch.distributed"], ["1", "2", "torch.distributed"]]
    for rank, words in enumerate(said):
        part = make(sample, features=None, columns=[], rank=rank, world_size=2)
        assert list(map(int, words[3:])) == jets(part.batches(0))
    assert sorted(int(jet) for words in said for jet in words[3:]) == list(range(1727))


EXAMPLES = ROOT / "examples"


def test_the_example_goes_on_after_a_kill_as_if_nothing_had_been(sample, tmp_path, forked):
    def train(name, *words, status=0):
        command = EXAMPLES / "train_pytorch.py", sample, "--checkpoint", tmp_path / name, "--epochs", 1, "--threads", 1, *words
        return forked(*command, status=status)[0]

    whole = train("whole.pt")
    train("killed.pt", "--kill-after", "7", status=-9)
    train("killed.pt", "--kill-after", "8", status=-9)
    rest = train("killed.pt")
    assert rest.splitlines()[-1] == whole.splitlines()[-1] and "weights" in rest.splitlines()[-1]
    one, two = (torch.load(tmp_path / name) for name in ("whole.pt", "killed.pt"))
    assert all((one["model"][name] == two["model"][name]).all() for name in one["model"])


def test_two_processes_under_torchrun_train_the_same_model(sample, tmp_path, forked):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    # PyTorch 1.13 under Python 3.11 stumbles over the default of these.
    command += ["--redirects", "1", "--tee", "1", EXAMPLES / "train_pytorch.py", sample]
    command += ["--checkpoint", tmp_path / "two.pt", "--epochs", "1", "--threads", "1"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "rank 1 of 2 (torch.distributed)" in done.stderr
    forked(EXAMPLES / "train_pytorch.py", sample, "--checkpoint", tmp_path / "one.pt", "--epochs", 1, "--threads", 1)
    one, two = (torch.load(tmp_path / name)["model"] for name in ("one.pt", "two.pt"))
    # The same global batches, added up in another order.
    assert all(torch.allclose(one[name], two[name], atol=2e-3) for name in one)


def test_states_of_stateful_data_loaders_and_nodes_go_on_with_the_next_batch(sample):
    stateful = pytest.importorskip("torchdata.stateful_dataloader").StatefulDataLoader
    nodes = pytest.importorskip("torchdata.nodes")
    gc.collect()
    whole = [batch.jets.tolist() for batch in make(sample).batches(0)]
    kinds = [
        # First, so that nothing is in the middle of an epoch when its worker is forked.
        lambda: stateful(make(sample), batch_size=None, num_workers=1, multiprocessing_context="fork"),
        lambda: stateful(make(sample), batch_size=None, num_workers=2, multiprocessing_context="fork"),
        lambda: stateful(make(sample), batch_size=None, num_workers=3, multiprocessing_context="fork"),
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


#: The example with a list of the jets that each process was given.
LISTING = """
import os, lightning, train_lightning

class List(lightning.Callback):
    def on_train_batch_start(self, trainer, task, batch, _):
        with open(f"{os.environ['LIST_TO']}/{trainer.global_rank} of {trainer.world_size}", "a") as file:
            print(batch.step, *batch.jets.tolist(), file=file)

train_lightning.main(List())
"""


@pytest.fixture(scope="module")
def by_lightning(sample, tmp_path_factory, forked):
    """Trains with Lightning: the last line, the warnings, and the jets of each process."""
    pytest.importorskip("lightning")
    folder = tmp_path_factory.mktemp("lightning")
    (folder / "listing.py").write_text(LISTING)

    def train(checkpoint, *words):
        for old in folder.glob("* of *"):
            old.unlink()
        command = folder / "listing.py", sample, "--epochs", "1", "--checkpoint", folder / checkpoint, *words
        out, said = forked(*command, PYTHONPATH=str(EXAMPLES), LIST_TO=str(folder))
        lists = {file.name: [list(map(int, line.split())) for line in open(file)] for file in sorted(folder.glob("* of *"))}
        return out.splitlines()[-1], said, lists

    train.folder = folder
    train.whole = train("whole.ckpt")
    train.begun = train("begun.ckpt", "--stop-after", "9")
    return train


def test_lightning_goes_on_in_the_middle_of_an_epoch(sample, by_lightning):
    whole, _, lists = by_lightning.whole
    assert whole.startswith("steps (0, 0) to (0, 20), 21 in all")
    expected = [[batch.step, *batch.jets.tolist()] for batch in make(sample, split="train", drop_last=True).batches(0)]
    assert lists == {"0 of 1": expected}
    assert by_lightning.begun[0].startswith("steps (0, 0) to (0, 8), 9 in all")
    shutil.copy(by_lightning.folder / "begun.ckpt", by_lightning.folder / "one.ckpt")
    rest, _, lists = by_lightning("one.ckpt")
    assert rest.startswith("steps (0, 9) to (0, 20), 21 in all") and rest.split("weights")[1] == whole.split("weights")[1]
    assert lists == {"0 of 1": expected[9:]}


def test_two_processes_of_lightning_get_their_parts_and_go_on_where_one_was(sample, by_lightning):
    shutil.copy(by_lightning.folder / "begun.ckpt", by_lightning.folder / "two.ckpt")
    rest, said, lists = by_lightning("two.ckpt", "--devices", "2")
    assert rest.startswith("steps (0, 9) to (0, 20), 21 in all")
    assert "pando: rank 1 of 2 (torch.distributed" in said
    parts = {}
    for rank in range(2):
        part = make(sample, split="train", drop_last=True, rank=rank, world_size=2)
        parts[f"{rank} of 2"] = [[batch.step, *batch.jets.tolist()] for batch in part.batches(0)][9:]
    assert lists == parts
    # The same global batches as of one process, added up in another order.
    one, two = (torch.load(by_lightning.folder / name, weights_only=False)["state_dict"] for name in ("whole.ckpt", "two.ckpt"))
    assert all(torch.allclose(one[name], two[name], atol=2e-3) for name in one)
