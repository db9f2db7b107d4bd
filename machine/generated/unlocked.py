"""LLVM's two long calls without the lock that llvmlite puts around every call: modules of different contexts may be compiled at the same
time. Where llvmlite does not have them where they are expected, its own are used, one after the other."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

_LONG = ("LLVMPY_RunNewModulePassManager", "LLVMPY_TargetMachineEmitToMemory")


@functools.cache
def _library() -> ctypes.CDLL | None:
    from llvmlite.binding import ffi

    try:
        library = ctypes.CDLL(ffi.lib._name)
        for name in _LONG:
            function, known = getattr(library, name), getattr(ffi.lib, name)
            function.argtypes, function.restype = known.argtypes, known.restype
    except (AttributeError, OSError):
        return None
    return library


def run(passes: Any, module: Any, builder: Any) -> None:
    """Carry out the passes of a module pass manager."""
    library = _library()
    if library is None:
        passes.run(module, builder)
    else:
        library.LLVMPY_RunNewModulePassManager(passes, module, builder)


def emit_object(machine: Any, module: Any) -> bytes:
    """The object code of a module."""
    from llvmlite.binding import ffi

    library = _library()
    if library is None:
        return bytes(machine.emit_object(module))
    with ffi.OutputString() as error:
        buffer = library.LLVMPY_TargetMachineEmitToMemory(machine, module, 1, error)
        if not buffer:
            raise RuntimeError(str(error))
    try:
        return ctypes.string_at(ffi.lib.LLVMPY_GetBufferStart(buffer), ffi.lib.LLVMPY_GetBufferSize(buffer))
    finally:
        ffi.lib.LLVMPY_DisposeMemoryBuffer(buffer)
