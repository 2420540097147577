"""The loader: batches of jets for a training loop."""

from __future__ import annotations

import ctypes
import os
import pathlib
import sys
import threading
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ._library import C, Forks, Handle, RawBatch, as_json, failure, parsed, whole
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
    single = isinstance(paths, tuple) and len(paths) in (2, 3) and isinstance(paths[1], (int, float))
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


def _features(features: Features | None, pad_length: int, axis: str, jet_features: Sequence[Any]) -> str | None:
    """A configuration as the library reads it."""
    if features is None:
        if jet_features:
            raise LoaderError("jet_features: need features of constituents beside them", "feature", place="jet_features")
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
    entries = [{"name": entry} if isinstance(entry, str) else dict(entry) for entry in features]
    configuration: dict[str, Any] = {"features": entries, "pad_length": pad_length, "axis": axis}
    if jet_features:
        configuration["jet_features"] = [{"name": entry} if isinstance(entry, str) else dict(entry) for entry in jet_features]
    return as_json(configuration).decode()


class Batches(Iterator[Any]):
    """The batches of an epoch, one after the other: `Batch`, or `TorchBatch` with `as_torch`.

    Threads of the library make them ahead, until the end, `close()`, or nobody has this any more.
    """

    def __init__(self, loader: Loader, handle: Handle, state: dict[str, Any]) -> None:
        self._loader, self._state = loader, state
        self._shape = loader._shape
        Forks.check()
        self._epoch: Handle | None = Handle(C.pando_epoch_begin(handle.pointer, as_json(state)), C.pando_epoch_end)
        # The loader must outlive its threads.
        self._handle = handle
        self._lock = threading.Lock()
        self._pid = os.getpid()
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
            raw = RawBatch()
            while True:
                epoch = self._epoch
                if epoch is None or epoch.pointer is None:
                    raise StopIteration
                status = C.pando_epoch_next(epoch.pointer, PATIENCE, ctypes.byref(raw))
                if status == 1:
                    break
                if status == 0:
                    self._end()
                    raise StopIteration
                if status < 0:
                    raise failure()
            batch = Batch(raw, self._shape)
            self._state["step"] = batch.step + 1
        return self._loader._hand_out(batch)

    def _end(self) -> None:
        Forks.running.discard(id(self))
        epoch, self._epoch = self._epoch, None
        if epoch is not None:
            epoch.close()

    def close(self) -> None:
        """Ends the threads. Batches that were handed out stay."""
        # Whoever waits for a batch looks at this within PATIENCE.
        if self._pid == os.getpid():
            epoch, self._epoch = self._epoch, None
            with self._lock:
                Forks.running.discard(id(self))
                if epoch is not None:
                    epoch.close()

    def __enter__(self) -> Batches:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if "_pid" in self.__dict__ and self._pid == os.getpid():
            Forks.running.discard(id(self))

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
        if self._epoch is None or self._epoch.pointer is None:
            return {}
        found: dict[str, float] = parsed(C.pando_epoch_counters(self._epoch.pointer))
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
        pad_length: int = 128,
        axis: Literal["constituents", "puppi", "stored"] = "constituents",
        jet_features: Sequence[str | Mapping[str, Any]] = (),
        is_jagged: bool = False,
        columns: Sequence[str] | None = None,
        labels: Sequence[str] = (),
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
            "columns": None if columns is None else list(columns),
            "features": _features(features, pad_length, axis, jet_features), "isJagged": is_jagged, "labels": list(labels),
            "labelColumn": label_column, "tokenColumn": token_column, "angles": angles,
            "tokens": None if tokens is None else {"codebookSize": tokens.codebook_size, "length": tokens.length},
        }  # fmt: skip
        present = {name: value for name, value in options.items() if value is not None}
        self._request: dict[str, Any] = {name: value for name, value in contents.items() if value is not None}
        self._request |= {"sources": _sources(paths), "options": present}
        self._as_torch = as_torch or pin_memory or device is not None
        self._pin_memory, self._device = pin_memory, device
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

    def _handle_here(self) -> Handle:
        """That of this process, or of this worker of a DataLoader: workers share the rank's part among them."""
        rank, size = self.rank.rank, self.rank.world_size
        data = sys.modules.get("torch.utils.data")
        worker = data.get_worker_info() if data is not None else None
        if worker is not None:
            rank, size = rank * worker.num_workers + worker.id, size * worker.num_workers
        return self._handle(rank, size)

    def _hand_out(self, batch: Batch) -> Any:
        return batch.torch(self._device, self._pin_memory) if self._as_torch else batch

    def batches(self, epoch: int | None = None, *, state: Mapping[str, Any] | None = None) -> Batches:
        """The batches of an epoch from its beginning, or from where a state says; independent of `for batch in loader`."""
        if state is None:
            state = {**self._about["state"], "epoch": 0 if epoch is None else epoch}
        return Batches(self, self._handle_here(), {**state, "options": dict(state["options"])})

    def __iter__(self) -> Batches:
        state = self._now()
        # An epoch that was begun is not begun again: its first batches would come twice.
        if (state["step"] > 0 and not self._was_loaded) or self._has_ended(state):
            state = {**state, "epoch": state["epoch"] + 1, "step": 0}
        if self._batches is not None:
            self._batches.close()
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
    def epoch(self, number: int) -> None:
        self.load_state_dict({**self._about["state"], "epoch": number})

    def set_epoch(self, epoch: int) -> None:
        """Begins that epoch with the next `for`, as samplers of PyTorch do."""
        self.epoch = epoch

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
        return _restore, ({**kept, "_state": self.state_dict()},)


def _restore(kept: dict[str, Any]) -> Loader:
    """The loader that was pickled, opened here."""
    loader = Loader.__new__(Loader)
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
