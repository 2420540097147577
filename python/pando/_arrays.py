"""NumPy arrays over memory of the library, which stays as long as any of them does."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._library import Handle


class _Memory:
    """What NumPy asks for memory, and keeps as the base of its arrays."""

    __slots__ = ("__array_interface__", "owner")

    def __init__(self, owner: Handle, pointer: int, shape: tuple[int, ...], typestr: str) -> None:
        self.owner = owner
        self.__array_interface__ = {"version": 3, "data": (pointer, False), "shape": shape, "typestr": typestr}


def array(owner: Handle, pointer: int | None, shape: tuple[int, ...], typestr: str) -> NDArray[Any]:
    """An array over memory that `owner` keeps; of nothing, an empty one."""
    if not pointer:
        return np.empty(shape if 0 in shape else (0,), typestr)
    return np.asarray(_Memory(owner, pointer, shape, typestr))
