"""Batches as PyTorch tensors; imported only where PyTorch is used."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .batch import Batch

# At the top, since it takes a second that nobody expects of a batch.
import torch  # isort: skip

_HAS_UNSIGNED = hasattr(torch, "uint16")


def _tensor(values: Any) -> Any:
    """A tensor over the memory of an array."""
    if values.dtype.kind == "u" and values.dtype.itemsize > 1 and not _HAS_UNSIGNED:
        values = values.astype(f"<i{min(8, 2 * values.dtype.itemsize)}")
    return torch.from_numpy(values)


class TorchBatch:
    """What a `Batch` holds, as tensors under the same names: `batch.features`, `batch.mask`, `batch["jet_pt"]`.

    On the CPU they lie in the loader's memory, which stays as long as a tensor does. PyTorch before 2.3 has no unsigned numbers
    of 16 to 64 bits: there such columns are copied to int32 and int64.
    """

    def __init__(
        self, tensors: dict[str, Any], names: tuple[str, ...], place: tuple[int, int, int, int], source: Batch | None = None
    ) -> None:
        self._tensors, self._names, self._place, self._source = tensors, names, place, source
        #: As those of `Batch`.
        self.epoch, self.step, self.rows, self.constituents = place

    @classmethod
    def of(cls, batch: Batch) -> TorchBatch:
        """Tensors over the memory of a batch; each is made when it is asked for."""
        return cls({}, batch.names, (batch.epoch, batch.step, batch.rows, batch.constituents), batch)

    def _get(self, name: str) -> Any:
        known = self._tensors.get(name)
        if known is None:
            if name == "counts" and self._source is None:
                # Where the others are: summing there is less work than copying.
                mask = "mask" in self._names
                known = self.mask.sum(1, dtype=torch.int32) if mask else self.offsets[1:] - self.offsets[:-1]
            elif self._source is None:
                raise KeyError(name)
            else:
                known = _tensor(self._source.array(name))
            self._tensors[name] = known
        return known

    def __getattr__(self, name: str) -> Any:
        # Only for what is no attribute of its own; copying and unpickling ask before there is anything.
        if name in self.__dict__.get("_names", ()):
            return self._get(name)
        raise AttributeError(f"the batch has no {name}; there are {', '.join(self.__dict__.get('_names', ()))}")

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(f"the batch has no {name}; there are {', '.join(self._names)}")
        return self._get(name)

    def __len__(self) -> int:
        return self.rows

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all that it holds: columns come last."""
        return self._names

    def __repr__(self) -> str:
        parts = ", ".join(f"{name} {list(self._get(name).shape)}" for name in self._names)
        return f"<pando.TorchBatch {self.step} of epoch {self.epoch}: {self.rows} jets, {parts}>"

    def _map(self, change: Callable[[Any], Any]) -> TorchBatch:
        changed = {name: change(self._get(name)) for name in self._names if name != "counts"}
        return TorchBatch(changed, self._names, self._place)

    def pin_memory(self) -> TorchBatch:
        """A copy in memory from which a GPU copies by itself; without a GPU this batch, and a warning, as PyTorch has it."""
        if not torch.cuda.is_available():
            warnings.warn("pin_memory: PyTorch finds no GPU here, so batches are not pinned", stacklevel=2)
            return self
        return self._map(lambda value: value.pin_memory())

    def to(self, device: Any, non_blocking: bool = False) -> TorchBatch:
        """A copy on a device; the same tensors if they are there already."""
        return self._map(lambda value: value.to(device, non_blocking=non_blocking))

    def numpy(self) -> dict[str, np.ndarray[Any, Any]]:
        """All that the batch holds as arrays, by name."""
        return {name: self._get(name).cpu().numpy() for name in self._names}

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process gets them in shared memory, as PyTorch sends tensors.
        return TorchBatch, (dict(self._map(lambda value: value)._tensors), self._names, self._place)
