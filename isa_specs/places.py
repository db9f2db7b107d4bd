"""Reading components: words made of fields, members of files."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from isa_specs import core
from isa_specs.diagnostics import Diagnostic, Enough, Mistake, Mistakes, Span, nearest
from isa_specs.reader import Node, Word
from isa_specs.scope import ArrayComponent, Cascade, CellComponent, Component, Definition, File, GroupComponent, Layout
from isa_specs.values import Place, Value, apply, join

MAX_LEVELS = 100  # of expressions, blocks and calls in one another while they are read


class Places:
    """The tables of one description, and how its components are read."""

    isa: core.Isa
    errors: Mistakes
    msb0: bool
    consts: dict[str, tuple[int, int | None]]
    state: dict[str, Component]
    files: dict[str, File]
    layouts: dict[str, Layout]
    global_fields: dict[str, int]
    definitions: dict[str, Definition]
    broken: set[str]
    steps: int
    levels: int

    def spend(self, steps: int, span: Span) -> None:
        """Account for work. Families, variants and instances multiply, so a short text can ask for any amount of it."""
        self.steps -= steps
        if self.steps < 0:
            self.errors.append(Diagnostic("SP104", "this description asks for too much work", span,
                                          "families, variants and instances of functions multiply"))
            raise Enough

    def descend(self, node: Node) -> None:
        """Go one level down; the caller goes up again. The language is read recursively, so there is a limit."""
        self.levels += 1
        if self.levels > MAX_LEVELS:
            self.errors.append(Diagnostic("SP004", f"expressions, blocks and calls nested deeper than {MAX_LEVELS}", node.span))
            raise Enough

    def guarded(self, action: Callable[[], None], node: Node | None) -> None:
        """Read ``node``; a mistake is noted, and what would have been declared there is not called unknown later."""
        try:
            action()
        except (Mistake, Cascade) as problem:
            if isinstance(problem, Mistake):
                self.errors.append(problem.diagnostic)
            if node is not None:
                self.broken |= declared(node)

    def each(self, nodes: Iterable[Node], read: Callable[[Node], None]) -> None:
        for node in nodes:
            self.guarded(lambda node=node: read(node), node)  # type: ignore[misc]

    def unknown(self, name: str, known: Iterable[str], span: Span, what: str = "name") -> Mistake | Cascade:
        """The mistake for a name that means nothing here, with the near one as hint."""
        if name in self.broken:
            return Cascade()
        return Mistake("SP100", f"unknown {what} '{name}'", span, nearest(name, known))

    def read(self, place: Place, span: Span) -> Value:
        """The value of a component or file member."""
        if place.file is not None:
            assert place.index is not None
            return self.read_member(place.file, place.index, span)
        component = place.component
        if isinstance(component, CellComponent):
            return Value(core.Read(component.cell), component.layout)
        if isinstance(component, ArrayComponent):
            raise Mistake("SP204", f"'{component.array.name}' is an array and needs an index", span)
        assert isinstance(component, GroupComponent)
        if component.layout is None:
            raise Mistake("SP213", f"'{component.name}' has no layout and cannot be read as one word", span,
                          "name a field of it, or give the fields bit positions")
        return Value(self.read_word(component, span), component.layout)

    def read_word(self, group: GroupComponent, span: Span) -> core.Expr:
        """The word of a group with positions: its fields in place, unnamed bits zero."""
        assert group.layout is not None
        self.spend(len(group.layout.fields), span)
        slots: list[tuple[int, int, core.Expr]] = []
        for name, pieces in group.layout.fields.items():
            child = group.children[name]
            assert isinstance(child, CellComponent)
            used = child.cell.width
            for high, low in pieces:
                size = high - low + 1
                whole = core.Read(child.cell)
                slots.append((high, low, whole if size == child.cell.width else core.Extract(whole, used - 1, used - size)))
                used -= size
        parts: list[core.Expr] = []
        at = group.layout.width - 1
        for high, low, part in sorted(slots, key=lambda slot: -slot[0]):
            if at > high:
                parts.append(core.Const(at - high, 0))
            parts.append(part)
            at = low - 1
        if at >= 0:
            parts.append(core.Const(at + 1, 0))
        return join(parts)

    def read_member(self, file: File, index: core.Expr, span: Span) -> Value:
        self.spend(len(file.members), span)
        values = [None if member is None else self.read(Place(member), span) for member in file.members]
        present = [value for value in values if value is not None]
        width = present[0].expr.width
        if any(value.expr.width != width for value in present):
            raise Mistake("SP214", f"the members of '{file.name}' differ in width", span)
        exprs = [core.Const(width, 0) if value is None else value.expr for value in values]
        if isinstance(index, core.Const):
            chosen = values[index.value]
            return Value(exprs[index.value], present[0].layout) if chosen is None else chosen
        *others, result = exprs
        for position in range(len(others) - 1, -1, -1):
            result = core.Choice(apply("eq", index, core.Const(index.width, position)), others[position], result)
        return Value(result, present[0].layout)

    def subfile(self, file: File, name: Word) -> File:
        """The file of one field of each member."""
        members: list[Component | None] = []
        for member in file.members:
            if member is None:
                members.append(None)
            elif isinstance(member, GroupComponent) and name in member.children:
                members.append(member.children[name])
            else:
                known = [key for m in file.members if isinstance(m, GroupComponent) for key in m.children]
                raise self.unknown(name, known, name.span, f"field of {file.name}")
        return File(f"{file.name}[].{name}", tuple(members))


def declared(node: Node) -> set[str]:
    """The names a declaration introduces."""
    if node.kind == "const":
        return {str(binding.children[0]) for binding in node.children}
    if node.kind in ("fetch", "illegal"):
        return {node.kind}
    words = [str(word) for word in node.children if isinstance(word, Word) and word.type == "NAME"]
    return set(words if node.kind == "field" else words[:1])
