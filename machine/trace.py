"""What a guest did, instruction by instruction: as text, JSON lines, or a value change dump (IEEE 1364-2001, clause 18)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Protocol, TextIO

from isa_specs.assembly import disassemble
from isa_specs.core import Isa
from machine.errors import MachineError
from machine.monitors.windows import Storage
from machine.outcomes import Trapped
from machine.plain import StepResult
from machine.state import State

FORMATS = ("text", "jsonl", "vcd")
Changes = dict[str, tuple[int, int]]
"""Component -> (before, after)."""


class Changed:
    """What has changed in a state since it was last looked at; storage included."""

    def __init__(self, state: State):
        self.state = state
        self._keep()

    def _keep(self) -> None:
        state = self.state
        self.cells = dict(state.cells)
        self.arrays = {name: list(values) for name, values in state.arrays.items()}
        self.memory = {name: bytes(memory.cells) if isinstance(memory, Storage) else dict(memory) for name, memory in state.memory.items()}

    def since(self) -> Changes:
        """The changes, by component; and remember the state as it is now."""
        found = dict(self._changes())
        if found:
            self._keep()
        return found

    def _changes(self) -> Iterator[tuple[str, tuple[int, int]]]:
        state = self.state
        for name, value in state.cells.items():
            if value != self.cells[name]:
                yield name, (self.cells[name], value)
        for name, values in state.arrays.items():
            if values != self.arrays[name]:
                pairs = enumerate(zip(self.arrays[name], values, strict=True))
                yield from ((f"{name}[{i}]", pair) for i, pair in pairs if pair[0] != pair[1])
        for name, memory in state.memory.items():
            before = self.memory[name]
            if isinstance(memory, Storage) and isinstance(before, bytes):
                after = bytes(memory.cells)
                if after != before:
                    yield from ((f"{name}({a:#x})", (before[a], after[a])) for a in range(len(after)) if after[a] != before[a])
            elif isinstance(before, dict) and before != dict(memory):
                addresses = sorted(a for a in {*before, *memory} if before.get(a, memory.fill) != memory[a])
                yield from ((f"{name}({a:#x})", (before.get(a, memory.fill), memory[a])) for a in addresses)


def told(isa: Isa, step: StepResult) -> str:
    """The instruction in assembly, or what can be said of it."""
    if step.decoded is None:
        return "(not fetched)" if isinstance(step.outcome, Trapped) and not step.outcome.ilen else "(no instruction)"
    try:
        return disassemble(isa, step.executed or step.decoded, step.address)
    except (MachineError, ValueError, KeyError):  # a template that cannot be printed must not end a trace
        return step.decoded.form.template


class Trace(Protocol):
    """Is told of every instruction, and in the end."""

    def step(self, number: int, step: StepResult) -> None: ...

    def close(self) -> None: ...


class TextTrace:
    """One line for each instruction: its number, address, text, trap, and what it changed besides the counter."""

    def __init__(self, isa: Isa, state: State, out: TextIO):
        self.isa, self.out, self.changed = isa, out, Changed(state)

    def step(self, number: int, step: StepResult) -> None:
        digits = (self.isa.counter.width + 3) // 4
        parts = [f"{number:>8} {step.address:0{digits}x}  {told(self.isa, step):<32}"]
        if isinstance(step.outcome, Trapped):
            parts.append(f"trap {step.outcome}")
        parts += [f"{name}={after:#x}" for name, (_, after) in self.changed.since().items() if name != self.isa.counter.name]
        self.out.write(" ".join(parts).rstrip() + "\n")

    def close(self) -> None:
        pass


class JsonTrace:
    """One JSON object for each instruction, on a line: step, address, text, trap, and ``changes`` as [before, after]."""

    def __init__(self, isa: Isa, state: State, out: TextIO):
        self.isa, self.out, self.changed = isa, out, Changed(state)

    def step(self, number: int, step: StepResult) -> None:
        trap = str(step.outcome) if isinstance(step.outcome, Trapped) else None
        record = {"step": number, "address": step.address, "text": told(self.isa, step), "trap": trap, "changes": self.changed.since()}
        self.out.write(json.dumps(record, separators=(",", ":")) + "\n")

    def close(self) -> None:
        pass


class VcdTrace:
    """Every component but storage as a signal; one instruction is one unit of time."""

    def __init__(self, isa: Isa, state: State, out: TextIO):
        self.isa, self.out, self.changed = isa, out, Changed(state)
        self.now = 0
        signals = [(name, cell.width, state.cells[name]) for name, cell in isa.cells.items()]
        for name, array in isa.arrays.items():
            signals += [(f"{name}[{i}]", array.width, value) for i, value in enumerate(state.arrays[name])]
        self.signals = {name: (_identifier(i), width) for i, (name, width, _) in enumerate(signals)}
        out.write(f"$comment {isa.name}, one instruction each time unit $end\n$timescale 1 ns $end\n$scope module {isa.name} $end\n")
        for name, (identifier, width) in self.signals.items():
            # A dot would be read as a scope, brackets as a range of bits.
            shown = name.replace(".", "_").replace("[", "_").replace("]", "")
            out.write(f"$var wire {width} {identifier} {shown} $end\n")
        out.write("$upscope $end\n$enddefinitions $end\n#0\n$dumpvars\n")
        for name, _, value in signals:
            self._value(name, value)
        out.write("$end\n")

    def _value(self, name: str, value: int) -> None:
        identifier, width = self.signals[name]
        self.out.write(f"{value}{identifier}\n" if width == 1 else f"b{value:b} {identifier}\n")

    def step(self, number: int, step: StepResult) -> None:
        self.now = number
        changes = {name: after for name, (_, after) in self.changed.since().items() if name in self.signals}
        if changes:
            self.out.write(f"#{number}\n")
        for name, value in changes.items():
            self._value(name, value)

    def close(self) -> None:
        self.out.write(f"#{self.now + 1}\n")


def _identifier(number: int) -> str:
    """A short name of printable characters, as the format wants it."""
    text = ""
    while True:
        number, digit = divmod(number, 94)
        text += chr(33 + digit)
        if not number:
            return text


def tracer(form: str, isa: Isa, state: State, out: TextIO) -> Trace:
    """The trace of a format in FORMATS."""
    makers: dict[str, type[TextTrace] | type[JsonTrace] | type[VcdTrace]] = {"text": TextTrace, "jsonl": JsonTrace, "vcd": VcdTrace}
    return makers[form](isa, state, out)


__all__ = ["FORMATS", "Changed", "Trace", "told", "tracer"]
