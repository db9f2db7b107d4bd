"""One Python module for a description: every form, every function as it is called, the decoder and the step loop.

The text is made of integers and a few primitives (:mod:`primitives`); :mod:`llvm` and Numba both compile it. Names of
the description appear in it only as parts of longer names, and in comments.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from isa_specs import core
from isa_specs.core import Form, Function, Isa, Space, Stmt
from isa_specs.diagnostics import NOWHERE
from isa_specs.walk import statements, translations, within
from machine.generated import loop, monitor_slots, monitoring, slots
from machine.generated import rows as batches
from machine.generated.bodies import Body
from machine.generated.decoding import Decoding
from machine.generated.facts import Analysis
from machine.generated.functions import FormBody, FunctionBody
from machine.generated.layout import Layout, NotGenerated, comment, limbs, plain_name
from machine.generated.names import Access, Role, Variant
from machine.generated.spaces import Spaces

MAX_COUNTER = 60  # bits: an address must not be taken for a trap
WIDE = Path(__file__).with_name("wide_runtime.py")
RUNTIME = Path(__file__).with_name("runtime.py")
DECODER = Path(__file__).with_name("decoder_runtime.py")


@dataclass(slots=True)
class RestsOn:
    """What remembered walks and decodings depend on besides watched bytes: cells, and arrays and spaces of other cells."""

    cells: list[str] = field(default_factory=list)
    others: set[str] = field(default_factory=set)


class Unit:
    """Everything that is generated for one description; with ``rows`` what is for batches (see :mod:`rows`)."""

    def __init__(self, isa: Isa, fast: bool = True, rows: bool = False):
        sys.setrecursionlimit(max(sys.getrecursionlimit(), 20_000))
        self.isa, self.fast, self.rows = isa, fast, rows
        self.analysis = Analysis(isa)
        self._check()
        self.layout = Layout(isa)
        self.parts: list[str] = []
        self.tables: list[str] = []  # of remembered walks
        self.aliases: dict[str, str] = {}
        self.results: dict[str, str] = {}
        self._functions: dict[Variant, str] = {}
        self.spaces = Spaces(self)
        self.traps = {trap: number for number, trap in enumerate(isa.traps.values())}
        specials = -1 - 2 * len(self.traps)
        self.execute_status, self.too_long, self.plain_status, self.stop_status = specials, specials - 1, specials - 2, specials - 3
        self.keeping: set[str] = set()  # functions that write to the journal
        self.decoding = Decoding(self)
        self.lengths = {form: decoded_length(form) for form in isa.forms}
        self.forms = [self._form(number, form) for number, form in enumerate(isa.forms)]
        self.decoding.write()
        engine, last = runtime_text(DECODER, "# ---- decoding"), "@outline\ndef decode("
        self.add(engine.replace(last, f"{self.decoding.write_prefixes()}\n\n{last}"))
        loop.write(self)
        self.monitors: list[str] = []
        self.columns, self.near = batches.columns(self) if rows else ({}, 0)
        if rows:
            batches.reserve(self.layout)
            self.add(runtime_text(batches.CASES, "# ---- batches"))
        else:
            self.monitors = monitoring.write(self)

    def _check(self) -> None:
        isa, analysis = self.isa, self.analysis
        if isa.fetch is None:
            raise NotGenerated(f"{isa.name} does not say how instructions are fetched")
        if isa.counter.width > MAX_COUNTER:
            raise NotGenerated(f"addresses of {isa.counter.width} bits are too wide for generated code")
        asked = [analysis.function(isa.fetch), *(analysis.expression(expr) for expr in isa.contexts.values())]
        if any(self.analysis.function(function).fields for expr in isa.contexts.values()
               for function in self.called_by([core.Return(expr, NOWHERE)])):
            raise NotGenerated("a context calls a function that looks at the instruction")
        if any(facts.writes for facts in asked):
            raise NotGenerated("fetching an instruction changes the state")
        everywhere = [*asked, *(analysis.space(space) for space in isa.spaces.values()),
                      *(analysis.function(trap.delivery) for trap in isa.traps.values() if trap.delivery is not None)]
        if any(facts.externs or facts.executes for facts in everywhere):
            raise NotGenerated("an extern function is needed for more than single instructions")
        if any(analysis.writes_before_execute(form.body) for form in isa.forms):
            raise NotGenerated("an instruction changes the state before it executes another")

    @cached_property
    def rests_on(self) -> RestsOn:
        isa, found = self.isa, RestsOn()
        if not self.fast:
            return found
        assert isa.fetch is not None
        asked = [self.analysis.function(isa.fetch), *(self.analysis.expression(expr) for expr in isa.contexts.values())]
        asked += [self.analysis.space(space) for space in isa.spaces.values() if self.spaces.remembers(space)]
        names = set().union(*(facts.reads for facts in asked)) - {isa.counter.name}
        found.cells = [name for name in isa.cells if name in names]
        found.others = {name for name in names if name in isa.arrays or (name in isa.spaces and isa.spaces[name].cell_width != 8)}
        # What is remembered has been recorded, and is not recorded again.
        found.others |= {space.recorded.name for space in isa.spaces.values() if space.recorded is not None}
        return found

    # ---- pieces -----------------------------------------------------------------------------

    def add(self, text: str) -> None:
        self.parts.append(text)

    def result_of(self, name: str, width: int) -> str:
        """Where a function leaves what it cannot return."""
        while name in self.aliases:
            name = self.aliases[name]
        if name not in self.results:
            constant = f"r{len(self.results)}_result"
            self.layout.constants[constant] = self.layout.take(limbs(width))
            self.results[name] = f"s + {constant}"
        return self.results[name]

    def share_result(self, name: str, other: str) -> None:
        if name != other:
            self.aliases[name] = other

    def status(self, trap: core.Trap, memory: bool) -> int:
        """How a function tells of a trap."""
        return -1 - 2 * self.traps[trap] - int(memory or trap.kind == "memory")

    def access(self, access: Access) -> tuple[str, bool]:
        return self.spaces.access(access)

    def widest(self, space: Space) -> int:
        """An upper bound for the cells of one access to a view."""
        return max(self._widths.get(space, 1), 16)

    @cached_property
    def _widths(self) -> dict[Space, int]:
        found: dict[Space, int] = {}

        def note(space: Space, width: int) -> None:
            count = width // 8 if space.cell_width == 8 else 1
            view: Space | None = space
            while view is not None:
                found[view] = max(found.get(view, 0), count)
                view = view.onto

        for body in self._bodies():
            for s in statements(body):
                if isinstance(s, core.Store):
                    note(s.space, s.value.width)
                for e in within(s):
                    if isinstance(e, core.Load):
                        note(e.space, e.width)
        return found

    def _bodies(self) -> Iterator[list[Stmt]]:
        work = [form.body for form in self.isa.forms]
        work += [trap.delivery.body for trap in self.isa.traps.values() if trap.delivery is not None]
        work += [space.translation.body for space in self.isa.spaces.values() if space.translation is not None]
        work += [self.isa.fetch.body] if self.isa.fetch is not None else []
        work.append([core.Return(expr, NOWHERE) for expr in self.isa.contexts.values()])
        seen: set[Function] = set()
        while work:
            body = work.pop()
            yield body
            for function in self.called_by(body):
                if function not in seen:
                    seen.add(function)
                    work.append(function.body)

    def direct_fields(self, body: Iterable[Stmt]) -> set[str]:
        """The fields a body looks at itself, not in what it calls."""
        return {e.name for s in statements(body) for e in within(s) if isinstance(e, core.Field)}

    def called_by(self, body: Iterable[Stmt]) -> set[Function]:
        """The functions a body calls itself, the translations of its accesses among them."""
        found: set[Function] = set()

        for s in statements(body):
            if isinstance(s, core.Call):
                found.add(s.function)
            elif isinstance(s, core.Store):
                found.update(translations(s.space))
            for e in within(s):
                if isinstance(e, core.CallFunction):
                    found.add(e.function)
                elif isinstance(e, core.Load):
                    found.update(translations(e.space))
        return found

    # ---- functions and forms -------------------------------------------------------------------

    def function(self, variant: Variant) -> str:
        """The name of a function as called from this kind of place."""
        facts = self.analysis.function(variant.function)
        matters = facts.traps or facts.loads
        after, keeps_cells = variant.after, variant.keeps_cells
        if not self.analysis.conflicts(variant.function, after, keeps_cells) or (not keeps_cells and facts.writes <= self.isa.cells.keys()):
            after = keeps_cells = False
        variant = Variant(variant.function, after, keeps_cells, variant.role if matters else Role.NORMAL)
        if variant not in self._functions:
            name = self._functions[variant] = f"f{len(self._functions)}_{plain_name(variant.function.name)}"
            body = FunctionBody(self, variant, name)
            self.add(body.write())
            if body.keeps:
                self.keeping.add(name)
        return self._functions[variant]

    def words(self, fields: Iterable[str]) -> list[str]:
        """The packed words in which these fields stand."""
        return [f"w{word}" for word in sorted({self.decoding.shared[field][0] for field in fields if field in self.decoding.shared})]

    def fetch(self) -> tuple[str, bool]:
        assert self.isa.fetch is not None
        return self.function(Variant(self.isa.fetch, False, False, Role.FETCH)), self.analysis.function(self.isa.fetch).traps

    def _form(self, number: int, form: Form) -> str:
        name = f"i{number}_{plain_name(form.instruction)}"
        head = f"# {comment(form.instruction)}: {comment(form.title)}, {comment(form.template)}\n"
        if self.analysis.body(form.body).externs:
            self.add(f"{head}def {name}(s, pc, ilen, w0, w1, w2):\n    return {self.plain_status}\n")
            return name
        packing = self.decoding.packings[form]
        fields = {**packing.names, "ilen": "ilen", "next": "after"}
        body = FormBody(self, form, name, fields)
        # No form becomes part of the step loop: the call costs little at run time, and LLVM would go through all of them once more.
        self.add(head + body.write(packing.unpacking()).replace(f"def {name}(", f"@outline\ndef {name}("))
        return name

    def body(self, role: Role, fields: dict[str, str]) -> Body:
        """For code that is no function of the description."""
        return Body(self, False, False, role, fields)

    # ---- the whole ---------------------------------------------------------------------------------

    @cached_property
    def source(self) -> str:
        """The module's text."""
        assert not monitor_slots.NAMES.keys() & self.layout.constants.keys()
        constants = {**{name: getattr(slots, name) for name in ("UNKNOWN", "LIMIT")}, **monitor_slots.NAMES, **self.layout.constants}
        parts = self.parts
        if self.rows:
            constants |= batches.constants(self)
            parts = [batches.in_rows(part) for part in parts]
        lines = [f'# The machine of "{comment(self.isa.name)}", generated from its description.', "",
                 "from machine.generated.primitives import *  # what the names in capitals mean", ""]
        lines += [f"{name} = {value}" for name, value in constants.items()]
        runtime = [runtime_text(WIDE, "# ---- wide values"), "", runtime_text(RUNTIME, "# ---- old values")]
        return "\n".join([*lines, "", "", *runtime, *(f"\n{part}" for part in parts)])


    def excerpt(self, instruction: str) -> str:
        """The functions of one instruction's forms, behind all of the description's that they call. Raises KeyError."""
        wanted = [name for name, form in zip(self.forms, self.isa.forms, strict=True) if form.instruction == instruction]
        if not wanted:
            raise KeyError(instruction)
        held = {name: part for part in self.parts for name in _DEFINED.findall(part)}
        found: dict[str, None] = {}
        work = list(wanted)
        while work:
            name = work.pop()
            part = held.get(name)
            if part is not None and part not in found:
                found[part] = None
                work += [called for called in _CALLED.findall(part) if called != name]
        return "\n\n".join(part for part in self.parts if part in found)


_DEFINED = re.compile(r"^def (\w+)\(", re.MULTILINE)
_CALLED = re.compile(r"\b([a-z]\d+_\w+)\(")


def runtime_text(file: Path, start: str) -> str:
    """The functions of the runtime without what only readers of that file need."""
    text = file.read_text(encoding="utf-8")
    return text[text.index(start) :].replace(": int", "").replace(" -> int", "")


def decoded_length(form: Form) -> int:
    """The length of a form in bytes where all instructions of it have the same, else 0."""
    if isinstance(form.encoding, core.FixedEncoding):
        return form.encoding.format.length
    return 0
