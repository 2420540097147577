"""Batches as PyTorch tensors; imported only where PyTorch is used."""

from __future__ import annotations

from typing import Any

from .batch import Batch


class TorchBatch:
    """What a `Batch` holds, as tensors under the same names: `batch.features`, `batch.mask`, `batch["jet_pt"]`.

    On the CPU they lie in the loader's memory, which stays as long as a tensor does. Unsigned columns of 16 to 64 bits, which
    PyTorch before 2.3 does not have, become signed ones of twice the width; uint64 is left out there.
    """

    epoch: int
    step: int
    rows: int
    constituents: int

    def __init__(self, tensors: dict[str, Any], epoch: int, step: int, rows: int, constituents: int) -> None:
        self.tensors = tensors
        self.epoch, self.step, self.rows, self.constituents = epoch, step, rows, constituents

    @classmethod
    def of(cls, batch: Batch) -> TorchBatch:
        """Tensors over the memory of a batch."""
        import torch

        made: dict[str, Any] = {}
        for name, values in batch.arrays().items():
            if values.dtype.kind == "u" and values.dtype.itemsize > 1 and not hasattr(torch, "uint16"):
                if values.dtype.itemsize == 8:
                    continue
                values = values.astype(f"<i{2 * values.dtype.itemsize}")
            made[name] = torch.from_numpy(values)
        return cls(made, batch.epoch, batch.step, batch.rows, batch.constituents)

    def __getattr__(self, name: str) -> Any:
        # Only for what is no attribute of its own; copying and unpickling ask before there are tensors.
        tensors = self.__dict__.get("tensors", {})
        if name in tensors:
            return tensors[name]
        raise AttributeError(f"the batch has no {name}; there are {', '.join(tensors)}")

    def __getitem__(self, name: str) -> Any:
        return self.tensors[name]

    def __len__(self) -> int:
        return self.rows

    def __repr__(self) -> str:
        parts = ", ".join(f"{name} {list(value.shape)}" for name, value in self.tensors.items())
        return f"<pando.TorchBatch {self.step} of epoch {self.epoch}: {self.rows} jets, {parts}>"

    def _map(self, change: Any) -> TorchBatch:
        changed = {name: change(value) for name, value in self.tensors.items()}
        return TorchBatch(changed, self.epoch, self.step, self.rows, self.constituents)

    def pin_memory(self) -> TorchBatch:
        """A copy in memory from which a GPU copies by itself."""
        return self._map(lambda value: value.pin_memory())

    def to(self, device: Any, non_blocking: bool = False) -> TorchBatch:
        """A copy on a device; the same tensors if they are there already."""
        return self._map(lambda value: value.to(device, non_blocking=non_blocking))
