"""Words the modules of the generator share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from isa_specs.core import Function, Space


class Role(Enum):
    """For what code runs. All but NORMAL are looked up again instead of run again, so what they read of storage is watched.

    CONTEXT: the contexts of the decoder. WALK: inside a translation. FETCH: the described fetch itself."""

    NORMAL = "normal"
    CONTEXT = "context"
    WALK = "walk"
    FETCH = "fetch"

    @property
    def watches(self) -> bool:
        return self is not Role.NORMAL

    @property
    def memory(self) -> bool:
        """Traps raised here are of kind memory."""
        return self in (Role.WALK, Role.FETCH)

    @property
    def access(self) -> int:
        return 2 if self is Role.FETCH else 0


@dataclass(frozen=True, slots=True)
class Variant:
    """A function as it is called from one kind of place. ``after``: a trap that takes back effects may come after it, so it
    journals what it changes, cells only with ``keeps_cells`` (a form saves its own)."""

    function: Function
    after: bool
    keeps_cells: bool
    role: Role


@dataclass(frozen=True, slots=True)
class Access:
    """A way to reach ``count`` cells of a space at once (bytes; 1 for other cells)."""

    space: Space
    count: int
    write: bool
    journal: bool
    role: Role


class Code:
    """Lines of Python at an indentation."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.depth = 0

    def __call__(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"
