"""Statements: bodies of instructions, functions and deliveries in core form."""

from __future__ import annotations

from isa_specs import core, expectations
from isa_specs.assignment import Assignment
from isa_specs.diagnostics import Diagnostic, Mistake, Span
from isa_specs.reader import Node, Word
from isa_specs.scope import Binding, Body, Cascade, Poison
from isa_specs.values import Number, apply, bits, is_pure, shorten

MAX_ITERATIONS = 4096
MAX_BRANCHES = 150  # each is nested in the one before


class Statements(Assignment):
    """The part of the elaborator that reads statements."""

    def block(self, node: Node, body: Body) -> list[core.Stmt]:
        """A block in a scope of its own. Mistakes are collected; the rest of the block is still read."""
        body.names.append({})
        try:
            return self.sequence(list(node.children), body)
        finally:
            body.names.pop()

    def sequence(self, nodes: list[Node], body: Body) -> list[core.Stmt]:
        if not nodes:
            return []
        self.descend(nodes[0])
        try:
            return self.statements(nodes, body)
        finally:
            self.levels -= 1

    def statements(self, nodes: list[Node], body: Body) -> list[core.Stmt]:
        out: list[core.Stmt] = []
        for position, node in enumerate(nodes):
            try:
                made = self.statement(node, body)
            except Mistake as mistake:
                self.errors.append(mistake.diagnostic)
                self.poison(node, body)
                continue
            except Cascade:
                self.errors.noted += 1
                self.poison(node, body)
                continue
            out += made
            if not made or position + 1 == len(nodes):
                continue
            if isinstance(made[-1], core.Return | core.Execute):
                if node.kind in ("return", "execute"):  # what a branch chosen by widths leaves out, another instance may reach
                    self.errors.append(Diagnostic("SP300", "this statement is never reached", nodes[position + 1].span))
                return out
            # An `if` with a branch that returns: what follows belongs to the other branch only.
            if isinstance(made[-1], core.If) and returns(made[-1:]):
                out[-1] = self.early_return(made[-1], nodes[position + 1 :], body)
                return out
        return out

    def early_return(self, branch: core.If, rest: list[Node], body: Body) -> core.If:
        """``branch`` with what follows it put at the end of the path that does not return."""
        chain: list[core.If] = []  # if .. return / else if .. return: what follows goes to the end of the chain
        while True:
            then_ends, other_ends = ends(branch.then), ends(branch.other)
            tail = branch.other[-1] if branch.other else None
            if then_ends and other_ends:
                self.errors.append(Diagnostic("SP300", "this statement is never reached", rest[0].span))
                result = branch
            elif then_ends and not returns(branch.other):
                result = core.If(branch.condition, branch.then, branch.other + self.sequence(rest, body), branch.span)
            elif other_ends and not returns(branch.then):
                result = core.If(branch.condition, branch.then + self.sequence(rest, body), branch.other, branch.span)
            elif then_ends and isinstance(tail, core.If) and returns([tail]):
                chain.append(branch)
                branch = tail
                continue
            else:
                raise Mistake("SP301", "'return' must end every path of the branch it stands in", branch.span)
            for outer in reversed(chain):
                result = core.If(outer.condition, outer.then, [*outer.other[:-1], result], outer.span)
            return result

    def poison(self, node: Node, body: Body) -> None:
        if node.kind in ("let", "var"):
            body.bind(node.children[0], Poison())

    def statement(self, node: Node, body: Body) -> list[core.Stmt]:
        self.spend(1, node.span)
        made: list[core.Stmt] = getattr(self, f"s_{node.kind}")(node, body)
        return made

    # ---- locals -----------------------------------------------------------------------------

    def s_let(self, node: Node, body: Body, mutable: bool = False) -> list[core.Stmt]:
        name, type_node, value_node = node.children
        width, layout = None, None
        if type_node is not None:
            width, layout = self.scalar(type_node, body)
        result = self.infer(value_node, body, width)
        if isinstance(result, Number) and width is None:
            if not mutable:
                body.bind(name, result.value)
                return []
            raise Mistake("SP203", "this variable needs a width", value_node.span, f"var {name} : bits(8) = ...")
        value = self.settle(result, value_node, width)
        if width is not None and value.expr.width != width:
            raise Mistake("SP201", f"this is {bits(value.expr.width)} wide, {bits(width)} needed", value_node.span,
                          "zext, sext, low or a slice changes a width")
        local = core.Local(body.fresh(name), value.expr.width)
        body.bind(name, Binding(local, layout or value.layout, mutable))
        return [core.SetLocal(local.name, value.expr, node.span)]

    def s_var(self, node: Node, body: Body) -> list[core.Stmt]:
        return self.s_let(node, body, mutable=True)

    # ---- control -----------------------------------------------------------------------------

    def s_if(self, node: Node, body: Body) -> list[core.Stmt]:
        test, block, *rest = node.children
        branches: list[tuple[Node | None, Node]] = [(test, block)]
        for part in rest:
            if part is None:
                continue
            branches.append((None, part.children[0]) if part.kind == "else" else (part.children[0], part.children[1]))
        self.limit(len(branches), node)
        open_: list[tuple[core.Expr, list[core.Stmt], Span]] = []
        result: list[core.Stmt] = []
        for condition, inner in branches:
            decided = Number(1) if condition is None else self.infer(condition, body, 1)
            if not isinstance(decided, Number):
                assert condition is not None
                open_.append((self.as_condition(decided, condition), self.block(inner, body), condition.span))
            elif decided.value:  # known while the description is read: the width of a form, say; other branches may not even fit it
                result = self.block(inner, body)
                break
        for expr, then, span in reversed(open_):
            result = [core.If(expr, then, result, span)]
        return result

    def limit(self, branches: int, node: Node) -> None:
        if branches > MAX_BRANCHES:
            raise Mistake("SP104", f"{branches} branches, at most {MAX_BRANCHES} are possible", node.span,
                          "divide them: decide on some bits first")

    def s_match(self, node: Node, body: Body) -> list[core.Stmt]:
        subject, *arms = node.children
        self.limit(len(arms), node)
        decided = self.infer(subject, body, None)
        early = next((arm for arm in arms[:-1] if len(arm.children) == 1), None)
        if early is not None:
            raise Mistake("SP300", "what stands behind 'else' is never reached", early.span)
        prefix: list[core.Stmt] = []
        value: core.Expr | None = None
        if not isinstance(decided, Number):
            value = self.settle(decided, subject, None).expr
            if not isinstance(value, core.Local | core.Read | core.Field):
                local = core.Local(body.fresh("subject"), value.width)
                prefix.append(core.SetLocal(local.name, value, subject.span))
                value = local
        result: list[core.Stmt] = []
        for arm in reversed(arms):
            if len(arm.children) == 1:
                result = self.block(arm.children[0], body)
                continue
            values, inner = arm.children
            if value is None:
                assert isinstance(decided, Number)
                if decided.value in [self.constant(item, body) for item in values.children]:
                    result = self.block(inner, body)
                continue
            test: core.Expr | None = None
            for item in values.children:
                one = apply("eq", value, self.expr(item, body, value.width))
                test = one if test is None else apply("or", test, one)
            assert test is not None
            result = [core.If(test, self.block(inner, body), result, values.span)]
        return prefix + result

    def s_for(self, node: Node, body: Body) -> list[core.Stmt]:
        name, first_node, last_node, condition, block = node.children
        first, last = self.constant(first_node, body), self.constant(last_node, body)
        if first < 0 or last - first >= MAX_ITERATIONS:
            raise Mistake("SP303", f"a loop from {shorten(first)} to {shorten(last)} is too long", last_node.span,
                          f"at most {MAX_ITERATIONS} rounds")
        width = max(1, last.bit_length())
        if last < first:
            return []
        body.names.append({})
        try:
            local = core.Local(body.fresh(name), width)
            body.bind(name, Binding(local))
            test = None if condition is None else self.condition(condition, body)
            inner = self.block(block, body)
        finally:
            body.names.pop()
        if returns(inner):
            raise Mistake("SP301", "'return' cannot stand in a loop", node.span, "end the loop with 'while'")
        return [core.Loop(local.name, width, first, last, test, inner, node.span)]

    def s_trap_stmt(self, node: Node, body: Body) -> list[core.Stmt]:
        call, condition = node.children
        body.impure = True
        test = None if condition is None else self.condition(condition, body)
        trap, args = self.trap_call(call, body)
        made = core.Raise(trap, args, node.span)
        return [made] if test is None else [core.If(test, [made], [], node.span)]

    def trap_call(self, call: Node, body: Body) -> tuple[core.Trap, tuple[core.Expr, ...]]:
        name, arguments = call.children
        trap = self.isa.traps.get(name)
        if trap is None:
            raise self.unknown(name, list(self.isa.traps), name.span, "trap")
        nodes = arguments.children if arguments is not None else []
        if len(nodes) != len(trap.params):
            raise Mistake("SP212", f"trap {name} takes {len(trap.params)} arguments, not {len(nodes)}", call.span)
        return trap, tuple(self.expr(arg, body, width) for arg, (_, width) in zip(nodes, trap.params, strict=True))

    def s_call_stmt(self, node: Node, body: Body) -> list[core.Stmt]:
        call, condition = node.children
        test = None if condition is None else self.condition(condition, body)
        name, arguments = call.children
        nodes = arguments.children if arguments is not None else []
        made: list[core.Stmt] = self.call_procedure(name, nodes, call, body)
        return made if test is None else [core.If(test, made, [], node.span)]

    def call_procedure(self, name: Word, args: list[Node], node: Node, body: Body) -> list[core.Stmt]:
        raise NotImplementedError  # pragma: no cover - provided by the elaborator

    def s_return(self, node: Node, body: Body) -> list[core.Stmt]:
        value = node.children[0]
        if body.result is None:
            if value is not None:
                raise Mistake("SP304", "only a function returns a value", node.span)
            return [core.Return(None, node.span)]
        if value is None:
            raise Mistake("SP304", "a function returns a value", node.span)
        return [core.Return(self.expr(value, body, body.result), node.span)]

    def s_execute(self, node: Node, body: Body) -> list[core.Stmt]:
        if body.kind != "instruction":
            raise Mistake("SP305", "'execute' stands in an instruction only", node.span)
        value = self.expr(node.children[0], body)
        if value.width % 8:
            raise Mistake("SP207", "instructions are whole bytes", node.span)
        body.impure = True
        return [core.Execute(value, node.span)]

    def s_region(self, node: Node, body: Body) -> list[core.Stmt]:
        label, condition = node.children
        if body.kind != "instruction":
            raise Mistake("SP305", "'region' stands in an instruction only", node.span)
        test = core.Const(1, 1) if condition is None else self.condition(condition, body)
        if not is_pure(test):
            raise Mistake("SP209", "the condition of a region must not access storage; name what it needs with 'let' first", node.span)
        return [core.Mark(label[1:-1], test, node.span)]

    def s_expect_stmt(self, node: Node, body: Body) -> list[core.Stmt]:
        if body.kind != "instruction":
            raise Mistake("SP305", "'expect' stands in an instruction only", node.span)
        body.expects.append(expectations.of_instruction(node))
        return []


def ends(block: list[core.Stmt]) -> bool:
    """Whether every path through the block ends in a return, execute or unconditional trap."""
    work = [block]
    while work:
        last = work.pop()[-1:]
        if not last or not isinstance(last[0], core.Return | core.Execute | core.Raise | core.If):
            return False
        if isinstance(last[0], core.If):
            work += [last[0].then, last[0].other]
    return True


def returns(block: list[core.Stmt]) -> bool:
    """Whether some path through the block returns."""
    work = [*block]
    while work:
        statement = work.pop()
        if isinstance(statement, core.Return | core.Execute):
            return True
        if isinstance(statement, core.If):
            work += [*statement.then, *statement.other]
    return False
