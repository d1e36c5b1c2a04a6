"""Columns as Arrow data: PyCapsules of the Arrow C interface, without pyarrow.

The structs are made in C, with release functions in C and memory that they own, so a consumer may
release them on any thread, and after the interpreter has ended.
"""

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

from ._abi import SUPPORT, ArrowColumn
from ._memory import Memory

_API = ctypes.pythonapi
_new_capsule = ctypes.PYFUNCTYPE(
    ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(
        ("PyCapsule_New", _API))

# The destructors of the capsules are C functions, which the interpreter calls while it holds its
# lock. They reach the interpreter through this one function only.
SUPPORT.fsp_arrow_use(ctypes.cast(_API.PyCapsule_GetPointer, ctypes.c_void_p))


class ArrowData(NamedTuple):
    """A column: its name, its Arrow format, and memory that begins with its values."""

    name: str
    format: str
    memory: Memory


def _declare(columns: Sequence[ArrowData]) -> Any:
    return (ArrowColumn * len(columns))(*(
        ArrowColumn(column.name.encode(), column.format.encode(), column.memory.handle)
        for column in columns))


def _capsule(struct: int | None, name: bytes, gone: Any) -> object:
    if struct is None:
        raise MemoryError("no memory for Arrow data")
    return _new_capsule(struct, name, ctypes.cast(gone, ctypes.c_void_p))


def schema_capsule(columns: Sequence[ArrowData]) -> object:
    struct = SUPPORT.fsp_arrow_schema(_declare(columns), len(columns))
    return _capsule(struct, b"arrow_schema", SUPPORT.fsp_arrow_schema_capsule_gone)


def array_capsule(columns: Sequence[ArrowData], length: int) -> object:
    struct = SUPPORT.fsp_arrow_array(_declare(columns), len(columns), length)
    return _capsule(struct, b"arrow_array", SUPPORT.fsp_arrow_array_capsule_gone)


def stream_capsule(columns: Sequence[ArrowData], length: int) -> object:
    struct = SUPPORT.fsp_arrow_stream(_declare(columns), len(columns), length)
    return _capsule(struct, b"arrow_array_stream", SUPPORT.fsp_arrow_stream_capsule_gone)
