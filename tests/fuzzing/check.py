"""What must hold of any text at all: it is refused with places and reasons, or means something."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from isa_specs.assembly import AssemblyError, assemble, disassemble
from isa_specs.core import Isa
from isa_specs.diagnostics import SpecError, render
from isa_specs.elements import MAX_LENGTH
from isa_specs.encoding import padded
from isa_specs.load import loads
from machine.errors import MachineError
from machine.plain import Machine
from machine.state import State

from .core_form import flaws
from .mutants import mutant

SLOWEST = 5.0  # processor seconds for one description
FILE = "mutant.spec"


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant of the description ``name``: refused for ``codes``, or accepted if there are none.

    ``seconds`` is the processor time of loading it."""

    seed: str
    name: str
    codes: tuple[str, ...]
    seconds: float


class Flawed(Exception):
    """A mistake of the language's, found by a mutant."""


def check(seed: str) -> Outcome:
    """Make a mutant, load it and use what loads. Any exception is a mistake of the language's."""
    name, text = mutant(random.Random(seed))
    try:
        started = time.process_time()
        read = loaded(text)
        seconds = time.process_time() - started
        if seconds > SLOWEST:
            raise Flawed(f"{seconds:.1f} s to load")
        if isinstance(read, Isa):
            accepted(read, random.Random(seed), used=name.startswith("teaching/"))
            return Outcome(seed, name, (), seconds)
        refused(read)
        return Outcome(seed, name, tuple(dict.fromkeys(diagnostic.code for diagnostic in read.diagnostics)), seconds)
    except Exception as error:
        error.add_note(f"mutant {seed} of {name}")
        raise


def loaded(text: str) -> Isa | SpecError:
    try:
        return loads(text, FILE)
    except SpecError as error:
        return error


def refused(error: SpecError) -> None:
    """Whether every mistake has a place and can be worded."""
    texts = getattr(error, "sources", {})
    if not error.diagnostics:
        raise Flawed("refused for nothing")
    for diagnostic in error.diagnostics:
        if diagnostic.span.file not in (FILE, *texts) or not render(diagnostic, texts.get(diagnostic.span.file)):
            raise Flawed(f"{diagnostic.code} has no place")


def accepted(isa: Isa, rng: random.Random, *, used: bool) -> None:
    """Whether what loads is a description: its core form is sound, and its instructions can be run."""
    wrong = flaws(isa)
    if wrong:
        raise Flawed("; ".join(wrong[:3]))
    if used or rng.random() < 0.1:
        use(isa, rng)


def use(isa: Isa, rng: random.Random) -> None:
    """Random instructions on random states, as text and back."""
    machine, state = Machine(isa), State(isa)
    for cell in isa.cells.values():
        state[cell.name] = rng.getrandbits(cell.width)
    zeros = dict.fromkeys((*isa.prefixes, *isa.contexts, "reg"), 0)
    for form in rng.sample(isa.forms, min(3, len(isa.forms))):
        fields = zeros | {field: rng.getrandbits(width) for field, width in form.fields.items()}
        fields |= dict(getattr(form.encoding, "values", ()))
        with suppress(MachineError):
            machine.execute(form, fields, 4, state.copy())
    if isa.fetch is None or isa.illegal is None:
        return
    contexts = dict.fromkeys(isa.contexts, 0)
    decoded = machine.decoder.decode(padded(rng.randbytes(MAX_LENGTH)), lambda _: contexts)
    if decoded is not None:
        with suppress(AssemblyError):  # a mutated template need not be readable
            assemble(isa, disassemble(isa, decoded, 0x100), 0x100, lambda _: contexts)
    with suppress(MachineError):
        machine.step(state, bare=True)


def piece(number: int, count: int) -> Iterator[Outcome]:
    """``count`` mutants, the same ones whenever asked for."""
    for n in range(count):
        yield check(f"{number}/{n}")
