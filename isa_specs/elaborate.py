"""From syntax trees to the core form: the order in which declarations are given meaning.

Types and state come first, then the signatures of everything callable, then bodies. Functions are instantiated
where they are called (:mod:`isa_specs.functions`). All mistakes of a file are collected before it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from isa_specs import core
from isa_specs.diagnostics import Diagnostic, Mistake, SpecError, nearest
from isa_specs.expressions import Number, number
from isa_specs.families import expand
from isa_specs.instructions import Instructions
from isa_specs.reader import Node, Word
from isa_specs.scope import Body, Cascade, CellComponent, Component, Definition, GroupComponent, unknown

PREDEFINED = {"read": (0, 2), "write": (1, 2), "execute": (2, 2)}

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


class Elaborator(Instructions):
    """Gives meaning to the declarations of one description and those it extends."""

    def __init__(self, name: str, title: str, cites: str):
        placeholder = core.Cell("counter", 32, core.Role("counter"))
        self.isa = core.Isa(name, title, cites, "lsb0", "little", [], placeholder)
        self.errors: list[Diagnostic] = []
        self.msb0 = False
        self.consts: dict[str, tuple[int, int | None]] = dict(PREDEFINED)
        self.state, self.files, self.layouts, self.records = {}, {}, {}, {}
        self.global_fields: dict[str, int] = dict(core.MODRM_FIELDS)
        self.definitions: dict[str, Definition] = {}
        self.instances = {}
        self.counters: list[core.Cell] = []
        self.translated = []
        self.translations: dict[str, Node] = {}
        self.formats: dict[str, core.Format] = {}
        self.deliveries: list[tuple[core.Trap, Node, Body]] = []
        self.patches: list[Node] = []

    def run(self, nodes: list[Node]) -> core.Isa:
        """Read all declarations. Raises :class:`SpecError` with every mistake found."""
        try:
            nodes = expand(nodes)
        except Mistake as mistake:
            raise SpecError([mistake.diagnostic]) from None
        by_kind: dict[str, list[Node]] = {}
        for node in nodes:
            by_kind.setdefault(node.kind, []).append(node)
        for kinds in _ORDER:
            self.each((n for n in nodes if n.kind in kinds), lambda n: getattr(self, f"d_{n.kind}")(n))
            if "state" in kinds:
                self.settle_counter(by_kind)
        self.link_translations()
        for trap, block, body in self.deliveries:
            self.guarded(lambda trap=trap, block=block, body=body: self.delivery(trap, block, body))  # type: ignore[misc]
        self.patches = by_kind.get("patch_before", []) + by_kind.get("patch_after", [])
        for kind in ("invariant", "fetch", "illegal", "expect"):
            self.each(by_kind.get(kind, []), lambda n: getattr(self, f"d_{n.kind}")(n))
        self.d_instructions(by_kind.get("instruction", []))
        self.each(by_kind.get("monitor", []), self.d_monitor)
        for monitor in self.isa.monitors.values():
            self.check_monitor(monitor)
        self.check_uncalled()
        self.check_whole()
        self.collect_registers(self.state)
        if self.errors:
            unique = dict.fromkeys(self.errors)
            raise SpecError(sorted(unique, key=lambda d: (d.span.file, d.span.line, d.span.column, d.code)))
        return self.isa

    def each(self, nodes: Iterable[Node], read: Callable[[Node], None]) -> None:
        for node in nodes:
            self.guarded(lambda node=node: read(node))  # type: ignore[misc]

    def guarded(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Mistake as mistake:
            self.errors.append(mistake.diagnostic)
        except Cascade:
            pass

    # ---- header and constants ------------------------------------------------------------------

    def d_order(self, node: Node) -> None:
        what, value = node.children
        allowed = ("msb0", "lsb0") if what == "bits" else ("big", "little")
        if value not in allowed:
            raise Mistake("SP103", f"unknown order '{value}'", value.span, f"'{what}' is {' or '.join(allowed)}")
        setattr(self.isa, str(what), str(value))
        self.msb0 = self.isa.bits == "msb0"

    def d_const(self, node: Node) -> None:
        for binding in node.children:
            name, type_, expr = binding.children
            if name in self.consts:
                raise Mistake("SP101", f"constant '{name}' is declared twice", name.span)
            body = Body("expression")
            width = self.width_of(type_, body)[0] if type_ is not None else None
            result = self.infer(expr, body, width)
            if isinstance(result, Number):
                value = result.value if width is None else self.const(result.value, width, expr.span).value
                self.consts[name] = (value, width)
            else:
                self.consts[name] = (self.constant(expr, body), self.settle(result, expr, width).expr.width)

    def d_names(self, node: Node) -> None:
        name, keyword, *words = node.children
        if name in self.isa.names:
            raise Mistake("SP101", f"names '{name}' are declared twice", name.span)
        self.isa.names[name] = (str(keyword)[1:-1] if keyword is not None else "", tuple(map(str, words)))

    def settle_counter(self, by_kind: dict[str, list[Node]]) -> None:
        if len(self.counters) == 1:
            self.isa.counter = self.counters[0]
        elif by_kind.get("state") or by_kind.get("isa"):
            where = self.counters[1].span if self.counters else by_kind["isa"][-1].span
            self.errors.append(Diagnostic("SP108", f"a machine has one counter, this has {len(self.counters)}", where,
                                          "give the program counter the role 'counter'"))

    def d_prefix(self, node: Node) -> None:
        name, type_, *bytes_ = node.children
        width = self.width_of(type_, Body("expression"))[0]
        out = []
        for item in bytes_:
            out.append((int(item.children[0], 16), self.const(number(item.children[1]), width, item.span).value))
        taken = {byte for prefix in self.isa.prefixes.values() for byte, _ in prefix.bytes}
        if name in self.global_fields:
            raise Mistake("SP101", f"field '{name}' is declared twice", name.span)
        if any(byte in taken for byte, _ in out):
            raise Mistake("SP106", f"a byte of prefix '{name}' is taken by another prefix", node.span)
        self.isa.prefixes[name] = core.Prefix(str(name), width, tuple(out))
        self.global_fields[name] = width

    def d_field(self, node: Node) -> None:
        *names, type_ = node.children
        width = self.width_of(type_, Body("expression"))[0]
        for name in names:
            if self.global_fields.get(name, width) != width:
                raise Mistake("SP101", f"field '{name}' is declared with another width", name.span)
            self.global_fields[name] = width

    def d_format(self, node: Node) -> None:
        name, *fields = node.children
        if name in self.formats:
            raise Mistake("SP101", f"format '{name}' is declared twice", name.span)
        out = []
        for item in fields:
            width = number(item.children[1]) if len(item.children[1]) < 6 else 1 << 20
            if not 1 <= width <= 64:
                raise Mistake("SP207", f"a field of {width} bits is not possible", item.span)
            out.append((str(item.children[0]), width))
        if sum(width for _, width in out) % 8:
            raise Mistake("SP207", f"format '{name}' is not a whole number of bytes", node.span)
        if len({n for n, _ in out}) != len(out):
            raise Mistake("SP101", f"format '{name}' has two fields of one name", node.span)
        self.formats[name] = core.Format(str(name), tuple(out))

    def d_context(self, node: Node) -> None:
        name, type_, expr = node.children
        width = self.width_of(type_, Body("expression"))[0]
        if name in self.global_fields and name not in self.isa.contexts:
            raise Mistake("SP101", f"field '{name}' is declared twice", name.span)
        self.isa.contexts[name] = self.expr(expr, Body("expression"), width)
        self.global_fields[name] = width

    # ---- callables -------------------------------------------------------------------------------

    def define(self, node: Node, kind: str, params: Node | None, result: Node | None) -> None:
        override, name = (None, node.children[0]) if kind == "extern" else node.children[:2]
        if name in self.isa.spaces:
            raise Mistake("SP101", f"'{name}' is a space", name.span)
        if name in self.definitions and override is None:
            raise Mistake("SP101", f"'{name}' is declared twice", name.span, "an extension replaces with 'override'")
        if override is not None and name not in self.definitions:
            raise unknown(name, list(self.definitions), name.span, "function to override")
        listed = [(str(p.children[0]), p.children[1], p.span) for p in (params.children if params is not None else [])]
        self.definitions[name] = Definition(kind, str(name), listed, result, node)

    def d_function(self, node: Node) -> None:
        kind = "function" if node.children[3] is not None else "procedure"
        self.define(node, kind, node.children[2], node.children[3])

    def d_procedure(self, node: Node) -> None:
        self.define(node, "procedure", node.children[2], None)

    def d_accessor(self, node: Node) -> None:
        self.define(node, "accessor", node.children[2], node.children[3])

    def d_extern(self, node: Node) -> None:
        self.define(node, "extern", node.children[1], node.children[2])

    def d_translation(self, node: Node) -> None:
        override, name = node.children[:2]
        if name in self.translations and override is None:
            raise Mistake("SP101", f"'{name}' is declared twice", name.span, "an extension replaces with 'override'")
        self.translations[name] = node

    def link_translations(self) -> None:
        built: dict[str, tuple[core.Function, core.Expr | None]] = {}
        for space, name in self.translated:
            def link(space: core.Space = space, name: Word = name) -> None:
                if name not in self.translations:
                    raise unknown(name, list(self.translations), name.span, "translation")
                if name not in built:
                    built[name] = self.translation(self.translations[name])
                space.translation, space.identity = built[name]
                assert space.onto is not None and space.translation is not None
                if space.translation.params[0][1] != space.address_width or space.translation.result != space.onto.address_width:
                    raise Mistake("SP201", f"'{name}' does not fit the addresses of {space.name} and {space.onto.name}", name.span)
            self.guarded(link)

    def translation(self, node: Node) -> tuple[core.Function, core.Expr | None]:
        _, name, params, result, word, identity, block = node.children
        if word is not None and word != "identity":
            raise Mistake("SP107", f"unexpected '{word}'", word.span, "identity when ...")
        body = Body("translation")
        listed = self.params(params, body)
        if len(listed) != 2 or listed[1][1] != 2:
            raise Mistake("SP107", "a translation takes an address and the access", node.span, "(a : bits(32), access : bits(2))")
        body.result = self.width_of(result, body)[0]
        condition = self.condition(identity, Body("expression")) if identity is not None else None
        statements = self.block(block, body)
        self.check_fields(body, {}, "a translation")
        function = core.Function(str(name), listed, body.result, statements, not body.impure, node.span)
        self.isa.functions[str(name)] = function
        return function, condition

    def d_trap(self, node: Node) -> None:
        override, name, params = node.children[:3]
        words = [w for w in node.children[3:] if isinstance(w, Word) and w.type == "NAME"]
        doc = next((str(w)[1:-1] for w in node.children[3:] if isinstance(w, Word) and w.type == "STRING"), "")
        block = node.children[-1] if isinstance(node.children[-1], Node) else None
        if name in self.isa.traps and override is None:
            raise Mistake("SP101", f"trap '{name}' is declared twice", name.span, "an extension replaces with 'override'")
        kind, ending = "", ""
        for word in words:
            if word in core.TRAP_KINDS:
                kind = str(word)
            elif word in core.ENDINGS:
                ending = str(word)
            else:
                raise Mistake("SP103", f"unknown word '{word}' for a trap", word.span,
                              nearest(word, core.TRAP_KINDS + core.ENDINGS) or "a kind and an ending")
        if not kind or not ending:
            raise Mistake("SP103", f"trap '{name}' needs a kind and an ending", name.span,
                          "one of " + ", ".join(core.TRAP_KINDS) + "; one of " + ", ".join(core.ENDINGS))
        body = Body("delivery")
        trap = core.Trap(str(name), self.params(params, body), kind, ending, doc, None, name.span)
        self.isa.traps[name] = trap
        if block is not None:
            self.deliveries.append((trap, block, body))

    def delivery(self, trap: core.Trap, block: Node, body: Body) -> None:
        if self.isa.traps.get(trap.name) is not trap:
            return
        statements = self.block(block, body)
        self.check_fields(body, {}, "a delivery")
        trap.delivery = core.Function(f"deliver_{trap.name}", trap.params, None, statements, False, trap.span)

    # ---- modes, invariants, fetch ------------------------------------------------------------------

    def d_modes(self, node: Node) -> None:
        name, expr = node.children
        if name not in ("supervisor", "user"):
            raise Mistake("SP109", f"unknown mode '{name}'", name.span, "supervisor or user")
        if name in self.isa.modes:
            raise Mistake("SP101", f"mode '{name}' is declared twice", name.span)
        self.isa.modes[name] = self.condition(expr, Body("expression"))

    def d_invariant(self, node: Node) -> None:
        text, expr = node.children
        self.isa.invariants.append((str(text)[1:-1], self.condition(expr, Body("expression"))))

    def d_fetch(self, node: Node) -> None:
        _, params, block = node.children
        body = Body("translation")
        listed = self.params(params, body)
        if len(listed) != 1:
            raise Mistake("SP107", "fetch takes one address", node.span)
        body.result = 8
        statements = self.block(block, body)
        self.isa.fetch = core.Function("fetch", listed, 8, statements, False, node.span)

    def d_illegal(self, node: Node) -> None:
        self.isa.illegal = self.trap_call(node.children[0], Body("expression"))

    def d_expect(self, node: Node) -> None:
        self.isa.expects.append(tuple(map(str, node.children)))

    def collect_registers(self, components: dict[str, Component]) -> None:
        for component in components.values():
            if not isinstance(component, GroupComponent):
                continue
            if component.layout is not None:
                fields = []
                for name, pieces in component.layout.fields.items():
                    child = component.children[name]
                    assert isinstance(child, CellComponent)
                    at, placed = child.cell.width, []
                    for high, low in pieces:
                        placed.append((at - 1, at - 1 - (high - low), low))
                        at -= high - low + 1
                    fields.append((child.cell, tuple(placed)))
                self.isa.registers[component.name] = core.Register(component.name, component.layout.width, tuple(fields))
            self.collect_registers(component.children)

    # ---- the whole ------------------------------------------------------------------------------------

    def check_uncalled(self) -> None:
        """Functions nobody calls are read too, where their parameters say the widths."""
        used = {key[0] for key in self.instances}
        for definition in list(self.definitions.values()):
            if definition.name in used or definition.kind == "extern":
                continue
            if any(type_ is None for _, type_, _ in definition.params):
                continue
            self.guarded(lambda definition=definition: self.check_alone(definition))  # type: ignore[misc]

    def check_alone(self, definition: Definition) -> None:
        generic = []
        for _, type_, _ in definition.params:
            assert type_ is not None
            argument = type_.children[1]
            if argument is not None and argument.kind == "name" and argument.children[0] not in self.consts:
                generic.append(argument.children[0])
        if not generic:
            self.instance(definition, "get" if definition.kind == "accessor" else "body", {}, definition.node)

    def check_whole(self) -> None:
        isa = self.isa
        where = isa.counter.span
        for name in ("supervisor", "user"):
            if name not in isa.modes and isa.forms:
                self.errors.append(Diagnostic("SP109", f"mode '{name}' is missing", where, f"mode {name} when ..."))
        if isa.forms and isa.fetch is None:
            self.errors.append(Diagnostic("SP107", "'fetch' is missing", where, "fetch (a : bits(32)) says how instruction bytes are read"))
        if isa.forms and isa.illegal is None:
            self.errors.append(Diagnostic("SP107", "'illegal' is missing", where, "illegal TRAP says what bytes without meaning cause"))
