"""Campaigns: every form of a description in many states, held against each other by the three readings, and under the monitor.

A campaign is a list of units, a lot of states of one form each, in an order that spreads over all forms. What a unit found depends on
description, form, profile, seed and lot alone; what is done is kept in the user's cache folder, under the hash of the description, this
program and the seed, and not done again.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from checker.cache import program_digest
from checker.comparisons import COMPARISONS, Comparison, Finding, Outcome
from checker.options import Progress
from isa_specs.core import Isa
from isa_specs.keeping import digest, if_possible, write
from isa_specs.load import load
from machine.jitted import JittedMachine

SAVE_EVERY = 5.0  # seconds
MAX_FINDINGS = 3  # kept for a form and a comparison

Unit = tuple[str, int, int, int]
"""A comparison, the index of a form, the number of the lot, and how many states."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for: states a form for each comparison, 0 for none; ``monitor`` names a profile (empty: the headline, which is the
    first). ``instructions`` restricts it (empty: all)."""

    spec: str
    states: dict[str, int]
    seed: int = 0
    instructions: tuple[str, ...] = ()
    jobs: int = 1
    folder: Path | None = None
    monitor: str = ""


@dataclass(slots=True)
class Tally:
    """What became of the states of one form in one comparison."""

    did: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        for what, count in outcome.did.items():
            self.did[what] = self.did.get(what, 0) + count
        self.findings = (self.findings + outcome.findings)[:MAX_FINDINGS]


class Worker:
    """Carries out units; what that takes is made when first asked for."""

    def __init__(self, spec: str, seed: int, monitor: str):
        self.isa, self.spec, self.seed = load(spec), spec, seed
        self.monitor = monitor or next(iter(self.isa.monitors), "")
        self.made: dict[str, Comparison] = {}

    @cached_property
    def machine(self) -> JittedMachine:
        return JittedMachine(self.isa)

    def forms(self, comparison: str) -> frozenset[int]:
        """The indices of the forms a comparison is about."""
        return self.of(comparison).forms()

    def of(self, comparison: str) -> Comparison:
        if comparison not in self.made:
            self.made[comparison] = COMPARISONS[comparison].make(self.isa, self.spec, self.machine, self.monitor)
        return self.made[comparison]

    def run(self, unit: Unit) -> Outcome:
        comparison, index, lot, count = unit
        return self.of(comparison).run(self.isa.forms[index], self.seed, lot, count)


class Campaign:
    """One plan for one description. ``tallies`` has what was found, by comparison and index of the form."""

    def __init__(self, plan: Plan):
        self.plan, self.worker = plan, Worker(plan.spec, plan.seed, plan.monitor)
        self.isa: Isa = self.worker.isa
        self.done: dict[str, dict[str, Any]] = self._read()
        self._saved = time.monotonic()

    # ---- units ---------------------------------------------------------------------------

    def units(self) -> list[Unit]:
        """All of the plan, lot by lot."""
        wanted = {i for i, form in enumerate(self.isa.forms) if not self.plan.instructions or form.instruction in self.plan.instructions}
        out: list[Unit] = []
        for name, states in self.plan.states.items():
            if not states:
                continue
            size = COMPARISONS[name].lot
            indices = sorted(wanted & self.worker.forms(name))
            for lot in range(-(-states // size)):
                out += [(name, index, lot, min(size, states - lot * size)) for index in indices]
        return out

    def run(self, tell: Progress) -> bool:
        """Do what is not done; whether all of it was. An interrupt keeps what was done and goes on to the caller."""
        units = self.units()
        missing = [unit for unit in units if self.key(unit) not in self.done]
        finished = len(units) - len(missing)
        try:
            with self._mapped(missing) as outcomes:
                for unit, outcome in outcomes:
                    self.done[self.key(unit)] = outcome.plain()
                    finished += 1
                    tell(f"{unit[0]} {self.isa.forms[unit[1]].instruction}", finished, len(units))
                    if time.monotonic() - self._saved > SAVE_EVERY:
                        self.save()
        finally:
            self.save()
        return finished == len(units)

    @contextlib.contextmanager
    def _mapped(self, units: list[Unit]) -> Iterator[Iterator[tuple[Unit, Outcome]]]:
        if self.plan.jobs == 1 or len(units) < 2:
            yield ((unit, self.worker.run(unit)) for unit in units)
            return
        context = multiprocessing.get_context("spawn")
        plan = self.plan
        with context.Pool(plan.jobs, _begin, (plan.spec, plan.seed, plan.monitor)) as pool:  # ended, not awaited, on the way out
            yield pool.imap_unordered(_unit, units)

    def tallies(self) -> dict[tuple[str, int], Tally]:
        """What was found, in the order of the plan whatever was done first."""
        out: dict[tuple[str, int], Tally] = {}
        for unit in self.units():
            tally = out.setdefault(unit[:2], Tally())
            if self.key(unit) in self.done:
                tally.add(Outcome.of(self.done[self.key(unit)]))
        return out

    # ---- what is kept --------------------------------------------------------------------

    def key(self, unit: Unit) -> str:
        about = [self.worker.monitor] if COMPARISONS[unit[0]].monitored else []
        return "/".join(map(str, [*unit, *about]))

    @cached_property
    def _file(self) -> Path | None:
        if self.plan.folder is None:
            return None
        name = digest([*self.isa.sources.values(), program_digest(), str(self.plan.seed)])
        return self.plan.folder / "fuzz" / f"{name[:32]}.json"

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            kept = json.loads(self._file.read_text("utf-8")) if self._file is not None else {}
            if isinstance(kept, dict) and digest([json.dumps(kept["done"], sort_keys=True)]) == kept["digest"]:
                return dict(kept["done"])
        except (OSError, ValueError, KeyError, TypeError):  # damaged: it is done again
            pass
        return {}

    def save(self) -> None:
        """Keep what was done; where that is not possible, it will have to be done again."""
        self._saved = time.monotonic()
        if self._file is None:
            return
        text = json.dumps({"digest": digest([json.dumps(self.done, sort_keys=True)]), "done": self.done})
        with if_possible():
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write(self._file, text.encode())


# ---- processes of their own -------------------------------------------------------------------

_worker: Worker | None = None


def _begin(spec: str, seed: int, monitor: str) -> None:
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its processes
    _worker = Worker(spec, seed, monitor)


def _unit(unit: Unit) -> tuple[Unit, Outcome]:
    assert _worker is not None
    return unit, _worker.run(unit)
