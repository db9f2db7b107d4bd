"""Monitors on hardware that runs guests, in generated code: enter, run, exit, carry out, enter again.

What the hardware swaps, both machines have apart: the guest's while it runs in the components themselves, the monitor's after an exit.
Its text stands in each generated module of a machine with such hardware.
"""

from __future__ import annotations

from machine.generated.monitor_runtime import count, held, moved, note_unlike, pointed, reflected, stepped, unlike
from machine.generated.monitor_slots import (
    CARRY,
    EXIT,
    EXIT_REASONS,
    GOES_ON,
    M_APART,
    M_APART_COUNT,
    M_ARGUMENTS,
    M_DELIVERED,
    M_DIRECT,
    M_DISTURBED,
    M_EMULATED,
    M_ENTRIES,
    M_EXITS,
    M_EXPECTED,
    M_FILLED,
    M_GIVEN,
    M_GIVEN_COUNT,
    M_HOST,
    M_HOST_COUNT,
    M_INTERPRETED,
    M_LAST,
    M_LEAVE,
    M_MODE,
    M_PAIR_COUNT,
    M_PAIRS,
    M_PROFILE,
    M_REAL,
    M_REASON,
    M_RESUME,
    M_TRAPS,
    M_VIRTUAL,
    NOTED,
    REFUSED,
    SLOW,
    SPENT,
)
from machine.generated.primitives import (
    ARGUMENT_WORDS,
    ARGUMENTS,
    COUNTER,
    EVERY_KIND,
    LD,
    ST,
    ULT,
    deliver,
    directly,
    exported,
    guest_mode,
    mapped,
    outline,
    run,
)
from machine.generated.slots import COUNTER_AT, ILEN, KIND, LEAVE, LIMIT, PASS, STATUS, VIEW
from machine.generated.wide_runtime import copy

# ---- hardware -----------------------------------------------------------------------------


@outline
def launched(s: int, m: int) -> int:
    """Put everything where the entry takes it from, and have the monitor's program enter the guest."""
    v = LD(m + M_VIRTUAL)
    r = LD(m + M_REAL)
    mapped(s, LD(m + M_FILLED), LD(m + M_PROFILE))
    moved(v, s, LD(m + M_APART), LD(m + M_APART_COUNT))
    moved(s, r, LD(m + M_APART), LD(m + M_APART_COUNT))
    moved(s, LD(m + M_FILLED), LD(m + M_GIVEN), LD(m + M_GIVEN_COUNT))
    p = LD(m + M_PAIRS)
    for i in range(0, LD(m + M_PAIR_COUNT)):
        ST(s + LD(p + 16 * i + 8), LD(v + LD(p + 16 * i)))
    pointed(s, m, 1)
    ST(s + COUNTER, LD(m + M_RESUME))
    ST(s + LEAVE, EVERY_KIND)
    ST(s + PASS, LD(m + M_RESUME) + 1)  # it writes what others are stopped before
    run(s, 1)
    ST(s + PASS, 0)
    if LD(s + STATUS) != LIMIT or guest_mode(s, LD(m + M_PROFILE)) == 0:
        return REFUSED
    moved(LD(m + M_EXPECTED), s, LD(m + M_HOST), LD(m + M_HOST_COUNT))
    count(m + M_ENTRIES, 1)
    return GOES_ON


@outline
def taken(s: int, m: int) -> int:
    """After an exit: the guest's components back into the state of its machine, which the record holds again."""
    v = LD(m + M_VIRTUAL)
    r = LD(m + M_REAL)
    p = LD(m + M_PAIRS)
    for i in range(0, LD(m + M_PAIR_COUNT)):
        ST(v + LD(p + 16 * i), LD(s + LD(p + 16 * i + 8)))
    moved(r, s, LD(m + M_APART), LD(m + M_APART_COUNT))
    moved(s, v, LD(m + M_APART), LD(m + M_APART_COUNT))
    return pointed(s, m, 2)


def undisturbed(s: int, m: int) -> int:
    """Count what is the monitor's and was changed by its guest."""
    e = LD(m + M_EXPECTED)
    if unlike(s, e, LD(m + M_HOST), LD(m + M_HOST_COUNT)) != 0:
        note_unlike(LD(m + M_DISTURBED), s, e, LD(m + M_HOST), LD(m + M_HOST_COUNT))
    return 0


@outline
def called_away(s: int, m: int, out: int) -> int:
    """An event for the monitor ends the guest's turn, for the reason ``out``."""
    undisturbed(s, m)
    p = LD(m + M_LEAVE)
    copy(s + ARGUMENTS, p + 16, LD(p + 8))
    deliver(s, LD(p), 0)
    if guest_mode(s, LD(m + M_PROFILE)) == 1:
        return REFUSED
    taken(s, m)
    if out == SLOW:  # it will be entered once more for what follows
        count(m + M_ENTRIES, -1)
    return out


@outline
def raised(s: int, m: int) -> int:
    """The guest has trapped: the hardware delivers it, and may leave the guest for that; then its monitor carries out the instruction."""
    k = -1 - LD(s + STATUS) >> 1
    counter = LD(s + COUNTER_AT)
    reason = 0
    if LD(s + KIND) == EXIT:  # the hardware says why, in the first argument
        reason = LD(s + ARGUMENTS)
    count(LD(m + M_TRAPS) + 8 * k, 1)
    undisturbed(s, m)
    ilen = LD(s + ILEN)
    copy(LD(m + M_ARGUMENTS), s + ARGUMENTS, ARGUMENT_WORDS)
    if deliver(s, k, ilen) < 0:  # the hardware cannot, as to storage that is not there: done here, it may fail for good
        out = called_away(s, m, GOES_ON)
        if out != GOES_ON:
            return out
        copy(s + ARGUMENTS, LD(m + M_ARGUMENTS), ARGUMENT_WORDS)
        ST(s + ILEN, ilen)
        return reflected(s, m, k, 1)
    if guest_mode(s, LD(m + M_PROFILE)) == 1:
        count(m + M_DELIVERED, 1)
        out = held(s, m)
        if out != GOES_ON:
            out = called_away(s, m, out)
        return out
    taken(s, m)
    ST(s + COUNTER, counter)
    ST(m + M_LAST, k)
    out = stepped(s, m, M_EMULATED, 1)
    if out == SLOW:
        out = CARRY
    if ULT(reason, EXIT_REASONS):
        count(LD(m + M_EXITS) + 8 * (k * EXIT_REASONS + reason), 1)
    else:
        ST(m + M_REASON, reason + 1)
        if out == GOES_ON:
            out = NOTED
    return out


@exported
def assist(s: int, m: int, limit: int, outcome: int) -> int:
    """Run the guest of m for at most ``limit`` instructions, its traps delivered; how many there were, and at ``outcome`` why no more."""
    n = 0
    out = GOES_ON
    while out == GOES_ON:
        if LD(s + VIEW) == 0:  # in the guest
            k = run(s, limit - n)
            n += k
            trap = int(LD(s + STATUS) < 0)
            count(m + M_DIRECT, k - trap)
            if trap == 1:
                out = raised(s, m)
                if n >= limit and out == GOES_ON and LD(s + VIEW) == 0:
                    out = called_away(s, m, SPENT)
            elif LD(s + STATUS) == LIMIT:
                out = called_away(s, m, SPENT)
            else:
                out = called_away(s, m, SLOW)
        elif n >= limit:
            out = SPENT
        elif directly(s, LD(m + M_MODE)) == 0:
            n += 1
            out = stepped(s, m, M_INTERPRETED, 1)
            if out == SLOW:
                n -= 1
        else:
            out = launched(s, m)
    ST(outcome, out)
    return n
