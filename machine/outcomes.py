"""How an instruction can end."""

from __future__ import annotations

from dataclasses import dataclass

from isa_specs.core import Trap


@dataclass(frozen=True, slots=True)
class Next:
    """It completed; the counter is where the machine goes on."""


@dataclass(frozen=True, slots=True)
class Trapped:
    """It ended with a trap, whose ending has been applied and which has not been delivered.

    ``kind`` is the trap's own, or ``memory`` when a translation or the fetch raised it. ``ilen`` is the
    instruction's length in bytes as the delivery sees it, 0 when the fetch was refused."""

    trap: Trap
    args: tuple[int, ...]
    kind: str
    ilen: int

    def __str__(self) -> str:
        return f"{self.trap.name}({', '.join(f'{arg:#x}' for arg in self.args)})" if self.args else self.trap.name


@dataclass(frozen=True, slots=True)
class Executes:
    """It names another instruction to be carried out in its place: ``value``, left-aligned in ``width`` bits."""

    value: int
    width: int

    def byte(self, offset: int) -> int:
        """Byte ``offset`` of the named instruction; zero behind its end."""
        return self.value >> (self.width - 8 * offset - 8) & 0xFF if 8 * offset < self.width else 0


Outcome = Next | Trapped | Executes
