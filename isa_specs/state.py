"""Declarations of state: components and their roles, layouts, records, files, spaces."""

from __future__ import annotations

from isa_specs import core
from isa_specs.diagnostics import Mistake, Span, nearest
from isa_specs.expressions import bits, number, shorten
from isa_specs.functions import Functions
from isa_specs.reader import Node, Word
from isa_specs.scope import (
    MAX_ELEMENTS,
    ArrayComponent,
    Body,
    CellComponent,
    Component,
    File,
    GroupComponent,
    Layout,
    unknown,
)

_EMPTY = Body("expression")


class StateDeclarations(Functions):
    """The part of the elaborator that reads state, layouts and spaces."""

    records: dict[str, Node]
    counters: list[core.Cell]

    # ---- layouts --------------------------------------------------------------------------------

    def d_layout(self, node: Node) -> None:
        name, type_, *fields = node.children
        self.fresh_name(name, self.layouts, "layout")
        width = self.width_of(type_, _EMPTY)[0]
        pieces: dict[str, tuple[tuple[int, int], ...]] = {}
        for item in fields:
            if item.children[0] in pieces:
                raise Mistake("SP101", f"field '{item.children[0]}' is declared twice", item.span)
            pieces[item.children[0]] = self.positions(item.children[1], width)
        self.layouts[name] = Layout(name, width, pieces)

    def positions(self, node: Node, width: int) -> tuple[tuple[int, int], ...]:
        """Bit positions as (high, low) pieces in lsb0."""
        out = []
        for item in node.children:
            for digits in item.children:
                if digits is not None and len(digits) > 12:
                    raise Mistake("SP211", "there is no such bit", item.span)
            a = number(item.children[0])
            b = number(item.children[1]) if item.children[1] is not None else a
            high, low = (width - 1 - a, width - 1 - b) if self.msb0 else (a, b)
            if not 0 <= low <= high < width:
                order = "first:last, 0 is leftmost" if self.msb0 else "high:low, 0 is rightmost"
                raise Mistake("SP211", f"there are no bits {shorten(a)}:{shorten(b)} in {bits(width)}", item.span, f"positions are {order}")
            out.append((high, low))
        return tuple(out)

    def fresh_name(self, name: Word, table: dict[str, object] | dict[str, Layout] | dict[str, Node], what: str) -> None:
        if name in table:
            raise Mistake("SP101", f"{what} '{name}' is declared twice", name.span)

    # ---- components -------------------------------------------------------------------------------

    def d_record(self, node: Node) -> None:
        name = node.children[0]
        self.fresh_name(name, self.records, "record")
        self.records[name] = node

    def d_state(self, node: Node) -> None:
        for item in node.children:
            try:
                self.component(item, self.state, "", None, None)
            except Mistake as mistake:
                self.errors.append(mistake.diagnostic)

    def component(self, node: Node, into: dict[str, Component], prefix: str, inherited: core.Role | None, word: int | None) -> None:
        """Declare one component (and what is below it) in ``into``; ``word`` is the width of the word it is a field of."""
        name, positions, type_ = node.children[:3]
        words = [w for w in node.children[3:] if isinstance(w, Word) and w.type == "NAME"]
        doc = next((str(w)[1:-1] for w in node.children[3:] if isinstance(w, Word) and w.type == "STRING"), "")
        children = [c for c in node.children[3:] if isinstance(c, Node)]
        path = prefix + name
        role = self.role(words, node.span) if words else inherited
        existing = into.get(name)
        if existing is not None:
            if positions is not None or not self.extends(existing, type_, children, role, path):
                raise Mistake("SP101", f"'{path}' is declared twice", name.span)
            return
        if not prefix and (name in self.files or name in self.isa.spaces):
            raise Mistake("SP101", f"'{path}' is declared twice", name.span)
        record = self.records.get(str(type_.children[0])) if type_ is not None else None
        if record is not None:
            group = GroupComponent(path, record=str(type_.children[0]))
            into[name] = group
            for item in record.children[1:]:
                self.component(item, group.children, path + ".", role, None)
            self.override_roles(group, children)
            return
        if children and type_ is None and positions is None:
            group = GroupComponent(path)
            into[name] = group
            for item in children:
                self.component(item, group.children, path + ".", role, None)
            return
        if children:
            if type_ is None:
                raise Mistake("SP206", f"'{path}' needs a type to have fields with positions", node.span)
            self.register(node, name, path, type_, role, doc, children, into)
            return
        if positions is not None:
            if word is None:
                raise Mistake("SP211", f"'{path}' is not part of a word, so it has no bit positions", positions.span, "write ': bits(n)'")
            pieces = self.positions(positions, word)
            width, layout, length = sum(h - low + 1 for h, low in pieces), None, None
            if type_ is not None:
                typed, layout, length = self.width_of(type_, _EMPTY)
                if typed != width:
                    raise Mistake("SP201", f"the positions are {bits(width)}, the type {bits(typed)}", node.span)
        elif type_ is not None:
            width, layout, length = self.width_of(type_, _EMPTY)
        else:
            raise Mistake("SP206", f"'{path}' needs a type", name.span, f"{name} : bits(8)")
        if role is None:
            raise Mistake("SP102", f"'{path}' needs a role", name.span, "one of " + ", ".join(core.ROLES))
        if length is not None:
            if not 1 <= length <= MAX_ELEMENTS or length & (length - 1):
                raise Mistake("SP207", f"an array of {shorten(length)} elements is not possible", type_.span, "a power of two, at most 65536")
            array = core.Array(path, width, length, role, doc, name.span)
            self.isa.arrays[path] = array
            into[name] = ArrayComponent(array, layout)
            return
        cell = core.Cell(path, width, role, doc, name.span)
        self.isa.cells[path] = cell
        into[name] = CellComponent(cell, layout)
        if role.name == "counter":
            self.counters.append(cell)

    def register(self, node: Node, name: Word, path: str, type_: Node, role: core.Role | None, doc: str, children: list[Node],
                 into: dict[str, Component]) -> None:
        """A word with fields at bit positions."""
        width, _, length = self.width_of(type_, _EMPTY)
        if length is not None:
            raise Mistake("SP206", "the elements of an array cannot have fields", type_.span)
        group = GroupComponent(path)
        into[name] = group
        group.layout = Layout(path, width, {})
        self.add_fields(group, children, role)

    def add_fields(self, group: GroupComponent, children: list[Node], role: core.Role | None) -> None:
        assert group.layout is not None
        taken = {bit for pieces in group.layout.fields.values() for high, low in pieces for bit in range(low, high + 1)}
        for item in children:
            field_name, positions = item.children[:2]
            if positions is None:
                raise Mistake("SP211", f"'{field_name}' needs its bit positions in {group.name}", item.span)
            pieces = self.positions(positions, group.layout.width)
            for high, low in pieces:
                for bit in range(low, high + 1):
                    if bit in taken:
                        raise Mistake("SP106", f"'{field_name}' overlaps another field of {group.name}", positions.span)
                    taken.add(bit)
            self.component(item, group.children, group.name + ".", role, group.layout.width)
            group.layout.fields[field_name] = pieces
        self.layouts[group.name] = group.layout

    def extends(self, existing: Component, type_: Node | None, children: list[Node], role: core.Role | None, path: str) -> bool:
        """An extension adds fields to a group of the description it extends."""
        if not isinstance(existing, GroupComponent) or type_ is not None or not children:
            return False
        if existing.layout is not None:
            self.add_fields(existing, children, role)
        else:
            for item in children:
                self.component(item, existing.children, path + ".", role, None)
        return True

    def override_roles(self, group: GroupComponent, children: list[Node]) -> None:
        for item in children:
            name = item.children[0]
            words = [w for w in item.children[3:] if isinstance(w, Word) and w.type == "NAME"]
            if name not in group.children:
                raise unknown(name, list(group.children), name.span, f"field of {group.name}")
            child = group.children[name]
            nested = [c for c in item.children[3:] if isinstance(c, Node)]
            if words:
                self.set_role(child, self.role(words, item.span))
            if nested:
                if not isinstance(child, GroupComponent):
                    raise Mistake("SP210", f"'{name}' has no fields", item.span)
                self.override_roles(child, nested)

    def set_role(self, component: Component, role: core.Role) -> None:
        if isinstance(component, CellComponent):
            component.cell.role = role
        elif isinstance(component, ArrayComponent):
            component.array.role = role
        else:
            for child in component.children.values():
                self.set_role(child, role)

    def role(self, words: list[Word], span: Span) -> core.Role:
        name = words[0]
        if name not in core.ROLES:
            raise Mistake("SP102", f"unknown role '{name}'", name.span, nearest(name, core.ROLES) or "one of " + ", ".join(core.ROLES))
        if name != "resource":
            if len(words) > 1:
                raise Mistake("SP102", f"role '{name}' takes no kind", words[1].span)
            return core.Role(str(name))
        if len(words) != 2 or words[1] not in core.RESOURCE_KINDS:
            at = words[1] if len(words) > 1 else name
            raise Mistake("SP102", "a resource needs its kind", at.span, "resource " + "|".join(core.RESOURCE_KINDS))
        return core.Role("resource", str(words[1]))

    # ---- files and spaces ----------------------------------------------------------------------------

    def d_file(self, node: Node) -> None:
        name, *members = node.children
        if name in self.files or name in self.state:
            raise Mistake("SP101", f"'{name}' is declared twice", name.span)
        if len(members) & (len(members) - 1):
            raise Mistake("SP207", f"a file has 2, 4, 8 ... members, this has {len(members)}", node.span, "fill it with _")
        out: list[Component | None] = []
        for member in members:
            if member == "_":
                out.append(None)
            elif member in self.state:
                out.append(self.state[member])
            else:
                raise unknown(member, list(self.state), member.span, "component")
        if not any(out):
            raise Mistake("SP207", "a file needs a member", node.span)
        self.files[name] = File(name, tuple(out))

    def d_space(self, node: Node) -> None:
        name, address, cell = node.children[:3]
        words = [w for w in node.children[3:] if isinstance(w, Word) and w.type == "NAME"]
        doc = next((str(w)[1:-1] for w in node.children[3:] if isinstance(w, Word) and w.type == "STRING"), "")
        clauses = {c.kind: c for c in node.children[3:] if isinstance(c, Node)}
        if name in self.isa.spaces or name in self.state:
            raise Mistake("SP101", f"'{name}' is declared twice", name.span)
        address_width = self.width_of(address, _EMPTY)[0]
        if address_width > 64:
            raise Mistake("SP207", f"addresses of {bits(address_width)} are not possible", address.span, "at most 64")
        space = core.Space(str(name), address_width, self.width_of(cell, _EMPTY)[0], core.DATA, doc=doc, span=name.span)
        if words:
            space.role = self.role(words, node.span)
        if "onto" in clauses:
            space.onto = self.named_space(clauses["onto"].children[0])
            if space.onto.cell_width != space.cell_width:
                raise Mistake("SP201", f"{space.onto.name} has cells of {bits(space.onto.cell_width)}", clauses["onto"].span)
        elif "through" in clauses or "at" in clauses:
            raise Mistake("SP107", f"'{name}' needs 'onto SPACE'", node.span)
        elif not words:
            raise Mistake("SP102", f"'{name}' needs a role", name.span, "one of " + ", ".join(core.ROLES))
        if "granule" in clauses:
            space.granule = number(clauses["granule"].children[0])
            if not 0 <= space.granule <= address_width:
                raise Mistake("SP207", f"a granule of 2^{shorten(space.granule)} is not possible", clauses["granule"].span)
        if "at" in clauses:
            place = self.infer(clauses["at"].children[0], Body("expression"), None)
            component = getattr(place, "component", None)
            if not isinstance(component, CellComponent) or component.cell.width != space.address_width:
                raise Mistake("SP107", "the start of a table is one component, as wide as the addresses", clauses["at"].span)
            space.base = component.cell
        if "like" in clauses:
            space.like = self.named_space(clauses["like"].children[0])
            if space.like.address_width != address_width:
                raise Mistake("SP201", f"{space.like.name} has other addresses", clauses["like"].span)
        self.isa.spaces[name] = space
        if "through" in clauses:
            self.translated.append((space, clauses["through"].children[0]))

    translated: list[tuple[core.Space, Word]]

    def named_space(self, name: Word) -> core.Space:
        if name not in self.isa.spaces:
            raise unknown(name, list(self.isa.spaces), name.span, "space")
        return self.isa.spaces[name]
