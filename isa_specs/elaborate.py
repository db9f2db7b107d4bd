"""From syntax trees to the core form: the order in which declarations are given meaning.

Types and state come first, then the signatures of everything callable, then bodies. Functions are instantiated
where they are called (:mod:`isa_specs.functions`). All mistakes of a file are collected before it is refused.
"""

from __future__ import annotations

from isa_specs import core, expectations
from isa_specs.conflicts import check_conditions, check_encodings
from isa_specs.cost import Costs
from isa_specs.declarations import Declarations
from isa_specs.diagnostics import Diagnostic, Enough, Mistake, Mistakes, Span, SpecError
from isa_specs.families import Families
from isa_specs.guards import late_guards
from isa_specs.instructions import sections
from isa_specs.reader import Node, Word
from isa_specs.removals import remaining
from isa_specs.scope import Body, CellComponent, Component, Definition, GroupComponent

PREDEFINED = {"read": (0, 2), "write": (1, 2), "execute": (2, 2)}
# Reading real descriptions takes a step for every four characters; families and instances multiply, within limits.
BASE_STEPS = 60_000

_ORDER = (
    ("order", "const", "names"),
    ("layout",),
    ("record",),
    ("state",),
    ("file",),
    ("prefix", "field", "format"),
    ("space",),
    ("function", "procedure", "accessor", "extern", "translation"),
    ("trap",),
    ("context", "modes"),
)


class Elaborator(Declarations):
    """Gives meaning to the declarations of one description and those it extends."""

    def __init__(self, name: str, title: str, cites: str, size: int):
        placeholder = core.Cell("counter", 32, core.Role("counter"))
        self.isa = core.Isa(name, title, cites, "lsb0", "little", [], placeholder)
        self.errors = Mistakes()
        self.steps, self.levels, self.components = BASE_STEPS + size, 0, 0
        self.broken: set[str] = set()
        self.msb0 = False
        self.orders: dict[str, str] = {}
        self.consts: dict[str, tuple[int, int | None]] = dict(PREDEFINED)
        self.state, self.files, self.layouts, self.records, self.open_records = {}, {}, {}, {}, []
        self.global_fields: dict[str, int] = dict(core.MODRM_FIELDS)
        self.definitions: dict[str, Definition] = {}
        self.instances = {}
        self.translated = []
        self.translations: dict[str, Node] = {}
        self.formats: dict[str, core.Format] = {}
        self.deliveries: list[tuple[core.Trap, Node, Body]] = []
        self.outside: dict[str, Node] = {}
        self.patches, self.decided, self.undecided = {}, set(), {}
        self.where_places, self.context_places = {}, {}
        self.conditions = []
        self.expected, self.monitor_expects, self.file_order = [], {}, []
        self.broken_monitors: set[str] = set()

    def run(self, nodes: list[Node]) -> core.Isa:
        """Read all declarations. Raises :class:`SpecError` with every mistake found."""
        try:
            self.declare(nodes)
            if not self.errors:
                self.check()
        except Mistake as mistake:
            self.errors.append(mistake.diagnostic)
        except Enough:
            pass
        if self.errors:
            raise SpecError(sorted(self.errors, key=lambda d: (d.code == "SP005", d.span, d.code)))
        return self.isa

    def declare(self, nodes: list[Node]) -> None:
        self.file_order = list(dict.fromkeys(node.span.file for node in nodes))
        nodes = remaining(Families(self.errors).expand(nodes), self.errors)
        self.sections = sections(nodes)
        by_kind: dict[str, list[Node]] = {}
        for node in nodes:
            by_kind.setdefault(node.kind, []).append(node)
        for kinds in _ORDER:
            noted = self.errors.noted
            self.each((n for n in nodes if n.kind in kinds), lambda n: getattr(self, f"d_{n.kind}")(n))
            if "state" in kinds and noted == self.errors.noted:
                self.settle_counter(by_kind)
        self.link_translations()
        for trap, block, body in self.deliveries:
            self.guarded(lambda trap=trap, block=block, body=body: self.delivery(trap, block, body), block)  # type: ignore[misc]
        self.each(by_kind.get("interrupt", []), self.d_interrupt)
        self.each(self.outside.values(), self.interrupt)  # those in force: what is replaced need not fit any more
        for kind in ("idle", "invariant", "fetch", "illegal", "expect"):
            self.each(by_kind.get(kind, []), lambda n: getattr(self, f"d_{n.kind}")(n))
        self.d_instructions(by_kind.get("instruction", []), by_kind.get("patch_before", []) + by_kind.get("patch_after", []))
        self.each(by_kind.get("monitor", []), self.d_monitor)
        for monitor in self.isa.monitors.values():
            if monitor.name not in self.broken_monitors:
                self.check_monitor(monitor)
            monitor.expects = expectations.in_force(self.monitor_expects.get(monitor.name, []), self.file_order)
        self.isa.expects = expectations.in_force(self.expected, self.file_order)
        self.check_uncalled()
        self.check_whole(by_kind["isa"][-1].span)
        self.collect_registers(self.state)

    # ---- the whole ------------------------------------------------------------------------------------

    def settle_counter(self, by_kind: dict[str, list[Node]]) -> None:
        counters = [cell for cell in self.isa.cells.values() if cell.role.name == "counter"]
        if len(counters) == 1:
            self.isa.counter = counters[0]
        else:
            where = counters[1].span if counters else by_kind["isa"][-1].span
            self.errors.append(Diagnostic("SP108", f"a machine has one counter, this has {len(counters)}", where,
                                          "give the program counter the role 'counter'"))

    def link_translations(self) -> None:
        built: dict[str, tuple[core.Function, core.Expr | None]] = {}
        for space, name in self.translated:
            def link(space: core.Space = space, name: Word = name) -> None:
                if name not in self.translations:
                    raise self.unknown(name, list(self.translations), name.span, "translation")
                if name not in built:
                    built[name] = self.translation(self.translations[name])
                space.translation, space.identity = built[name]
                assert space.onto is not None
                if space.translation.params[0][1] != space.address_width or space.translation.result != space.onto.address_width:
                    raise Mistake("SP201", f"'{name}' does not fit the addresses of {space.name} and {space.onto.name}", name.span)
            self.guarded(link, self.translations.get(name))

    def check_uncalled(self) -> None:
        """Functions nobody calls are read too, where their parameters say the widths."""
        used = {key[0] for key in self.instances}
        for definition in list(self.definitions.values()):
            if definition.name in used or definition.kind == "extern":
                continue
            if any(type_ is None for _, type_, _ in definition.params):
                continue
            self.guarded(lambda definition=definition: self.check_alone(definition), definition.node)  # type: ignore[misc]

    def check_alone(self, definition: Definition) -> None:
        generic = []
        for _, type_, _ in definition.params:
            assert type_ is not None
            argument = type_.children[1]
            if argument is not None and argument.kind == "name" and argument.children[0] not in self.consts:
                generic.append(argument.children[0])
        if not generic:
            self.instance(definition, "get" if definition.kind == "accessor" else "body", {}, definition.node)
            if definition.kind == "accessor":
                self.instance(definition, "set", {}, definition.node)

    def check_whole(self, where: Span) -> None:
        isa = self.isa
        if not isa.forms:
            return
        for name in ("supervisor", "user"):
            if name not in isa.modes and name not in self.broken:
                self.errors.append(Diagnostic("SP109", f"mode '{name}' is missing", where, f"mode {name} when ..."))
        if isa.fetch is None and "fetch" not in self.broken:
            self.errors.append(Diagnostic("SP107", "'fetch' is missing", where, "fetch (a : bits(32)) says how instruction bytes are read"))
        if isa.illegal is None and "illegal" not in self.broken:
            self.errors.append(Diagnostic("SP107", "'illegal' is missing", where, "illegal TRAP says what bytes without meaning cause"))

    def collect_registers(self, components: dict[str, Component]) -> None:
        for component in components.values():
            if isinstance(component, GroupComponent):
                if component.layout is not None:
                    self.isa.registers[component.name] = register(component)
                self.collect_registers(component.children)

    def check(self) -> None:
        """What can only be said of a description without other mistakes."""
        isa = self.isa
        costs = Costs(self.errors)
        for function in isa.functions.values():  # called ones come before those that call them
            costs.measure(function)
        outside = [interrupt.trap for interrupt in isa.interrupts.values()]
        bodies = [isa.fetch, *(trap.delivery for trap in (*isa.traps.values(), *outside))]
        for body in bodies:
            if body is not None:
                costs.measure(body)
        for form in isa.forms:
            costs.body(form.body, form.span)
        for expr, span in self.conditions:
            costs.expression(expr, span)
        for name, expr in isa.contexts.items():
            costs.condition(expr, self.context_places[name])
        for form in isa.forms:
            if form.where is not None:
                costs.condition(form.where, self.where_places[form])
        if not self.errors:
            check_conditions(isa, self.where_places, self.context_places, self.errors)
        if not self.errors:
            check_encodings(isa, self.errors)
            isa.warnings += late_guards(isa)


def register(group: GroupComponent) -> core.Register:
    """The word a group with positions is."""
    assert group.layout is not None
    fields = []
    for name, pieces in group.layout.fields.items():
        child = group.children[name]
        assert isinstance(child, CellComponent)
        at = child.cell.width
        placed = []
        for high, low in pieces:
            placed.append((at - 1, at - 1 - (high - low), low))
            at -= high - low + 1
        fields.append((child.cell, tuple(placed)))
    return core.Register(group.name, group.layout.width, tuple(fields))
