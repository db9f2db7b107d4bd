"""Declarations of state: components and their roles, layouts, records, files, spaces."""

from __future__ import annotations

from collections.abc import Mapping

from isa_specs import core
from isa_specs.diagnostics import Mistake, Span, nearest
from isa_specs.functions import Functions
from isa_specs.reader import Node, Word
from isa_specs.scope import ArrayComponent, Body, CellComponent, Component, File, GroupComponent, Layout
from isa_specs.values import Place, bits, number, shorten

MAX_COMPONENTS = 10_000
MAX_ELEMENTS = 1 << 16
MAX_MEMBERS = 128  # which member is meant is asked one by one
MAX_ADDRESS = 64
_EMPTY = Body("expression")


class StateDeclarations(Functions):
    """The part of the elaborator that reads state, layouts and spaces."""

    records: dict[str, Node]
    open_records: list[str]
    components: int
    translated: list[tuple[core.Space, Word]]

    # ---- layouts --------------------------------------------------------------------------------

    def d_layout(self, node: Node) -> None:
        name, type_, *fields = node.children
        self.fresh_name(name, self.layouts, "layout")
        width = self.scalar(type_, _EMPTY)[0]
        pieces: dict[str, tuple[tuple[int, int], ...]] = {}
        self.layouts[name] = Layout(name, width, pieces)
        self.each(fields, lambda item: self.layout_field(item, pieces, width))

    def layout_field(self, node: Node, pieces: dict[str, tuple[tuple[int, int], ...]], width: int) -> None:
        name, positions = node.children
        if name in pieces:
            raise Mistake("SP101", f"field '{name}' is declared twice", node.span)
        pieces[name] = self.positions(positions, width)

    def positions(self, node: Node, width: int) -> tuple[tuple[int, int], ...]:
        """Bit positions as (high, low) pieces in lsb0."""
        out: list[tuple[int, int]] = []
        taken: set[int] = set()
        for item in node.children:
            a = number(item.children[0])
            b = number(item.children[1]) if item.children[1] is not None else a
            high, low = (width - 1 - a, width - 1 - b) if self.msb0 else (a, b)
            if not 0 <= low <= high < width:
                order = "first:last, 0 is leftmost" if self.msb0 else "high:low, 0 is rightmost"
                raise Mistake("SP211", f"there are no bits {shorten(a)}:{shorten(b)} in {bits(width)}", item.span, f"positions are {order}")
            if not taken.isdisjoint(range(low, high + 1)):
                raise Mistake("SP106", "a bit is named twice", item.span)
            taken.update(range(low, high + 1))
            out.append((high, low))
        return tuple(out)

    def fresh_name(self, name: Word, table: Mapping[str, object], what: str) -> None:
        if name in table:
            raise Mistake("SP101", f"{what} '{name}' is declared twice", name.span)

    # ---- components -------------------------------------------------------------------------------

    def d_record(self, node: Node) -> None:
        name = node.children[0]
        self.fresh_name(name, self.records, "record")
        self.records[name] = node

    def d_state(self, node: Node) -> None:
        self.each(node.children, lambda item: self.component(item, self.state, "", None, None))

    def component(self, node: Node, into: dict[str, Component], prefix: str, inherited: core.Role | None, word: int | None) -> None:
        """Declare one component (and what is below it) in ``into``; ``word`` is the width of the word it is a field of."""
        name, positions, type_ = node.children[:3]
        words = [w for w in node.children[3:] if isinstance(w, Word) and w.type == "NAME"]
        doc = next((str(w)[1:-1] for w in node.children[3:] if isinstance(w, Word) and w.type == "STRING"), "")
        children = [c for c in node.children[3:] if isinstance(c, Node)]
        path = prefix + name
        self.components += 1
        if self.components > MAX_COMPONENTS:
            raise Mistake("SP104", f"more than {MAX_COMPONENTS} components", node.span)
        role = self.role(words, node.span) if words else inherited
        existing = into.get(name)
        if existing is not None:
            if positions is not None or not self.extends(existing, type_, children, role, path):
                raise Mistake("SP101", f"'{path}' is declared twice", name.span)
            return
        if not prefix and (name in self.files or name in self.isa.spaces):
            raise Mistake("SP101", f"'{path}' is declared twice", name.span)
        if word is not None and children:
            raise Mistake("SP206", f"'{path}' is a field of a word and cannot have fields", node.span, "use a layout")
        record = self.records.get(str(type_.children[0])) if type_ is not None else None
        if record is not None and type_ is not None:
            if positions is not None or word is not None or any(type_.children[1:]):
                raise Mistake("SP206", "a record stands by itself, neither in a word nor in an array", type_.span)
            self.record(record, into, name, path, role, children)
        elif children and type_ is None and positions is None:
            group = into[name] = GroupComponent(path)
            self.each(children, lambda item: self.component(item, group.children, path + ".", role, None))
        elif children:
            if type_ is None:
                raise Mistake("SP206", f"'{path}' needs a type to have fields with positions", node.span)
            group = into[name] = GroupComponent(path, layout=Layout(path, self.scalar(type_, _EMPTY)[0], {}))
            self.add_fields(group, children, role)
        else:
            self.leaf(node, into, path, role, doc, word)

    def record(self, record: Node, into: dict[str, Component], name: Word, path: str, role: core.Role | None, children: list[Node]) -> None:
        """A component that is an instance of a record."""
        kind, *items = record.children
        if kind in self.open_records:
            raise Mistake("SP306", f"record '{kind}' contains itself", name.span)
        group = into[name] = GroupComponent(path, record=str(kind))
        self.open_records.append(kind)
        self.each(items, lambda item: self.component(item, group.children, path + ".", role, None))
        self.open_records.pop()
        self.each(children, lambda item: self.override_role(item, group))

    def leaf(self, node: Node, into: dict[str, Component], path: str, role: core.Role | None, doc: str, word: int | None) -> None:
        """A component without components below it: a cell or an array."""
        name, positions, type_ = node.children[:3]
        width, layout, length = (0, None, None) if type_ is None else self.width_of(type_, _EMPTY)
        if positions is not None:
            if word is None:
                raise Mistake("SP211", f"'{path}' is not part of a word, so it has no bit positions", positions.span, "write ': bits(n)'")
            placed = sum(high - low + 1 for high, low in self.positions(positions, word))
            if type_ is not None and width != placed:
                raise Mistake("SP201", f"the positions are {bits(placed)}, the type {bits(width)}", node.span)
            width = placed
        elif type_ is None:
            raise Mistake("SP206", f"'{path}' needs a type", name.span, f"{name} : bits(8)")
        if role is None:
            raise Mistake("SP102", f"'{path}' needs a role", name.span, "one of " + ", ".join(core.ROLES))
        if length is None:
            self.isa.cells[path] = cell = core.Cell(path, width, role, doc, name.span)
            into[name] = CellComponent(cell, layout)
            return
        if word is not None:
            raise Mistake("SP206", f"'{path}' is a field of a word and cannot be an array", type_.span)
        if not 2 <= length <= MAX_ELEMENTS or length & (length - 1):
            raise Mistake("SP207", f"an array of length {shorten(length)} is not possible", type_.span, "a power of two, at most 65536")
        if role.name == "counter":
            raise Mistake("SP108", "the counter is a single component", name.span)
        self.isa.arrays[path] = array = core.Array(path, width, length, role, doc, name.span)
        into[name] = ArrayComponent(array, layout)

    def add_fields(self, group: GroupComponent, children: list[Node], role: core.Role | None) -> None:
        """Fields at bit positions of a word."""
        assert group.layout is not None
        taken = {bit for pieces in group.layout.fields.values() for high, low in pieces for bit in range(low, high + 1)}
        self.each(children, lambda item: self.add_field(item, group, role, taken))
        self.layouts[group.name] = group.layout

    def add_field(self, node: Node, group: GroupComponent, role: core.Role | None, taken: set[int]) -> None:
        name, positions = node.children[:2]
        assert group.layout is not None
        if positions is None:
            raise Mistake("SP211", f"'{name}' needs its bit positions in {group.name}", node.span)
        pieces = self.positions(positions, group.layout.width)
        own = {bit for high, low in pieces for bit in range(low, high + 1)}
        if taken & own:
            raise Mistake("SP106", f"'{name}' overlaps another field of {group.name}", positions.span)
        self.component(node, group.children, group.name + ".", role, group.layout.width)
        taken |= own
        group.layout.fields[name] = pieces

    def extends(self, existing: Component, type_: Node | None, children: list[Node], role: core.Role | None, path: str) -> bool:
        """An extension adds fields to a group of the description it extends."""
        if not isinstance(existing, GroupComponent) or type_ is not None or not children:
            return False
        if existing.layout is not None:
            self.add_fields(existing, children, role)
        else:
            self.each(children, lambda item: self.component(item, existing.children, path + ".", role, None))
        return True

    def override_role(self, node: Node, group: GroupComponent) -> None:
        """A line below an instance of a record."""
        name, *declared = node.children[:3]
        words = [w for w in node.children[3:] if isinstance(w, Word) and w.type == "NAME"]
        nested = [c for c in node.children[3:] if isinstance(c, Node)]
        if name not in group.children:
            raise self.unknown(name, list(group.children), name.span, f"field of {group.name}")
        if any(declared):
            raise Mistake("SP101", f"the record declares '{name}'; only its role can be given here", node.span)
        child = group.children[name]
        if words:
            self.set_role(child, self.role(words, node.span))
        if nested:
            if not isinstance(child, GroupComponent):
                raise Mistake("SP210", f"'{name}' has no fields", node.span)
            self.each(nested, lambda item: self.override_role(item, child))

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
        if not 2 <= len(members) <= MAX_MEMBERS or len(members) & (len(members) - 1):
            raise Mistake("SP207", f"a file has 2, 4, 8 ... {MAX_MEMBERS} members, this has {len(members)}", node.span, "fill it with _")
        out: list[Component | None] = []
        for member in members:
            if member == "_":
                out.append(None)
            elif member in self.state:
                out.append(self.state[member])
            else:
                raise self.unknown(member, list(self.state), member.span, "component")
        if not any(out):
            raise Mistake("SP207", "a file needs a member", node.span)
        self.files[name] = File(name, tuple(out))

    def d_space(self, node: Node) -> None:
        name, address, cell = node.children[:3]
        words = [w for w in node.children[3:] if isinstance(w, Word) and w.type == "NAME"]
        doc = next((str(w)[1:-1] for w in node.children[3:] if isinstance(w, Word) and w.type == "STRING"), "")
        clauses = {c.kind: c for c in node.children[3:] if isinstance(c, Node)}
        if len(clauses) < sum(isinstance(c, Node) for c in node.children[3:]):
            raise Mistake("SP101", "a clause is given twice", node.span)
        if name in self.isa.spaces or name in self.state or name in self.files:
            raise Mistake("SP101", f"'{name}' is declared twice", name.span)
        address_width = self.scalar(address, _EMPTY)[0]
        if address_width > MAX_ADDRESS:
            raise Mistake("SP207", f"addresses of {bits(address_width)} are not possible", address.span, f"at most {MAX_ADDRESS}")
        space = core.Space(str(name), address_width, self.scalar(cell, _EMPTY)[0], core.DATA, doc=doc, span=name.span)
        if words:
            space.role = self.role(words, node.span)
            if space.role.name == "counter":
                raise Mistake("SP108", "the counter is a single component", name.span)
        if "onto" in clauses:
            space.onto = self.named_space(clauses["onto"].children[0])
            if space.onto.cell_width != space.cell_width:
                raise Mistake("SP201", f"{space.onto.name} has cells of {bits(space.onto.cell_width)}", clauses["onto"].span)
            if "through" not in clauses and space.onto.address_width != address_width:
                raise Mistake("SP201", f"{space.onto.name} has addresses of {bits(space.onto.address_width)}", clauses["onto"].span)
        elif "through" in clauses or "at" in clauses:
            raise Mistake("SP107", f"'{name}' needs 'onto SPACE'", node.span)
        elif not words:
            raise Mistake("SP102", f"'{name}' needs a role", name.span, "one of " + ", ".join(core.ROLES))
        if "granule" in clauses:
            space.granule = number(clauses["granule"].children[0])
            if not 0 <= space.granule <= address_width:
                raise Mistake("SP207", f"a granule of 2^{shorten(space.granule)} is not possible", clauses["granule"].span)
        if "at" in clauses:
            if "through" in clauses:
                raise Mistake("SP107", "a space is a table or goes through a translation, not both", node.span)
            place = self.infer(clauses["at"].children[0], Body("expression"), None)
            component = place.component if isinstance(place, Place) else None
            if not isinstance(component, CellComponent) or component.cell.width != space.address_width:
                raise Mistake("SP107", "the start of a table is one component, as wide as the addresses", clauses["at"].span)
            space.base = component.cell
        if "like" in clauses:
            space.like = self.named_space(clauses["like"].children[0])
            if (space.like.address_width, space.like.cell_width) != (address_width, space.cell_width):
                raise Mistake("SP201", f"{space.like.name} has other addresses or cells", clauses["like"].span)
        if "recorded" in clauses:
            space.recorded = self.recording(space, clauses["recorded"].children[0])
        self.isa.spaces[name] = space
        if "through" in clauses:
            self.translated.append((space, clauses["through"].children[0]))

    def recording(self, space: core.Space, name: Word) -> core.Space:
        """The space with two bits for each block of ``space``."""
        held = self.named_space(name)
        if not space.physical or not held.physical or held.recorded is not None:
            raise Mistake("SP107", "a space that holds something itself is recorded in one that does, and is not recorded", name.span)
        if held.cell_width != 2:
            raise Mistake("SP201", f"{name} has cells of {bits(held.cell_width)}", name.span, "two bits are recorded: referenced, changed")
        if held.address_width > space.address_width:
            raise Mistake("SP201", f"{name} has more cells than {space.name}", name.span, "a cell is for a block of addresses")
        return held

    def named_space(self, name: Word) -> core.Space:
        if name not in self.isa.spaces:
            raise self.unknown(name, list(self.isa.spaces), name.span, "space")
        return self.isa.spaces[name]
