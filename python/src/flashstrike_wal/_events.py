"""Events as numpy arrays, and what can be made of them."""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from . import _arrow
from ._abi import EVENT_SIZE, SUPPORT, Column
from ._memory import Memory, memory_of

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

#: An event: 64 bytes, little-endian, as the library stores it. ``event_id`` rises over the whole
#: life of a log; ``timestamp`` is in nanoseconds, ``price`` and ``quantity`` in units of the
#: engine's choice. The library interprets ``event_id`` alone.
EVENT_DTYPE: np.dtype[np.void] = np.dtype([
    ("event_id", "<u8"), ("timestamp", "<u8"), ("price", "<i8"), ("quantity", "<i8"),
    ("user_id", "<u4"), ("order_id", "<u4"), ("type", "u1"), ("order_type", "u1"),
    ("side", "u1"), ("reserved", "u1", (21,)),
])

#: The fields of an event, in their order.
COLUMNS: tuple[str, ...] = cast("tuple[str, ...]", EVENT_DTYPE.names)
#: All of them but ``reserved``, 21 bytes that are free for the engine.
NUMERIC_COLUMNS: tuple[str, ...] = COLUMNS[:-1]

_NAMES = frozenset(COLUMNS)
_PACKER = struct.Struct("<QQqqIIBBB21s")
_ARROW_FORMATS = {
    "event_id": "L", "timestamp": "L", "price": "l", "quantity": "l", "user_id": "I",
    "order_id": "I", "type": "C", "order_type": "C", "side": "C", "reserved": "w:21",
}


def _field(name: str) -> tuple[np.dtype[Any], int]:
    """Type of a field, and its offset in an event."""
    fields: Any = EVENT_DTYPE.fields
    return fields[name][0], fields[name][1]


def column_dtype(name: str) -> np.dtype[Any]:
    """The type of one value of a column; of ``reserved``, 21 bytes as one."""
    dtype = _field(name)[0]
    return np.dtype("V21") if dtype.subdtype else dtype


def shaped(name: str, values: NDArray[Any]) -> NDArray[Any]:
    """A column as it is shown: ``reserved`` as 21 bytes a row."""
    return values.view(np.uint8).reshape(len(values), 21) if name == "reserved" else values


def checked_names(names: Iterable[str]) -> tuple[str, ...]:
    """Names of columns that exist, each once."""
    if isinstance(names, str):
        raise TypeError(f"columns must be several names, such as [{names!r}]")
    found = tuple(names)
    for name in found:
        if name not in COLUMNS:
            raise ValueError(f"there is no column {name!r}: an event has {', '.join(COLUMNS)}")
    if len(set(found)) != len(found) or not found:
        raise ValueError(f"columns must be names, each of them once: {found}")
    return found


def checked_column(name: str, values: object) -> NDArray[Any]:
    """A column as it is, if it is what others are told that it is."""
    dtype, item = column_dtype(name), (21,) if name == "reserved" else ()
    kind = np.dtype(np.uint8) if item else dtype
    if not isinstance(values, np.ndarray) or isinstance(values, np.ma.MaskedArray):
        raise TypeError(f"column {name!r} must be a numpy array, not {type(values).__name__}")
    if values.dtype != kind or values.shape[1:] != item or not values.ndim:
        raise TypeError(f"column {name!r} must be of {kind} and of the shape {('n', *item)}, "
                        f"not of {values.dtype} and {values.shape}")
    return values


def declare_columns(names: Sequence[str], addresses: Sequence[int]) -> Any:
    """For C: where in an event the fields are, and where their columns begin."""
    return (Column * len(names))(*(
        Column(_field(name)[1], column_dtype(name).itemsize, address)
        for name, address in zip(names, addresses)))


class _Table:
    """Events in columns, for other libraries."""

    def _columns(self, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        raise NotImplementedError

    def _names(self) -> tuple[str, ...]:
        raise NotImplementedError

    def _arrow(self) -> tuple[list[_arrow.ArrowData], int]:
        names = self._names()
        columns = self._columns(names)
        found = []
        for name in names:
            memory = memory_of(columns[name])
            if memory is None:
                # Not memory of C's: whoever releases it may be no Python thread.
                memory = Memory(columns[name].nbytes)
                copy = memory.array(columns[name].dtype, columns[name].size)
                copy.reshape(columns[name].shape)[...] = columns[name]
            found.append(_arrow.ArrowData(name, _ARROW_FORMATS[name], memory))
        return found, len(columns[names[0]])

    def __arrow_c_schema__(self) -> object:
        """An ``ArrowSchema`` in a PyCapsule."""
        return _arrow.schema_capsule(self._arrow()[0])

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        """The Arrow PyCapsule protocol: all events as one struct array.

        Columns of :func:`read` go out without a copy. ``reserved`` is ``FixedSizeBinary(21)``, and
        times are uint64. A requested schema is not obeyed, which the protocol allows."""
        columns, length = self._arrow()
        return _arrow.schema_capsule(columns), _arrow.array_capsule(columns, length)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The same as a stream of one batch."""
        return _arrow.stream_capsule(*self._arrow())

    def to_arrow(self) -> "pyarrow.Table":
        """A ``pyarrow.Table``. Needs pyarrow; other Arrow libraries take the object itself, by
        the PyCapsule protocol."""
        import pyarrow

        return pyarrow.table(self)

    def to_polars(self) -> "polars.DataFrame":
        """A ``polars.DataFrame``. ``reserved`` is a column of bytes. Needs polars."""
        import polars

        return polars.DataFrame(self)

    def to_pandas(self, columns: Iterable[str] | None = None) -> "pandas.DataFrame":
        """A ``pandas.DataFrame`` of the columns of that name. Needs pandas.

        By default it has all but ``reserved``, for which pandas has no type but objects, of about
        60 bytes a row: name it among `columns` to have it so. A frame of :class:`Columns` shares
        their memory."""
        import pandas

        if columns is None:
            names: Sequence[str] = [name for name in self._names() if name != "reserved"]
        else:
            names = checked_names(columns)
        found: dict[str, Any] = dict(self._columns(names))
        if "reserved" in found:
            rows = found["reserved"]
            found["reserved"] = pandas.Series([row.tobytes() for row in rows], dtype=object)
        return pandas.DataFrame(found, copy=False)


class EventArray(np.ndarray[tuple[int], np.dtype[np.void]], _Table):
    """A numpy array of :data:`EVENT_DTYPE`, shape ``(n,)``, that pandas, polars and Arrow take.

    It is a numpy array in every other respect. Its memory is its own: it stays what it is, whatever
    happens to the log. ``array.view(EventArray)`` makes one of any array of events.
    """

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        # A field is an array of numbers, not of events.
        plain = isinstance(found, EventArray) and found.dtype != EVENT_DTYPE
        return found.view(np.ndarray) if plain else found

    def _names(self) -> tuple[str, ...]:
        if self.dtype != EVENT_DTYPE or self.ndim != 1:
            kind = "EVENT_DTYPE" if self.dtype == EVENT_DTYPE else self.dtype
            raise TypeError(f"this is no array of events: its type is {kind}, its shape "
                            f"{self.shape}")
        return COLUMNS

    def _columns(self, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        self._names()
        return dict(Columns.of(self, names))


class Columns(Mapping[str, NDArray[Any]], _Table):
    """Events by field: a mapping of names to numpy arrays, all of the same length.

    Shapes are ``(n,)``, and ``(n, 21)`` of ``reserved``. ``num_events`` is n. The arrays are the
    caller's, as those of :class:`EventArray`.
    """

    def __init__(self, columns: Mapping[str, NDArray[Any]]) -> None:
        self._arrays = {name: checked_column(name, columns[name])
                        for name in checked_names(columns)}
        lengths = {len(values) for values in self._arrays.values()}
        if len(lengths) != 1:
            raise ValueError(f"columns differ in length: {sorted(lengths)}")
        self.num_events = lengths.pop()

    @classmethod
    def of(cls, events: NDArray[np.void], names: Iterable[str] = COLUMNS) -> "Columns":
        """The columns of an array of events, copied."""
        wanted = checked_names(names)
        batch = np.ascontiguousarray(as_events(events, contiguous=False))
        memories = [Memory(len(batch) * column_dtype(name).itemsize) for name in wanted]
        declared = declare_columns(wanted, [memory.address for memory in memories])
        SUPPORT.fsp_split(address_of(batch), len(batch), declared, len(wanted))
        return cls({name: shaped(name, memory.array(column_dtype(name), len(batch)))
                    for name, memory in zip(wanted, memories)})

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        return f"<Columns of {self.num_events} events: {', '.join(self._arrays)}>"

    def _names(self) -> tuple[str, ...]:
        return tuple(self._arrays)

    def _columns(self, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        return {name: self[name] for name in names}


def address_of(array: NDArray[Any]) -> int:
    """Of its memory. (``__array_interface__`` describes the type too, which takes 10 µs.)"""
    return array.ctypes.data


def as_events(events: object, contiguous: bool = True) -> NDArray[np.void]:
    """A one-dimensional array of events; anything else is refused, with the reason."""
    if not isinstance(events, np.ndarray) or isinstance(events, np.ma.MaskedArray):
        raise TypeError("events must be a numpy array of EVENT_DTYPE, or columns, "
                        f"not {type(events).__name__}")
    if events.dtype is not EVENT_DTYPE and events.dtype != EVENT_DTYPE:
        raise TypeError(f"events must be of EVENT_DTYPE, not of {events.dtype}")
    if events.ndim != 1:
        raise ValueError(f"events must have one dimension, not the shape {events.shape}")
    if contiguous and not events.flags.c_contiguous:
        raise ValueError("events must be contiguous: use numpy.ascontiguousarray")
    return events


def _column_names(events: object) -> list[str] | None:
    """Of a mapping, a pyarrow table, or a frame of pandas or polars."""
    if isinstance(events, Mapping):
        return list(events)
    names = getattr(events, "column_names", getattr(events, "columns", None))
    return None if names is None else list(names)


def _fill(target: NDArray[Any], name: str, given: Any) -> None:
    """Copies one column, if every value fits."""
    if isinstance(given, np.ma.MaskedArray):
        raise TypeError(f"column {name!r} is a masked array: values that are missing have no place")
    values = np.asarray(given.to_numpy() if hasattr(given, "to_numpy") else given)
    if name == "reserved":
        if values.dtype == object or values.dtype.kind == "S":
            rows = [bytes(row) for row in values]
            if any(len(row) != 21 for row in rows):
                raise ValueError("column 'reserved' must have 21 bytes a row")
            values = np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), 21)
        if values.dtype != np.uint8 or values.shape != target.shape:
            raise TypeError(f"column 'reserved' must be {target.shape} of uint8 or 21 bytes a "
                            f"row, not {values.shape} of {values.dtype}")
    elif values.dtype.kind not in "iu":
        raise TypeError(f"column {name!r} must be of integers, not of {values.dtype}")
    elif values.shape != target.shape:
        raise ValueError(f"column {name!r} has the shape {values.shape}, not {target.shape}")
    elif len(values) and not np.can_cast(values.dtype, target.dtype, "safe"):
        limits, lowest, highest = np.iinfo(target.dtype), int(values.min()), int(values.max())
        if lowest < limits.min or highest > limits.max:
            raise ValueError(f"column {name!r} has values from {lowest} to {highest}: "
                             f"they do not fit {target.dtype}")
    target[...] = values


def as_batch(events: object) -> NDArray[np.void]:
    """Events to append: an array as it is, or one that is made of columns."""
    names = None if isinstance(events, np.ndarray) else _column_names(events)
    if names is None:
        return as_events(events)
    checked_names(names)
    if "event_id" not in names:
        raise ValueError("there is no column 'event_id'")
    columns = cast("Mapping[str, Any]", events)
    ids = columns["event_id"]
    if not hasattr(ids, "__len__"):
        raise TypeError(f"column 'event_id' must be several values, not {type(ids).__name__}")
    batch = np.zeros(len(ids), EVENT_DTYPE)
    for name in names:
        _fill(batch[name], name, columns[name])
    return batch


def pack(target: memoryview, fields: dict[str, Any]) -> None:
    """Writes an event of its fields, all integers but `reserved`, to 64 bytes."""
    unknown = fields.keys() - _NAMES
    if unknown or "event_id" not in fields:
        raise TypeError(f"an event has the fields {', '.join(COLUMNS)}; "
                        f"event_id is needed, and there is no {sorted(unknown) or 'event_id'}")
    reserved = fields.get("reserved", bytes(21))
    if not isinstance(reserved, bytes) or len(reserved) != 21:
        raise ValueError("reserved must be 21 bytes")
    for name, value in fields.items():
        if isinstance(value, (bool, np.bool_)):
            raise TypeError(f"{name} must be an integer, not a bool")
    try:
        _PACKER.pack_into(target, 0, *[fields.get(name, 0) for name in NUMERIC_COLUMNS], reserved)
    except struct.error:
        raise _of_field(fields) from None


def _of_field(fields: dict[str, Any]) -> ValueError:
    """Which of the fields it is that cannot be packed."""
    for name in fields.keys() - {"reserved"}:
        try:
            _PACKER.pack(*[fields[name] if each == name else 0 for each in NUMERIC_COLUMNS],
                         bytes(21))
        except struct.error:
            return ValueError(f"{name} is {fields[name]!r}: it must be an integer that fits into "
                              f"{EVENT_DTYPE[name].name}")
    return ValueError("the fields must be integers that fit")


def one(event: object) -> np.void:
    if not isinstance(event, (np.void, np.ndarray)) or event.dtype != EVENT_DTYPE:
        raise TypeError("an event must be of EVENT_DTYPE, not "
                        f"{getattr(event, 'dtype', type(event).__name__)}")
    if isinstance(event, np.void):
        return event
    if event.size != 1:
        raise ValueError(f"{event.size} events: use append_batch")
    found: np.void = event.reshape(1)[0]
    return found
