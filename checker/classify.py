"""The classification of every form and operand region under one monitor profile."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from checker.controls import Square
from checker.definitions import Definitions, Question
from checker.footprint import Footprint, Footprints
from checker.obligations import Asker, Pending
from checker.precedents import Precedents
from checker.regions import OUTSIDE, regions
from checker.states import BEHAVIOUR, OBSERVED, States
from checker.term import Term
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
    witnesses: dict[str, Pending] = field(default_factory=dict)
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

    def __init__(self, states: States, asker: Asker, footprints: Footprints, squares: Iterable[Square] = ()):
        self.states, self.asker, self.footprints = states, asker, footprints
        self.precedents = Precedents(states, {id(square.form): square.broken.model() for square in squares if square.broken is not None})

    def innocuous(self, footprint: Footprint) -> bool:
        """The ``flow`` certificate: touches nothing the definitions vary, so every pair of runs is the same run."""
        varied = set(self.states.owned) | self.states.classes["time"] | self.states.classes["identity"]
        for mode in self.states.isa.modes.values():  # a mode may be the guest's own; it decides what is privileged all the same
            varied |= self.footprints.expression(mode).reads
        touched = footprint.reads | footprint.writes
        return not touched & varied and not footprint.executes

    def classify(self, forms: list[core.Form], finished: Callable[[Classified], None] = lambda item: None) -> list[Classified]:
        """All forms, region by region.

        They take turns, in an order that depends on answers alone, so that terms and texts are the same every time. Whoever has
        the turn waits for what it asked a round ago; meanwhile the solver is busy with what the others asked. The first form of
        an instruction goes ahead, because its witnesses are often those of the others. ``finished`` is told of each when it is decided."""
        works = [_Work(self, form, region) for form in forms for region in regions(form)]
        turns: deque[_Work] = deque()
        later: dict[tuple[str, str], deque[_Work]] = {}
        for work in works:
            if work.certificate == "flow":
                continue
            later.get(work.kin, turns).append(work)
            later.setdefault(work.kin, deque())
        while turns:
            work = turns.popleft()
            if work.turn():
                turns.append(work)
            else:
                finished(work.classified)
                turns.extend(later.pop(work.kin, ()))
        return [item for item in (work.classified for work in works) if not self.empty(item)]

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
        self.kin = form.instruction, region
        self.stages = self.ask_all()
        self.footprint = owner.footprints.form(form)
        self.certificate = "flow" if owner.innocuous(self.footprint) else "smt"
        self.define = Definitions(owner.states, form, region)
        self.pending: list[tuple[Judgement, str, Pending]] = []
        self.restricted, self.unrestricted = Judgement(), Judgement()
        self.touched = self.footprint.reads | self.footprint.writes
        # A component that is neither read nor written cannot make two runs differ.
        self.kinds = [
            kind
            for kind in (*BEHAVIOUR, *OBSERVED)
            if self.touched & owner.states.classes[kind] or (self.footprint.executes and owner.states.classes[kind])
        ]

    @cached_property
    def encoded(self) -> Term:
        """That the fields are an encoding of the form."""
        return self.owner.states.symbolic.sound_fields(self.form, self.owner.states.free(), self.define.fields)

    def ask(self, judgement: Judgement, name: str, question: Question) -> None:
        precedents = self.owner.precedents
        candidates = precedents.candidates(self.form, self.region, question, self.encoded, self.touched)
        start = precedents.start(self.form, self.region, question, self.encoded)
        self.pending.append((judgement, name, self.owner.asker.ask(question, model=True, candidates=candidates, start=start)))

    def turn(self) -> bool:
        """Wait for the answers and ask what comes next; whether anything was left to ask."""
        under_way = [pending.proceed() for _, _, pending in self.pending]
        if any(under_way):
            return True
        self.gather()
        for _ in self.stages:
            if any(pending.settled is None for _, _, pending in self.pending):
                return True
            self.gather()
        return False

    def gather(self) -> None:
        for judgement, name, pending in self.pending:
            verdict = pending.verdict
            judgement.answers[name] = {"sat": True, "unsat": False}.get(verdict)
            if verdict == "sat":
                judgement.witnesses[name] = pending
                solved = pending.known is None
                self.owner.precedents.add(self.form, self.region, pending.question, pending.model(), solved=solved)
            elif verdict == "unsat":
                self.owner.precedents.refuse(self.form, self.region, pending.question)
            elif verdict == "unknown" and name != AT_ALL:  # then they are asked one by one
                judgement.reasons.append(f"{name}: {pending.answer.reason}")
        self.pending.clear()

    def ask_all(self) -> Iterator[None]:
        """Asks stage by stage; later ones only what earlier answers leave open."""
        yield from self.anything()
        if not self.vacuous:
            yield from self.in_user_mode()
            yield from self.in_supervisor_mode()
            yield from self.over_all_states()
            yield from self.supervisor()

    def anything(self) -> Iterator[None]:
        """Mostly every state outside the declared regions traps in every mode; then there is nothing else to ask."""
        if self.region == OUTSIDE:
            self.ask(self.unrestricted, "anything", self.define.runs())
            yield

    @property
    def vacuous(self) -> bool:
        """No legal state of the region gets past its traps."""
        return self.unrestricted.answers.get("anything") is False

    def in_user_mode(self) -> Iterator[None]:
        """Kind by kind, because a witness of one is often a witness of the next; mostly it is the mode that tells, if anything, and one
        question about any state settles all other kinds."""
        define, made = self.define, self.restricted
        self.ask(made, "control in user mode", define.control(True, user_only=True))
        yield
        if "mode" in self.kinds:
            self.ask(made, "mode in user mode", define.behaviour("mode", True))
            yield
        others = [kind for kind in self.kinds if kind != "mode"]
        if others:
            self.ask(made, AT_ALL, define.behaviour(others[0], False, user=None, also=others[1:]))
            yield
            if self.none_at_all(made, others, " in user mode"):
                made.answers.update(dict.fromkeys(others, False))
                self.unrestricted.answers.update({f"{kind} in user mode": False for kind in others})
                return
        for kind in others:
            self.ask(made, f"{kind} in user mode", define.behaviour(kind, True))
            yield

    def in_supervisor_mode(self) -> Iterator[None]:
        define, made = self.define, self.restricted
        self.ask_modes(made, True)
        yield
        if not made.answers["control in user mode"]:
            self.ask(made, "control", define.control(True, user_only=False))
            yield
        kinds = [kind for kind in self.kinds if kind not in ("mode", *made.answers) and not made.answers[f"{kind} in user mode"]]
        if len(kinds) > 1:
            self.ask(made, AT_ALL, define.behaviour(kinds[0], True, user=False, also=kinds[1:]))
            yield
        if not self.none_at_all(made, kinds, ""):
            for kind in kinds:
                self.ask(made, kind, define.behaviour(kind, True, user=False))
            yield

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

    def supervisor(self) -> Iterator[None]:
        for made in (self.restricted, self.unrestricted):
            if made.answers["user"] is False and "supervisor" not in made.answers:
                self.ask(made, "supervisor", self.define.runs_in_supervisor_mode())
        yield

    def over_all_states(self) -> Iterator[None]:
        """A witness under the controls is one over all legal states; supervisor states are not restricted by them at all."""
        define, made, known = self.define, self.unrestricted, self.restricted
        for name, found in known.answers.items():
            if found or (not name.endswith("user mode") and name != "user"):
                made.answers[name] = found
                if name in known.witnesses:
                    made.witnesses[name] = known.witnesses[name]
        if "user" not in made.answers:
            self.ask(made, "user", define.runs_in_user_mode(False))
            yield
        if "control in user mode" not in made.answers:
            self.ask(made, "control in user mode", define.control(False, user_only=True))
            yield
        kinds = [kind for kind in self.kinds if f"{kind} in user mode" not in made.answers]
        if made.answers["user"] is False:  # then there is no pair either
            made.answers.update({f"{kind} in user mode": False for kind in kinds})
            return
        if len(kinds) > 1:
            self.ask(made, AT_ALL, define.behaviour(kinds[0], False, also=kinds[1:]))
            yield
        if not self.none_at_all(made, kinds, " in user mode"):
            for kind in kinds:
                self.ask(made, f"{kind} in user mode", define.behaviour(kind, False))
            yield

    @cached_property
    def classified(self) -> Classified:
        """What came of it, when all is answered."""
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
