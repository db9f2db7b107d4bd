"""The commands besides checking. Each takes its arguments and returns the exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from checker.exitcodes import PROVED, USAGE

PAGES = Path(__file__).parent / "explain"


def _arguments(name: str, about: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(prog=f"vcheck {name}", description=about, allow_abbrev=False)


def list_(arguments: list[str]) -> int:
    """Name, title and source of every bundled description."""
    _arguments("list", "List the descriptions that come with the program.").parse_args(arguments)

    from isa_specs.load import bundled, strip
    from isa_specs.reader import declarations, parse

    rows = []
    for name, path in bundled().items():
        text = path.read_text(encoding="utf-8")
        headers = [chunk for _, chunk in declarations(text) if any(line.startswith("isa ") for line in chunk.split("\n"))]
        nodes, _ = parse("\n".join(headers[:1]), str(path))
        rows.append((name, strip(nodes[0].children[1]) if nodes else "(does not parse)"))
    width = max((len(name) for name, _ in rows), default=0)
    for name, title in rows:
        print(f"{name:<{width}}  {title}")
    return PROVED


def show(arguments: list[str]) -> int:
    """One instruction: description, encodings, footprint, verdict."""
    about = _arguments("show", "Show one instruction: its description, encodings, footprint and verdict.")
    about.add_argument("spec", metavar="SPEC")
    about.add_argument("instruction", metavar="INSTR")
    about.add_argument("--no-cache", action="store_true", help="neither use nor store remembered results")
    asked = about.parse_args(arguments)

    from checker.show import show_instruction

    sys.stdout.write(show_instruction(asked.spec, asked.instruction, not asked.no_cache))
    return PROVED


def explain(arguments: list[str]) -> int:
    """The page of a code, or the list of codes."""
    about = _arguments("explain", "Explain a code; without one, list them all.")
    about.add_argument("code", metavar="CODE", nargs="?")
    asked = about.parse_args(arguments)
    pages = {path.stem: path for path in sorted(PAGES.glob("*.md"))}
    if asked.code is None:
        for page in pages.values():
            print(page.read_text(encoding="utf-8").split("\n", 1)[0].removeprefix("# "))
        return PROVED
    code = asked.code.upper()
    if code not in pages:
        from isa_specs.diagnostics import nearest

        print(f"vcheck: there is no code '{asked.code}': {nearest(code, pages) or 'vcheck explain lists them'}", file=sys.stderr)
        return USAGE
    sys.stdout.write(pages[code].read_text(encoding="utf-8"))
    return PROVED


def schema(arguments: list[str]) -> int:
    """The JSON Schema of a report."""
    _arguments("schema", "Print the JSON Schema of the JSON report.").parse_args(arguments)

    from checker.reporting import json

    sys.stdout.write(json.schema())
    return PROVED


def cache(arguments: list[str]) -> int:
    """Where results are remembered, or forget them."""
    about = _arguments("cache", "Remembered results: where they are, or forget them.")
    about.add_argument("action", choices=["dir", "clear"])
    asked = about.parse_args(arguments)

    from checker.cache import Cache
    from isa_specs.keeping import default_directory

    if asked.action == "dir":
        print(default_directory())
    else:
        from isa_specs import grammar
        from machine.generated import cache as machines

        print(f"{Cache().clear() + machines.clear() + grammar.clear(default_directory())} bytes freed")
    return PROVED


def run(arguments: list[str]) -> int:
    """A guest on the described machine, bare or under a monitor."""
    from checker.run_command import run as run_guest

    return run_guest(arguments)


def emit(arguments: list[str]) -> int:
    """The code generated from a description, as it is compiled."""
    about = _arguments("emit", "Print the code generated from a description, or the part of it that is one instruction.")
    about.add_argument("spec", metavar="SPEC")
    about.add_argument("instruction", metavar="INSTR", nargs="?")
    asked = about.parse_args(arguments)

    from isa_specs.diagnostics import nearest
    from isa_specs.load import load
    from machine.generated.emit import Unit
    from machine.generated.layout import NotGenerated

    isa = load(asked.spec)
    try:
        unit = Unit(isa)
    except NotGenerated as reason:
        print(f"vcheck: the plain machine runs {isa.name}: {reason}", file=sys.stderr)
        return USAGE
    if asked.instruction is None:
        sys.stdout.write(unit.source)
        return PROVED
    names = {name.casefold(): name for name in isa.instructions()}
    name = names.get(asked.instruction.casefold())
    if name is None:
        hint = nearest(asked.instruction.upper(), isa.instructions())
        print(f"vcheck: {isa.name} has no instruction '{asked.instruction}'{f': {hint}' if hint else ''}", file=sys.stderr)
        return USAGE
    sys.stdout.write(unit.excerpt(name))
    return PROVED


def fuzz(arguments: list[str]) -> int:
    """The readings of a description held against each other."""
    from checker.fuzz_command import fuzz as campaign

    return campaign(arguments)


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "list": list_, "show": show, "run": run, "emit": emit, "fuzz": fuzz, "explain": explain, "schema": schema, "cache": cache,
}
