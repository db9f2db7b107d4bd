"""What a machine's state is made of: scalar components, arrays, address spaces, and the roles they have for a monitor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from isa_specs.diagnostics import NOWHERE, Span

if TYPE_CHECKING:
    from isa_specs.core.description import Function
    from isa_specs.core.expressions import Expr


@dataclass(frozen=True, slots=True)
class Role:
    """What a component is to a monitor. ``name`` as in ROLES, ``kind`` for resources only."""

    name: str
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.kind}".strip()


ROLES = ("data", "counter", "mode", "relocation", "resource", "time", "identity", "hidden")
RESOURCE_KINDS = ("interrupt", "protection", "io", "control", "trap_vector")
DATA = Role("data")
REFERENCED, CHANGED = 0b10, 0b11  # what an access adds to the bits of its block


@dataclass(eq=False, slots=True)
class Cell:
    """A scalar component, ``width`` bits, named by its path (``psw.key``)."""

    name: str
    width: int
    role: Role
    doc: str = ""
    span: Span = NOWHERE


@dataclass(eq=False, slots=True)
class Array:
    """An array component: ``length`` elements (a power of two) of ``width`` bits, one role."""

    name: str
    width: int
    length: int
    role: Role
    doc: str = ""
    span: Span = NOWHERE

    @property
    def index_width(self) -> int:
        return max(1, (self.length - 1).bit_length())


@dataclass(eq=False, slots=True)
class Space:
    """An address space of 2**``address_width`` cells of ``cell_width`` bits.

    A space with ``translation`` holds nothing itself: each access is mapped to ``onto``, granule by granule.
    A space with ``base`` is a view of ``onto`` that starts at the address in that component. ``view`` names the
    space whose guest-relative contents this one shares (itself unless declared ``like`` another). ``recorded`` has two bits for
    each block of a physical space: REFERENCED by any access that reaches the block, and CHANGED as well by one that stores.
    """

    name: str
    address_width: int
    cell_width: int
    role: Role
    translation: Function | None = None
    onto: Space | None = None
    base: Cell | None = None
    granule: int = 0
    like: Space | None = None
    recorded: Space | None = None
    doc: str = ""
    span: Span = NOWHERE
    identity: Expr | None = None

    @property
    def view(self) -> Space:
        return self.like.view if self.like else self

    @property
    def block(self) -> int:
        """Bits of an address within one block of a space that is recorded."""
        assert self.recorded is not None
        return self.address_width - self.recorded.address_width

    @property
    def physical(self) -> bool:
        return self.onto is None


@dataclass(frozen=True, slots=True)
class Register:
    """A component that can be read as one word: fields with the bit positions they occupy.

    ``pieces`` are (cell, ((value_high, value_low, word_low), ...)) in lsb0 positions of the word."""

    name: str
    width: int
    fields: tuple[tuple[Cell, tuple[tuple[int, int, int], ...]], ...]
