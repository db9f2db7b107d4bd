"""The classification of every form and operand region under one monitor profile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from checker.definitions import Definitions, Question
from checker.footprint import Footprint, Footprints
from checker.obligations import Asker, Pending
from checker.states import BEHAVIOUR, OBSERVED, States
from isa_specs import core

Truth = bool | None  # None: not decided


@dataclass
class Judgement:
    """The classification of one form in one region, either under the profile's controls or over all legal states.

    ``sensitive`` maps control, location, mode, resource, time, identity to whether a witness exists;
    ``in_user_mode`` says the same of witnesses with the machine in user mode."""

    runs_in_user: Truth = None
    runs_in_supervisor: Truth = None
    sensitive: dict[str, Truth] = field(default_factory=dict)
    in_user_mode: dict[str, Truth] = field(default_factory=dict)
    witnesses: dict[str, Question] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)

    @property
    def privileged(self) -> Truth:
        """Traps in user mode always, in supervisor mode not always (definition of section 3)."""
        return _both(_not(self.runs_in_user), self.runs_in_supervisor)

    @property
    def any_sensitive(self) -> Truth:
        return _any(self.sensitive.get(kind, False) for kind in ("control", *BEHAVIOUR))

    @property
    def user_sensitive(self) -> Truth:
        """Theorem 3's notion: the witness is found with the machine in user mode throughout."""
        return _any(self.in_user_mode.get(kind, False) for kind in ("control", "location", "resource"))

    @property
    def statewise(self) -> Truth:
        """Sensitive at some user state at which it does not trap."""
        return _any(self.in_user_mode.get(kind, False) for kind in ("control", *BEHAVIOUR))

    @property
    def critical(self) -> Truth:
        """Sensitive and not privileged: what Theorem 1 forbids."""
        return _both(self.any_sensitive, _not(self.privileged))

    @property
    def user_critical(self) -> Truth:
        """User sensitive and not privileged: what Theorem 3 forbids."""
        return _both(self.user_sensitive, _not(self.privileged))


def _not(value: Truth) -> Truth:
    return None if value is None else not value


def _any(values: Iterable[Truth]) -> Truth:
    listed = list(values)
    return True if True in listed else None if None in listed else False


def _both(a: Truth, b: Truth) -> Truth:
    return False if a is False or b is False else None if a is None or b is None else True


@dataclass
class Classified:
    """One form in one region: judgements under the controls and over all legal states."""

    form: core.Form
    region: str
    footprint: Footprint
    certificate: str
    restricted: Judgement
    unrestricted: Judgement


def regions(form: core.Form) -> list[str]:
    """The operand regions a form declares, the whole form if none."""
    found: dict[str, None] = {}

    def look(block: list[core.Stmt]) -> None:
        for s in block:
            if isinstance(s, core.Mark):
                found.setdefault(s.label)
            elif isinstance(s, core.If):
                look(s.then)
                look(s.other)

    look(form.body)
    return list(found) or [""]


class Classifier:
    """Classifies forms; obligations are handed out first and collected afterwards, so that solving overlaps."""

    def __init__(self, states: States, asker: Asker, footprints: Footprints):
        self.states, self.asker, self.footprints = states, asker, footprints

    def innocuous(self, footprint: Footprint) -> bool:
        """The ``flow`` certificate: touches nothing the definitions vary, so every pair of runs is the same run."""
        varied = set(self.states.owned) | self.states.classes["time"] | self.states.classes["identity"]
        touched = footprint.reads | footprint.writes
        return not touched & varied and not footprint.executes

    def classify(self, forms: list[core.Form]) -> list[Classified]:
        pending = [work for form in forms for work in self.start(form)]
        return [work.collect() for work in pending]

    def start(self, form: core.Form) -> list[_Work]:
        footprint = self.footprints.form(form)
        if self.innocuous(footprint):
            return [_Work(self, form, region, footprint, {}, {}, "flow") for region in regions(form)]
        return [self.begin(form, region, footprint) for region in regions(form)]

    def begin(self, form: core.Form, region: str, footprint: Footprint) -> _Work:
        define = Definitions(self.states, form, region)
        asked = {restricted: self.ask_all(define, footprint, restricted) for restricted in (True, False)}
        return _Work(self, form, region, footprint, asked[True], asked[False], "smt")

    def ask_all(self, define: Definitions, footprint: Footprint, restricted: bool) -> dict[str, Pending]:
        questions: dict[str, Question] = {
            "user": define.runs_in_user_mode(restricted),
            "supervisor": define.runs_in_supervisor_mode(),
            "control": define.control(restricted, user_only=False),
            "control in user mode": define.control(restricted, user_only=True),
        }
        touched = footprint.reads | footprint.writes
        for kind in (*BEHAVIOUR, *OBSERVED):
            # A component that is neither read nor written cannot make two runs differ.
            if touched & self.states.classes[kind] or footprint.executes:
                questions[f"{kind} in user mode"] = define.behaviour(kind, restricted)
                if kind != "mode":
                    questions[kind] = define.behaviour(kind, restricted, user=False)
        return {name: self.asker.ask(question) for name, question in questions.items()}


@dataclass
class _Work:
    owner: Classifier
    form: core.Form
    region: str
    footprint: Footprint
    restricted: dict[str, Pending]
    unrestricted: dict[str, Pending]
    certificate: str

    def collect(self) -> Classified:
        if self.certificate == "flow":
            nothing: dict[str, Truth] = dict.fromkeys(("control", *BEHAVIOUR, *OBSERVED), False)
            plain = Judgement(True, True, nothing, nothing)
            return Classified(self.form, self.region, self.footprint, "flow", plain, plain)
        return Classified(self.form, self.region, self.footprint, "smt", self.judge(self.restricted), self.judge(self.unrestricted))

    def judge(self, asked: dict[str, Pending]) -> Judgement:
        made = Judgement()
        answers: dict[str, Truth] = {}
        for name, pending in asked.items():
            verdict = pending.verdict
            answers[name] = {"sat": True, "unsat": False}.get(verdict)
            if verdict == "sat":
                made.witnesses[name] = pending.question
            elif verdict == "unknown":
                made.reasons.append(f"{name}: {pending.answer.reason}")
        made.runs_in_user, made.runs_in_supervisor = answers["user"], answers["supervisor"]
        for kind in ("control", *BEHAVIOUR, *OBSERVED):
            made.in_user_mode[kind] = answers.get(f"{kind} in user mode", False)
            made.sensitive[kind] = _any([made.in_user_mode[kind], answers.get(kind, False)])
        return made
