"""Monitors in generated code: run, trap, carry out or hand on, run again, without leaving it.

The state of the guest's machine and that of the real one share a record. What the guest owns is in it all the time; what the monitor
owns is exchanged as the guest is entered and left. So an instruction of the guest's machine is a step like any other. Its text
stands in each generated module.
"""

from __future__ import annotations

from machine.generated.monitor_slots import (
    GOES_ON,
    M_ABOVE,
    M_APART,
    M_APART_COUNT,
    M_BELOW,
    M_CONDITION_BYTES,
    M_CONDITIONS,
    M_DIRECT,
    M_DISTURBED,
    M_EFFECTS,
    M_EMULATED,
    M_ENTRIES,
    M_GIVEN,
    M_GIVEN_COUNT,
    M_HOST,
    M_HOST_COUNT,
    M_INTERPRETED,
    M_KINDS,
    M_LAST,
    M_MODE,
    M_MOVED,
    M_MOVED_COUNT,
    M_POINTER_COUNT,
    M_POINTERS,
    M_PROFILE,
    M_REAL,
    M_REFLECTED,
    M_SINCE,
    M_TRAPS,
    M_VIRTUAL,
    MOVED,
    SLOW,
    SPENT,
    STANDS,
    TRAPPED,
    WATCHED,
)
from machine.generated.primitives import BYTE, COUNTER, EVERY_KIND, LD, ST, deliver, directly, exported, mapped, outline, run, undoes
from machine.generated.runtime import met
from machine.generated.slots import CONTEXT, COUNTER_AT, EXECUTED, FORM, ILEN, KIND, LEAVE, LIMIT, PASS, STATUS, UNKNOWN
from machine.generated.wide_runtime import copy

# ---- monitors -----------------------------------------------------------------------------


def count(p: int, n: int) -> int:
    ST(p, LD(p) + n)
    return 0


def moved(d: int, a: int, runs: int, n: int) -> int:
    """Copy runs of words from one image to another."""
    for i in range(0, n):
        at = LD(runs + 16 * i)
        copy(d + at, a + at, LD(runs + 16 * i + 8))
    return 0


def unlike(a: int, b: int, runs: int, n: int) -> int:
    """Not 0 when two images differ in some of these runs."""
    found = 0
    for i in range(0, n):
        at = LD(runs + 16 * i)
        for j in range(0, LD(runs + 16 * i + 8)):
            found |= LD(a + at + 8 * j) ^ LD(b + at + 8 * j)
    return found


@outline
def note_unlike(d: int, a: int, b: int, runs: int, n: int) -> int:
    for i in range(0, n):
        at = LD(runs + 16 * i)
        for j in range(0, LD(runs + 16 * i + 8)):
            if LD(a + at + 8 * j) != LD(b + at + 8 * j):
                count(d + at + 8 * j, 1)
    return 0


def pointed(s: int, m: int, side: int) -> int:
    p = LD(m + M_POINTERS)
    for i in range(0, LD(m + M_POINTER_COUNT)):
        ST(s + LD(p + 24 * i), LD(p + 24 * i + 8 * side))
    ST(s + CONTEXT, UNKNOWN)
    return 0


@exported
@outline
def enter(s: int, m: int) -> int:
    """The record holds the state v of the guest's machine; from now on f(v), that of the machine the guest runs on."""
    v = LD(m + M_VIRTUAL)
    r = LD(m + M_REAL)
    mapped(s, r, LD(m + M_PROFILE))
    moved(v, s, LD(m + M_HOST), LD(m + M_HOST_COUNT))
    moved(v, s, LD(m + M_GIVEN), LD(m + M_GIVEN_COUNT))
    moved(v, s, LD(m + M_APART), LD(m + M_APART_COUNT))
    moved(s, r, LD(m + M_GIVEN), LD(m + M_GIVEN_COUNT))
    moved(s, r, LD(m + M_APART), LD(m + M_APART_COUNT))
    return pointed(s, m, 1)


@exported
@outline
def leave(s: int, m: int) -> int:
    """Back again. What the monitor owns has to be as it was, and whatever is not is counted."""
    v = LD(m + M_VIRTUAL)
    r = LD(m + M_REAL)
    d = LD(m + M_DISTURBED)
    if unlike(s, v, LD(m + M_HOST), LD(m + M_HOST_COUNT)) != 0:
        note_unlike(d, s, v, LD(m + M_HOST), LD(m + M_HOST_COUNT))
        moved(s, v, LD(m + M_HOST), LD(m + M_HOST_COUNT))
    if unlike(s, r, LD(m + M_GIVEN), LD(m + M_GIVEN_COUNT)) != 0:
        note_unlike(d, s, r, LD(m + M_GIVEN), LD(m + M_GIVEN_COUNT))
    moved(r, s, LD(m + M_APART), LD(m + M_APART_COUNT))
    moved(s, v, LD(m + M_GIVEN), LD(m + M_GIVEN_COUNT))
    moved(s, v, LD(m + M_APART), LD(m + M_APART_COUNT))
    return pointed(s, m, 2)


def astray(s: int, m: int) -> int:
    """Whether something was moved since the real value was made from it."""
    p = LD(m + M_MOVED)
    for i in range(0, LD(m + M_MOVED_COUNT)):
        if LD(s + LD(p + 16 * i)) != LD(p + 16 * i + 8):
            return 1
    return 0


def held(s: int, m: int) -> int:
    """Whether one of the conditions that end a turn holds in the state of the guest's machine."""
    p = LD(m + M_CONDITIONS)
    return met(s, p, p + LD(m + M_CONDITION_BYTES)) * WATCHED


def reflected(s: int, m: int, k: int, bare: int) -> int:
    """Trap k is the guest's affair."""
    count(m + M_REFLECTED, 1)
    if bare == 0:
        return TRAPPED
    if deliver(s, k, LD(s + ILEN)) < 0:
        return STANDS
    return held(s, m)


@outline
def stepped(s: int, m: int, what: int, bare: int) -> int:
    """One instruction on the guest's machine, counted as ``what``. SLOW: generated code does not do it, and has done nothing."""
    ST(s + LEAVE, EVERY_KIND)
    ST(s + PASS, 0)
    run(s, 1)
    status = LD(s + STATUS)
    if status == LIMIT:
        count(m + what, 1)
        return held(s, m)
    if status >= 0:
        return SLOW
    return reflected(s, m, -1 - status >> 1, bare)


def done_already(s: int, m: int) -> int:
    """Whether the trap ended a completed instruction: it cannot be carried out a second time."""
    form = LD(s + EXECUTED)
    if form < 0:
        form = LD(s + FORM)
    if form < 0 or undoes(LD(s + STATUS)) == 1:
        return 0
    return BYTE(LD(m + M_EFFECTS) + form)


@outline
def dispatched(s: int, m: int, bare: int) -> int:
    """The dispatcher: an instruction of the guest has trapped on the machine below. The record holds the state of its machine."""
    k = -1 - LD(s + STATUS) >> 1
    count(LD(m + M_TRAPS) + 8 * k, 1)
    ST(m + M_LAST, k)
    if LD(m + M_KINDS) >> LD(s + KIND) & 1 == 0 or done_already(s, m) == 1:
        return reflected(s, m, k, bare)
    ST(s + COUNTER, LD(s + COUNTER_AT))
    return stepped(s, m, M_EMULATED, bare)


def uncount(m: int) -> int:
    """The trap that came to m will be raised once more: take back what this level and those below have counted."""
    x = m
    while x != 0:
        count(LD(x + M_TRAPS) + 8 * LD(x + M_LAST), -1)
        count(x + M_ENTRIES, -1)
        if x != m:
            count(x + M_REFLECTED, -1)
        x = LD(x + M_BELOW)
    return 0


def shown(status: int) -> int:
    """What the end of a run means for the turn."""
    if status < 0:
        return TRAPPED
    if status == LIMIT:
        return SPENT
    return SLOW


@outline
def finished(s: int, m: int, out: int, steps: int, bare: int) -> int:
    """The guest has been left after so many instructions, one that trapped included: what comes of it."""
    if out != TRAPPED:
        count(m + M_DIRECT, steps)
        if out == SLOW:  # it will be entered once more for what follows
            count(m + M_ENTRIES, -1)
        return out
    count(m + M_DIRECT, steps - 1)
    out = dispatched(s, m, bare)
    if out == SLOW:
        uncount(m)
    return out


@exported
def turn(s: int, m: int, limit: int, bare: int, outcome: int) -> int:
    """Run the guest of the uppermost monitor m for at most ``limit`` instructions; how many there were, and at ``outcome`` why no more.

    ``x`` is the monitor the state of whose guest's machine is in the record."""
    n = 0
    x = m
    out = GOES_ON
    while out == GOES_ON:
        if n >= limit:
            out = SPENT
        elif directly(s, LD(x + M_MODE)) == 0:
            n += 1
            out = stepped(s, x, M_INTERPRETED, bare & int(x == m))
            if out == SLOW:
                n -= 1
        elif astray(s, x) == 1:
            out = MOVED
        else:
            enter(s, x)
            count(x + M_ENTRIES, 1)
            ST(x + M_SINCE, n)
            if LD(x + M_BELOW) != 0:
                x = LD(x + M_BELOW)
            else:
                ST(s + LEAVE, EVERY_KIND)
                ST(s + PASS, 0)
                n += run(s, limit - n)
                leave(s, x)
                trap = int(LD(s + STATUS) < 0)
                out = finished(s, x, shown(LD(s + STATUS)), n - LD(x + M_SINCE), bare & int(x == m))
                if out == SLOW:
                    n -= trap
        while out != GOES_ON and x != m:
            x = LD(x + M_ABOVE)
            leave(s, x)
            trap = int(out == TRAPPED)
            out = finished(s, x, out, n - LD(x + M_SINCE), bare & int(x == m))
            if out == SLOW:
                n -= trap
    ST(outcome, out)
    return n
