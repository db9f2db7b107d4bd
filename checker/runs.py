"""What ``vcheck run`` does with its guests, and what it prints: one by itself, one beside its bare twin, several in turns."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence

from checker.exitcodes import FINDINGS, PROVED
from isa_specs.core import Isa
from isa_specs.diagnostics import Diagnostic, Span
from machine.guests import Machinery
from machine.lockstep import Comparison, Unequal, compare
from machine.scheduler import Household
from machine.session import Ending
from machine.trace import told, tracer

MAX_AFTERWARDS = 100_000  # instructions, to show where a difference leads
ENDINGS = {"waiting": "comes to its end", "halted": "stops", "steps": "still runs"}


class Refused(Exception):
    """A run that cannot be made, or that came to nothing."""

    def __init__(self, code: str, message: str, place: str, hint: str = ""):
        self.diagnostic = Diagnostic(code, message, Span(place, 0, 0, 0, 0), hint)
        super().__init__(message)


# ---- one by itself -------------------------------------------------------------------------------------


def watched(isa: Isa, machinery: Machinery, guest: str, max_steps: int, trace_format: str | None) -> int:
    """Run a guest to its end and print what became of it; returns the exit code. Raises :class:`Refused` when there is no end."""
    session = machinery.session
    if trace_format is None:
        ending = session.run(max_steps)
        out = sys.stdout
    else:
        trace, out = tracer(trace_format, isa, session.state, sys.stdout), sys.stderr
        ending = "steps"
        while ending == "steps" and session.steps + session.wakes < max_steps:
            before = session.steps
            ending = session.run(1)
            if session.steps > before and session.last is not None and session.last.last is not None:
                trace.step(session.steps, session.last.last)
        trace.close()
    out.write(_console(machinery))
    out.write("state:\n" + _indented(_state(isa, machinery)))
    out.write("counters:\n" + _indented(_counters(machinery)))
    out.flush()
    return _verdict(ending, machinery, guest, max_steps)


def _verdict(ending: Ending, machinery: Machinery, guest: str, max_steps: int) -> int:
    if ending == "steps":
        raise Refused("RN006", f"the guest still runs after {max_steps} instructions", guest,
                      "--max-steps N lets it run longer, --trace text shows what it does")
    if ending == "halted":
        print(f"vcheck: the machine has stopped: {machinery.session.state.halted}", file=sys.stderr)
        return FINDINGS
    return PROVED


def _indented(lines: Sequence[str]) -> str:
    return "".join(f"  {line}\n" for line in lines)


def _console(machinery: Machinery) -> str:
    shown = bytes(machinery.session.output).decode("latin-1")
    return "console:\n" + _indented(shown.splitlines()) if shown else "console: nothing\n"


def _state(isa: Isa, machinery: Machinery) -> list[str]:
    """What is not zero, by the description's names; of storage its digest."""
    state = machinery.session.state
    lines = [f"{name} = {value:#x}" for name, value in state.cells.items() if value]
    lines += [f"{name}[{i}] = {value:#x}" for name, values in state.arrays.items() for i, value in enumerate(values) if value]
    space = machinery.session.board.space
    for name, memory in state.memory.items():
        if name != space:
            lines += [f"{name}({address:#x}) = {value:#x}" for address, value in sorted(memory.items()) if value]
    size, memory = machinery.guest_size, machinery.session.state.memory[space]
    whole = memory.block() or bytes(memory[address] for address in range(size))
    digest = hashlib.sha256(whole[:size]).hexdigest()
    return [*lines, f"{space}: {size:#x} bytes, SHA-256 {digest[:32]}"]


def _counters(machinery: Machinery) -> list[str]:
    session = machinery.session
    lines = [f"instructions {session.steps}", f"interrupts {session.interrupts}"]
    if not machinery.monitors:
        return lines + _causes("trap", session.processor.counters.traps)
    for level, monitor in enumerate(machinery.monitors, 1):
        counters = monitor.counters
        lines.append(f"monitor {level}: entered {counters.entries} times; direct {counters.direct}, emulated {counters.emulated}, "
                     f"interpreted {counters.interpreted}, reflected {counters.reflected}; its share {100 * counters.share:.1f} %")
        lines += _causes(f"monitor {level}: trap", counters.traps) + _causes(f"monitor {level}: exit", counters.exits)
        lines += [f"monitor {level}: the guest changed {name}, which is the monitor's" for name in sorted(counters.disturbed)]
    return lines


def _causes(what: str, causes: dict[str, int]) -> list[str]:
    return [f"{what} {cause} {count}" for cause, count in sorted(causes.items())]


# ---- several in turns ------------------------------------------------------------------------------------


def together(household: Household, names: Sequence[str], max_steps: int) -> int:
    """Run guests of one machine in turns and print what became of each; returns the exit code.

    Raises :class:`Refused` when one does not come to its end, after all have been shown."""
    endings = household.run(max_steps)
    guests = [Machinery(guest.session, (guest.monitor,), guest.window, 0) for guest in household.guests]
    for number, (name, guest, ending) in enumerate(zip(names, guests, endings, strict=True), 1):
        sys.stdout.write(f"guest {number}: {name}, {guest.guest_size:#x} bytes from {guest.storage.origin:#x}, {ENDINGS[ending]}\n")
        sys.stdout.write(_indented([*_console(guest).splitlines(), *_counters(guest)]))
    sys.stdout.flush()
    return max(_verdict(ending, guest, name, max_steps) for name, guest, ending in zip(names, guests, endings, strict=True))


# ---- beside the bare machine -----------------------------------------------------------------------------


def compared(isa: Isa, bare: Machinery, monitored: Machinery, title: str, guest: str, max_steps: int) -> int:
    """Run a guest bare and monitored in step and print the first difference, if any; returns the exit code."""
    found = compare(isa, bare, monitored, monitored.monitors[-1].profile, max_steps)
    if found.divergence is None:
        sys.stdout.write(f"{title}: equal after {found.steps} instructions\n")
        sys.stdout.write(_console(bare))
        sys.stdout.write("counters:\n" + _indented(_counters(monitored)))
        return _verdict(found.ending, bare, guest, max_steps)
    lines = [f"{title}: different", *_difference(isa, found)]
    for name, machinery in (("bare", bare), ("monitored", monitored)):
        ending = machinery.session.run(max(0, min(max_steps - found.steps, MAX_AFTERWARDS)))
        shown = bytes(machinery.session.output).decode("latin-1")
        lines.append(f"  if they go on: {name} {ENDINGS[ending]} after {machinery.session.steps} instructions, console {shown!r}")
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return FINDINGS


def _difference(isa: Isa, found: Comparison) -> list[str]:
    """The first diverging step, decoded."""
    divergence = found.divergence
    assert divergence is not None
    step, lines = divergence.step, []
    if step is not None:
        name = (step.executed or step.decoded).form.instruction if step.decoded is not None else ""
        lines.append(f"first at instruction {divergence.steps}: {step.address:#x}  {told(isa, step)}" + f"  ({name})" * bool(name))
    lines.append(f"  bare {divergence.bare_outcome}, monitored {divergence.monitored_outcome}")
    width = max((len(item.component) for item in divergence.differences), default=0)
    for item in divergence.differences:
        lines.append(f"  {item.component:<{width}}  bare {item.bare:#x}  monitored {item.monitored:#x}  ({item.reason})")
    if divergence.direct:
        cause = _cause(divergence.differences)
        lines.append(f"  why: it completed on the real machine without a trap, so the monitor was not told; {cause}")
    else:
        lines.append("  why: the monitor carried it out, and came to another result")
    return lines


def _cause(differences: tuple[Unequal, ...]) -> str:
    stale = [item.component for item in differences if item.reason == "record stale"]
    if stale:
        return f"its record of {', '.join(stale)} is stale"
    return "what it found there is the monitor's, not the guest's"


__all__ = ["Refused", "compared", "together", "watched"]
