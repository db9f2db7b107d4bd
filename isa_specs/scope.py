"""What names stand for while a description is given meaning: layouts, components, scopes."""

from __future__ import annotations

from dataclasses import dataclass, field

from isa_specs import core
from isa_specs.diagnostics import Span
from isa_specs.expectations import Expectation
from isa_specs.reader import Node

MAX_WIDTH = 4096
MAX_ELEMENTS = 1 << 16


class Cascade(Exception):
    """Raised where a use fails only because an earlier mistake left a name without meaning."""


@dataclass(frozen=True)
class Layout:
    """Named fields of a word: each a tuple of (high, low) pieces in lsb0 positions, left piece first."""

    name: str
    width: int
    fields: dict[str, tuple[tuple[int, int], ...]]


@dataclass
class CellComponent:
    cell: core.Cell
    layout: Layout | None = None


@dataclass
class ArrayComponent:
    array: core.Array
    layout: Layout | None = None


@dataclass
class GroupComponent:
    """Components with a common prefix; ``register`` when it can be read as one word."""

    name: str
    children: dict[str, Component] = field(default_factory=dict)
    layout: Layout | None = None
    record: str = ""


Component = CellComponent | ArrayComponent | GroupComponent


@dataclass(frozen=True)
class File:
    """Indexed access to like components; None is a hole."""

    name: str
    members: tuple[Component | None, ...]


@dataclass
class Binding:
    """A local name: a value of a width, perhaps with a layout; ``mutable`` for ``var``."""

    local: core.Local
    layout: Layout | None = None
    mutable: bool = False


class Poison:
    """A name whose definition was in error."""


@dataclass
class Body:
    """The body being given meaning: its locals, compile-time constants and what it turned out to use."""

    kind: str  # instruction | function | procedure | translation | delivery | expression
    result: int | None = None
    fields: dict[str, int] = field(default_factory=dict)
    provided: dict[str, int] = field(default_factory=dict)  # widths of all encoding fields, those with a fixed value too
    names: list[dict[str, Binding | int | Poison]] = field(default_factory=lambda: [{}])
    used_locals: set[str] = field(default_factory=set)
    uses: dict[str, int] = field(default_factory=dict)
    used_fields: dict[str, Span] = field(default_factory=dict)
    impure: bool = False
    expects: list[Expectation] = field(default_factory=list)

    def find(self, name: str) -> Binding | int | Poison | None:
        for scope in reversed(self.names):
            if name in scope:
                return scope[name]
        return None

    def bind(self, name: str, value: Binding | int | Poison) -> None:
        self.names[-1][name] = value

    def fresh(self, name: str) -> str:
        """A local name not used before in this body: shadowed names stay apart in generated code."""
        unique = name
        while unique in self.used_locals:
            self.uses[name] = self.uses.get(name, 1) + 1
            unique = f"{name}_{self.uses[name]}"
        self.used_locals.add(unique)
        return unique

    def visible(self) -> list[str]:
        return [name for scope in self.names for name in scope] + list(self.fields)


@dataclass
class Definition:
    """A function-like declaration awaiting instantiation for the widths it is called with."""

    kind: str  # function | procedure | accessor | extern
    name: str
    params: list[tuple[str, Node | None, Span]]
    result: Node | None
    node: Node
