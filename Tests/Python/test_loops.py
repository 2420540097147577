"""Loops over batches: each jet once, from any place, on any rank; and what they leave behind."""
import copy
import gc
import inspect
import json
import os
import pickle
import random
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import pando
from conftest import ROOT, memory, run, threads


def jets(batches):
    """The numbers of jets of batches."""
    return [int(jet) for batch in batches for jet in batch.jets]


def make(sample, **options):
    return pando.Loader(sample, options.pop("batch_size", 64), **{"features": "released", "drop_last": False, **options})


def test_each_jet_comes_once_an_epoch(sample):
    loader = make(sample)
    first, second = jets(loader), jets(loader)
    assert sorted(first) == sorted(second) == list(range(1727))
    assert first != second
    assert len(loader) == 27 and loader.jet_count == 1727


def test_each_for_is_the_next_epoch_and_set_epoch_chooses(sample):
    loader = make(sample)
    whole = [jets(loader.batches(epoch)) for epoch in range(3)]
    assert jets(loader) == whole[0] and loader.epoch == 1
    # One that is left is not begun again.
    for _ in loader:
        break
    assert loader.epoch == 1
    assert jets(loader) == whole[2] and loader.epoch == 3
    loader.set_epoch(1)
    assert loader.epoch == 1 and jets(loader) == whole[1]


def test_from_any_batch_of_an_epoch_the_rest_is_the_same(sample):
    whole = jets(make(sample).batches(0)) + jets(make(sample).batches(1))
    steps = len(make(sample))
    for stop in (0, 1, 5, steps - 1, steps, steps + 3):
        loader, seen = make(sample), []
        while len(seen) < stop:
            for batch in loader:
                seen.append(batch.jets.tolist())
                if len(seen) == stop:
                    break
        state = json.loads(json.dumps(loader.state_dict()))
        # Twice, with other threads: most loaders break at the second time.
        second = make(sample, threads=3, prefetch=2)
        second.load_state_dict(state)
        for batch in second:
            seen.append(batch.jets.tolist())
            break
        third = make(sample)
        third.load_state_dict(second.state_dict())
        for _ in range(third.epoch, 2):
            seen += [batch.jets.tolist() for batch in third]
        assert sum(seen, []) == whole, stop


def test_the_epochs_left_after_a_state_are_those_of_range(sample):
    loader = make(sample)
    for _ in loader:
        pass
    other = make(sample)
    other.load_state_dict(loader.state_dict())
    assert other.epoch == 1
    assert jets(other) == jets(make(sample).batches(1))


def test_a_killed_loop_goes_on_with_exactly_the_next_batch(sample, tmp_path):
    program = """
import json, os, sys, pando
path, state, log, stop = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
loader = pando.Loader(path, 64, columns=["jet_pt"], drop_last=False)
if os.path.exists(state):
    loader.load_state_dict(json.load(open(state)))
with open(log, "a") as out:
    for _ in range(loader.epoch, 2):
        for number, batch in enumerate(loader):
            out.write(" ".join(map(str, batch.jets)) + "\\n")
            out.flush()
            with open(state + ".new", "w") as file:
                json.dump(loader.state_dict(), file)
            os.rename(state + ".new", state)
            if number == stop:
                os.kill(os.getpid(), 9)
"""
    log, state = tmp_path / "log", tmp_path / "state.json"
    for stop in (3, 9, 0):
        run(program, sample, state, log, stop, status=-9)
    run(program, sample, state, log, 10**6)
    seen = [int(jet) for line in log.read_text().splitlines() for jet in line.split()]
    assert seen == jets(make(sample).batches(0)) + jets(make(sample).batches(1))


def test_ranks_are_parts_of_the_same_global_batches(sample):
    whole = [set(batch.jets.tolist()) for batch in make(sample).batches(2)]
    for size in (2, 4, 8):
        parts = [make(sample, rank=rank, world_size=size) for rank in range(size)]
        assert {len(part) for part in parts} == {len(whole)}
        seen = [[batch.jets.tolist() for batch in part.batches(2)] for part in parts]
        for step, expected in enumerate(whole):
            together = sum((part[step] for part in seen), [])
            assert len(together) == len(expected) and set(together) == expected


def test_a_state_of_one_rank_goes_on_on_others(sample):
    state = make(sample, rank=1, world_size=2).batches(0)
    next(state)
    parts = [make(sample, rank=rank, world_size=4) for rank in range(4)]
    for part in parts:
        part.load_state_dict(state.state_dict())
    rest = jets(make(sample).batches(0))[64:]
    assert sorted(jet for part in parts for jet in jets(part)) == sorted(rest)


def test_a_batch_that_is_kept_stays_as_it_is(sample):
    loader = make(sample, prefetch=1, columns=["px"])
    kept = list(loader.batches(0))
    expected = [(batch.features.copy(), batch["px"].copy()) for batch in loader.batches(0)]
    for batch, (features, px) in zip(kept, expected, strict=True):
        assert (batch.features == features).all() and (batch["px"] == px).all()


def test_an_array_alone_keeps_its_memory(sample):
    loader = make(sample, prefetch=1)
    kept = [batch.features[3:5, :2] for batch in loader.batches(0)]
    expected = [batch.features[3:5, :2].copy() for batch in loader.batches(0)]
    del loader
    gc.collect()
    for values, others in zip(kept, expected, strict=True):
        assert (values == others).all()


def test_memory_stays_flat_over_ten_thousand_batches_kept_and_dropped_in_odd_orders(sample):
    loader = make(sample, batch_size=16, threads=2, columns=["jet_pt"])
    odd, kept, seen, sizes = random.Random(3), [], 0, []
    epoch = 0
    while seen < 10_500:
        for batch in loader.batches(epoch):
            seen += 1
            kept.append((batch, batch.features[0, 0, 0], batch.jets.sum()) if odd.random() < 0.5 else (batch.mask, None, None))
            while len(kept) > 12:
                batch, first, total = kept.pop(odd.randrange(len(kept)))
                if first is not None:
                    assert batch.features[0, 0, 0] == first and batch.jets.sum() == total
            if seen in (500, 10_500):
                sizes.append(memory())
        epoch += 1
    # A batch that leaked each time would be hundreds of MB; what allocators keep on a busy machine is a few.
    assert sizes[1] - sizes[0] < 16 << 20, sizes


def test_errors_leak_nothing(sample):
    # Names of some length, so that what leaks is seen.
    name = "nope" * 1000

    def fail(times):
        for _ in range(times):
            with pytest.raises(pando.LoaderError):
                pando.Loader(sample, 64, columns=[name], rank=0, world_size=1)
            with pytest.raises(pando.DatasetError):
                pando.Dataset("/nowhere" + name)

    fail(100)
    before = memory()
    fail(700)
    assert memory() - before < 2 << 20


def test_two_loaders_run_at_once(sample):
    one, two = make(sample, seed=1), make(sample, seed=2, threads=2)
    expected = [jets(one.batches(0)), jets(two.batches(0))]
    seen = [[], []]
    for first, second in zip(one.batches(0), two.batches(0), strict=True):
        seen[0] += first.jets.tolist()
        seen[1] += second.jets.tolist()
    assert seen == expected
    # And one loader twice, in threads.
    found = {}

    def work(epoch):
        found[epoch] = jets(one.batches(epoch))

    workers = [threading.Thread(target=work, args=(epoch,)) for epoch in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert found == {epoch: jets(one.batches(epoch)) for epoch in range(4)}


def test_a_loop_that_is_left_leaves_no_threads_and_no_descriptors(sample, request):
    def leave():
        loader = make(sample, threads=3)
        batches = loader.batches(0)
        return next(batches), next(iter(loader))

    leave()
    # Nothing waits in a cycle of references for the collector.
    gc.disable()
    request.addfinalizer(gc.enable)
    before, files = threads(), len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        leave()
    end = time.monotonic() + 5
    while time.monotonic() < end and threads() > before:
        time.sleep(0.01)
    assert threads() <= before and len(os.listdir("/proc/self/fd")) <= files


def test_a_closed_loop_ends(sample):
    with make(sample).batches(0) as batches:
        batch = next(batches)
        features = batch.features.copy()
        assert batches.counters["batches"] == 1
    assert list(batches) == [] and batches.counters == {}
    assert (batch.features == features).all()


def test_a_loop_that_another_one_ended_says_so(sample):
    loader = make(sample)
    with pytest.raises(pando.LoaderError, match="another loop over this loader has begun.*batches"):
        list(zip(loader, loader))
    # One that has ended, or was left, is no fault.
    assert len(list(loader)) == 27
    for _ in loader:
        break
    assert len(list(loader)) == 27
    both = loader.batches(0), loader.batches(0)
    assert len(list(zip(*both))) == 27


def test_counters_are_read_by_another_thread_while_loops_end(sample):
    loader = make(sample, batch_size=16)
    current, stop, faults = [loader.batches(0)], threading.Event(), []

    def look():
        while not stop.is_set():
            try:
                current[0].counters
            except BaseException as error:
                faults.append(error)

    watcher = threading.Thread(target=look)
    watcher.start()
    for epoch in range(300):
        with loader.batches(epoch) as batches:
            current[0] = batches
            next(batches)
    stop.set()
    watcher.join()
    assert not faults


INTERRUPTED = """
import resource, signal, sys, pando

class Alarm(Exception):
    pass

armed = False

def handler(*_):
    if armed:
        raise Alarm

signal.signal(signal.SIGALRM, handler)
loader = pando.Loader(sys.argv[1], 64, features="released", drop_last=False)
interrupts = lost = 0
for epoch in range(60):
    batches, seen = loader.batches(epoch), []
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    while True:
        try:
            armed = True
            batch = next(batches)
            armed = False
        except StopIteration:
            break
        except Alarm:
            armed = False
            interrupts += 1
            continue
        seen.append(batch.step)
        assert seen[-1] + 1 == batches.state_dict()["step"]
    armed = False
    assert sorted(set(seen)) == seen
    lost += len(loader) - len(seen)
signal.setitimer(signal.ITIMER_REAL, 0)
print(interrupts, lost)
"""


def test_an_exception_of_a_signal_handler_loses_no_batch(sample):
    """Between the return of `next` and the assignment Python itself may raise, which no iterator can help: a few at most."""
    out, _ = run(INTERRUPTED, sample)
    interrupts, lost = map(int, out.split())
    assert interrupts > 20 and lost <= interrupts / 10, out


def test_a_loader_is_closed_in_a_signal_handler(sample):
    program = """
import signal, sys, threading, time, pando
loader = pando.Loader(sys.argv[1], 64, features="released")
signal.signal(signal.SIGALRM, lambda *_: loader.close())
for round in range(50):
    batches = iter(loader)
    signal.setitimer(signal.ITIMER_REAL, 0.002)
    for batch in batches:
        pass
    signal.setitimer(signal.ITIMER_REAL, 0)
    loader.set_epoch(0)
print("ended")
"""
    out, _ = run(program, sample)
    assert out == "ended\n"


def test_a_batch_that_could_not_be_made_a_tensor_comes_again(sample):
    class Broken(Exception):
        pass

    batches = make(sample, columns=["jet_pt"]).batches(0)

    class Tensors:
        @property
        def device(self):
            raise Broken

    batches._tensors = Tensors()
    for _ in range(2):
        with pytest.raises(Broken):
            next(batches)
    assert batches.state_dict()["step"] == 0
    batches._tensors = None
    assert [batch.step for batch in batches] == list(range(27))


def test_what_stands_beside_a_named_configuration_counts(sample):
    loader = pando.Loader(sample, 64, features="released", pad_length=32, axis="stored", jet_features=["jet_pt"])
    batch = next(loader.batches(0))
    assert batch.features.shape == (64, 32, 3) and batch.jet_features.shape == (64, 1)
    other = next(pando.Loader(sample, 64, features="released", pad_length=32).batches(0))
    assert (batch.jets == other.jets).all() and (batch.features != other.features).any()
    named = {"features": [{"name": "part_pt"}], "pad_length": 16}
    assert next(pando.Loader(sample, 64, features=named).batches(0)).features.shape == (64, 16, 1)
    assert next(pando.Loader(sample, 64, features=named, pad_length=8).batches(0)).features.shape == (64, 8, 1)
    for options in ({"pad_length": 8}, {"axis": "stored"}, {"jet_features": ["jet_pt"]}):
        with pytest.raises(pando.LoaderError, match="needs features of constituents beside it"):
            pando.Loader(sample, 64, columns=["jet_pt"], **options)


def test_numbers_of_numpy_and_one_name_are_what_they_look_like(sample):
    loader = pando.Loader(
        (sample, np.float32(1), "train"), np.int64(64), features=[{"name": "part_pt", "func": "log", "inv_func": "exp", "subtract_by": np.float32(1.5)}],
        shuffle=np.bool_(True), seed=np.uint64(3), columns="jet_pt", window=np.int16(4),
    )
    loader.set_epoch(np.int64(3))
    assert json.loads(json.dumps(loader.state_dict()))["epoch"] == 3
    batch = next(loader.batches(np.int8(2)))
    assert batch.columns == ("jet_pt",) and batch.epoch == 2
    # By name, as a TorchBatch has it.
    assert batch["features"] is batch.features
    assert len(pando.Loader(pando.Dataset(sample), 64)) == 26


class Own(pando.Loader):
    """A user's own."""

    def doubled(self):
        return 2 * len(self)


def test_a_loader_of_a_users_class_stays_one(sample):
    loader = Own(sample, 64, columns=["jet_pt"])
    for same in pickle.loads(pickle.dumps(loader)), copy.deepcopy(loader):
        assert isinstance(same, Own) and same.doubled() == 52


#: A shard that is a pipe: whoever opens it waits until somebody writes to it, and nobody does.
WAITING = """
import os, sys, pando
loader = pando.Loader(sys.argv[1], 64, columns=["jet_pt"])
shard = sys.argv[1] + "/shards/00000.arrow"
os.unlink(shard)
os.mkfifo(shard)
batches = loader.batches(0)
"""


def test_other_threads_run_while_a_batch_is_waited_for(sample, tmp_path):
    path = tmp_path / "waits.pando"
    subprocess.run(["cp", "-r", sample, path], check=True)
    program = WAITING + """
import threading, time
threading.Thread(target=lambda: next(batches), daemon=True).start()
time.sleep(0.2)
# A call that kept the interpreter would let this thread run between two calls only, ten times a second.
pauses = []
for _ in range(200):
    begin = time.monotonic()
    time.sleep(0.001)
    pauses.append(time.monotonic() - begin)
print(sorted(pauses)[100], flush=True)
os._exit(0)
"""
    out, _ = run(program, path)
    assert float(out) < 0.05


def test_ctrl_c_is_heard_while_a_batch_is_waited_for(sample, tmp_path):
    path = tmp_path / "waits.pando"
    subprocess.run(["cp", "-r", sample, path], check=True)
    program = WAITING + """
try:
    print("waiting", flush=True)
    next(batches)
    print("a batch?")
except KeyboardInterrupt:
    print("heard", batches.state_dict()["step"], flush=True)
os._exit(0)
"""
    # Shells ignore Ctrl-C in what they run in the background, and children inherit that.
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    assert process.stdout.readline() == "waiting\n"
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    try:
        out, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert out == "heard 0\n" and process.returncode == 0


def test_after_a_fork_in_the_middle_of_an_epoch_there_is_an_error_with_advice(sample):
    program = """
import os, sys, pando
loader = pando.Loader(sys.argv[1], 64, columns=["jet_pt"])
batches = loader.batches(0)
next(batches)
child = os.fork()
if child == 0:
    said = []
    for what in (lambda: next(batches), lambda: next(iter(loader)), lambda: pando.Dataset(sys.argv[1])):
        try:
            what()
        except pando.ForkError as error:
            said.append(str(error))
    print("\\n".join(said), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(1 + sum(1 for _ in batches))
"""
    out, _ = run(program, sample)
    *said, rest = out.splitlines()
    assert len(said) == 3 and rest == "26"
    assert "made before a fork; make it in the process" in said[0]
    assert all("spawn" in text for text in said[1:])


def test_a_loader_goes_on_in_a_child_that_was_forked_between_epochs(sample):
    program = """
import os, sys, pando
loader = pando.Loader(sys.argv[1], 64, columns=["jet_pt"])
parent = [int(j) for b in loader for j in b.jets]
dataset = pando.Dataset(sys.argv[1])
child = os.fork()
if child == 0:
    print(sum(1 for _ in loader), loader.epoch, len(dataset[2:4].counts), flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(sum(1 for _ in loader), loader.epoch)
"""
    out, _ = run(program, sample)
    assert out == "26 2 2\n26 2\n"


def test_a_loader_can_be_pickled_with_its_place(sample):
    loader = make(sample)
    for number, _ in enumerate(loader):
        if number == 4:
            break
    other = pickle.loads(pickle.dumps(loader))
    assert jets(other) == jets(make(sample).batches(0))[5 * 64:]
    batch = next(make(sample, columns=["px"]).batches(0))
    for again in (pickle.loads(pickle.dumps(batch)), copy.deepcopy(batch)):
        assert (again.features == batch.features).all() and (again["px"] == batch["px"]).all()
        assert not np.shares_memory(again.features, batch.features) and (again.step, again.rows) == (0, 64)


def test_damage_comes_in_the_place_of_its_batch(sample, tmp_path):
    path = tmp_path / "damaged.pando"
    subprocess.run(["cp", "-r", sample, path], check=True)
    shard = next((path / "shards").iterdir())
    with open(shard, "r+b") as file:
        file.seek(shard.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 16]))
    loader = pando.Loader(path, 64, shuffle=False, drop_last=False)
    seen, batches = 0, loader.batches(0)
    with pytest.raises(pando.DatasetError, match=r"shards/00000.arrow, record batch \d+.*digest") as failure:
        for _ in batches:
            seen += 1
    assert failure.value.code == "damaged" and "pando repair" in failure.value.advice
    assert batches.state_dict()["step"] == seen
    with pytest.raises(pando.DatasetError, match="record batch"):
        pando.Dataset(path)[:]
    report = pando.Dataset(path).verify()
    assert not report.is_sound and report.damage[0].file == "shards/00000.arrow"


def test_a_loader_is_let_go_in_the_middle_and_what_is_kept_stays(sample):
    odd = random.Random(5)
    expected = {batch.step: (batch.features.copy(), batch["px"].copy()) for batch in make(sample, columns=["px"]).batches(0)}
    for _ in range(10):
        loader = make(sample, columns=["px"], threads=2, prefetch=3)
        batches, kept = loader.batches(0), []
        for _ in range(odd.randrange(1, 12)):
            kept.append(next(batches))
        what = [loader, batches]
        del loader, batches
        odd.shuffle(what)
        while what:
            what.pop()
            gc.collect()
        odd.shuffle(kept)
        while kept:
            batch = kept.pop()
            features, px = expected[batch.step]
            assert (batch.features == features).all() and (batch["px"] == px).all()


def test_origins_name_file_row_and_event(sample):
    loader = make(sample)
    dataset = pando.Dataset(sample)
    events = dataset.read(columns=["run", "lumi", "event", "source_row"])
    for batch, origin in zip(loader.batches(1), [loader.origins(step, epoch=1) for step in range(3)], strict=False):
        for jet, found in zip(batch.jets, origin, strict=True):
            assert found["jet"] == jet and found["input"].endswith("aoj_sample.h5")
            assert found["row"] == events["source_row"][jet]
            assert found["event"] == {name: events[name][jet] for name in ("run", "lumi", "event")}
    for step, rank in ((-1, 0), (2**64, 0), (27, 0), (0, 2**64), (0, 1)):
        with pytest.raises(pando.LoaderError):
            loader.origins(step, rank=rank)


def test_states_and_options_that_cannot_be_say_what_the_swift_loader_says(sample):
    state = make(sample, seed=1).state_dict()
    with pytest.raises(pando.LoaderError, match="the state was made with seed 1, now 2; begin anew") as failure:
        make(sample, seed=2).load_state_dict(state)
    assert failure.value.code == "state" and failure.value.file == str(sample)
    for wrong in ({}, {"epoch": 1}, {**state, "step": "x"}):
        with pytest.raises(pando.LoaderError, match="fingerprint, options, epoch and step"):
            make(sample).load_state_dict(wrong)
    with pytest.raises(pando.LoaderError, match="at step 999"):
        make(sample, seed=1).load_state_dict({**state, "step": 999})
    cases = {
        "batch size: is 0": {"batch_size": 0},
        "streams: are 7, which do not divide the batch size 64": {"streams": 7},
        "a world of 3 does not divide the 64 streams": {"rank": 0, "world_size": 3},
        "arguments: rank 4 of 2, expected a rank in 0 ..< size": {"rank": 4, "world_size": 2},
        "split nope: does not exist; there are train, val, test": {"split": "nope"},
        "there is no such feature": {"features": ["nope"]},
        "axis: is": {"features": ["pt"], "axis": "nope"},
        "threads: is 5000, expected at most 1024": {"threads": 5000},
        "column nope: does not exist": {"columns": ["nope"]},
        "world_size is missing": {"rank": 0},
    }
    for text, options in cases.items():
        with pytest.raises(pando.LoaderError, match=text):
            make(sample, **options)
    with pytest.raises(pando.LoaderError, match="options.seed: is not a whole number from 0"):
        make(sample, seed=-1)


def test_options_have_the_names_and_defaults_of_the_swift_loader():
    def declared(file, kind):
        """Names and defaults of the variables of a structure in the Swift sources."""
        text = (ROOT / "Sources/Loader" / file).read_text()
        body = text[text.index(f"public struct {kind}") :]
        body = body[: body.index("\n}\n")]
        found = re.findall(r"^    public var (\w+)(?:: [\w<>?\[\]]+)?(?: = (.+))?$", body, re.MULTILINE)
        assert len(found) == len(re.findall(r"^    public var \w+", body, re.MULTILINE)) > 5
        return dict(found)

    values = {"": None, "true": True, "false": False, "[]": ()}
    swift = {**declared("LoaderOptions.swift", "LoaderOptions"), **declared("LoaderContents.swift", "LoaderContents")}
    python = inspect.signature(pando.Loader.__init__).parameters
    for name, text in swift.items():
        default = python[re.sub("[A-Z]", lambda found: "_" + found[0].lower(), name)].default
        if name in ("rank", "worldSize"):
            # Nobody said: it is found out.
            assert default is None
        elif "." in text:
            assert default == text.split(".")[-1]
        else:
            assert default == (values[text] if text in values else eval(text)), name
    assert len(swift) == 26


def test_numbers_of_numpy_are_numbers(sample):
    loader = make(sample, batch_size=np.int64(64), seed=np.uint64(3))
    assert jets(loader) == jets(make(sample, seed=3))


def test_no_number_ends_the_process(sample):
    program = """
import sys, pando
from pando._library import C, as_json, failure
names = "batchSize exactLimit seed window streams limit limitSeed rank worldSize threads prefetch".split()
values = [0, -1, 3, 2**31, 2**63 - 1, -2**63, 2**64, 1.5, "x", None, [], {}]
for name in names:
    for value in values:
        if name == "prefetch" and value == 3:
            continue
        for more in ({}, {"exact": True}, {"dropLast": False}):
            options = {"batchSize": 64, **more, name: value}
            loader = C.pando_loader_open(as_json({"sources": [{"dataset": sys.argv[1]}], "columns": ["jet_pt"], "options": options}))
            assert loader or str(failure()), options
            if loader:
                C.pando_loader_close(loader)
for text in ("", "{", "[]", "null", "{}", '{"sources": 3}', '{"sources": []}', '{"sources": [{}]}'):
    assert not C.pando_loader_open(text.encode()) and str(failure())
print("all said")
"""
    out, _ = run(program, sample)
    assert out == "all said\n"
