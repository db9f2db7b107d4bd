"""``python -m tests.benchmarks.copies NAME COUNT``: check a description with every instruction COUNT times over.

Copies have names of their own and share nothing of what the solver answered, as if they were other instructions."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace

from checker import analysis
from checker.options import Options
from checker.solve import Answer, Solver
from isa_specs.load import load


class Forgetful(Solver):
    """Solves what it has solved before."""

    counter = itertools.count()

    def submit(self, text: str, want: Sequence[str] = (), *, optimise: bool = False) -> Future[Answer]:
        return super().submit(f"{text}\n; {next(self.counter)}", want, optimise=optimise)


def main(name: str, count: int) -> None:
    isa = load(name)
    forms = isa.forms
    isa.forms = [replace(form, instruction=f"{form.instruction}{number or ''}") for number in range(count) for form in forms]
    analysis.Solver = Forgetful  # type: ignore[attr-defined]
    made = analysis.analyse(isa, Options())
    assert len(made.instructions) == count * len({form.instruction for form in forms})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
