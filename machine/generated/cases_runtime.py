"""Batches in generated code: many states, a few steps from each, storage as it was between them.

Its text stands in the module generated for batches, where the state is the row at hand (:mod:`rows`). What is stored is noted word by
word, in the log. An instruction that stores much has the lines it stores to saved as they are, and then stores as it would alone.
"""

from __future__ import annotations

from machine.generated.primitives import (
    ARGUMENT_WORDS,
    ARGUMENTS,
    COPY,
    COUNTER,
    COUNTER_MASK,
    LD,
    LINE_BYTES,
    LINES,
    LINES_END,
    LOAD8,
    LOGGED,
    MAX_LINES,
    MAX_WATCHES,
    ONCE,
    PREFETCH,
    ROW,
    SET_LINK,
    ST,
    STATE_WORDS,
    STORE8,
    WATCHES,
    WATCHES_END,
    exported,
    fetch_byte,
    outline,
    run,
)
from machine.generated.runtime import covered, log, set_cover, unwatched
from machine.generated.slots import CONTEXT, FLUSHES, ILEN, LOG, LOG_END, STATUS, UNKNOWN

# ---- batches ----------------------------------------------------------------------------


def flush(s: int) -> int:
    """Forget every walk and decoding: the next context has a number of its own."""
    ST(s + CONTEXT, UNKNOWN)
    ST(s + FLUSHES, LD(s + FLUSHES) + 1)
    return 0


@outline
def note(s: int, base: int, cover: int, space: int, p: int, n: int) -> int:
    """Before a store of ``n`` bytes at ``p`` that goes one by one."""
    log(s, base, space, p, n)
    if LD(s + WATCHES_END) != LD(s + WATCHES):
        hit = 0
        for i in range(0, n):
            hit |= covered(cover, p + i)
        if hit == 1:
            flush(s)
    return 0


@outline
def free(s: int, base: int, cover: int, space: int, p: int, line: int) -> int:
    """Whether stores to the line of byte ``p``, of ``2**line`` bytes, need no notice: it is saved, or is now, as the case stores much."""
    if LD(s + LOG_END) - LD(s + LOGGED) < 128:
        return 0
    if unwatched(cover, p, line) == 0:
        return 0
    place = base + (p >> line << line)
    end = LD(s + LINES_END)
    m = LD(s + LINES)
    while m != end:
        if LD(m) == place:
            return 1
        m += LINE_BYTES
    if m - LD(s + LINES) >= MAX_LINES * LINE_BYTES:
        return 0
    ST(m, place)
    ST(m + 8, space + (p >> line << line))
    ST(m + 16, LD(s + LOG_END))
    ST(m + 24, 1 << line - 3)
    COPY(m + 32, place, 1 << line - 3)
    ST(s + LINES_END, m + LINE_BYTES)
    return 1


@outline
def unwatch(s: int) -> int:
    """Nothing rests on a byte any more."""
    k = LD(s + WATCHES_END)
    while k != LD(s + WATCHES):
        k -= 16
        set_cover(LD(k), LD(k + 8), 0)
    ST(s + WATCHES_END, k)
    return 0


@outline
def watch(s: int, cover: int, p: int) -> int:
    """A remembered walk or decoding rests on this byte, for as long as this case lasts."""
    if covered(cover, p) == 0:
        if LD(s + WATCHES_END) - LD(s + WATCHES) >= 16 * MAX_WATCHES:
            unwatch(s)
            flush(s)
        if LD(s + LINES_END) != LD(s + LINES):
            flush(s)  # no line is written to without notice any more
        end = LD(s + WATCHES_END)
        set_cover(cover, p, 1)
        ST(end, cover)
        ST(end + 8, p)
        ST(s + WATCHES_END, end + 16)
    return 0


def patch(s: int, p: int, n: int, value: int) -> int:
    """Put ``n`` <= 8 bytes where they can be taken back."""
    k = LD(s + LOG_END)
    old = LOAD8(p)
    ST(k, p)
    ST(k + 16, old)
    ST(k + 24, -1)  # a store to the same word is noted all the same
    ST(s + LOG_END, k + 32)
    if n < 8:
        kept = -1 << 8 * n
        value = (value & ~kept) | (old & kept)
    STORE8(p, value)
    return 0


def mixed(h: int, place: int, word: int) -> int:
    h = (h ^ place) * 0x2545F4914F6CDD1D
    h = (h ^ word) * 0x2545F4914F6CDD1D
    return h ^ (h >> 29 & 0x7FFFFFFFF)


def listed_at(y: int, n: int, room: int, place: int, word: int) -> int:
    if n < room:
        ST(y + 8 + 16 * n, place)
        ST(y + 16 + 16 * n, word)
    return n + 1


@outline
def stored(s: int, y: int, room: int) -> int:
    """A number that tells what was stored where. At y, where there is room, how many words were noted or differ from what was saved,
    then which, and what they hold now."""
    h = 0
    n = 0
    k = LD(s + LOGGED)
    while k != LD(s + LOG_END):
        h = mixed(h, LD(k + 24), LOAD8(LD(k)))
        n = listed_at(y, n, room, LD(k + 24), LOAD8(LD(k)))
        k += 32
    m = LD(s + LINES)
    while m != LD(s + LINES_END):
        for i in range(0, LD(m + 24)):
            word = LOAD8(LD(m) + 8 * i)
            if word != LD(m + 32 + 8 * i):
                h = mixed(h, LD(m + 8) + 8 * i, word)
                n = listed_at(y, n, room, LD(m + 8) + 8 * i, word)
        m += LINE_BYTES
    if room > 0:
        ST(y, n)
    return h


def unlog(s: int, start: int) -> int:
    """Put back what the log holds from ``start`` on, the last first."""
    k = LD(s + LOG_END)
    while k != start:
        k -= 32
        STORE8(LD(k), LD(k + 16))
    ST(s + LOG_END, start)
    return 0


@outline
def unsave(s: int) -> int:
    """Put back the lines that were saved."""
    m = LD(s + LINES_END)
    while m != LD(s + LINES):
        m -= LINE_BYTES
        unlog(s, LD(m + 16))
        COPY(LD(m), m + 32, LD(m + 24))
    ST(s + LINES_END, m)
    return 0


@outline
def case(s: int, row: int, base: int, patches: int, stores: int, limit: int) -> int:
    """One row: its state, what it puts into storage, and room for what came of it."""
    ST(s + CONTEXT, UNKNOWN)
    start = LD(s + LOG)
    x = row + 8 * STATE_WORDS
    for j in range(0, patches):
        if LD(x + 24 * j + 8) != 0:
            patch(s, base + LD(x + 24 * j), LD(x + 24 * j + 8), LD(x + 24 * j + 16))
    ST(s + LOGGED, LD(s + LOG_END))
    y = x + 24 * patches
    ST(s + ILEN, 0)
    for k in range(0, ARGUMENT_WORDS):
        ST(s + ARGUMENTS + 8 * k, 0)
    ST(y, run(s, limit))
    ST(y + 8, LD(s + STATUS))
    ST(y + 16, LD(s + ILEN))
    for k in range(0, ARGUMENT_WORDS):
        ST(y + 32 + 8 * k, LD(s + ARGUMENTS + 8 * k))
    z = y + 32 + 8 * ARGUMENT_WORDS
    if LD(s + LOG_END) != LD(s + LOGGED):
        ST(y + 24, stored(s, z, stores))
    else:
        ST(y + 24, 0)
        if stores > 0:
            ST(z, 0)
    if LD(s + LINES_END) != LD(s + LINES):
        unsave(s)
    unlog(s, start)
    if LD(s + WATCHES_END) != LD(s + WATCHES):
        unwatch(s)
    return 0


@exported
def cases(s: int, rows: int, count: int, stride: int, base: int, patches: int, stores: int, limit: int, near: int, lines: int) -> int:
    """Rows one after the other; the ``lines`` of 64 bytes from ``near`` on are what most of them look at."""
    ST(s + ONCE, int(limit == 1))
    for i in range(0, count):
        row = rows + i * stride
        for j in range(0, lines):
            PREFETCH(row + 3 * stride + near + 64 * j)
        SET_LINK(s + ROW, row)
        case(s, row, base, patches, stores, limit)
    return count


@exported
def origins(s: int, rows: int, count: int, stride: int, n: int, cover: int, found: int) -> int:
    """For each row where the first ``n`` bytes at its counter come from in the space that ``cover`` is of, -1 for those that are fetched
    from elsewhere or refused: what is read last is the byte."""
    ST(s + ONCE, 0)
    for i in range(0, count):
        SET_LINK(s + ROW, rows + i * stride)
        ST(s + CONTEXT, UNKNOWN)
        counter = LD(s + COUNTER)
        for j in range(0, n):
            place = -1
            if fetch_byte(s, counter + j & COUNTER_MASK) >= 0:
                k = LD(s + WATCHES_END)
                if k != LD(s + WATCHES) and LD(k - 16) == cover:
                    place = LD(k - 8)
            ST(found + 8 * (i * n + j), place)
            unwatch(s)
        unlog(s, LD(s + LOG))
    return count
