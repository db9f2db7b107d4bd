"""Functions, procedures and accessors: instantiated for the widths and constants they are called with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from isa_specs import core
from isa_specs.calls import BUILTINS
from isa_specs.diagnostics import Diagnostic, Enough, Mistake, Span
from isa_specs.reader import Node, Word
from isa_specs.scope import Binding, Body, Cascade, Definition
from isa_specs.statements import Statements, ends
from isa_specs.values import Number, Value, bits, is_pure

MAX_INSTANCES = 4000


@dataclass
class Instance:
    """One instantiation; ``function`` is None while it is being read, or when it is in error."""

    function: core.Function | None = None
    used_fields: dict[str, Span] = field(default_factory=dict)
    failed: bool = False


class Functions(Statements):
    """The part of the elaborator that instantiates function-like declarations on demand."""

    instances: dict[tuple[object, ...], Instance]

    # ---- calls --------------------------------------------------------------------------------

    def call_function(self, name: Word, args: list[Node], node: Node, body: Body) -> Value:
        definition = self.find(name, node)
        if definition.kind == "extern":
            return self.call_extern(definition, args, node, body)
        if definition.kind == "procedure":
            raise Mistake("SP304", f"procedure '{name}' has no value", node.span)
        part = "get" if definition.kind == "accessor" else "body"
        function, values = self.instantiate(definition, part, args, node, body)
        if function.result is None:
            raise Mistake("SP304", f"'{name}' has no value", node.span)
        result_layout = None
        if definition.result is not None:
            result_layout = self.layouts.get(str(definition.result.children[0]))
        return Value(core.CallFunction(function, values), result_layout)

    def call_procedure(self, name: Word, args: list[Node], node: Node, body: Body) -> list[core.Stmt]:
        definition = self.find(name, node)
        if definition.kind not in ("procedure", "function"):
            raise Mistake("SP304", f"'{name}' cannot stand as a statement", node.span)
        function, values = self.instantiate(definition, "body", args, node, body)
        return [core.Call(function, values, node.span)]

    def call_setter(self, name: Word, args: list[Node], value: Node, node: Node, body: Body, span: Span) -> list[core.Stmt]:
        definition = self.definitions.get(name)
        if definition is None or definition.kind != "accessor":
            known = [d.name for d in self.definitions.values() if d.kind == "accessor"] + list(self.isa.spaces)
            raise self.unknown(name, known, name.span, "accessor or space")
        function, values = self.instantiate(definition, "set", args, node, body)
        new = self.expr(value, body, function.params[-1][1])
        # The value is computed before the arguments of the accessor are used for anything.
        return [core.Call(function, (*values, new), span)]

    def call_extern(self, definition: Definition, args: list[Node], node: Node, body: Body) -> Value:
        if len(args) != len(definition.params):
            raise Mistake("SP212", f"{definition.name} takes {len(definition.params)} arguments, not {len(args)}", node.span)
        values = []
        for arg, (name, type_, span) in zip(args, definition.params, strict=True):
            if type_ is None:
                raise Mistake("SP206", f"parameter '{name}' of an extern needs a type", span)
            values.append(self.expr(arg, body, self.scalar(type_, Body("expression"))[0]))
        return Value(core.CallExtern(definition.name, tuple(values), self.scalar(definition.result, Body("expression"))[0]))

    def find(self, name: Word, node: Node) -> Definition:
        definition = self.definitions.get(name)
        if definition is None:
            raise self.unknown(name, [*self.definitions, *self.isa.spaces, *BUILTINS], name.span, "function")
        return definition

    # ---- instantiation --------------------------------------------------------------------------

    def instantiate(self, definition: Definition, part: str, args: list[Node], node: Node,
                    body: Body) -> tuple[core.Function, tuple[core.Expr, ...]]:
        """The instance for these arguments, and the run-time arguments."""
        if len(args) != len(definition.params):
            raise Mistake("SP212", f"{definition.name} takes {len(definition.params)} argument(s), not {len(args)}", node.span)
        constants: dict[str, int] = {}
        values: list[core.Expr] = []
        pending: list[tuple[Node, Node]] = []
        for arg, (name, type_, _) in zip(args, definition.params, strict=True):
            if type_ is None:
                constants[name] = self.constant(arg, body)
        for arg, (_, type_, _) in zip(args, definition.params, strict=True):
            if type_ is None:
                continue
            width = self.bind_width(type_, arg, constants, body)
            if width is None:
                pending.append((arg, type_))
                continue
            values.append(self.expr(arg, body, width) if isinstance(width, int) else width)
        if pending:
            arg, type_ = pending[0]
            raise Mistake("SP203", "a plain number does not say the width of this parameter", arg.span, "write 8'1, say")
        instance = self.instance(definition, part, constants, node)
        if instance.failed:
            raise Cascade
        if instance.function is None:
            raise Mistake("SP306", f"'{definition.name}' calls itself", node.span, "unroll it with a bounded loop")
        for name, span in instance.used_fields.items():
            where = span if body.kind in ("function", "procedure", "accessor") else node.span
            body.used_fields.setdefault(name, where)
            if name in body.provided and body.provided[name] != self.global_fields[name]:
                raise Mistake("SP308", f"field '{name}' has {bits(body.provided[name])} here, {bits(self.global_fields[name])} in "
                              f"'{definition.name}'", where, "the encoding must provide every field as it is declared")
        if not instance.function.pure:
            body.impure = True
        return instance.function, tuple(values)

    def bind_width(self, type_: Node, arg: Node, constants: dict[str, int], body: Body) -> int | core.Expr | None:
        """The width a parameter needs, binding a width variable from the argument.

        Returns the argument itself when it had to be read to learn its width; None for a plain number."""
        head, argument, _ = type_.children
        variable = argument.children[0] if head == "bits" and argument is not None and argument.kind == "name" else None
        if variable is None or variable in constants or variable in self.consts:
            scope = Body("expression")
            for name, value in constants.items():
                scope.bind(name, value)
            return self.scalar(type_, scope)[0]
        result = self.infer(arg, body, None)
        if isinstance(result, Number):
            return None
        value_ = self.settle(result, arg, None).expr
        constants[variable] = value_.width
        return value_

    def instance(self, definition: Definition, part: str, constants: dict[str, int], node: Node) -> Instance:
        key = (definition.name, part, tuple(sorted(constants.items())))
        if key in self.instances:
            return self.instances[key]
        if len(self.instances) >= MAX_INSTANCES:
            self.errors.append(Diagnostic("SP307", f"more than {MAX_INSTANCES} instances of functions", node.span))
            raise Enough
        instance = self.instances[key] = Instance()
        try:
            instance.function = self.build(definition, part, constants, instance)
        except (Mistake, Cascade) as problem:
            instance.failed = True
            if isinstance(problem, Mistake):
                self.errors.append(problem.diagnostic)
        return instance

    def build(self, definition: Definition, part: str, constants: dict[str, int], instance: Instance) -> core.Function:
        children = definition.node.children
        suffix = "".join(f"_{value}" for _, value in sorted(constants.items()))
        body = Body(definition.kind)
        for name, value in constants.items():
            body.bind(name, value)
        params: list[tuple[str, int]] = []
        for name, type_, _ in definition.params:
            if type_ is None:
                continue
            width, layout = self.scalar(type_, body)
            params.append((name, width))
            body.used_locals.add(name)
            body.bind(name, Binding(core.Local(name, width), layout))
        result_width = self.scalar(definition.result, body)[0] if definition.result is not None else None
        block = children[-1]
        label = definition.name + suffix
        if definition.kind == "accessor":
            if part == "get":
                block, body.result, label = children[4], result_width, f"{definition.name}_get{suffix}"
            else:
                assert result_width is not None
                name = children[5]
                params.append((name, result_width))
                body.used_locals.add(name)
                body.bind(name, Binding(core.Local(name, result_width)))
                label = f"{definition.name}_set{suffix}"
        else:
            body.result = result_width
        before = self.errors.noted
        statements = self.block(block, body)
        if self.errors.noted > before:
            instance.failed = True
        elif body.result is not None and not ends(statements):
            raise Mistake("SP304", f"not every path through '{definition.name}' returns a value", definition.node.span)
        instance.used_fields = body.used_fields
        return self.register_function(core.Function(label, tuple(params), body.result, statements, not body.impure, definition.node.span))

    def register_function(self, function: core.Function) -> core.Function:
        while function.name in self.isa.functions:  # f_1 may be f for width 1, or a function of that name
            function.name += "_"
        self.isa.functions[function.name] = function
        return function

    # ---- bodies outside functions ------------------------------------------------------------------

    def params(self, node: Node | None, body: Body) -> tuple[tuple[str, int], ...]:
        """Parameters of a trap, translation or fetch: all typed; bound in ``body``."""
        out: list[tuple[str, int]] = []
        for param in node.children if node is not None else []:
            name, type_ = param.children
            if type_ is None:
                raise Mistake("SP206", f"'{name}' needs a type", param.span)
            width, layout = self.scalar(type_, body)
            if any(name == other for other, _ in out):
                raise Mistake("SP101", f"parameter '{name}' is declared twice", param.span)
            out.append((str(name), width))
            body.used_locals.add(name)
            body.bind(name, Binding(core.Local(str(name), width), layout))
        return tuple(out)

    def check_fields(self, body: Body, available: Iterable[str], what: str) -> None:
        """Fields, ``ilen`` and ``next`` can be used only where there are any."""
        for name, span in body.used_fields.items():
            if name not in available:
                hint = _HINTS.get(name, "the encoding must provide every field the body and its functions use")
                self.errors.append(Diagnostic("SP308", f"{what} has no {'' if name in _HINTS else 'field '}'{name}'", span, hint))

    def plain(self, node: Node, width: int, what: str, available: Iterable[str] = (), body: Body | None = None) -> core.Expr:
        """An expression that stands outside every body: it may look at the state, but neither change it nor trap."""
        body = body or Body("expression")
        expr = self.condition(node, body) if width == 1 else self.expr(node, body, width)
        self.check_fields(body, available, what)
        if body.impure or not is_pure(expr):
            raise Mistake("SP309", f"{what} must only look at the state", node.span,
                          "it can neither trap, nor go through a translation, nor be undefined")
        return expr


_HINTS = {"next": "it belongs to an instruction; a trap that needs it takes it as an argument",
          "ilen": "it belongs to an instruction and to the delivery of its traps"}
