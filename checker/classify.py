"""The classification of every form and operand region under one monitor profile."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from checker.definitions import Definitions, Question
from checker.footprint import Footprint, Footprints
from checker.obligations import Asker, Pending
from checker.regions import OUTSIDE, regions
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
    answers: dict[str, Truth] = field(default_factory=dict)

    @property
    def privileged(self) -> Truth:
        """Traps in user mode always, in supervisor mode not always (the definition of a privileged instruction)."""
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


class Classifier:
    """Classifies forms; obligations are handed out first and collected afterwards, so that solving overlaps."""

    def __init__(self, states: States, asker: Asker, footprints: Footprints):
        self.states, self.asker, self.footprints = states, asker, footprints

    def innocuous(self, footprint: Footprint) -> bool:
        """The ``flow`` certificate: touches nothing the definitions vary, so every pair of runs is the same run."""
        varied = set(self.states.owned) | self.states.classes["time"] | self.states.classes["identity"]
        for mode in self.states.isa.modes.values():  # a mode may be the guest's own; it decides what is privileged all the same
            varied |= self.footprints.expression(mode).reads
        touched = footprint.reads | footprint.writes
        return not touched & varied and not footprint.executes

    def classify(self, forms: list[core.Form]) -> list[Classified]:
        """All forms, region by region. Later stages ask only what earlier answers leave open."""
        works = [_Work(self, form, region) for form in forms for region in regions(form)]
        for stage in (
            _Work.anything,
            _Work.in_user_mode,
            _Work.in_supervisor_mode_at_all,
            _Work.in_supervisor_mode,
            _Work.over_all_states_at_all,
            _Work.over_all_states,
            _Work.supervisor,
        ):
            for work in works:
                work.proceed()
            for work in works:
                work.gather()  # what the stage before asked, by now mostly answered
                if work.certificate == "smt" and not work.vacuous:
                    stage(work)
        for work in works:
            work.gather()
        return [item for item in (work.classified() for work in works) if not self.empty(item)]

    def empty(self, item: Classified) -> bool:
        """Nothing happens outside the declared regions: every state there traps in every mode."""
        return (
            item.region == OUTSIDE
            and item.restricted.runs_in_user is False
            and item.restricted.runs_in_supervisor is False
            and item.unrestricted.runs_in_user is False
        )


KINDS = ("control", *BEHAVIOUR, *OBSERVED)
AT_ALL = "any of several kinds"


class _Work:
    """One form in one region, on its way through the stages."""

    def __init__(self, owner: Classifier, form: core.Form, region: str):
        self.owner, self.form, self.region = owner, form, region
        self.footprint = owner.footprints.form(form)
        self.certificate = "flow" if owner.innocuous(self.footprint) else "smt"
        self.define = Definitions(owner.states, form, region)
        self.pending: list[tuple[Judgement, str, Pending]] = []
        self.answers: dict[int, dict[str, Truth]] = {}
        self.restricted, self.unrestricted = Judgement(), Judgement()
        touched = self.footprint.reads | self.footprint.writes
        # A component that is neither read nor written cannot make two runs differ.
        self.kinds = [
            kind
            for kind in (*BEHAVIOUR, *OBSERVED)
            if touched & owner.states.classes[kind] or (self.footprint.executes and owner.states.classes[kind])
        ]

    def ask(self, judgement: Judgement, name: str, question: Question) -> None:
        self.pending.append((judgement, name, self.owner.asker.ask(question)))

    def proceed(self) -> None:
        for _, _, pending in self.pending:
            pending.proceed()

    def gather(self) -> None:
        for judgement, name, pending in self.pending:
            verdict = pending.verdict
            judgement.answers[name] = {"sat": True, "unsat": False}.get(verdict)
            if verdict == "sat":
                judgement.witnesses[name] = pending.question
            elif verdict == "unknown" and name != AT_ALL:  # then they are asked one by one
                judgement.reasons.append(f"{name}: {pending.answer.reason}")
        self.pending.clear()

    def anything(self) -> None:
        """Mostly every state outside the declared regions traps in every mode; then there is nothing else to ask."""
        if self.region == OUTSIDE:
            self.ask(self.unrestricted, "anything", self.define.runs())

    @property
    def vacuous(self) -> bool:
        """No legal state of the region gets past its traps."""
        return self.unrestricted.answers.get("anything") is False

    def in_user_mode(self) -> None:
        define, made = self.define, self.restricted
        self.ask(made, "control in user mode", define.control(True, user_only=True))
        for kind in self.kinds:
            self.ask(made, f"{kind} in user mode", define.behaviour(kind, True))

    def in_supervisor_mode_at_all(self) -> None:
        define, made = self.define, self.restricted
        self.ask_modes(made, True)
        if not made.answers["control in user mode"]:
            self.ask(made, "control", define.control(True, user_only=False))
        kinds = self.open_in_supervisor_mode()
        if len(kinds) > 1:
            self.ask(made, AT_ALL, define.behaviour(kinds[0], True, user=False, also=kinds[1:]))

    def in_supervisor_mode(self) -> None:
        kinds = self.open_in_supervisor_mode()
        if not self.none_at_all(self.restricted, kinds, ""):
            for kind in kinds:
                self.ask(self.restricted, kind, self.define.behaviour(kind, True, user=False))

    def open_in_supervisor_mode(self) -> list[str]:
        return [kind for kind in self.kinds if kind != "mode" and not self.restricted.answers[f"{kind} in user mode"]]

    def none_at_all(self, made: Judgement, kinds: list[str], where: str) -> bool:
        """Whether one question has settled all ``kinds``: no two states that differ in any of them tell."""
        found = made.answers.pop(AT_ALL, None)
        made.witnesses.pop(AT_ALL, None)
        if found is False:
            made.answers.update({kind + where: False for kind in kinds})
        return found is False

    def ask_modes(self, made: Judgement, restricted: bool) -> None:
        """A witness of a user state that does not trap is one already found; then supervisor mode does not matter."""
        if any(found for name, found in made.answers.items() if name.endswith("user mode")):
            made.answers["user"] = True
        else:
            self.ask(made, "user", self.define.runs_in_user_mode(restricted))

    def supervisor(self) -> None:
        for made in (self.restricted, self.unrestricted):
            if made.answers["user"] is False and "supervisor" not in made.answers:
                self.ask(made, "supervisor", self.define.runs_in_supervisor_mode())

    def over_all_states_at_all(self) -> None:
        """A witness under the controls is one over all legal states; supervisor states are not restricted by them at all."""
        define, made, known = self.define, self.unrestricted, self.restricted
        for name, found in known.answers.items():
            if found or (not name.endswith("user mode") and name != "user"):
                made.answers[name] = found
                if name in known.witnesses:
                    made.witnesses[name] = known.witnesses[name]
        if known.answers.get("user"):
            made.answers["user"] = True
        if "user" not in made.answers:
            self.ask(made, "user", define.runs_in_user_mode(False))
        if "control in user mode" not in made.answers:
            self.ask(made, "control in user mode", define.control(False, user_only=True))
        kinds = self.open_over_all_states()
        if len(kinds) > 1:
            self.ask(made, AT_ALL, define.behaviour(kinds[0], False, also=kinds[1:]))

    def over_all_states(self) -> None:
        kinds = self.open_over_all_states()
        if self.unrestricted.answers["user"] is False:  # then there is no pair either
            self.unrestricted.answers.update({f"{kind} in user mode": False for kind in kinds})
        elif not self.none_at_all(self.unrestricted, kinds, " in user mode"):
            for kind in kinds:
                self.ask(self.unrestricted, f"{kind} in user mode", self.define.behaviour(kind, False))

    def open_over_all_states(self) -> list[str]:
        return [kind for kind in self.kinds if f"{kind} in user mode" not in self.unrestricted.answers]

    def classified(self) -> Classified:
        for made in (self.restricted, self.unrestricted):
            answers = made.answers
            if self.certificate == "flow":
                # Touches nothing the modes could change: what it does in one mode it does in the other.
                answers.update(user=True, supervisor=True)
            if self.vacuous:
                answers.update(user=False, supervisor=False)
            made.runs_in_user, made.runs_in_supervisor = answers["user"], answers.get("supervisor")
            for kind in KINDS:
                made.in_user_mode[kind] = answers.get(f"{kind} in user mode", False)
                made.sensitive[kind] = _any([made.in_user_mode[kind], answers.get(kind, False)])
        return Classified(self.form, self.region, self.footprint, self.certificate, self.restricted, self.unrestricted)
