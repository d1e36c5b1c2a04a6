"""Memory that numpy arrays and Arrow data share, and that outlives the interpreter if it must."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ._abi import SUPPORT


class Memory:
    """Memory of C's. Arrays over it keep it alive, and so does Arrow data made of them: the last
    one frees it, in C, whether there still is an interpreter or not."""

    def __init__(self, size: int) -> None:
        self.handle: int | None = SUPPORT.fsp_memory_new(size)
        if self.handle is None:
            raise MemoryError(f"no memory for {size} bytes")
        self.size = size

    @property
    def address(self) -> int:
        return int(SUPPORT.fsp_memory_address(self.handle))

    def resize(self, size: int) -> None:
        """Only while there is no array over it."""
        if SUPPORT.fsp_memory_resize(self.handle, size):
            raise MemoryError(f"no memory for {size} bytes")
        self.size = size

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return {"version": 3, "typestr": "|u1", "shape": (self.size,),
                "data": (self.address, False)}

    def array(self, dtype: DTypeLike, count: int) -> NDArray[Any]:
        """The first `count` items as an array, without a copy."""
        kind = np.dtype(dtype)
        found: NDArray[Any] = np.asarray(self)[: count * kind.itemsize].view(kind)
        return found

    # The defaults keep the function reachable while the interpreter takes its modules apart.
    def __del__(self, release: Any = SUPPORT.fsp_memory_release) -> None:
        handle = getattr(self, "handle", None)
        if handle is not None:
            self.handle = None
            release(handle)


class Growing:
    """Memory that grows as items are put in, without a copy, for one array in the end."""

    def __init__(self, dtype: DTypeLike, expected: int) -> None:
        self.dtype = np.dtype(dtype)
        self.memory = Memory(max(expected, 1) * self.dtype.itemsize)

    def reserve(self, count: int) -> None:
        """Room for so many items in all."""
        needed = count * self.dtype.itemsize
        if needed > self.memory.size:
            self.memory.resize(max(needed, self.memory.size * 3 // 2))

    def finish(self, count: int) -> NDArray[Any]:
        """Gives the rest back."""
        self.memory.resize(max(count, 1) * self.dtype.itemsize)
        return self.memory.array(self.dtype, count)


def memory_of(array: NDArray[Any]) -> Memory | None:
    """The memory whose very beginning a contiguous array is, if there is one."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    if not isinstance(base, Memory) or not array.flags.c_contiguous:
        return None
    begins = array.__array_interface__["data"][0] == base.address
    return base if begins else None
