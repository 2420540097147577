"""libPandoC.so by ctypes, which lets other Python threads run during each call.

Everything that is not Python's is in this file; `pando.h` describes the functions.
"""

from __future__ import annotations

import ctypes
import json
import operator
import os
import pathlib
from collections.abc import Iterable
from ctypes import POINTER, c_char_p, c_double, c_int32, c_int64, c_void_p
from typing import Any

from .errors import ForkError, PandoError, error_of

HERE = pathlib.Path(__file__).resolve().parent
#: PANDO_LIBRARY names another one, for tests of one that was just built.
PATH = os.environ.get("PANDO_LIBRARY") or str(HERE / "lib" / "libPandoC.so")

#: NumPy's names of the element types, in the order of `pando_type`.
TYPES = ("i1", "<i2", "<i4", "<i8", "|u1", "<u2", "<u4", "<u8", "<f4", "<f8")


class RawArray(ctypes.Structure):
    """`pando_array`."""

    _fields_ = [("data", c_void_p), ("count", c_int64), ("type", c_int32), ("per_constituent", c_int32)]
    data: int | None
    count: int
    type: int
    per_constituent: int


class RawBatch(ctypes.Structure):
    """`pando_batch`."""

    _fields_ = [
        ("owner", c_void_p),
        ("epoch", c_int64),
        ("step", c_int64),
        ("rows", c_int64),
        ("constituents", c_int64),
        ("features", c_void_p),
        ("feature_count", c_int64),
        ("mask", c_void_p),
        ("mask_count", c_int64),
        ("feature_offsets", c_void_p),
        ("feature_offset_count", c_int64),
        ("labels", c_void_p),
        ("label_count", c_int64),
        ("jet_features", c_void_p),
        ("jet_feature_count", c_int64),
        ("token_input", c_void_p),
        ("token_target", c_void_p),
        ("token_mask", c_void_p),
        ("token_count", c_int64),
        ("jets", c_void_p),
        ("datasets", c_void_p),
        ("offsets", c_void_p),
        ("offset_count", c_int64),
    ]


ProgressFunction = ctypes.CFUNCTYPE(c_int32, c_int64, c_int64, c_void_p)


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(PATH)
    except OSError as error:
        raise ImportError(f"{PATH}: {error}; install the wheel that 'make wheel' builds") from error
    # Without these a pointer is cut to 32 bits. Strings that are given back stay pointers.
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "pando_version": (c_char_p, []),
        "pando_error": (c_char_p, []),
        "pando_error_details": (c_char_p, []),
        "pando_string_release": (None, [c_void_p]),
        "pando_dataset_open": (c_void_p, [c_char_p]),
        "pando_dataset_close": (None, [c_void_p]),
        "pando_dataset_rows": (c_int64, [c_void_p]),
        "pando_dataset_describe": (c_void_p, [c_void_p]),
        "pando_dataset_read": (c_void_p, [c_void_p, c_int64, c_int64, c_char_p]),
        "pando_dataset_verify": (c_void_p, [c_char_p, c_int32, c_int32, ProgressFunction, c_void_p]),
        "pando_jets_column": (c_int32, [c_void_p, c_int32, POINTER(RawArray)]),
        "pando_jets_offsets": (c_void_p, [c_void_p]),
        "pando_jets_close": (None, [c_void_p]),
        "pando_loader_open": (c_void_p, [c_char_p]),
        "pando_loader_close": (None, [c_void_p]),
        "pando_loader_describe": (c_void_p, [c_void_p]),
        "pando_loader_check": (c_int32, [c_void_p, c_char_p]),
        "pando_loader_origins": (c_void_p, [c_void_p, c_int64, c_int64, c_int64]),
        "pando_epoch_begin": (c_void_p, [c_void_p, c_char_p, c_int64, c_int64]),
        "pando_epoch_next": (c_int32, [c_void_p, c_double, POINTER(RawBatch)]),
        "pando_epoch_counters": (c_void_p, [c_void_p]),
        "pando_epoch_end": (None, [c_void_p]),
        "pando_batch_column": (c_int32, [c_void_p, c_char_p, POINTER(RawArray)]),
        "pando_batch_release": (None, [c_void_p]),
        "pando_resolve_rank": (c_void_p, [c_char_p]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


C = _load()


def version() -> str:
    """The version of the library."""
    text: bytes = C.pando_version()
    return text.decode()


def failure() -> PandoError:
    """What happened last on this thread."""
    return error_of(json.loads(C.pando_error_details()))


def text(pointer: int | None) -> str:
    """A string of the library, which gets it back; what it says happened if there is none."""
    if pointer is None:
        raise failure()
    try:
        return ctypes.string_at(pointer).decode()
    finally:
        C.pando_string_release(pointer)


def parsed(pointer: int | None) -> Any:
    """The same as what its JSON says."""
    return json.loads(text(pointer))


def as_json(value: Any) -> bytes:
    """JSON for the library; NumPy's numbers are numbers as well."""
    return json.dumps(value, default=_plain).encode()


def _plain(value: Any) -> Any:
    """A value of NumPy's, or a zero-dimensional array, as Python's."""
    if hasattr(value, "item"):
        return value.item()
    return operator.index(value)


def names_of(columns: str | Iterable[str]) -> list[str]:
    """Names, each once; one name alone is no sequence of letters."""
    return [columns] if isinstance(columns, str) else list(dict.fromkeys(columns))


def whole(number: Any) -> int:
    """A whole number for the library: ctypes would cut those that are too long, and these are refused there."""
    return max(-(1 << 62), min(1 << 62, operator.index(number)))


def encoded(path: str | os.PathLike[str]) -> bytes:
    """A path for the library."""
    name = os.fsencode(path)
    if b"\0" in name:
        raise ValueError(f"{path!r} has a zero in it")
    return name


class Handle:
    """Something of the library's, given back when nobody has it any more, by the process that opened it.

    Whoever calls the library with the pointer holds the handle meanwhile: another thread may let go of its own.
    """

    __slots__ = ("__weakref__", "_close", "pid", "pointer")

    def __init__(self, pointer: int | None, close: Any) -> None:
        self.pointer, self._close, self.pid = pointer, close, os.getpid()
        if pointer is None:
            raise failure()

    @classmethod
    def empty(cls, close: Any) -> Handle:
        """One that gets its pointer later, by assigning it: which no signal can come into the middle of."""
        made = cls.__new__(cls)
        made.pointer, made._close, made.pid = None, close, os.getpid()
        return made

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Gives it back now."""
        pointer, self.pointer = self.pointer, None
        # A child must not wait for threads that only its parent has.
        if pointer is not None and os is not None and self.pid == os.getpid():
            self._close(pointer)

    @property
    def is_ours(self) -> bool:
        """Whether it was opened by this process."""
        return self.pid == os.getpid()


class Forks:
    """Whether threads of the library ran while this process was forked."""

    running: set[int] = set()
    broken = False

    @classmethod
    def in_child(cls) -> None:
        """Marks a child whose parent was in the middle of an epoch: locks may be held by threads that it does not have."""
        cls.broken = cls.broken or bool(cls.running)
        cls.running = set()

    @classmethod
    def check(cls) -> None:
        """Refuses to open anything in such a child."""
        if cls.broken:
            raise ForkError(
                "the process was forked in the middle of an epoch; use the start method 'spawn' or 'forkserver', "
                "or fork before the first batch is taken",
                code="fork",
                advice="use the start method 'spawn' or 'forkserver', or fork before the first batch is taken",
            )


os.register_at_fork(after_in_child=Forks.in_child)
