"""Expressions and statements of the core form as lines of int64 Python.

The value of an expression of at most 64 bits is a text without effects, of a wider one a text for the address of its
words. Whatever has effects or can trap becomes lines before it, in the order the plain machine evaluates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from isa_specs import core
from isa_specs.core import Expr, Stmt
from machine.generated import operators, strides, wide
from machine.generated.layout import limbs, literal, mask, plain_name
from machine.generated.names import Access, Code, Role, Variant

if TYPE_CHECKING:
    from machine.generated.emit import Unit
    from machine.generated.facts import Facts

_SPILL = 160  # characters of a text that is worth a name of its own


class Body:
    """The inside of one generated function."""

    def __init__(self, unit: Unit, after: bool, keeps_cells: bool, role: Role, fields: Mapping[str, str]):
        self.unit = unit
        self.code = Code()
        self.after = after  # whether a trap that takes back effects may come after what is written next
        self.keeps_cells, self.role = keeps_cells, role
        self.fields = fields
        self.keeps = False  # whether anything is written to the journal
        self.locals: dict[str, str] = {}
        self._temporaries = 0
        self.near: dict[int, str] = {}  # accesses to host addresses; see :mod:`strides`
        self.probed: set[int] = set()  # loads that leave the loop where no walk is remembered
        self.calm = False  # whether traps cannot come here

    # ---- names -------------------------------------------------------------------------

    def temporary(self, text: str) -> str:
        self._temporaries += 1
        name = f"t{self._temporaries}"
        self.code(f"{name} = {text}")
        return name

    def local(self, name: str, width: int) -> str:
        """The Python name of a local; for a wide one the address of words of its own."""
        if name not in self.locals:
            if width > 64:
                self.locals[name] = self.room(width)
            else:
                self.locals[name] = f"x{len(self.locals)}_{plain_name(name)}"
        return self.locals[name]

    def room(self, width: int) -> str:
        """Fresh words of the record. Nothing recurses, so that a call site may own them."""
        return f"s + {self.unit.layout.take(limbs(width))}"

    # ---- expressions ---------------------------------------------------------------------

    def hazard(self, facts: Facts) -> bool:
        """Whether a trap may come that takes back effects. In a delivery, which keeps its cells in the journal, each does."""
        return not self.calm and (facts.traps if self.keeps_cells else facts.undoes)

    def before(self, trap: bool, part: Callable[[], str]) -> str:
        """The text of ``part``, after which a trap that takes back effects may come."""
        outer, self.after = self.after, self.after or trap
        text = part()
        self.after = outer
        return text

    def values(self, args: Sequence[Expr], then: bool = False) -> list[str]:
        """The texts of ``args``, evaluated from left to right; with ``then`` a trap may follow that takes back effects."""
        facts = [self.unit.analysis.expression(arg) for arg in args]
        last = max((i for i, found in enumerate(facts) if found.writes), default=0)
        out = []
        for i, arg in enumerate(args):
            text = self.before(then or any(self.hazard(found) for found in facts[i + 1 :]), lambda arg=arg: self.value(arg))  # type: ignore[misc]
            if i < last and not isinstance(arg, (core.Const, core.Local, core.Field)):
                text = self.temporary(text)
            out.append(text)
        return out

    def value(self, e: Expr) -> str:
        if e.width > 64:
            return wide.value(self, e)
        text = self._value(e)
        return self.temporary(text) if len(text) > _SPILL else text

    def _value(self, e: Expr) -> str:
        match e:
            case core.Const():
                return literal(e.value, e.width)
            case core.Local():
                return self.locals[e.name]
            case core.Field():
                return self.fields[e.name]
            case core.Read():
                return self.read_cell(e.cell)
            case core.ReadElement():
                return f"LD({self.element(e.array, self.value(e.index))})"
            case core.Load():
                return self.load(e)
            case core.Apply():
                return operators.applied(self, e)
            case core.Extract():
                return operators.extract(self, e)
            case core.Extend():
                text = self.value(e.arg)
                if not e.signed:
                    return text
                return f"(({text} ^ {literal(1 << e.arg.width - 1, 64)}) - {literal(1 << e.arg.width - 1, 64)} & {mask(e.width)})"
            case core.Concat():
                return operators.concat(self, e)
            case core.Choice():
                return self._choice(e)
            case core.CallFunction():
                return self.call(e.function, e.args)
            case core.Undefined():
                return f"(LD(s + UNDEFINED) & {mask(e.width)})"
            case core.CallExtern():
                # Bodies with externs are left to the plain machine: see Unit.form.
                raise AssertionError("an extern in generated code")
        raise AssertionError(f"not an expression: {type(e).__name__}")

    def condition(self, e: Expr) -> str:
        """A one-bit expression as a Python condition."""
        if isinstance(e, core.Apply) and e.op.predicate:
            if e.args[0].width > 64:
                return f"{wide.predicate(self, e)} != 0"
            return operators.operator(self, e)
        if isinstance(e, core.Apply) and e.op.name == "not":
            return f"{self.value(e.args[0])} == 0"
        return f"{self.value(e)} != 0"

    def _choice(self, e: core.Choice) -> str:
        if self._cheap(e.then) and self._cheap(e.other):
            return f"({self.value(e.then)} if {self._chosen(e)} else {self.value(e.other)})"
        self._temporaries += 1
        name = f"t{self._temporaries}"
        self._choose(name, e)
        return name

    def _choose(self, name: str, e: Expr) -> None:
        """Give ``name`` a value. Choices within choices give it to the same name: one by number becomes one switch."""
        if not isinstance(e, core.Choice) or (self._cheap(e.then) and self._cheap(e.other)):
            self.code(f"{name} = {self.value(e)}")
        else:
            self.branch(self._chosen(e), lambda: self._choose(name, e.then), lambda: self._choose(name, e.other))

    def _chosen(self, e: core.Choice) -> str:
        undoes = any(self.hazard(self.unit.analysis.expression(arm)) for arm in (e.then, e.other))
        return self.before(undoes, lambda: self.condition(e.condition))

    def branch(self, condition: str, then: Callable[[], None], other: Callable[[], None]) -> None:
        for head, part in ((f"if {condition}:", then), ("else:", other)):
            self.code(head)
            self.code.depth += 1
            part()
            self.code.depth -= 1

    def _cheap(self, e: Expr) -> bool:
        """Worth evaluating without need, and without harm."""
        if e.width > 64:
            return False
        work, size = [e], 0
        while work:
            part = work.pop()
            size += 1
            if size > 6 or isinstance(part, (core.Load, core.CallFunction, core.CallExtern)) or part.width > 64:
                return False
            work.extend(core.operands(part))
        return True

    # ---- state -----------------------------------------------------------------------------

    def read_cell(self, cell: core.Cell) -> str:
        return f"LD({self.address_of(cell)})"

    def read_address(self, cell: core.Cell) -> str:
        """Where the words of a wide cell are."""
        return self.address_of(cell)

    def address_of(self, cell: core.Cell) -> str:
        return f"s + {self.unit.layout.cells[cell.name].name}"

    def element(self, array: core.Array, index: str) -> str:
        room = self.unit.layout.arrays[array.name]
        if index.isdigit():
            return f"s + {room.name} + {8 * room.limbs * int(index)}"
        return f"s + {room.name} + {index} * {8 * room.limbs}"

    def put(self, component: core.Cell | core.Array, address: str, value: str) -> None:
        """Give a cell or an element its new value."""
        name = component.name
        if component.width > 64:
            for limb in range(limbs(component.width)):
                self._put_word(name, f"{address} + {8 * limb}", f"LD({value} + {8 * limb})")
        else:
            self._put_word(name, address, value)

    def _put_word(self, name: str, address: str, value: str) -> None:
        if self.after and (self.keeps_cells or name not in self.unit.isa.cells):
            self.code(f"keep(s, {address})")
            self.keeps = True
        if name in self.unit.rests_on.cells:
            self.code(f"change(s, {address}, {value})")
        elif name in self.unit.rests_on.others:
            self.code(f"overturn(s, {address}, {value})")
        else:
            self.code(f"ST({address}, {value})")

    def write_counter(self, value: str) -> None:
        self.code(f"ST({self.address_of(self.unit.isa.counter)}, {value})")
        self.code("ST(s + JUMPED, 1)")

    def load(self, e: core.Load) -> str:
        space, width = e.space, e.width
        if id(e) in self.near:
            return self.temporary(self.unit.spaces.near(width // 8, self.near[id(e)]))
        address = self.before(self.hazard(self.unit.analysis.space(space)), lambda: self.value(e.address))
        count = width // 8 if space.cell_width == 8 else 1
        if id(e) in self.probed:
            return self.temporary(self.unit.spaces.near(count, self.unit.spaces.probe(self, space, count, self.temporary(address))))
        name, traps = self.unit.access(Access(space, count, False, False, self.role))
        return self._in_order(self._called(name, [address], width, traps), self.unit.analysis.expression(e))

    def _in_order(self, text: str, facts: Facts) -> str:
        return self.temporary(text) if facts.ordered and not text.isidentifier() else text

    def store(self, s: core.Store) -> None:
        address, value = self.values([s.address, s.value], self.hazard(self.unit.analysis.space(s.space)))
        count = s.value.width // 8 if s.space.cell_width == 8 else 1
        if id(s) in self.near:
            self.code(self.unit.spaces.near(count, self.near[id(s)], value))
            return
        name, traps = self.unit.access(Access(s.space, count, True, self.after, self.role))
        self.keeps |= self.after
        self._called(name, [address, value], 0, traps)

    # ---- calls and traps ---------------------------------------------------------------------

    def call(self, function: core.Function, args: Sequence[Expr]) -> str:
        facts = self.unit.analysis.function(function)
        name = self.unit.function(Variant(function, self.after, self.keeps_cells, self.role))
        self.keeps |= name in self.unit.keeping
        given = [*self.unit.words(facts.fields), *(self.fields[field] for field in sorted(facts.fields & {"ilen", "next"}))]
        given += self.values(args, self.hazard(facts))
        before = len(self.code.lines)
        text = self._called(name, given, function.result or 0, facts.traps)
        if len(self.code.lines) == before and function.result and (facts.writes or facts.ordered or not function.pure):
            return self.temporary(text)  # its effects happen here, not where the text ends up
        return text

    def _called(self, name: str, args: Sequence[str], width: int, traps: bool) -> str:
        call = f"{name}({', '.join(['s', *args])})"
        if not traps:
            if width > 64:
                return wide.copied(self, self.temporary(call), width)
            if width:
                return call
            self.code(call)
            return ""
        status = self.temporary(call)
        self.code(f"if {status} < 0:")
        self.code.depth += 1
        self.fail(status)
        self.code.depth -= 1
        if width > 64:
            return wide.copied(self, self.unit.result_of(name, width), width)
        return self.temporary(f"LD({self.unit.result_of(name, width)})") if width == 64 else status

    def fail(self, status: str) -> None:
        """Leave because of a trap."""
        self.code(f"return {status}")

    def trap(self, s: core.Raise) -> None:
        at = 0
        texts = self.values(s.args, self.keeps_cells or not s.trap.keeps_effects)
        for arg, text in zip(s.args, texts, strict=True):
            for limb in range(limbs(arg.width)):
                self.code(f"ST(s + ARGUMENTS + {8 * at}, {text if arg.width <= 64 else f'LD({text} + {8 * limb})'})")
                at += 1
        self.fail(str(self.unit.status(s.trap, self.role.memory)))

    def execute(self, s: core.Execute) -> None:
        text = self.value(s.value)
        for limb in range(limbs(s.value.width)):
            self.code(f"ST(s + VALUE + {8 * limb}, {text if s.value.width <= 64 else f'LD({text} + {8 * limb})'})")
        self.code(f"ST(s + GIVEN, {s.value.width // 8})")
        self.fail(str(self.unit.execute_status))

    # ---- statements ----------------------------------------------------------------------------

    def block(self, body: Sequence[Stmt]) -> None:
        outer = self.after
        undoes = [self.hazard(self.unit.analysis.statement(s)) for s in body]
        for i, s in enumerate(body):
            self.after = outer or any(undoes[i + 1 :])
            self.statement(s)
            if isinstance(s, (core.Return, core.Raise, core.Execute)):
                break
        self.after = outer

    def nested(self, body: Sequence[Stmt]) -> None:
        self.code.depth += 1
        before = len(self.code.lines)
        self.block(body)
        if len(self.code.lines) == before:
            self.code("pass")
        self.code.depth -= 1

    def statement(self, s: Stmt) -> None:
        match s:
            case core.SetLocal():
                if s.value.width > 64:
                    wide.assign(self, self.local(s.name, s.value.width), s.value)
                    return
                value = self.value(s.value)
                name = self.local(s.name, s.value.width)
                if name != value:
                    self.code(f"{name} = {value}")
            case core.Write():
                if s.cell is self.unit.isa.counter:
                    self.write_counter(self.value(s.value))
                else:
                    self.put(s.cell, self.address_of(s.cell), self.value(s.value))
            case core.WriteElement():
                index, value = self.values([s.index, s.value])
                self.put(s.array, self.element(s.array, index), value)
            case core.Store():
                self.store(s)
            case core.If():
                self.code(f"if {self.before(self.hazard(self.unit.analysis.statement(s)), lambda: self.condition(s.condition))}:")
                self.nested(s.then)
                if s.other:
                    self.code("else:")
                    self.nested(s.other)
            case core.Loop():
                self._loop(s)
            case core.Raise():
                self.trap(s)
            case core.Call():
                self.call_statement(s)
            case core.Return():
                self.give(s.value)
            case core.Execute():
                self.execute(s)
            case core.Mark():
                pass
            case _:
                raise AssertionError(f"not a statement: {type(s).__name__}")

    def call_statement(self, s: core.Call) -> None:
        before = len(self.code.lines)
        text = self.call(s.function, s.args)
        if text and len(self.code.lines) == before:
            self.code(text)

    def _loop(self, s: core.Loop) -> None:
        strided = strides.Loop(self, s)
        name = self.local(s.local, s.width)
        if strided.sites:
            strided.write(name)
            return
        self.code(f"for {name} in range({s.first}, {s.last + 1}):")
        self.code.depth += 1
        before, outer = len(self.code.lines), self.after
        self.after = outer or self.hazard(self.unit.analysis.statement(s))
        if s.condition is not None:
            self.code(f"if not ({self.condition(s.condition)}):")
            self.code("    break")
        self.block(s.body)
        if len(self.code.lines) == before:
            self.code("pass")
        self.code.depth -= 1
        self.after = outer

    def give(self, value: Expr | None) -> None:
        """Return from the function."""
        self.code(f"return {'0' if value is None else self.value(value)}")
