"""The compiled loops of `kernels.c`, as the build left them beside this file (`hatch_build.py`)."""

import ctypes
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.errors import ShortlistError

SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
PATH = Path(__file__).with_name("kernels" + SUFFIX)

POINTER, INT, FLOAT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float


class KernelsMissing(ShortlistError):
    """The package was put in place, or changed, without building it."""


def _loaded() -> ctypes.PyDLL:
    # PyDLL keeps the interpreter's lock: a call takes some 10 µs, and to get the lock back beside other
    # threads would take longer.
    try:
        library = ctypes.PyDLL(str(PATH))
        _declare(library)
    except (OSError, AttributeError) as error:
        raise KernelsMissing(
            f"{PATH.name} is missing, damaged or of another version of the code; "
            f"install shortlist, by pip install -e . or make ({error})"
        ) from None
    return library


def _declare(library: ctypes.PyDLL) -> None:
    """Say what each function takes. Raises AttributeError naming one that is not there."""
    library.row_sums.argtypes = [
        POINTER, POINTER, INT, INT, POINTER, INT, POINTER, INT, POINTER, INT, POINTER, POINTER, INT,
    ]  # fmt: skip
    library.row_sums.restype = INT
    library.session_sums.argtypes = [
        POINTER, INT, INT, POINTER, POINTER, INT, POINTER, POINTER, INT, POINTER, POINTER, INT, POINTER,
        POINTER,
    ]  # fmt: skip
    library.session_sums.restype = INT
    library.best.argtypes = [POINTER, POINTER, INT, POINTER, INT, INT, POINTER, POINTER]
    library.best.restype = INT
    library.at_positions.argtypes = [POINTER, POINTER, INT, POINTER, INT, POINTER, INT, POINTER]
    library.at_positions.restype = None
    library.links_to.argtypes = [
        POINTER, POINTER, INT, INT, POINTER, INT, POINTER, INT, POINTER, INT, POINTER,
    ]  # fmt: skip
    library.links_to.restype = None
    library.own_past.argtypes = [
        POINTER, POINTER, POINTER, INT, POINTER, INT, POINTER, INT, FLOAT, FLOAT, POINTER, INT, POINTER,
    ]  # fmt: skip
    library.own_past.restype = None
    library.strongest.argtypes = [POINTER, POINTER, INT, INT, INT, FLOAT, POINTER, POINTER, POINTER]
    library.strongest.restype = None
    library.nearest_rows.argtypes = [POINTER, POINTER, INT, POINTER, INT, POINTER]
    library.nearest_rows.restype = None


LIBRARY = _loaded()


class _Scratch(threading.local):
    """Zeros by id, one array per thread; each kernel leaves zeros behind."""

    def __init__(self) -> None:
        self._grow(1024)

    def _grow(self, size: int) -> None:
        self._array = np.zeros(size + size // 4, np.int32)
        self._size, self._address = len(self._array), self._array.ctypes.data

    def slots(self, size: int) -> int:
        """Address of at least `size` zeros."""
        if self._size < size:
            self._grow(size)
        return self._address


scratch = _Scratch()


# How arrays are handed over: `array.ctypes.data` takes 1.3 µs each, and a slate some hundred of them.


def address(array: NDArray[Any]) -> Any:
    """Of a contiguous array that is not empty, of the type that the function reads: nothing here can tell.
    0.5 µs, if it may be written to."""
    if not array.flags.writeable:
        return array.ctypes.data
    buffer: Any = array
    return ctypes.byref(ctypes.c_char.from_buffer(buffer))


def ints(array: NDArray[Any]) -> bytes:
    """A copy of a few, in the form that C reads. 0.1 µs."""
    return array.astype(np.int32, copy=False).tobytes()


def floats(array: NDArray[Any]) -> bytes:
    """The same of doubles."""
    return array.astype(np.float64, copy=False).tobytes()
