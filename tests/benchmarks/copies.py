"""``python -m tests.benchmarks.copies NAME COUNT``: check a description with every instruction COUNT times over.

Copies have names of their own and share nothing of what the solver answered, as if they were other instructions. Only their bytes are the
same, so witnesses are replayed as what they are copies of."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import ClassVar

from checker import analysis, witnesses
from checker.definitions import Question
from checker.models import Model
from checker.options import Options
from checker.replay import Replayed, Replayer
from checker.solve import Answer, Solver
from isa_specs.core import Form
from isa_specs.encoding import decoder
from isa_specs.load import load


class Forgetful(Solver):
    """Solves what it has solved before."""

    counter = itertools.count()

    def submit(self, text: str, want: Sequence[str] = (), *, optimise: bool = False) -> Future[Answer]:
        return super().submit(f"{text}\n; {next(self.counter)}", want, optimise=optimise)


class Copied(Replayer):
    """Replays copies as what they are copies of."""

    originals: ClassVar[dict[int, Form]] = {}

    def replay(self, question: Question, form: Form, model: Model) -> Replayed:
        return super().replay(question, self.originals[id(form)], model)


def main(name: str, count: int) -> None:
    isa = load(name)
    forms = isa.forms
    decoder(isa)  # of these, and from now on
    suffixes = ["", *(f".{number}" for number in range(1, count))]
    isa.forms = [replace(form, instruction=form.instruction + suffix) for suffix in suffixes for form in forms]
    Copied.originals.update((id(copy), form) for copy, form in zip(isa.forms, itertools.cycle(forms)))
    witnesses.Replayer = Copied  # type: ignore[misc]
    analysis.Solver = Forgetful  # type: ignore[attr-defined]
    made = analysis.analyse(isa, Options(confirm=False))  # copies have no bytes of their own to be generated for
    assert len(made.instructions) == count * len({form.instruction for form in forms})


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
