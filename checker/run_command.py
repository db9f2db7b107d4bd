"""``vcheck run``: a guest on the described machine, bare or under a monitor."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from checker.exitcodes import USAGE
from checker.runs import Refused, compared, together, watched
from isa_specs.assembler import AssemblyError
from isa_specs.core import Isa
from isa_specs.diagnostics import nearest, render
from isa_specs.program import Program
from machine import guests
from machine.board import Board, BoardError
from machine.descriptions import load
from machine.errors import MachineError
from machine.monitors.processor import Processor
from machine.scheduler import household
from machine.trace import FORMATS

MAX_SOURCE = 1 << 20

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
  vcheck run s370 os sieve --monitor trap_and_emulate
  vcheck run s370 sieve --trace vcd > sieve.vcd
"""


def run(arguments: list[str]) -> int:
    """The command; returns the exit code."""
    about = argparse.ArgumentParser(prog="vcheck run", description="Run a guest, bare or under a monitor.", allow_abbrev=False,
                                    formatter_class=argparse.RawDescriptionHelpFormatter, epilog=EPILOG)
    about.add_argument("spec", metavar="SPEC", help="a .spec file, or the name of a description that comes with the program")
    about.add_argument("guest", metavar="GUEST", nargs="+",
                       help="an assembly file, or the name of a guest that comes with the program; several share the machine in turns")
    about.add_argument("--monitor", metavar="NAME", help="run it under this monitor")
    about.add_argument("--depth", metavar="N", type=_number, default=1, help="monitors on each other (default: 1)")
    about.add_argument("--machine", choices=["plain", "jitted"], default="jitted",
                       help="what runs instructions (default: jitted; a trace always takes the plain machine)")
    about.add_argument("--trace", choices=FORMATS, help="write every instruction to standard output, all else to standard error")
    about.add_argument("--max-steps", metavar="N", type=_number, default=1_000_000, help="instructions (default: a million)")
    about.add_argument("--compare", action="store_true", help="run bare and monitored in step, and say where they differ")
    about.add_argument("--input", metavar="TEXT", default="", help="what is typed at the console")
    asked = about.parse_args(arguments)
    if len(asked.guest) > 1 and (asked.trace or asked.compare or asked.input or asked.depth > 1):
        about.error("--trace, --compare, --input and --depth are for one guest")
    try:
        return _run(asked)
    except Refused as refused:
        print(render(refused.diagnostic, None), file=sys.stderr)
    except AssemblyError as error:
        source = _text(Path(error.diagnostics[0].span.file))
        for diagnostic in error.diagnostics[:50]:
            print(render(diagnostic, source), file=sys.stderr)
        count = len(error.diagnostics)
        print(f"vcheck: {error.diagnostics[0].span.file} does not assemble: {count} error{'s' * (count != 1)}", file=sys.stderr)
    return USAGE


def _number(text: str) -> int:
    value = int(text, 0)
    if not 1 <= value <= 1 << 40:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _run(asked: argparse.Namespace) -> int:
    isa = load(asked.spec)
    paths = [_find(isa, guest) for guest in asked.guest]
    monitor = asked.monitor or (next(iter(isa.monitors), "") if asked.compare else "")
    if asked.depth != 1 and not monitor:
        raise Refused("RN004", "--depth counts monitors, and none is asked for", asked.spec, "add --monitor NAME")
    if len(paths) > 1 and not monitor:
        raise Refused("RN004", f"{len(paths)} guests on one machine need a monitor", asked.spec, "add --monitor NAME")
    if (monitor or asked.compare) and monitor not in guests.monitor_names(isa):
        known = guests.monitor_names(isa)
        raise Refused("RN004", f"{isa.name} has no monitor '{monitor}'", asked.spec,
                      nearest(monitor, known) or f"it has {', '.join(known)}" if known else "its description declares none")
    path = paths[0]
    try:
        board = guests.board_for(isa, path)
        programs = [guests.assembled(board, _source(each), str(each)) for each in paths]
        # Generated code runs many instructions at a time and tells of none.
        below = guests.processor(isa, "plain" if asked.trace else asked.machine)
        if len(programs) > 1:
            return together(household(board, programs, monitor, below), [each.stem for each in paths], asked.max_steps)
        return _alone(isa, board, programs[0], path, monitor, below, asked)
    except BoardError as error:
        raise Refused("RN005", str(error), str(path), error.hint) from None
    except guests.NoSuchMonitor as error:
        raise Refused("RN004", str(error), asked.spec) from None
    except guests.TooLarge as error:
        raise Refused("RN003", str(error), str(path), "docs/monitors.md: [storage] of the board says how much there is") from None
    except MachineError as error:
        raise Refused("RN007", str(error), str(path)) from None


def _alone(isa: Isa, board: Board, program: Program, path: Path, monitor: str, below: Processor, asked: argparse.Namespace) -> int:
    typed = asked.input.encode("latin-1", "replace")
    if not monitor:
        return watched(isa, guests.bare(board, program, typed=typed, processor=below), str(path), asked.max_steps, asked.trace)
    monitored = guests.monitored(board, program, monitor, asked.depth, typed, below)
    if not asked.compare:
        return watched(isa, monitored, str(path), asked.max_steps, asked.trace)
    bare = guests.bare(board, program, monitored.guest_size, typed)  # plain: it tells which instruction it was
    title = f"{path.stem} on {isa.name}, bare and under {monitor}" + f", {asked.depth} deep" * (asked.depth > 1)
    return compared(isa, bare, monitored, title, str(path), asked.max_steps)


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


__all__ = ["CODES", "run"]
