"""``python -m tests.references``: every described form on the described machine and on other emulators."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from isa_specs.load import load
from tests.references.campaign import Target, compare
from tests.references.emulators import missing
from tests.references.page import Figures, page
from tests.references.targets import TARGETS

PAGE = Path(__file__).parent.parent.parent / "docs" / "references.md"


def main(arguments: list[str]) -> int:
    about = argparse.ArgumentParser(prog="python -m tests.references", description="Hold descriptions against other emulators.")
    about.add_argument("names", metavar="SPEC", nargs="*", default=list(TARGETS), help=f"descriptions (default: {' '.join(TARGETS)})")
    about.add_argument("--states", type=int, default=100, help="for each form (default: 100)")
    about.add_argument("--seed", type=int, default=1)
    about.add_argument("--instruction", action="append", default=[], help="only this one")
    about.add_argument("--emulator", choices=sorted({program for targets in TARGETS.values() for _, program, _ in targets}),
                       help="only this one")
    about.add_argument("--write", action="store_true", help="put the figures into docs/references.md")
    asked = about.parse_args(arguments)
    done = []
    for name in asked.names:
        for title, program, make in TARGETS[name]:
            if asked.emulator not in (None, program):
                continue
            if why := missing(program):
                print(why, file=sys.stderr)
                continue
            target: Target = make(load(name))
            forms = [form for form in target.isa.forms if not asked.instruction or form.instruction in asked.instruction]
            began = time.perf_counter()
            tallies = compare(target, asked.states, asked.seed, forms, lambda text: print(f"\r{text:12}", end="", file=sys.stderr))
            done.append(Figures(f"{name}: {title}", asked.states, asked.seed, time.perf_counter() - began, target.modes, tallies))
    print(page(done), end="")
    if asked.write:
        PAGE.write_text(page(done, PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return int(any(tally.wrong for figures in done for tally in figures.tallies.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
