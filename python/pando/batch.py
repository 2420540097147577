"""A batch of jets: NumPy arrays over the loader's own memory."""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._arrays import array
from ._library import TYPES, C, Handle, RawArray, RawBatch

if TYPE_CHECKING:
    from .tensors import TorchBatch

#: What a batch may hold beside its columns, in the order of `repr`.
NAMES = (
    "features",
    "mask",
    "counts",
    "offsets",
    "labels",
    "jet_features",
    "token_input",
    "token_target",
    "token_mask",
    "column_offsets",
    "jets",
    "datasets",
)


@dataclass(frozen=True)
class Shape:
    """What batches of a loader hold."""

    features: tuple[str, ...]
    jet_features: tuple[str, ...]
    pad_length: int
    token_length: int
    has_labels: bool
    is_jagged: bool
    columns: tuple[str, ...]

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """The names of `NAMES` that there are."""
        there = {
            "features": bool(self.features),
            "mask": bool(self.features) and not self.is_jagged,
            "counts": bool(self.features or self.columns),
            "offsets": self.is_jagged or bool(self.columns and not self.features),
            "labels": self.has_labels,
            "jet_features": bool(self.jet_features),
            "token_input": self.token_length > 0,
            "token_target": self.token_length > 0,
            "token_mask": self.token_length > 0,
            "column_offsets": bool(self.columns),
            "jets": True,
            "datasets": True,
        }
        return tuple(name for name in NAMES if there[name])


class Batch:
    """A batch of jets.

    The arrays lie in the loader's memory, at multiples of 64 bytes. It is used for another batch when neither this object nor any
    array or tensor over it is left: a batch that is kept stays as it is. Arrays may be written to.
    What the loader was not asked for raises `AttributeError`.
    """

    __slots__ = ("_arrays", "_owner", "_raw", "_shape", "constituents", "epoch", "rows", "step")

    #: The epoch, and the number of the batch in it.
    epoch: int
    step: int
    #: Jets, and their constituents as they are stored, before any cut.
    rows: int
    constituents: int

    def __init__(self, raw: RawBatch, owner: Handle, shape: Shape) -> None:
        self._raw: RawBatch | None = raw
        self._owner: Handle | None = owner
        self._shape = shape
        self._arrays: dict[str, NDArray[Any]] = {}
        self.epoch, self.step, self.rows, self.constituents = raw.epoch, raw.step, raw.rows, raw.constituents

    def _make(self, name: str) -> NDArray[Any]:
        raw, owner, shape, rows = self._raw, self._owner, self._shape, self.rows
        if raw is None or owner is None or name not in shape.names:
            held = ", ".join(shape.names)
            raise AttributeError(f"the batch has no {name}: the loader was not asked for it; there are {held}")
        if name == "features":
            width = len(shape.features)
            size = (raw.feature_count // width, width) if shape.is_jagged else (rows, shape.pad_length, width)
            return array(owner, raw.features, size, "<f4")
        if name == "mask":
            return array(owner, raw.mask, (rows, shape.pad_length), "|b1")
        if name == "counts":
            if "mask" in shape.names:
                summed: NDArray[Any] = self.mask.sum(axis=1, dtype=np.int32)
                return summed
            counts: NDArray[Any] = np.diff(self.offsets)
            return counts
        if name == "offsets" and shape.is_jagged:
            return array(owner, raw.feature_offsets, (rows + 1,), "<i4")
        if name in ("offsets", "column_offsets"):
            return array(owner, raw.offsets, (rows + 1,), "<i4")
        if name == "labels":
            return array(owner, raw.labels, (rows,), "<i4")
        if name == "jet_features":
            return array(owner, raw.jet_features, (rows, len(shape.jet_features)), "<f4")
        if name in ("token_input", "token_target", "token_mask"):
            typestr = "|b1" if name == "token_mask" else "<i4"
            return array(owner, getattr(raw, name), (rows, shape.token_length), typestr)
        return array(owner, getattr(raw, name), (rows,), "<i8" if name == "jets" else "<i4")

    def _get(self, name: str) -> NDArray[Any]:
        known = self._arrays.get(name)
        if known is None:
            known = self._arrays[name] = self._make(name)
        return known

    @property
    def features(self) -> NDArray[np.float32]:
        """`[rows, pad_length, features]`, padding 0; jagged: `[constituents after cuts, features]`."""
        return self._get("features")

    @property
    def mask(self) -> NDArray[np.bool_]:
        """`[rows, pad_length]`: true for a constituent, false for padding."""
        return self._get("mask")

    @property
    def counts(self) -> NDArray[np.int32]:
        """`[rows]`: constituents of each jet in `features`; without features, in the columns."""
        return self._get("counts")

    @property
    def offsets(self) -> NDArray[np.int32]:
        """`[rows + 1]`: where each jet begins in jagged features; without features, in the columns."""
        return self._get("offsets")

    @property
    def column_offsets(self) -> NDArray[np.int32]:
        """`[rows + 1]`: where each jet begins in columns of constituents."""
        return self._get("column_offsets")

    @property
    def labels(self) -> NDArray[np.int32]:
        """`[rows]`: the class of each jet, -1 for none."""
        return self._get("labels")

    @property
    def jet_features(self) -> NDArray[np.float32]:
        """`[rows, features of jets]`."""
        return self._get("jet_features")

    @property
    def token_input(self) -> NDArray[np.int32]:
        """`[rows, length]` tokens, padding 0."""
        return self._get("token_input")

    @property
    def token_target(self) -> NDArray[np.int32]:
        """`[rows, length]`: for each token of `token_input` the one that follows it."""
        return self._get("token_target")

    @property
    def token_mask(self) -> NDArray[np.bool_]:
        """`[rows, length]`: true where there is a pair of tokens."""
        return self._get("token_mask")

    @property
    def jets(self) -> NDArray[np.int64]:
        """`[rows]`: the number of each jet in its dataset."""
        return self._get("jets")

    @property
    def datasets(self) -> NDArray[np.int32]:
        """`[rows]`: the number of each jet's dataset in a mixture; else 0."""
        return self._get("datasets")

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self._shape.columns

    def __getitem__(self, column: str) -> NDArray[Any]:
        """A column: one value a jet, or those of all constituents, jet by jet, which `column_offsets` divides; else what there
        is under another name."""
        known = self._arrays.get(f"column {column}")
        if known is not None:
            return known
        if column not in self._shape.columns and column in self._shape.names:
            return self._get(column)
        found = RawArray()
        if self._owner is None or C.pando_batch_column(self._owner.pointer, column.encode(), ctypes.byref(found)) != 0:
            raise KeyError(f"the batch has no column {column}; there are {', '.join(self.names)}")
        made = array(self._owner, found.data, (found.count,), TYPES[found.type])
        self._arrays[f"column {column}"] = made
        return made

    def __len__(self) -> int:
        return self.rows

    def __repr__(self) -> str:
        parts = [f"{name} {list(self._get(name).shape)}" for name in self._shape.names]
        return f"<pando.Batch {self.step} of epoch {self.epoch}: {self.rows} jets, {', '.join([*parts, *self.columns])}>"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all that it holds: columns come last."""
        return (*self._shape.names, *self._shape.columns)

    def array(self, name: str) -> NDArray[Any]:
        """What it holds under a name."""
        return self._get(name) if name in self._shape.names else self[name]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All that it holds, by name."""
        return {name: self.array(name) for name in self.names}

    def torch(self, device: Any = None, pin_memory: bool = False) -> TorchBatch:
        """The same as tensors over the same memory; on another device, copied without waiting if the memory is pinned."""
        from .tensors import TorchBatch

        made = TorchBatch.of(self)
        if pin_memory:
            made = made.pin_memory()
        return made if device is None else made.to(device, non_blocking=True)

    def pin_memory(self) -> TorchBatch:
        """For `DataLoader(pin_memory=True)`."""
        return self.torch(pin_memory=True)

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process gets the values: the memory is this one's.
        arrays = {name: np.array(self._get(name)) for name in self._shape.names}
        arrays |= {f"column {column}": np.array(self[column]) for column in self.columns}
        return _restore, (self._shape, arrays, self.epoch, self.step, self.rows, self.constituents)


def _restore(shape: Shape, arrays: dict[str, NDArray[Any]], epoch: int, step: int, rows: int, constituents: int) -> Batch:
    batch = Batch.__new__(Batch)
    batch._raw, batch._owner, batch._shape, batch._arrays = None, None, shape, arrays
    batch.epoch, batch.step, batch.rows, batch.constituents = epoch, step, rows, constituents
    return batch
