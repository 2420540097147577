"""Which of how many processes this is."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from ._library import C, Forks, as_json, parsed
from .errors import LoaderError


@dataclass(frozen=True)
class Rank:
    """The number of this process, how many there are, and where that was found."""

    rank: int
    world_size: int
    origin: str

    def __str__(self) -> str:
        return f"rank {self.rank} of {self.world_size} ({self.origin})"


_told: set[str] = set()


def _tell(line: str) -> None:
    """Prints a line once."""
    if line not in _told:
        _told.add(line)
        print(f"pando: {line}", file=sys.stderr, flush=True)


def _of_torch() -> dict[str, Any] | None:
    """What torch.distributed says, if it was initialised; it is not imported for that."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return None
    return {"rank": distributed.get_rank(), "size": distributed.get_world_size(), "origin": "torch.distributed"}


def resolve_rank(rank: int | None = None, world_size: int | None = None) -> Rank:
    """Rank and world size: explicit numbers, else torch.distributed, else what launchers left in the environment.

    Of these the first that is there: `RANK`, `WORLD_SIZE` (torchrun); `OMPI_COMM_WORLD_RANK`, `_SIZE` (Open MPI);
    `SLURM_PROCID`, `SLURM_STEP_NUM_TASKS` in a step of srun; `PMI_RANK`, `PMI_SIZE`; else a single process. Local ranks are never
    read. What was found is printed once, if there is more than one process, and which variables say otherwise.

    Raises `LoaderError` where one number lacks the other, or makes no sense.
    """
    Forks.check()
    if rank is not None or world_size is not None:
        if rank is None or world_size is None:
            missing = "rank" if rank is None else "world_size"
            raise LoaderError(f"arguments: {missing} is missing; pass rank and world_size", "rank", place="arguments")
        known: dict[str, Any] | None = {"rank": rank, "size": world_size, "origin": "arguments"}
    else:
        known = _of_torch()
    said = parsed(C.pando_resolve_rank(None if known is None else as_json(known)))
    if said.get("warning"):
        _tell(said["warning"])
    if said["size"] > 1:
        _tell(said["description"])
    return Rank(said["rank"], said["size"], said["origin"])
