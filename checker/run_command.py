"""``vcheck run``: a guest on the described machine, bare or under a monitor."""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

from checker.exitcodes import FINDINGS, PROVED, USAGE
from isa_specs.assembler import AssemblyError
from isa_specs.core import Isa
from isa_specs.diagnostics import Diagnostic, Span, nearest, render
from isa_specs.load import load
from isa_specs.program import Program
from machine import guests
from machine.board import Board, BoardError
from machine.errors import MachineError
from machine.guests import Machinery
from machine.lockstep import Comparison, Unequal, compare
from machine.session import Ending
from machine.trace import FORMATS, told, tracer

MAX_SOURCE = 1 << 20
MAX_AFTERWARDS = 100_000  # instructions, to show where a difference leads
ENDINGS = {"waiting": "comes to its end", "halted": "stops", "steps": "still runs"}

CODES = {
    "RN001": "there is no such guest",
    "RN002": "the guest is not an assembly program",
    "RN003": "the guest does not fit into storage",
    "RN004": "the description has no such monitor",
    "RN005": "nothing says what is around the processor",
    "RN006": "the guest does not come to an end",
    "RN007": "the machine cannot go on",
}

EPILOG = """The guest is an assembly file, or the name of one that comes with the program. A monitor is a profile of the description, or
'hybrid': its first profile with the guest's supervisor mode interpreted (Theorem 3).

exit codes: 0 the guest came to its end (and is the same on both)   1 a difference, or the machine stopped   2 usage or input

examples:
  vcheck run s370 os --monitor trap_and_emulate --depth 3
  vcheck run x86 os --monitor trap_and_emulate --compare
  vcheck run s370 sieve --trace vcd > sieve.vcd
"""


class Refused(Exception):
    """A run that cannot be made, or that came to nothing."""

    def __init__(self, code: str, message: str, place: str, hint: str = ""):
        self.diagnostic = Diagnostic(code, message, Span(place, 0, 0, 0, 0), hint)
        super().__init__(message)


def run(arguments: list[str]) -> int:
    """The command; returns the exit code."""
    about = argparse.ArgumentParser(prog="vcheck run", description="Run a guest, bare or under a monitor.", allow_abbrev=False,
                                    formatter_class=argparse.RawDescriptionHelpFormatter, epilog=EPILOG)
    about.add_argument("spec", metavar="SPEC", help="a .spec file, or the name of a description that comes with the program")
    about.add_argument("guest", metavar="GUEST", help="an assembly file, or the name of a guest that comes with the program")
    about.add_argument("--monitor", metavar="NAME", help="run it under this monitor")
    about.add_argument("--depth", metavar="N", type=_number, default=1, help="monitors on each other (default: 1)")
    about.add_argument("--machine", choices=["plain", "jitted"], default="plain",
                       help="what runs instructions (default: plain; traces are always plain)")
    about.add_argument("--trace", choices=FORMATS, help="write every instruction to standard output, all else to standard error")
    about.add_argument("--max-steps", metavar="N", type=_number, default=1_000_000, help="instructions (default: a million)")
    about.add_argument("--compare", action="store_true", help="run bare and monitored in step, and say where they differ")
    about.add_argument("--input", metavar="TEXT", default="", help="what is typed at the console")
    asked = about.parse_args(arguments)
    try:
        return _run(asked)
    except Refused as refused:
        print(render(refused.diagnostic, None), file=sys.stderr)
    except AssemblyError as error:
        source = _text(Path(error.diagnostics[0].span.file))
        for diagnostic in error.diagnostics[:50]:
            print(render(diagnostic, source), file=sys.stderr)
        count = len(error.diagnostics)
        print(f"vcheck: {asked.guest} does not assemble: {count} error{'s' * (count != 1)}", file=sys.stderr)
    return USAGE


def _number(text: str) -> int:
    value = int(text, 0)
    if not 1 <= value <= 1 << 40:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _run(asked: argparse.Namespace) -> int:
    isa = load(asked.spec)
    path = _find(isa, asked.guest)
    monitor = asked.monitor or (next(iter(isa.monitors), "") if asked.compare else "")
    if asked.depth != 1 and not monitor:
        raise Refused("RN004", "--depth counts monitors, and none is asked for", asked.spec, "add --monitor NAME")
    if (monitor or asked.compare) and monitor not in guests.monitor_names(isa):
        known = guests.monitor_names(isa)
        raise Refused("RN004", f"{isa.name} has no monitor '{monitor}'", asked.spec,
                      nearest(monitor, known) or f"it has {', '.join(known)}" if known else "its description declares none")
    try:
        board = guests.board_for(isa, path)
        program = guests.assembled(board, _source(path), str(path))
        typed = asked.input.encode("latin-1", "replace")
        if asked.compare:
            return _compared(isa, board, program, path, monitor, typed, asked)
        # Generated code runs many instructions at a time and tells of none.
        below = guests.processor(isa, "plain" if asked.trace else asked.machine)
        if monitor:
            machinery = guests.monitored(board, program, monitor, asked.depth, typed, below)
        else:
            machinery = guests.bare(board, program, typed=typed, processor=below)
        return _watched(isa, machinery, path, asked)
    except BoardError as error:
        raise Refused("RN005", str(error), str(path), error.hint) from None
    except guests.NoSuchMonitor as error:
        raise Refused("RN004", str(error), asked.spec) from None
    except guests.TooLarge as error:
        raise Refused("RN003", str(error), str(path), "docs/monitors.md: [storage] of the board says how much there is") from None
    except MachineError as error:
        raise Refused("RN007", str(error), str(path)) from None


# ---- finding the guest -----------------------------------------------------------------------------


def _find(isa: Isa, name: str) -> Path:
    known = guests.bundled(isa)
    path = Path(name)
    if name in known and not path.suffix:
        return known[name]
    try:
        if path.is_file():
            return path
    except (OSError, ValueError):  # a name no file can have
        pass
    hint = nearest(name, known) or (f"guests of {isa.name}: {', '.join(known)}" if known else "give the path of an assembly file")
    raise Refused("RN001", f"there is no guest '{name[:100]}'", name[:100], hint)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None


def _source(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(MAX_SOURCE + 1)
    if len(data) > MAX_SOURCE:
        raise Refused("RN002", f"more than {MAX_SOURCE >> 20} MB of assembly", str(path))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise Refused("RN002", "this is a binary file", str(path), "a guest is given as assembly; .byte puts in what is assembled already")
    if not text.strip():
        raise Refused("RN002", "the file is empty", str(path))
    return guests.source_of(path)


# ---- one run -----------------------------------------------------------------------------------------


def _watched(isa: Isa, machinery: Machinery, path: Path, asked: argparse.Namespace) -> int:
    session = machinery.session
    if asked.trace is None:
        ending = session.run(asked.max_steps)
        out = sys.stdout
    else:
        trace, out = tracer(asked.trace, isa, session.state, sys.stdout), sys.stderr
        ending = "steps"
        while ending == "steps" and session.steps + session.wakes < asked.max_steps:
            before = session.steps
            ending = session.run(1)
            if session.steps > before and session.last is not None and session.last.last is not None:
                trace.step(session.steps, session.last.last)
        trace.close()
    shown = bytes(session.output)
    out.write("console:\n" + "".join(f"  {line}\n" for line in shown.decode("latin-1").splitlines()) if shown else "console: nothing\n")
    out.write("state:\n" + "".join(f"  {line}\n" for line in _state(isa, machinery)))
    out.write("counters:\n" + "".join(f"  {line}\n" for line in _counters(machinery)))
    out.flush()
    return _verdict(ending, machinery, path, asked.max_steps)


def _verdict(ending: Ending, machinery: Machinery, path: Path, max_steps: int) -> int:
    if ending == "steps":
        raise Refused("RN006", f"the guest still runs after {max_steps} instructions", str(path),
                      "--max-steps N lets it run longer, --trace text shows what it does")
    if ending == "halted":
        print(f"vcheck: the machine has stopped: {machinery.session.state.halted}", file=sys.stderr)
        return FINDINGS
    return PROVED


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
    digest = hashlib.sha256(bytes(memory[address] for address in range(size))).hexdigest()
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


# ---- both in step --------------------------------------------------------------------------------------


def _compared(isa: Isa, board: Board, program: Program, path: Path, monitor: str, typed: bytes, asked: argparse.Namespace) -> int:
    monitored = guests.monitored(board, program, monitor, asked.depth, typed, guests.processor(isa, asked.machine))
    bare = guests.bare(board, program, monitored.guest_size, typed)  # plain: it tells which instruction it was
    found = compare(isa, bare, monitored, monitored.monitors[-1].profile, asked.max_steps)
    title = f"{path.stem} on {isa.name}, bare and under {monitor}" + f", {asked.depth} deep" * (asked.depth > 1)
    if found.divergence is None:
        shown = bytes(bare.session.output).decode("latin-1")
        sys.stdout.write(f"{title}: equal after {found.steps} instructions\n")
        sys.stdout.write("console:\n" + "".join(f"  {line}\n" for line in shown.splitlines()) if shown else "console: nothing\n")
        sys.stdout.write("counters:\n" + "".join(f"  {line}\n" for line in _counters(monitored)))
        return _verdict(found.ending, bare, path, asked.max_steps)
    lines = [f"{title}: different", *_difference(isa, found)]
    for name, machinery in (("bare", bare), ("monitored", monitored)):
        ending = machinery.session.run(max(0, min(asked.max_steps - found.steps, MAX_AFTERWARDS)))
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


__all__ = ["CODES", "run"]
