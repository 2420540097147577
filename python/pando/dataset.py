"""A dataset on disk: what it holds, and its jets as arrays."""

from __future__ import annotations

import ctypes
import json
import operator
import os
import pathlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray

from ._arrays import array
from ._library import TYPES, C, Forks, Handle, ProgressFunction, RawArray, encoded, failure, names_of, parsed, text, whole
from .progress import Progress, teller


@dataclass(frozen=True)
class Field:
    """A column that can be read."""

    #: The name, as in the source.
    name: str
    #: The type of its values.
    dtype: np.dtype[Any]
    #: `event`, `jet`, `constituent` or `label`.
    role: str
    #: The unit; `1` where it has none, None where nobody said.
    unit: str | None
    #: What it means.
    description: str | None
    #: Whether the dataset derived it; it is not in the source.
    is_derived: bool


@dataclass(frozen=True)
class Statistics:
    """Numbers over all values of a stored column."""

    count: int
    minimum: float | None
    maximum: float | None
    mean: float | None
    not_finite: int


@dataclass(frozen=True)
class Damage:
    """What is wrong, where, and the rows that it touches."""

    file: str
    place: str
    message: str
    first_row: int | None = None
    rows: int | None = None


@dataclass(frozen=True)
class VerificationReport:
    """What verifying found."""

    #: Damage, by file and place.
    damage: list[Damage]
    #: Files and bytes that were checked.
    files: int
    bytes: int
    #: Record batches that were decoded, and columns in which that did not give back the original.
    batches_decoded: int = 0
    lossy_columns: dict[str, int] = field(default_factory=dict)

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.damage


class Jets(Mapping[str, NDArray[Any]]):
    """Columns of consecutive jets: `jets["jet_pt"]` one value a jet, `jets["px"]` those of all constituents, jet by jet.

    The arrays lie in the library's memory, which stays as long as any of them does.
    """

    def __init__(self, handle: Handle, fields: Sequence[Field], rows: range) -> None:
        self._handle, self.rows = handle, rows
        self.fields: dict[str, Field] = {field.name: field for field in fields}
        #: Where each jet's constituents begin, and where the last one's end: a number more than jets.
        self.offsets: NDArray[np.int32] = array(handle, C.pando_jets_offsets(handle.pointer), (len(rows) + 1,), "<i4")
        self._arrays: dict[str, NDArray[Any]] = {}
        for number, name in enumerate(self.fields):
            found = RawArray()
            C.pando_jets_column(handle.pointer, number, ctypes.byref(found))
            self._arrays[name] = array(handle, found.data, (found.count,), TYPES[found.type])

    def __getitem__(self, name: str) -> NDArray[Any]:
        try:
            return self._arrays[name]
        except KeyError:
            raise KeyError(f"no column {name} was read; there are {', '.join(self._arrays)}") from None

    def __iter__(self) -> Any:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        return f"<pando.Jets {self.rows.start}:{self.rows.stop}: {', '.join(self._arrays)}>"

    @property
    def counts(self) -> NDArray[np.int32]:
        """Constituents of each jet."""
        return np.diff(self.offsets)

    def jet(self, number: SupportsIndex) -> dict[str, Any]:
        """One of these jets, counted from their end if the number is negative: numbers, and arrays of its constituents."""
        asked, count = operator.index(number), len(self.rows)
        number = asked + count if asked < 0 else asked
        if not 0 <= number < count:
            raise IndexError(f"there is no jet {asked} among these {count}")
        first, last = self.offsets[number], self.offsets[number + 1]
        return {
            name: values[first:last] if self.fields[name].role == "constituent" else values[number]
            for name, values in self._arrays.items()
        }

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process, and a copy, get the values: the memory is the library's.
        arrays = {name: np.array(values) for name, values in self._arrays.items()}
        return _restore_jets, (self.rows, self.fields, np.array(self.offsets), arrays)

    def to_arrow(self) -> Any:
        """A `pyarrow.Table` over the same memory: lists of constituents, units and meanings in the fields' metadata."""
        import pyarrow as pa

        offsets = pa.array(self.offsets, pa.int32())
        fields, columns = [], []
        for name, values in self._arrays.items():
            about = self.fields[name]
            column = pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])
            if about.role == "constituent":
                column = pa.ListArray.from_arrays(offsets, column)
            notes = {"unit": about.unit, "description": about.description}
            fields.append(
                pa.field(name, column.type, nullable=False, metadata={key: note for key, note in notes.items() if note})
            )
            columns.append(column)
        if not columns:
            return pa.table({"": pa.nulls(len(self.rows))}).select([])
        return pa.Table.from_arrays(columns, schema=pa.schema(fields))

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The same through Arrow's C interface, for polars, duckdb, pandas and others; by pyarrow."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def to_awkward(self) -> Any:
        """An `awkward.Array` of records over the same memory."""
        import awkward as ak

        offsets = ak.index.Index32(self.offsets)
        contents: list[Any] = []
        for name, values in self._arrays.items():
            content = ak.contents.NumpyArray(values)
            is_list = self.fields[name].role == "constituent"
            contents.append(ak.contents.ListOffsetArray(offsets, content) if is_list else content)
        return ak.Array(ak.contents.RecordArray(contents, list(self._arrays), length=len(self.rows)))


def _restore_jets(rows: range, fields: dict[str, Field], offsets: NDArray[np.int32], arrays: dict[str, NDArray[Any]]) -> Jets:
    jets = Jets.__new__(Jets)
    jets.rows, jets.fields, jets.offsets, jets._arrays = rows, fields, offsets, arrays
    return jets


#: Held while a dataset is opened: of several threads one opens it.
_opening = threading.Lock()


class Dataset:
    """A dataset opened for reading. `len(ds)` jets, `ds[i]` one of them, `ds[a:b]` some: all columns of the source, bit for bit.

    Raises `DatasetError` if there is none, or its catalogue or index is damaged.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        #: The directory.
        self.path = pathlib.Path(path)
        opened = self._opened()
        about = parsed(C.pando_dataset_describe(opened.pointer))
        #: All that `dataset.json` holds.
        self.catalogue: dict[str, Any] = about["catalogue"]
        #: The columns that can be read, by name: those of the source, then derived ones.
        self.schema: dict[str, Field] = {
            entry["name"]: Field(
                entry["name"], np.dtype(entry["type"]), entry["role"], entry.get("unit"), entry.get("description"),
                entry["isDerived"],
            )
            for entry in about["fields"]
        }  # fmt: skip

    def _opened(self) -> Handle:
        """The library's dataset, opened once in each process."""
        known: Handle | None = self.__dict__.get("_handle")
        if known is not None and known.is_ours:
            return known
        Forks.check()
        with _opening:
            known = self.__dict__.get("_handle")
            if known is None or not known.is_ours:
                known = self._handle = Handle(C.pando_dataset_open(encoded(self.path)), C.pando_dataset_close)
            return known

    def __fspath__(self) -> str:
        return str(self.path)

    def __enter__(self) -> Dataset:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing: files are mapped while something uses them, and let go of with the last of it."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_handle"}

    def __len__(self) -> int:
        return int(self.catalogue["rows"])

    @property
    def constituents(self) -> int:
        """Constituents of all jets."""
        return int(self.catalogue["constituents"])

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that tell the jets, whatever the compression."""
        return str(self.catalogue["fingerprint"])

    @property
    def splits(self) -> dict[str, int]:
        """Jets of each split."""
        return {part["name"]: part["rows"] for part in (self.catalogue.get("splits") or {}).get("parts", [])}

    @property
    def statistics(self) -> dict[str, Statistics]:
        """Numbers over all values of each stored column; units of these are in `catalogue["columns"]`."""
        found = {}
        for column in self.catalogue["columns"]:
            if (entry := column.get("statistics")) is None:
                continue
            finite = entry["count"] - entry["notFinite"]
            mean = entry["sum"] / finite if finite > 0 else None
            found[column["name"]] = Statistics(
                entry["count"], entry.get("minimum"), entry.get("maximum"), mean, entry["notFinite"]
            )
        return found

    def __repr__(self) -> str:
        return f"<pando.Dataset {self.path}: {len(self)} jets with {self.constituents} constituents>"

    def read(
        self, first: SupportsIndex = 0, last: SupportsIndex | None = None, columns: str | Sequence[str] | None = None
    ) -> Jets:
        """Decodes jets `first`..<`last`: all columns of the source, or these; derived ones have to be named."""
        first, last = whole(first), len(self) if last is None else whole(last)
        names = [name for name, about in self.schema.items() if not about.is_derived] if columns is None else names_of(columns)
        request = None if columns is None else json.dumps(names).encode()
        opened = self._opened()
        handle = Handle(C.pando_dataset_read(opened.pointer, first, max(0, last - first), request), C.pando_jets_close)
        return Jets(handle, [self.schema[name] for name in names], range(first, max(first, last)))

    @overload
    def __getitem__(self, key: SupportsIndex) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, key: slice) -> Jets: ...

    def __getitem__(self, key: SupportsIndex | slice) -> dict[str, Any] | Jets:
        if isinstance(key, slice):
            first, last, step = key.indices(len(self))
            if step != 1:
                raise ValueError(f"a step of {step}; jets are read one after the other, take every n-th of the arrays")
            return self.read(first, last)
        try:
            asked = operator.index(key)
        except TypeError:
            raise TypeError(
                f"jets are taken by number or slice, not by {type(key).__name__}; "
                "read(columns=[...]) takes some columns, and arrays of these any jets"
            ) from None
        row = asked + len(self) if asked < 0 else asked
        if not 0 <= row < len(self):
            raise IndexError(f"there is no jet {asked}; {self.path} has {len(self)}")
        return self.read(row, row + 1).jet(0)

    def to_arrow(self, columns: str | Sequence[str] | None = None, stored: bool = False) -> Any:
        """A `pyarrow.Table` of all jets: decoded, in the library's memory; or, `stored`, the shards as they are.

        Stored columns (docs/format.md) are mapped: those of uncompressed shards take no memory, compressed ones what they
        decompress to.
        """
        if not stored:
            return self.read(columns=columns).to_arrow()
        import pyarrow as pa

        columns = None if columns is None else names_of(columns)
        tables = []
        for shard in self.catalogue["shards"]:
            with pa.memory_map(os.fspath(self.path / shard["file"])) as source:
                wanted = None if columns is None else [self._stored_number(name) for name in columns]
                options = pa.ipc.IpcReadOptions(included_fields=wanted)
                tables.append(pa.ipc.open_file(source, options=options).read_all())
        table = pa.concat_tables(tables)
        return table if columns is None else table.select(columns)

    def _stored_number(self, name: str) -> int:
        known = [column["name"] for column in self.catalogue["columns"]]
        if name not in known:
            raise KeyError(f"no column {name} is stored; there are {', '.join(known)}")
        return known.index(name)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """All jets through Arrow's C interface, as `to_arrow()` gives them."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def to_awkward(self, columns: str | Sequence[str] | None = None) -> Any:
        """An `awkward.Array` of all jets, in the library's memory."""
        return self.read(columns=columns).to_awkward()

    def verify(self, lossless: bool = False, threads: int | None = None, progress: Progress | None = None) -> VerificationReport:
        """Checks every byte against its digest and, `lossless`, that decoding gives back the original columns.

        `progress` is told the bytes done and those of all, on any thread; or it is a bar of tqdm's. What it raises ends the work,
        as Ctrl-C does. Damage is in the report and not raised.
        """
        threads = threads or len(os.sched_getaffinity(0))
        said = teller(progress)
        outcome: list[Any] = []
        raised: list[BaseException] = []
        stop = threading.Event()

        def told(done: int, total: int, _: Any) -> int:
            try:
                if said is not None and not stop.is_set():
                    said(done, total)
            except BaseException as error:
                raised.append(error)
                stop.set()
            return int(stop.is_set())

        tell = ProgressFunction(told)

        def work() -> None:
            try:
                outcome.append(json.loads(text(C.pando_dataset_verify(encoded(self.path), bool(lossless), threads, tell, None))))
            except BaseException as error:
                outcome.append(error)

        # A thread of its own, so that Ctrl-C is heard.
        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        try:
            while worker.is_alive():
                worker.join(0.1)
        except BaseException:
            stop.set()
            raise
        if raised:
            raise raised[0]
        found = outcome[0]
        if isinstance(found, BaseException):
            raise found
        damage = [
            Damage(entry["file"], entry["place"], entry["message"], entry.get("firstRow"), entry.get("rows"))
            for entry in found["damage"]
        ]
        return VerificationReport(damage, found["files"], found["bytes"], found["batchesDecoded"], found["lossyColumns"])


__all__ = ["Damage", "Dataset", "Field", "Jets", "Statistics", "VerificationReport", "failure"]
