"""Whole generated functions: those of the description, and one for each instruction form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from isa_specs import core
from isa_specs.core import Expr
from isa_specs.walk import statements
from machine.generated import wide
from machine.generated.bodies import Body
from machine.generated.decoding import unpacked
from machine.generated.layout import mask, plain_name
from machine.generated.names import Role, Variant

if TYPE_CHECKING:
    from machine.generated.emit import Unit

MAX_SAVED = 16  # cells of a form
_FORGET = "# what was kept counts no more"  # becomes code where anything was


class FunctionBody(Body):
    """A function of the description. Where the result could be taken for a trap, it goes through words of the record."""

    def __init__(self, unit: Unit, variant: Variant, name: str):
        self.function, self.name = variant.function, name
        self.facts = unit.analysis.function(variant.function)
        self.ambient = {field: f"p_{field}" for field in sorted(self.facts.fields & {"ilen", "next"})}
        direct = sorted(unit.direct_fields(self.function.body) - self.ambient.keys())
        self.named = {field: f"d{i}_{plain_name(field)}" for i, field in enumerate(direct)}
        fields = self.ambient | self.named
        super().__init__(unit, variant.after, variant.keeps_cells, variant.role, fields)

    def write(self) -> str:
        params = ["s", *self.unit.words(self.facts.fields), *self.ambient.values()]
        assigned: list[tuple[str, str, int]] = []
        for i, (name, width) in enumerate(self.function.params):
            if width > 64:  # given as an address that belongs to the caller
                assigned.append((self.local(name, width), f"p{i}", width))
                params.append(f"p{i}")
            else:
                params.append(self.local(name, width))
        self.code(f"def {self.name}({', '.join(params)}):")
        self.code.depth += 1
        for field, name in self.named.items():
            self.code(unpacked(name, self.unit.decoding.shared[field]))
        for name, given, width in assigned:
            wide.copy(self, name, given, width)
        self.block(self.function.body)
        self.code("return 0")
        return self.code.text

    def give(self, value: Expr | None) -> None:
        width = self.function.result or 0
        if value is None or width < 64 or (width == 64 and not self.facts.traps):
            return super().give(value)
        text, where = self.value(value), self.unit.result_of(self.name, width)
        if width == 64:
            self.code(f"ST({where}, {text})")
        else:
            wide.copy(self, where, text, width)
        self.code("return 0" if self.facts.traps else f"return {where}")
        return None


class FormBody(Body):
    """An instruction form. It returns the address to go on at, or a trap.

    The counter is a local where no function touches it: ``pc`` is what it reads as, ``npc`` where the machine goes on."""

    def __init__(self, unit: Unit, form: core.Form, name: str, fields: Mapping[str, str]):
        facts = unit.analysis.body(form.body)
        self.saved: list[str] = []
        if unit.analysis.needs_journal(form.body):
            cells = sorted(facts.writes & unit.isa.cells.keys() - {unit.isa.counter.name})
            if len(cells) <= MAX_SAVED and all(unit.layout.cells[name].limbs == 1 for name in cells):
                self.saved = cells
        super().__init__(unit, False, not self.saved, Role.NORMAL, fields)
        self.form, self.name = form, name
        counter = unit.isa.counter.name
        inside = [unit.analysis.function(function) for function in unit.called_by(form.body)]
        written = any(counter in facts.writes for facts in inside)
        self.shown = any(counter in facts.reads for facts in inside)
        direct = any(isinstance(s, core.Write) and s.cell is unit.isa.counter for s in statements(form.body))
        self.in_record = written or (direct and self.shown)
        self.shown |= self.in_record
        self.completes = unit.analysis.body(form.body).completes

    def write(self, unpacking: Sequence[str]) -> str:
        self.code(f"def {self.name}{'_inside' if self.saved else ''}(s, pc, ilen, w0, w1, w2):")
        self.code.depth += 1
        for line in unpacking:
            self.code(line)
        self.code(f"npc = (pc + ilen) & {mask(self.unit.isa.counter.width)}")
        if "next" in self.unit.analysis.body(self.form.body).fields:
            self.code("after = npc")
        if self.shown:
            self.code(f"ST({self.address_of(self.unit.isa.counter)}, pc)")
        if self.in_record:
            self.code("ST(s + JUMPED, 0)")
        self.block(self.form.body)
        self.give(None)
        forget = "ST(s + KEPT, LD(s + JOURNAL))"
        self.code.lines = [line.replace(_FORGET, forget) for line in self.code.lines if self.keeps or not line.endswith(_FORGET)]
        if self.saved:
            self._save()
        return self.code.text

    def _save(self) -> None:
        """Few cells are cheaper saved ahead than journalled one by one."""
        self.code.depth = 0
        self.code(f"\n\ndef {self.name}(s, pc, ilen, w0, w1, w2):")
        self.code.depth = 1
        for i, name in enumerate(self.saved):
            self.code(f"old{i} = {self.read_cell(self.unit.isa.cells[name])}")
        self.code(f"npc = {self.name}_inside(s, pc, ilen, w0, w1, w2)")
        self.code("if npc < 0:")
        self.code("    if undoes(npc) == 1:")
        for i, name in enumerate(self.saved):
            address = self.address_of(self.unit.isa.cells[name])
            self.code(f"        {'change(s, ' if name in self.unit.rests_on.cells else 'ST('}{address}, old{i})")
        self.code("return npc")

    def read_cell(self, cell: core.Cell) -> str:
        if cell is self.unit.isa.counter and not self.in_record:
            return "pc"
        return super().read_cell(cell)

    def write_counter(self, value: str) -> None:
        if self.in_record:
            return super().write_counter(value)
        self.code(f"npc = {value}")
        self.code("pc = npc")
        return None

    def _goes_on(self) -> None:
        if self.in_record:
            self.code("if LD(s + JUMPED) != 0:")
            self.code(f"    npc = LD({self.address_of(self.unit.isa.counter)})")

    def fail(self, status: str) -> None:
        if self.completes:
            self._goes_on()
            self.code("ST(s + NEXT, npc)")
        self.code(f"return {status}")

    def give(self, value: Expr | None) -> None:
        self._goes_on()
        self.code(_FORGET)
        self.code("return npc")
