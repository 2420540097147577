"""The loader: batches of jets for a training loop."""

from __future__ import annotations

import ctypes
import numbers
import operator
import os
import pathlib
import sys
import threading
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, SupportsIndex

from ._library import C, Forks, Handle, RawBatch, as_json, failure, names_of, parsed, whole
from .batch import Batch, Shape
from .errors import ForkError, LoaderError
from .ranks import Rank, resolve_rank

Path = str | os.PathLike[str]
#: A dataset, or one with its weight in a mixture, or with weight and split.
Source = Path | tuple[Path, float] | tuple[Path, float, str | None]
#: A configuration's name or JSON file, names or entries of features, or a whole configuration.
Features = Path | Sequence[str | Mapping[str, Any]] | Mapping[str, Any]
#: How long a call waits for a batch before Python looks at signals, in seconds.
PATIENCE = 0.1


@dataclass(frozen=True)
class TokenPairs:
    """Pairs of input and target for next-token training: how many codes there are, and positions of a row."""

    codebook_size: int
    length: int = 128


def _sources(paths: Source | Sequence[Source] | Mapping[Any, float]) -> list[dict[str, Any]]:
    if isinstance(paths, Mapping):
        return [{"dataset": os.fspath(path), "weight": float(weight)} for path, weight in paths.items()]
    if isinstance(paths, (str, os.PathLike)):
        return [{"dataset": os.fspath(paths)}]
    single = isinstance(paths, tuple) and len(paths) in (2, 3) and isinstance(paths[1], numbers.Real)
    found = []
    for source in [paths] if single else paths:
        if isinstance(source, tuple):
            entry: dict[str, Any] = {"dataset": os.fspath(source[0]), "weight": float(source[1])}
            if len(source) == 3:
                entry["split"] = source[2]
        else:
            entry = {"dataset": os.fspath(source)}  # type: ignore[arg-type]
        found.append(entry)
    return found


def _entries(features: Sequence[str | Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Features by name, and those with more about them."""
    return [{"name": entry} if isinstance(entry, str) else dict(entry) for entry in features]


def _features(features: Features | None) -> str | None:
    """A configuration as the library reads it."""
    if features is None:
        return None
    if isinstance(features, (str, os.PathLike)):
        name = os.fspath(features)
        if name.lstrip().startswith(("{", "[")) or name == "released":
            return name
        if name.endswith(".json"):
            return pathlib.Path(name).read_text(encoding="utf-8")
        features = [part.strip() for part in name.split(",")]
    if isinstance(features, Mapping):
        return as_json(features).decode()
    return as_json({"features": _entries(features)}).decode()


@dataclass(frozen=True)
class Tensors:
    """What becomes of batches that are handed out as tensors."""

    device: Any = None
    pin_memory: bool = False


class Batches(Iterator[Any]):
    """The batches of an epoch, one after the other: `Batch`, or `TorchBatch` with `as_torch`.

    Threads of the library make them ahead, until the end, `close()`, or nobody has this any more.
    """

    def __init__(
        self, handle: Handle, state: dict[str, Any], shape: Shape, tensors: Tensors | None = None, share: tuple[int, int] = (0, 1)
    ) -> None:
        self._state, self._shape, self._tensors, self._share = state, shape, tensors, share
        Forks.check()
        number, count = share
        if worker := state.get("worker"):
            if list(worker) != list(share):
                raise LoaderError(
                    f"the state is of worker {worker[0]} of {worker[1]}, this is worker {number} of {count}; use as many workers",
                    "state", advice="use as many workers",
                )  # fmt: skip
            # It goes on behind a batch of its own, and those of the others come first.
            number = count - 1
        self._epoch: Handle | None = Handle(C.pando_epoch_begin(handle.pointer, as_json(state), number, count), C.pando_epoch_end)
        # The loader must outlive its threads.
        self._handle = handle
        # Held by the thread that waits. A handler of signals may come into the middle of that, and uses this object too.
        self._lock = threading.RLock()
        self._pid = os.getpid()
        # A batch that the library gave and the loop did not get yet: an exception may come between the two.
        self._pending = (RawBatch(), Handle.empty(C.pando_batch_release))
        self._has_ended = self._was_superseded = False
        Forks.running.add(id(self))

    def __iter__(self) -> Batches:
        return self

    def __next__(self) -> Any:
        if self._pid != os.getpid():
            raise ForkError(
                "the loader was made before a fork; make it in the process that uses it", "fork",
                advice="make it in the process that uses it",
            )  # fmt: skip
        with self._lock:
            raw, owner = self._pending
            # The library filled `raw` if its owner is set, and is not asked again; an assignment is done once or twice.
            while not raw.owner:
                epoch = self._epoch
                if epoch is None:
                    if self._was_superseded:
                        raise LoaderError(
                            "another loop over this loader has begun, which ended this one; "
                            "batches() gives an iterator that is independent", "options",
                            advice="use batches(), which gives an iterator that is independent",
                        )  # fmt: skip
                    raise StopIteration
                status = C.pando_epoch_next(epoch.pointer, PATIENCE, ctypes.byref(raw))
                if status == 0:
                    self._has_ended, epoch = True, None
                    self.close()
                    raise StopIteration
                if status < 0:
                    raise failure()
            owner.pointer = raw.owner
            batch = Batch(raw, owner, self._shape)
            # Making tensors may fail, and the same batch is then given to whoever asks again.
            handed = batch if self._tensors is None else batch.torch(self._tensors.device, self._tensors.pin_memory)
            place = {**self._state, "step": batch.step + 1}
            if self._share[1] > 1:
                place["worker"] = list(self._share)
            fresh = RawBatch(), Handle.empty(C.pando_batch_release)
            self._pending, self._state = fresh, place
            return handed

    def close(self) -> None:
        """Ends the threads. Batches that were handed out stay."""
        # Whoever is in the middle of a call holds the threads' handle, looks at this within PATIENCE, and then lets them end.
        if self._pid == os.getpid():
            self._epoch = None
            Forks.running.discard(id(self))

    def supersede(self) -> None:
        """Ends it since another loop over its loader begins: whoever asks for more is told."""
        if self._epoch is not None:
            self._was_superseded = True
        self.close()

    def __enter__(self) -> Batches:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if "_pending" in self.__dict__ and self._pid == os.getpid():
            Forks.running.discard(id(self))
            raw, owner = self._pending
            owner.pointer = raw.owner

    def state_dict(self) -> dict[str, Any]:
        """Where the loop is: behind the batches that it was given."""
        return {**self._state, "options": dict(self._state["options"])}

    @property
    def epoch(self) -> int:
        """The epoch."""
        return int(self._state["epoch"])

    @property
    def counters(self) -> dict[str, float]:
        """What was done since it began: batches, recordBatches, storedBytes, decodedBytes, and seconds stalled."""
        epoch = self._epoch
        if epoch is None:
            return {}
        found: dict[str, float] = parsed(C.pando_epoch_counters(epoch.pointer))
        return found


class Loader:
    """Feeds a training loop with batches of jets from a dataset, or from several.

    The sequence of global batches follows from the datasets' fingerprints, the options, the seed and the epoch; threads, ranks
    and interruptions only decide who makes which part and when. Options have the names and defaults of Swift's `LoaderOptions`
    and `LoaderContents` (docs/loader.md), in snake case.

        for epoch in range(10):
            for batch in loader:               # batch.features [256, 128, 3], batch.mask [256, 128]
                ...                            # loader.state_dict() goes into the checkpoint

    Each `for` is the next epoch; after `load_state_dict` the first one goes on behind the last batch.
    """

    def __init__(
        self,
        paths: Source | Sequence[Source] | Mapping[Any, float],
        batch_size: int = 256,
        *,
        features: Features | None = None,
        pad_length: int | None = None,
        axis: Literal["constituents", "puppi", "stored"] | None = None,
        jet_features: Sequence[str | Mapping[str, Any]] | None = None,
        is_jagged: bool = False,
        columns: str | Sequence[str] | None = None,
        labels: str | Sequence[str] = (),
        label_column: str | None = None,
        tokens: TokenPairs | None = None,
        token_column: str | None = None,
        angles: Literal["stored", "momenta"] = "stored",
        shuffle: bool = True,
        exact: bool = False,
        exact_limit: int = 4 << 30,
        mixture_length: Literal["shortest", "longest"] = "shortest",
        seed: int = 0,
        window: int | None = None,
        streams: int | None = None,
        drop_last: bool = True,
        split: str | None = None,
        limit: int | None = None,
        limit_seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        threads: int = 1,
        prefetch: int = 4,
        releases_pages: bool | None = None,
        checks_digests: bool = True,
        as_torch: bool = False,
        pin_memory: bool = False,
        device: Any = None,
    ) -> None:
        #: Which part of each global batch this process makes.
        self.rank: Rank = resolve_rank(rank, world_size)
        options = {
            "batchSize": batch_size, "shuffle": shuffle, "exact": exact, "exactLimit": exact_limit,
            "mixtureLength": mixture_length, "seed": seed, "window": window, "streams": streams, "dropLast": drop_last,
            "split": split, "limit": limit, "limitSeed": limit_seed, "threads": threads, "prefetch": prefetch,
            "releasesPages": releases_pages, "checksDigests": checks_digests,
        }  # fmt: skip
        contents = {
            "columns": None if columns is None else names_of(columns),
            "features": _features(features), "padLength": pad_length, "axis": axis,
            "jetFeatures": _entries(jet_features) if jet_features else None, "isJagged": is_jagged, "labels": names_of(labels),
            "labelColumn": label_column, "tokenColumn": token_column, "angles": angles,
            "tokens": None if tokens is None else {"codebookSize": tokens.codebook_size, "length": tokens.length},
        }  # fmt: skip
        present = {name: value for name, value in options.items() if value is not None}
        self._request: dict[str, Any] = {name: value for name, value in contents.items() if value is not None}
        self._request |= {"sources": _sources(paths), "options": present}
        self._tensors = Tensors(device, pin_memory) if as_torch or pin_memory or device is not None else None
        self._open()

    def _open(self) -> None:
        self._handles: dict[tuple[int, int], Handle] = {}
        self._about: dict[str, Any] = parsed(C.pando_loader_describe(self._handle(self.rank.rank, self.rank.world_size).pointer))
        about = self._about
        self._shape = Shape(
            tuple(about["features"]), tuple(about["jetFeatures"]), about.get("padLength") or 0, about.get("tokenLength") or 0,
            about["hasLabels"], about["isJagged"], tuple(column["name"] for column in about["columns"]),
        )  # fmt: skip
        self._state: dict[str, Any] = about["state"]
        self._was_loaded = False
        self._batches: Batches | None = None

    def _handle(self, rank: int, world_size: int) -> Handle:
        """The library's loader for a rank, opened once in each process."""
        known = self._handles.get((rank, world_size))
        if known is not None and known.is_ours:
            return known
        Forks.check()
        request = dict(self._request)
        request["options"] = {**request["options"], "rank": rank, "worldSize": world_size}
        made = Handle(C.pando_loader_open(as_json(request)), C.pando_loader_close)
        self._handles[rank, world_size] = made
        return made

    def batches(self, epoch: int | None = None, *, state: Mapping[str, Any] | None = None) -> Batches:
        """The batches of an epoch from its beginning, or from where a state says; independent of `for batch in loader`."""
        if state is None:
            state = {**self._about["state"], "epoch": 0 if epoch is None else operator.index(epoch)}
        own = self._handle(self.rank.rank, self.rank.world_size)
        return Batches(own, {**state, "options": dict(state["options"])}, self._shape, self._tensors, _share())

    def __iter__(self) -> Batches:
        state = self._now()
        # An epoch that was begun is not begun again: its first batches would come twice.
        has_begun = state["step"] > 0 or (self._batches is not None and self._batches._has_ended)
        if (has_begun and not self._was_loaded) or self._has_ended(state):
            state = {**self._about["state"], "epoch": state["epoch"] + 1}
        if self._batches is not None:
            self._batches.supersede()
        self._was_loaded = False
        self._batches = self.batches(state=state)
        return self._batches

    def _has_ended(self, state: Mapping[str, Any]) -> bool:
        """Whether a state lies behind the last batch of its epoch; those of a mixture differ by some batches."""
        if state["step"] == 0 or (state["step"] < len(self) and len(self._request["sources"]) == 1):
            return False
        handle = self._handle(self.rank.rank, self.rank.world_size)
        following = as_json({**state, "step": state["step"] + 1})
        return int(C.pando_loader_check(handle.pointer, following)) != 0

    def _now(self) -> dict[str, Any]:
        return self._batches.state_dict() if self._batches is not None and not self._was_loaded else self._state

    def __len__(self) -> int:
        """Batches of an epoch: the same number on every rank."""
        return int(self._about["stepsPerEpoch"])

    @property
    def epoch(self) -> int:
        """The epoch of the next batch; set it to begin that one with the next `for`."""
        now = self._now()
        return int(now["epoch"]) + self._has_ended(now)

    @epoch.setter
    def epoch(self, number: SupportsIndex) -> None:
        self.load_state_dict({**self._about["state"], "epoch": operator.index(number)})

    def set_epoch(self, epoch: SupportsIndex) -> None:
        """Begins that epoch with the next `for`, as samplers of PyTorch do; in the middle, if a state there was loaded."""
        if not (self._was_loaded and self._state["epoch"] == operator.index(epoch)):
            self.epoch = operator.index(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Where the loop is: fingerprint, the options that decide the sequence, epoch, and the batches handed out in it."""
        now = self._now()
        return {**now, "options": dict(now["options"])}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a state with the next `for`; with any number of threads and ranks.

        Raises `LoaderError` that names the difference if the state is of another dataset or of other options.
        """
        handle = self._handle(self.rank.rank, self.rank.world_size)
        if C.pando_loader_check(handle.pointer, as_json(dict(state))) != 0:
            raise failure()
        self._state, self._was_loaded = {**state, "options": dict(state["options"])}, True

    def state_after(self, batch: Any) -> dict[str, Any]:
        """The state behind a batch of this loader, whichever way it came: also through workers that read ahead."""
        return {**self._about["state"], "epoch": batch.epoch, "step": batch.step + 1}

    def origins(self, step: int, epoch: int = 0, rank: int | None = None) -> list[dict[str, Any]]:
        """Where the jets of a batch came from: dataset, jet, input file, row, and the event's numbers; without replay."""
        handle = self._handle(self.rank.rank, self.rank.world_size)
        numbers = whole(step), whole(self.rank.rank if rank is None else rank), whole(epoch)
        found: list[dict[str, Any]] = parsed(C.pando_loader_origins(handle.pointer, *numbers))
        return found

    @property
    def jet_count(self) -> int:
        """Jets that take part: in an epoch of one dataset, each of them once."""
        return int(self._about["jets"])

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features, in the order of the last axis of `Batch.features`."""
        return self._shape.features

    @property
    def memory_bound(self) -> int:
        """Bytes that loading an epoch at a time takes at most."""
        return int(self._about["memoryBound"])

    def close(self) -> None:
        """Ends the threads of the epoch that `for` began. Batches that were handed out stay."""
        if self._batches is not None:
            self._batches.close()

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        names = ", ".join(source["dataset"] for source in self._request["sources"])
        return f"<pando.Loader of {names}: {self.jet_count} jets, {len(self)} batches an epoch, {self.rank}>"

    def __new__(cls, *_: Any, **__: Any) -> Loader:
        """A loader that PyTorch, where it was imported, knows as a dataset that is iterated and not indexed."""
        return super().__new__(_known_to_torch(cls))

    def __reduce__(self) -> tuple[Any, ...]:
        kept = dict(self.__dict__)
        for name in ("_handles", "_batches", "_about", "_shape"):
            kept.pop(name)
        # The class that the user knows: that which PyTorch knows is made where the loader is opened.
        kind = next(one for one in type(self).__mro__ if one not in _KINDS.values())
        return _restore, (kind, {**kept, "_state": self.state_dict()})


def _share() -> tuple[int, int]:
    """Which worker of a DataLoader this process is, and of how many: they deal out the batches among them."""
    data = sys.modules.get("torch.utils.data")
    worker = data.get_worker_info() if data is not None else None
    return (0, 1) if worker is None else (worker.id, worker.num_workers)


def _restore(kind: type[Loader], kept: dict[str, Any]) -> Loader:
    """The loader that was pickled, opened here."""
    loader = kind.__new__(kind)
    loader.__dict__.update(kept)
    loader._open()
    loader._state, loader._was_loaded = kept["_state"], kept["_was_loaded"] or kept["_state"]["step"] > 0
    return loader


def _known_to_torch(cls: type[Loader]) -> type[Loader]:
    data = sys.modules.get("torch.utils.data")
    if data is None or issubclass(cls, data.IterableDataset):
        return cls
    known = _KINDS.get(cls)
    if known is None:
        known = types.new_class(cls.__name__, (cls, data.IterableDataset))
        known.__module__, known.__doc__ = cls.__module__, cls.__doc__
        _KINDS[cls] = known
    return known


#: Loaders that are PyTorch's as well, by what they are.
_KINDS: dict[type[Loader], type[Any]] = {}
