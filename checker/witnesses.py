"""From a satisfiable question to a counterexample worth reading: minimised, replayed, decoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from checker import model as report
from checker.conveniences import Conveniences
from checker.definitions import Question
from checker.footprint import Footprints
from checker.models import Descent, Evaluator, Key, Model, minimise
from checker.obligations import Asker, Pending
from checker.replay import OUTCOME, NotReplayable, Replayed, Replayer, hex_, said
from checker.states import FIRST, HOST, PLAIN, States
from checker.term import Term
from isa_specs import core
from machine.outcomes import Trapped

RUNS = ("bare", "monitored")  # the virtual machine's own run, and the one under the monitor
COLUMNS = {"square": ("virtual machine", "real machine"), "single": ("before", "after")}
SENSITIVITIES = ("control", "location", "mode", "resource")
MAX_ROWS = 14


class Attempt(NamedTuple):
    """At a witness that can be laid out: where the code lies (0: wherever the model has it), whether translation is the identity (None:
    by the tables alone), whether tables may move far; which of the ways to be :meth:`plain <Symbolic.plain>` (-1: none)."""

    placed: int
    identity: bool | None
    far: bool
    plain: int = -1


ATTEMPTS = (
    Attempt(0x2000, True, False), Attempt(0x3500, True, True), Attempt(0, True, True), Attempt(0x2000, False, False),
    Attempt(0x2000, None, False))


@dataclass
class Shown:
    """A witness as the report has it. ``clause`` says what part of a square fails."""

    witness: report.Witness
    clause: str


class Witnesses:
    """Finds, simplifies and replays witnesses under one profile."""

    def __init__(self, states: States, asker: Asker, isa_argument: str, replays: list[tuple[report.Witness, Replayed]]):
        self.states, self.asker, self.isa = states, asker, states.isa
        self.replayer, self.conveniences = Replayer(states), Conveniences(states)
        self.isa_argument, self.replays = isa_argument, replays
        self.footprints = Footprints(self.isa)
        # With the question, so that no other one gets its identity.
        self.asked: dict[tuple[int, Attempt], tuple[Question, Pending]] = {}
        self.found: dict[int, tuple[Question, Shown]] = {}

    def find(self, question: Question, form: core.Form, region: str, model: Model | None = None) -> Shown:
        """The witness, replayed if at all possible; ``note`` or ``disputed`` say what went wrong otherwise.

        With a ``model`` of the question one like it is tried before the solver is asked."""
        if id(question) not in self.found:
            self.found[id(question)] = question, self.look(question, form, region, model)
        return self.found[id(question)][1]

    def look(self, question: Question, form: core.Form, region: str, model: Model | None) -> Shown:
        """Attempt by attempt, until a witness is replayed."""
        problem = ""
        disputed: Shown | None = None
        for pending in self.answers(question, form, model):
            if pending.verdict != "sat":
                problem = problem or (
                    "no witness that can be laid out on the machine" if pending.verdict == "unsat" else pending.answer.reason
                )
                continue
            asserted = [term for term in pending.question.asserted if not term.is_const]
            raw = pending.model()
            evaluator = Evaluator(asserted)
            for simpler in (True, False):
                search = Descent(evaluator, raw)
                if simpler:
                    minimise(search, self.twin)
                try:
                    replayed = self.replayer.replay(pending.question, form, search.model)
                except NotReplayable as error:
                    problem = problem or str(error)
                    continue
                if replayed.confirmed:
                    witness = self.witness(pending.question, form, region, replayed, search)
                    self.replays.append((witness, replayed))
                    return Shown(witness, replayed.clause)
                disputed = disputed or self.disputed(form, region, replayed)
        return disputed or self.unconfirmed(form, region, problem)

    def prepare(self, question: Question, form: core.Form, region: str, model: Model) -> None:
        """:meth:`find` a witness if none has to be waited for, else have the first attempt solved meanwhile."""
        if self.ask(question, form, model, self.attempts(question, form)[0]).known is not None:
            self.find(question, form, region, model)

    def attempts(self, question: Question, form: core.Form) -> list[Attempt]:
        """In this order."""
        plain = range(len(self.states.symbolic.plain(form, self.states.free(), question.fields)))
        return [*(ATTEMPTS[0]._replace(plain=number) for number in plain), *ATTEMPTS]

    def answers(self, question: Question, form: core.Form, model: Model | None) -> Iterator[Pending]:
        """Attempt by attempt; the solver's own where the witness near to a model will not do."""
        for attempt in self.attempts(question, form):
            pending = self.ask(question, form, model, attempt)
            yield pending
            if pending.known is not None:
                yield self.asker.ask(self.convenient(question, form, attempt), model=True)

    def ask(self, question: Question, form: core.Form, model: Model | None, attempt: Attempt) -> Pending:
        """Ask once, unless a model near to one of the question will do, which is seldom a plain one."""
        key = id(question), attempt
        if key not in self.asked:
            start = model if attempt.plain < 0 else None
            self.asked[key] = question, self.asker.ask(self.convenient(question, form, attempt), model=True, start=start)
        return self.asked[key][1]

    def convenient(self, question: Question, form: core.Form, attempt: Attempt) -> Question:
        """The question narrowed to states that can be laid out on the machine."""
        more, wanted = question.more, list[Term]()
        if attempt.plain >= 0:
            wanted = self.states.symbolic.plain(form, self.states.free(), question.fields)[attempt.plain]
        laid_out = self.conveniences.of(question, placed=attempt.placed, identity=attempt.identity, far=attempt.far)
        return replace(
            question,
            asserted=[*question.asserted, *laid_out, *wanted],
            more=None if more is None else lambda: self.convenient(more(), form, attempt),
        )

    def twin(self, name: str) -> str | None:
        """The variable of the other state for the same component."""
        for prefix in (FIRST, HOST):
            if name.startswith(prefix):
                return PLAIN + name[len(prefix) :]
        return None

    def unconfirmed(self, form: core.Form, region: str, why: str) -> Shown:
        return Shown(report.Witness(form=form.template, region=region, reason="", note=why), "effect")

    def disputed(self, form: core.Form, region: str, replayed: Replayed) -> Shown:
        outcomes = "; ".join(f"{name}: {run.result.outcome}" for name, run in replayed.runs)
        return Shown(
            report.Witness(form=form.template, region=region, reason="", disputed=f"on the machine {replayed.text} gives {outcomes}"),
            "effect",
        )

    # ---- the table ------------------------------------------------------------------------------

    def witness(self, question: Question, form: core.Form, region: str, replayed: Replayed, search: Descent) -> report.Witness:
        runs = replayed.runs
        single = len(runs) == 1
        rows = self.before_rows(replayed, search)
        for name, left, right in replayed.differences:
            rows.append(report.Row(component=name, left=left, right=right, when="after"))
        columns = COLUMNS["square"] if question.name == "square" else COLUMNS["single"] if single else self.columns(question)
        state = runs[-1][1].before
        address = state.cells[self.isa.counter.name]
        program = [f"{address:#x}: {replayed.code.hex()}  {replayed.text}"]
        command = f"vcheck {self.isa_argument} --instruction {form.instruction}"
        if question.name == "square" and self.states.monitor.name != next(iter(self.isa.monitors)):
            command += f" --monitor {self.states.monitor.name}"
        return report.Witness(
            form=form.template,
            region=region,
            kind=self.kind(question) if self.kind(question) in SENSITIVITIES else "",  # type: ignore[arg-type]
            reason=capital(self.reason(question, form, replayed)),
            columns=columns,
            rows=rows,
            program=program,
            command=command,
            step=self.step(replayed),
            replayed=True,
        )

    def step(self, replayed: Replayed) -> list[str]:
        """The first step that differs, what it comes to in each run, and what is different after it."""
        names = RUNS if len(replayed.runs) > 1 else ("before", "after")
        address = replayed.runs[-1][1].before.cells[self.isa.counter.name]
        out = [f"{address:#x}: {replayed.text}"]
        out += [f"{run}: {said(found.result.outcome)}" for run, (_, found) in zip(RUNS, replayed.runs, strict=False)]
        changed = [difference for difference in replayed.differences if difference[0] != OUTCOME]
        return out + [f"{component}: {names[0]} {left}, {names[1]} {right}" for component, left, right in changed]

    def kind(self, question: Question) -> str:
        """The class a question is about, whatever mode it is asked for."""
        return question.name.split(" ")[0].rstrip(",")

    def columns(self, question: Question) -> tuple[str, str]:
        return {
            "mode": ("virtual machine: another mode", "real machine: user mode"),
            "location": ("relocation as the guest set it", "relocation as the monitor set it"),
            "resource": ("resources as the guest set them", "resources as the monitor set them"),
            "time": ("at one time", "at another"),
            "identity": ("on one machine", "on another"),
        }.get(self.kind(question), ("first state", "second state"))

    def before_rows(self, replayed: Replayed, search: Descent) -> list[report.Row]:
        """What the runs start from: where the states differ, and what the instruction looked at."""
        relevant = self.footprints.form(replayed.form).reads  # not what only a translation or the fetch looked at
        first, last = replayed.runs[0][1], replayed.runs[-1][1]
        read: dict[str, tuple[str, str]] = {}
        differing: dict[str, tuple[str, str]] = {}
        for name in self.isa.cells:
            a, b = first.before.cells[name], last.before.cells[name]
            looked = (name, 0) in first.recorder.read or (name, 0) in last.recorder.read
            if a != b and (looked or name in self.states.classes["mode"]):
                differing[name] = hex_(a), hex_(b)
            elif looked and name in relevant and name != self.isa.counter.name:
                read[name] = hex_(a), hex_(b)
        for name, array in self.isa.arrays.items():
            for i in range(array.length):
                if (name, i) in first.recorder.read or (name, i) in last.recorder.read:
                    read[f"{name}[{i}]"] = hex_(first.before.arrays[name][i]), hex_(last.before.arrays[name][i])
        rows = [report.Row(component=name, left=left, right=right) for name, (left, right) in differing.items()]
        rows += self.storage_rows(replayed)
        for name, (left, right) in read.items():
            if name.split("[")[0] in self.isa.cells and self.irrelevant(name, search):
                left = right = report.ANY
            rows.append(report.Row(component=name, left=left, right=right))
        important = [row for row in rows if row.left != report.ANY]
        return important[:MAX_ROWS] if len(rows) > MAX_ROWS else rows

    def irrelevant(self, name: str, search: Descent) -> bool:
        """Whether the witness survives with every other value of the component's bits."""
        values, whole = search.model.values, (1 << self.isa.cells[name].width) - 1
        keys: list[Key] = [key for key in (PLAIN + name, FIRST + name, HOST + name) if key in values]
        return bool(keys) and search.survives({key: search.model.get(key) ^ whole for key in keys})

    def storage_rows(self, replayed: Replayed) -> list[report.Row]:
        """Storage operands that were read, adjacent bytes as one number."""
        first, last = replayed.runs[0][1], replayed.runs[-1][1]
        cells: dict[tuple[str, int], tuple[int, int]] = {}
        for view in {**first.recorder.views, **last.recorder.views}:
            space = self.isa.spaces[view[0]]
            there = self.replayer.machine.place(space, view[1], first.before, 0)
            here = self.replayer.machine.place(space, view[1], last.before, 0)
            if there is None or here is None or here in replayed.code_places:
                continue
            if there in first.recorder.read or here in last.recorder.read:
                cells[view] = first.before.get(there), last.before.get(here)
        rows: list[report.Row] = []
        group: list[tuple[str, int]] = []
        for view in sorted(cells):
            adjacent = bool(group) and view == (group[-1][0], group[-1][1] + 1) and len(group) < 8
            if group and not adjacent:
                rows.append(self.storage_row(group, cells))
                group = []
            group.append(view)
        return [*rows, self.storage_row(group, cells)] if group else rows

    def storage_row(self, group: list[tuple[str, int]], cells: dict[tuple[str, int], tuple[int, int]]) -> report.Row:
        order = "little" if self.isa.little else "big"
        size = self.isa.spaces[group[0][0]].cell_width
        if size != 8:
            left, right = (hex_(cells[group[0]][side]) for side in (0, 1))
        else:
            left, right = (f"0x{int.from_bytes(bytes(cells[v][side] for v in group), order):0{2 * len(group)}x}" for side in (0, 1))  # type: ignore[arg-type]
        return report.Row(component=f"{group[0][0]}({group[0][1]:#x})", left=left, right=right)

    # ---- the sentence ---------------------------------------------------------------------------------

    def reason(self, question: Question, form: core.Form, replayed: Replayed) -> str:
        name = form.instruction
        what = replayed.differences[0][0] if replayed.differences else ""
        trap = replayed.runs[0][1].result.outcome
        kind = question.name
        if kind == "square":
            return self.square_reason(name, what, replayed)
        if kind.startswith("control"):
            where = "in user mode" if "user" in kind else "in supervisor mode"
            return f"{name} changes {what} {where} without a trap, so the monitor that owns {what} does not learn of it"
        if isinstance(trap, Trapped):
            first = {
                "mode": "in the virtual machine's own mode",
                "resource": "with the guest's own settings",
                "location": "with the guest's own relocation",
            }.get(self.kind(question), "in the first state")
            return f"{first} {name} raises {trap.trap.name}; in user mode under the monitor it completes"
        cause = {
            "mode": "the mode it runs in",
            "location": "where the guest lies in storage",
            "resource": "a resource that belongs to the monitor",
            "time": "the time",
            "identity": "which machine it runs on",
        }.get(self.kind(question), "the state")
        return f"{name} completes without a trap, and {what} afterwards depends on {cause}"

    def square_reason(self, name: str, what: str, replayed: Replayed) -> str:
        if replayed.clause == "trap":
            a, b = (run.result.outcome for _, run in replayed.runs)
            if isinstance(a, Trapped) and not isinstance(b, Trapped):
                return f"{name} raises {a.trap.name} on the virtual machine but completes on the real one without the monitor noticing"
            return f"{name} ends differently on the virtual and the real machine, and the monitor does not notice"
        if replayed.clause == "record":
            return f"{name} changes the guest's {what}, which only the monitor's record holds, and no trap tells the monitor"
        if replayed.clause == "host":
            return f"{name} changes {what} on the real machine, which belongs to the monitor"
        return f"{name} leaves another {what} on the real machine than on the virtual one, and no trap tells the monitor"


def capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
