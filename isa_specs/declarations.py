"""Declarations: order, constants, fields, formats, functions, traps, modes and what else is not state or instruction."""

from __future__ import annotations

from collections.abc import Iterable

from isa_specs import core, expectations
from isa_specs.diagnostics import Mistake, Span, nearest
from isa_specs.elements import MAX_LENGTH
from isa_specs.expressions import AMBIENT
from isa_specs.instructions import Instructions
from isa_specs.reader import Node, Word
from isa_specs.scope import Body, Cascade, Definition
from isa_specs.statements import ends
from isa_specs.values import Number, bits, number

MAX_FIELD = 64


class Declarations(Instructions):
    """The part of the elaborator that reads the declarations of a file one by one."""

    orders: dict[str, str]
    translations: dict[str, Node]
    deliveries: list[tuple[core.Trap, Node, Body]]
    outside: dict[str, Node]  # interrupts in force, as declared
    context_places: dict[str, Span]
    expected: list[expectations.Expectation]

    # ---- header and constants ------------------------------------------------------------------

    def d_order(self, node: Node) -> None:
        what, value = node.children
        allowed = ("msb0", "lsb0") if what == "bits" else ("big", "little")
        if value not in allowed:
            raise Mistake("SP103", f"unknown order '{value}'", value.span, f"'{what}' is {' or '.join(allowed)}")
        if self.orders.setdefault(str(what), str(value)) != value:
            raise Mistake("SP101", f"'{what} {self.orders[what]}' is declared already", value.span,
                          "an extension keeps the order of its base")
        setattr(self.isa, str(what), str(value))
        self.msb0 = self.isa.bits == "msb0"

    def d_const(self, node: Node) -> None:
        for binding in node.children:
            name, type_, expr = binding.children
            if name in self.consts:
                raise Mistake("SP101", f"constant '{name}' is declared twice", name.span)
            body = Body("expression")
            width = self.scalar(type_, body)[0] if type_ is not None else None
            result = self.infer(expr, body, width)
            if isinstance(result, Number):
                value = result.value if width is None else self.const(result.value, width, expr.span).value
                self.consts[name] = (value, width)
                continue
            made = self.settle(result, expr, width).expr
            if not isinstance(made, core.Const):
                raise Mistake("SP205", "a constant is needed here", expr.span)
            if width not in (None, made.width):
                raise Mistake("SP201", f"this is {bits(made.width)} wide, {bits(width)} needed", expr.span)
            self.consts[name] = (made.value, made.width)

    def d_names(self, node: Node) -> None:
        name, keyword, *words = node.children
        if name in self.isa.names:
            raise Mistake("SP101", f"names '{name}' are declared twice", name.span)
        self.isa.names[name] = (str(keyword)[1:-1] if keyword is not None else "", tuple(map(str, words)))

    def d_prefix(self, node: Node) -> None:
        name, type_, *bytes_ = node.children
        width = self.field_width(type_)
        self.new_field(name)
        taken = {byte for prefix in self.isa.prefixes.values() for byte, _ in prefix.bytes}
        out = []
        for item in bytes_:
            byte = int(item.children[0], 16)
            if byte in taken:
                raise Mistake("SP106", f"the byte {byte:02X} is another prefix already", item.span)
            taken.add(byte)
            out.append((byte, self.const(number(item.children[1]), width, item.span).value))
        self.isa.prefixes[name] = core.Prefix(str(name), width, tuple(out))
        self.global_fields[name] = width

    def d_field(self, node: Node) -> None:
        *names, type_ = node.children
        width = self.field_width(type_)
        for name in names:
            self.not_ambient(name)
            if self.global_fields.get(name, width) != width:
                raise Mistake("SP101", f"field '{name}' is declared with another width", name.span)
            self.global_fields[name] = width

    def field_width(self, type_: Node) -> int:
        width = self.scalar(type_, Body("expression"))[0]
        if width > MAX_FIELD:
            raise Mistake("SP207", f"a field of {bits(width)} is not possible", type_.span, f"at most {MAX_FIELD}")
        return width

    def new_field(self, name: Word) -> None:
        self.not_ambient(name)
        if name in self.global_fields:
            raise Mistake("SP101", f"field '{name}' is declared twice", name.span)

    @staticmethod
    def not_ambient(name: Word) -> None:
        if name in AMBIENT:
            raise Mistake("SP101", f"'{name}' is predefined", name.span)

    def d_format(self, node: Node) -> None:
        name, *fields = node.children
        if name in self.formats:
            raise Mistake("SP101", f"format '{name}' is declared twice", name.span)
        out: list[tuple[str, int]] = []
        for item in fields:
            key, width = item.children[0], number(item.children[1])
            self.not_ambient(key)
            if not 1 <= width <= MAX_FIELD:
                raise Mistake("SP207", f"a field of {bits(width)} is not possible", item.span, f"at most {MAX_FIELD}")
            if any(key == other for other, _ in out):
                raise Mistake("SP101", f"format '{name}' has two fields '{key}'", item.span)
            out.append((str(key), width))
        length = sum(width for _, width in out)
        if length % 8 or length > 8 * MAX_LENGTH:
            raise Mistake("SP207", f"format '{name}' has {length} bits", node.span, f"whole bytes, at most {MAX_LENGTH}")
        self.formats[name] = core.Format(str(name), tuple(out))

    def d_context(self, node: Node) -> None:
        name, type_, expr = node.children
        width = self.field_width(type_)
        known = self.context_places.get(str(name))
        if known is None or known.file == node.span.file:  # an extension may compute it otherwise
            self.new_field(name)
        before = [*self.isa.prefixes, *(other for other in self.isa.contexts if other != name)]
        self.isa.contexts[name] = self.plain(expr, width, "a context", before)
        self.context_places[str(name)] = expr.span
        self.global_fields[name] = width

    # ---- callables -------------------------------------------------------------------------------

    def define(self, node: Node, kind: str, params: Node | None, result: Node | None) -> None:
        override, name = (None, node.children[0]) if kind == "extern" else node.children[:2]
        if name in self.isa.spaces:
            raise Mistake("SP101", f"'{name}' is a space", name.span)
        if name in self.definitions and override is None:
            raise Mistake("SP101", f"'{name}' is declared twice", name.span, "an extension replaces with 'override'")
        if override is not None and name not in self.definitions:
            raise self.unknown(name, list(self.definitions), name.span, "function to override")
        listed = [(str(p.children[0]), p.children[1], p.span) for p in (params.children if params is not None else [])]
        for position, (param, _, span) in enumerate(listed):
            if any(param == other for other, _, _ in listed[:position]):
                raise Mistake("SP101", f"parameter '{param}' is declared twice", span)
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
        if override is not None and name not in self.translations:
            raise self.unknown(name, list(self.translations), name.span, "translation to override")
        self.translations[name] = node

    def translation(self, node: Node) -> tuple[core.Function, core.Expr | None]:
        _, name, params, result, word, identity, block = node.children
        if word is not None and word != "identity":
            raise Mistake("SP107", f"unexpected '{word}'", word.span, "identity when ...")
        body = Body("translation")
        listed = self.params(params, body)
        if len(listed) != 2 or listed[1][1] != 2:
            raise Mistake("SP107", "a translation takes an address and the access", node.span, "(a : bits(32), access : bits(2))")
        body.result = self.scalar(result, body)[0]
        condition = self.plain(identity, 1, "'identity when'") if identity is not None else None
        statements = self.whole_body(block, body, node, "a translation")
        function = core.Function(str(name), listed, body.result, statements, not body.impure, node.span)
        if condition is not None and identity is not None:
            self.conditions.append((condition, identity.span))
        return self.register_function(function), condition

    def whole_body(self, block: Node, body: Body, node: Node, what: str, available: Iterable[str] = ()) -> list[core.Stmt]:
        """A body that is read once, without an instruction around it."""
        before = self.errors.noted
        statements = self.block(block, body)
        self.check_fields(body, available, what)
        if self.errors.noted > before:
            raise Cascade
        if body.result is not None and not ends(statements):
            raise Mistake("SP304", f"not every path through {what} returns a value", node.span)
        return statements

    def d_trap(self, node: Node) -> None:
        override, name, params = node.children[:3]
        words = [w for w in node.children[3:] if isinstance(w, Word) and w.type == "NAME"]
        doc = next((str(w)[1:-1] for w in node.children[3:] if isinstance(w, Word) and w.type == "STRING"), "")
        block = node.children[-1] if isinstance(node.children[-1], Node) else None
        if name in self.isa.traps and override is None:
            raise Mistake("SP101", f"trap '{name}' is declared twice", name.span, "an extension replaces with 'override'")
        if override is not None and name not in self.isa.traps:
            raise self.unknown(name, list(self.isa.traps), name.span, "trap to override")
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
        statements = self.whole_body(block, body, block, "a delivery", ["ilen"])
        trap.delivery = core.Function(f"deliver_{trap.name}", trap.params, None, statements, False, trap.span)

    # ---- interrupts --------------------------------------------------------------------------------

    def d_interrupt(self, node: Node) -> None:
        override, name = node.children[:2]
        if name in self.outside and override is None:
            raise Mistake("SP101", f"interrupt '{name}' is declared twice", name.span, "an extension replaces with 'override'")
        if override is not None and name not in self.outside:
            raise self.unknown(name, list(self.outside), name.span, "interrupt to override")
        self.outside[str(name)] = node

    def interrupt(self, node: Node) -> None:
        _, name, params, when, doc, block = node.children
        body = Body("delivery")
        listed = self.params(params, body)
        trap = core.Trap(str(name), listed, "exit", "complete", str(doc)[1:-1] if doc else "", None, name.span)
        statements = self.whole_body(block, body, block, "an interrupt", ["ilen"])
        trap.delivery = core.Function(f"interrupt_{name}", listed, None, statements, False, name.span)
        asked = Body("expression")
        asked.fields = dict(trap.params)  # what the device tells is known when it asks
        condition = self.plain(when, 1, "the condition of an interrupt", asked.fields, asked)
        self.conditions.append((condition, when.span))
        self.isa.interrupts[str(name)] = core.Interrupt(str(name), condition, trap, name.span)

    def d_idle(self, node: Node) -> None:
        (when,) = node.children
        if self.isa.idle is not None:
            raise Mistake("SP101", "when the processor is idle is said twice", node.span)
        self.isa.idle = self.plain(when, 1, "idle")
        self.conditions.append((self.isa.idle, when.span))

    # ---- modes, invariants, fetch ------------------------------------------------------------------

    def d_modes(self, node: Node) -> None:
        name, expr = node.children
        if name not in ("supervisor", "user"):
            raise Mistake("SP109", f"unknown mode '{name}'", name.span, "supervisor or user")
        if name in self.isa.modes:
            raise Mistake("SP101", f"mode '{name}' is declared twice", name.span)
        self.isa.modes[name] = self.plain(expr, 1, "a mode")
        self.conditions.append((self.isa.modes[name], expr.span))

    def d_invariant(self, node: Node) -> None:
        text, expr = node.children
        condition = self.plain(expr, 1, "an invariant")
        self.isa.invariants.append((str(text)[1:-1], condition))
        self.conditions.append((condition, expr.span))

    def d_fetch(self, node: Node) -> None:
        _, params, block = node.children
        body = Body("translation")
        listed = self.params(params, body)
        if len(listed) != 1:
            raise Mistake("SP107", "fetch takes one address", node.span)
        body.result = 8
        statements = self.whole_body(block, body, node, "the fetch")
        self.isa.fetch = core.Function("fetch", listed, 8, statements, False, node.span)

    def d_illegal(self, node: Node) -> None:
        body = Body("expression")
        self.isa.illegal = self.trap_call(node.children[0], body)
        self.check_fields(body, ["ilen"], "an illegal instruction")
        self.conditions += [(argument, node.span) for argument in self.isa.illegal[1]]

    def d_expect(self, node: Node) -> None:
        made = expectations.of_theorem(node)
        if any((made.subject, made.file) == (other.subject, other.file) for other in self.expected):
            raise Mistake("SP101", f"what is expected of {made.subject[0]} is said twice", node.span)
        self.expected.append(made)
