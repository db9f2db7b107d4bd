"""Theorems 1, 2 and 3 of Popek and Goldberg, from the classification of every instruction."""

from __future__ import annotations

from collections.abc import Callable

from checker import model as report
from checker.classify import Classified, Judgement, Truth
from checker.replay import hex_
from checker.translations import Lemma

Pick = Callable[[Classified], Judgement]


def theorems(
    classified: list[Classified],
    lemmas: list[Lemma],
    imprecise: list[str],
    timed: tuple[list[str], list[str]],
    controls: dict[str, int],
    unconfirmed: frozenset[str],
) -> dict[str, report.Theorem]:
    """The three theorems, over all legal states and under the profile's controls.

    ``lemmas`` are on the memory system, ``imprecise`` names instructions whose traps leave effects, ``timed`` those
    whose effect on the monitor's business depends on time (over all legal states, and under the controls), ``unconfirmed``
    those whose counterexample could not be replayed: they refute nothing, but leave the theorem undecided."""
    shown = {name: hex_(value) for name, value in controls.items()}
    observing = named(classified, lambda item: item.restricted.in_user_mode.get("time"))[0]
    unrestricted: Pick = lambda item: item.unrestricted  # noqa: E731
    restricted: Pick = lambda item: item.restricted  # noqa: E731

    def confirmed(item: Classified, answer: Truth) -> Truth:
        return None if answer and item.form.instruction in unconfirmed else answer

    def one(pick: Pick) -> tuple[report.Verdict, list[str]]:
        """Theorem 1: the sensitive instructions are a subset of the privileged ones."""
        return decide(classified, lambda item: confirmed(item, pick(item).critical), lemmas, imprecise)

    def two(pick: Pick) -> tuple[report.Verdict, list[str]]:
        """Theorem 2: Theorem 1, and a monitor without timing dependence can be built."""
        verdict, because = one(pick)
        untimely = timed[pick is restricted]
        return ("refuted", [*because, *untimely]) if untimely else (verdict, because)

    def three(pick: Pick) -> tuple[report.Verdict, list[str]]:
        """Theorem 3: the user-sensitive instructions are a subset of the privileged ones; supervisor mode is interpreted, so a memory
        system that treats it specially does no harm."""
        return decide(classified, lambda item: confirmed(item, pick(item).user_critical), [], imprecise)

    out = {}
    for name, theorem in (("T1", one), ("T2", two), ("T3", three)):
        verdict, because = theorem(unrestricted)
        under, reasons = theorem(restricted)
        out[name] = report.Theorem(
            verdict=verdict,
            because=because,
            exceptions=observing if name == "T2" else [],
            under_controls=report.UnderControls(verdict=under, controls=shown, because=reasons),
        )
    return out


def decide(
    classified: list[Classified], critical: Callable[[Classified], Truth], lemmas: list[Lemma], imprecise: list[str]
) -> tuple[report.Verdict, list[str]]:
    """Refuted if anything is critical, unknown if anything may be, else proved."""
    because, undecided = named(classified, critical)
    memory = [lemma for lemma in lemmas if lemma.matters]
    because = because + [f"memory system ({lemma.translation.name})" for lemma in memory if lemma.verdict == "refuted"]
    because = because + [name for name in imprecise if name not in because]
    if because:
        return "refuted", because
    return ("unknown", undecided) if undecided or any(lemma.verdict == "unknown" for lemma in memory) else ("proved", [])


def named(classified: list[Classified], test: Callable[[Classified], Truth]) -> tuple[list[str], list[str]]:
    """Instructions for which ``test`` is true in some form, and those for which it may be."""
    yes: dict[str, None] = {}
    maybe: dict[str, None] = {}
    for item in classified:
        answer = test(item)
        if answer:
            yes.setdefault(item.form.instruction)
        elif answer is None:
            maybe.setdefault(item.form.instruction)
    return list(yes), [name for name in maybe if name not in yes]
