"""The ``vcheck`` command.

Exit codes, the same for every format: 0 proved, 1 findings, 2 usage or description, 3 inconclusive, 4 internal error or disputed
counterexample, 130 interrupted. Of several descriptions the worst counts, in the order 2, 4, 1, 3, 0.

Results go to standard output, everything else to standard error. What is heavy is imported where it is used: ``--help`` loads
neither parser, solver nor compiler.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from checker.exitcodes import BROKEN_PIPE, INTERNAL, INTERRUPTED, USAGE, worst
from isa_specs.keeping import default_directory, unkept

if TYPE_CHECKING:
    from checker.model import Report

EPILOG = """commands besides checking:
  vcheck list                  the descriptions that come with the program
  vcheck show SPEC INSTR       one instruction: description, encodings, footprint, verdict
  vcheck run SPEC GUEST        a program on the described machine, bare or under a monitor
  vcheck emit SPEC [INSTR]     the code generated from a description
  vcheck fuzz SPEC [INSTR]     the readings of a description against each other
  vcheck explain [CODE]        what a code such as PG103 or SP207 means
  vcheck schema                the JSON Schema of --format json
  vcheck cache dir|clear       where results are remembered; forget them

exit codes:
  0 proved   1 findings   2 usage or description   3 inconclusive
  4 internal error or disputed counterexample   130 interrupted

examples:
  vcheck x86 --instruction SGDT
  vcheck my.spec --format markdown --output my.md
  vcheck my.spec --format json --output known.json
  vcheck my.spec --baseline known.json
"""


def parser() -> argparse.ArgumentParser:
    """The arguments of a check."""
    out = argparse.ArgumentParser(
        prog="vcheck", formatter_class=argparse.RawDescriptionHelpFormatter, epilog=EPILOG, allow_abbrev=False,
        description="Decide from its description whether an instruction set is virtualizable (Popek and Goldberg 1974).",
    )
    out.add_argument("specs", metavar="SPEC", nargs="+", help="a .spec file, or the name of a description that comes with the program")
    out.add_argument("--format", choices=["text", "json", "markdown"], default="text", help="of the report (default: text)")
    out.add_argument("-o", "--output", metavar="FILE", type=Path, help="write the report to FILE instead of standard output")
    out.add_argument("--monitor", metavar="NAME", action="append", default=[], help="only this monitor profile; can be repeated")
    out.add_argument("--instruction", metavar="NAME", action="append", default=[], help="only this instruction; can be repeated")
    out.add_argument("--timeout", metavar="S", type=seconds, default=10.0, help="seconds for each obligation (default: 10)")
    out.add_argument("--jobs", metavar="N", type=number, default=0, help="solver processes (default: one for each processor)")
    out.add_argument("--no-cache", action="store_true", help="neither use nor store remembered results")
    out.add_argument("--baseline", metavar="FILE", type=Path, help="a JSON report: findings it has do not count again")
    out.add_argument("--export", metavar="DIR", type=Path, help="write every obligation to DIR as an SMT-LIB file")
    out.add_argument("--confirm", action=argparse.BooleanOptionalAction,
                     help="run every counterexample on generated code, too (default: where code can be generated)")
    out.add_argument("--timings", action="store_true", help="report where the time went")
    out.add_argument("-v", "--verbose", action="store_true", help="show notes in full")
    out.add_argument("--color", choices=["auto", "always", "never"], default="auto", help="of text (auto: on terminals, unless NO_COLOR)")
    out.add_argument("--version", action="store_true", help="print the versions of the program and its solver")
    return out


def seconds(text: str) -> float:
    """A time limit, above 0 and at most a day."""
    value = float(text)
    if not 0 < value <= 86400:
        raise argparse.ArgumentTypeError("must be above 0 and at most a day")
    return value


def number(text: str) -> int:
    """A number of processes, 1 to 256."""
    value = int(text)
    if not 1 <= value <= 256:
        raise argparse.ArgumentTypeError("must be between 1 and 256")
    return value


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; prints its own errors and returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    signal.signal(signal.SIGTERM, _terminated)
    unkept()  # whoever calls this from Python may have done something before
    try:
        code = _run(arguments)
        sys.stdout.flush()
        _wait_for_code()
        _tell_unkept()
        return code
    except BrokenPipeError:  # the reader, head or less, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        print("vcheck: interrupted", file=sys.stderr)
        return INTERRUPTED


def _wait_for_code() -> None:
    """What was compiled while a guest ran is to be kept for the next run."""
    if "machine.generated.native" in sys.modules:
        from machine.generated.native import finish

        finish()


def _tell_unkept() -> None:
    reason = unkept()
    if reason:
        print(f"vcheck: not all could be kept in {default_directory()}: {reason}; the next run works it out again", file=sys.stderr)


def command() -> NoReturn:
    """The ``vcheck`` program: :func:`main` in a process that ends with it.

    What was built is not taken apart first, which would take a tenth as long as building it."""
    code = main()
    if "multiprocessing" not in sys.modules:  # that has children to look after
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _terminated(signal_number: int, frame: types.FrameType | None) -> None:
    # As Ctrl-C: every context manager on the way out ends its processes.
    raise KeyboardInterrupt


def _run(arguments: list[str]) -> int:
    try:
        if "--version" in arguments:
            return version()
        if arguments and not arguments[0].startswith("-"):
            from checker.commands import COMMANDS

            if arguments[0] in COMMANDS:
                return COMMANDS[arguments[0]](arguments[1:])
        return run_check(parser().parse_args(arguments))
    except SystemExit as done:  # argparse has printed why
        return done.code if isinstance(done.code, int) else USAGE
    except BrokenPipeError:
        raise
    except Exception as error:
        return report_error(error)


def version() -> int:
    """Print versions; they are part of what a result depends on."""
    from checker import __version__
    from checker.solve import find_solver, solver_version

    print(f"vcheck {__version__} ({solver_version(find_solver())}, Python {sys.version.split()[0]})")
    return 0


def report_error(error: Exception) -> int:
    """Word an error for the user on standard error; returns the exit code that goes with it."""
    from checker.check import UsageError
    from checker.solve import SolverError
    from isa_specs.diagnostics import SpecError, render

    if isinstance(error, SpecError):
        sources: dict[str, str] = getattr(error, "sources", {})
        for diagnostic in error.diagnostics[:50]:
            print(render(diagnostic, sources.get(diagnostic.span.file)), file=sys.stderr)
        count = len(error.diagnostics)
        print(f"vcheck: {count} error{'s' * (count != 1)}{', the first 50 shown' * (count > 50)}", file=sys.stderr)
        return USAGE
    if isinstance(error, UsageError):
        print(f"vcheck: {error}", file=sys.stderr)
        return USAGE
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        print(f"vcheck: {where}{error.strerror or error}", file=sys.stderr)
        return USAGE
    if os.environ.get("VCHECK_TRACEBACK"):
        import traceback

        traceback.print_exception(error)
    kind = "" if isinstance(error, SolverError) else f"{type(error).__name__}: "
    print(f"vcheck: internal error: {kind}{error} (VCHECK_TRACEBACK=1 shows where)", file=sys.stderr)
    return INTERNAL


def run_check(asked: argparse.Namespace) -> int:
    """Check the descriptions and print or write the reports."""
    from checker.baseline import read_baseline, remark
    from checker.check import check
    from checker.findings import exit_code, findings
    from checker.options import Options
    from checker.progress import progress
    from isa_specs.keeping import default_directory

    known = read_baseline(asked.baseline) if asked.baseline is not None else frozenset()
    cache = None if asked.no_cache else default_directory()
    reports: list[Report] = []
    codes: list[int] = []
    with progress() as tell:
        options = Options(
            monitors=tuple(asked.monitor), instructions=tuple(asked.instruction), timeout=asked.timeout, jobs=asked.jobs, cache=cache,
            export=asked.export, timings=asked.timings, confirm=asked.confirm, progress=tell,
        )
        for name in asked.specs:
            try:
                reports.append(check(name, options))
            except Exception as error:
                codes.append(report_error(error))
    if reports:
        _print(reports, asked)
        if asked.baseline is not None:
            print(remark([finding for report in reports for finding in findings(report)], known), file=sys.stderr)
    return worst(codes + [exit_code(report, known) for report in reports])


def _print(reports: list[Report], asked: argparse.Namespace) -> None:
    from checker.files import write
    from checker.reporting import json, markdown, text

    if asked.format == "json":
        shown = json.render(reports)
    elif asked.format == "markdown":
        shown = markdown.render_all(reports)
    else:
        shown = text.render_all(reports, text.colour if _coloured(asked) else text.plain, asked.verbose)
    if asked.output is not None:
        write(asked.output, shown)
    else:
        sys.stdout.write(shown)


def _coloured(asked: argparse.Namespace) -> bool:
    if asked.color != "auto":
        return bool(asked.color == "always")
    terminal = asked.output is None and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return terminal and not os.environ.get("NO_COLOR")


if __name__ == "__main__":
    command()
