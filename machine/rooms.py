"""Bytes that can be seen at several addresses at once: the host's own translation of addresses, put to use.

A guest's storage is a window of its monitor's; a monitor's own tables stand behind it for the real machine and not for the guest's.
Generated code reaches cells at an address and a distance, so what it is to see is mapped there.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import tempfile
import weakref

from machine.errors import MachineError

GRAIN = mmap.ALLOCATIONGRANULARITY
_FIXED = 0x10  # MAP_FIXED, the same on every system that has mmap
_FAILED = ctypes.c_void_p(-1).value


class Room:
    """``size`` zero bytes, shared by all that map them."""

    def __init__(self, size: int):
        if hasattr(os, "memfd_create"):
            self.file = os.memfd_create("vcheck")
        else:
            with tempfile.TemporaryFile() as file:
                self.file = os.dup(file.fileno())
        weakref.finalize(self, os.close, self.file)
        os.ftruncate(self.file, size)
        self.bytes = mmap.mmap(self.file, size)

    def show(self, address: int, start: int, size: int) -> None:
        """Map ``size`` bytes from ``start`` on at an address of reserved space. All three are multiples of GRAIN."""
        _map(address, size, mmap.MAP_SHARED | _FIXED, self.file, start)


def hide(address: int, size: int) -> None:
    """Zero bytes at an address of reserved space, in place of whatever was mapped there."""
    _map(address, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000) | _FIXED, -1, 0)


def resident(address: int, size: int) -> bytes:
    """For each of the host's pages of reserved space whether it takes room: not 0 where it does; empty where the host does not tell."""
    library, told = ctypes.CDLL(None, use_errno=True), ctypes.create_string_buffer(-(-size // mmap.PAGESIZE))
    if not hasattr(library, "mincore") or library.mincore(ctypes.c_void_p(address), ctypes.c_size_t(size), told):
        return b""
    return told.raw


def _map(address: int, size: int, flags: int, file: int, start: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    if library.mmap(address, size, mmap.PROT_READ | mmap.PROT_WRITE, flags, file, start) == _FAILED:
        raise MachineError(f"{size} bytes of storage cannot be mapped: {os.strerror(ctypes.get_errno())}")


__all__ = ["GRAIN", "Room", "hide", "resident"]
