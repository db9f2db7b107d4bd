"""Batches in generated code: many states, a few steps from each, storage as it was between them.

Its text stands in each generated module.
"""

from __future__ import annotations

from machine.generated.primitives import ARGUMENT_WORDS, ARGUMENTS, COPY, LD, LOAD8, ST, STATE, STATE_WORDS, STORE8, outline, run
from machine.generated.slots import CONTEXT, ILEN, LOG, LOG_END, REMEMBERED, STATUS, UNKNOWN

# ---- batches ----------------------------------------------------------------------------


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


def stored(s: int, start: int) -> int:
    """A number that tells what was stored where since the log was at ``start``."""
    h = 0
    k = start
    while k != LD(s + LOG_END):
        h = (h ^ LD(k + 24)) * 0x2545F4914F6CDD1D
        h = (h ^ LOAD8(LD(k))) * 0x2545F4914F6CDD1D
        h = h ^ (h >> 29 & 0x7FFFFFFFF)
        k += 32
    return h


def listing(s: int, start: int, y: int, room: int) -> int:
    """At y how many words were noted since the log was at ``start``, then which, and what they hold now, as far as there is room."""
    k = start
    n = 0
    while k != LD(s + LOG_END):
        if n < room:
            ST(y + 8 + 16 * n, LD(k + 24))
            ST(y + 16 + 16 * n, LOAD8(LD(k)))
        n += 1
        k += 32
    ST(y, n)
    return 0


@outline
def case(s: int, row: int, base: int, patches: int, stores: int, limit: int) -> int:
    """One row: its state, what it puts into storage, and room for what came of it."""
    COPY(s + STATE, row, STATE_WORDS)
    ST(s + CONTEXT, UNKNOWN)
    ST(s + REMEMBERED, 0)
    start = LD(s + LOG)
    ST(s + LOG_END, start)
    x = row + 8 * STATE_WORDS
    for j in range(0, patches):
        if LD(x + 24 * j + 8) != 0:
            patch(s, base + LD(x + 24 * j), LD(x + 24 * j + 8), LD(x + 24 * j + 16))
    run_from = LD(s + LOG_END)
    y = x + 24 * patches
    ST(s + ILEN, 0)
    for k in range(0, ARGUMENT_WORDS):
        ST(s + ARGUMENTS + 8 * k, 0)
    ST(y, run(s, limit))
    ST(y + 8, LD(s + STATUS))
    ST(y + 16, LD(s + ILEN))
    for k in range(0, ARGUMENT_WORDS):
        ST(y + 32 + 8 * k, LD(s + ARGUMENTS + 8 * k))
    COPY(row, s + STATE, STATE_WORDS)
    ST(y + 24, stored(s, run_from))
    if stores > 0:
        listing(s, run_from, y + 32 + 8 * ARGUMENT_WORDS, stores)
    k = LD(s + LOG_END)
    while k != start:
        k -= 32
        STORE8(LD(k), LD(k + 16))
    ST(s + LOG_END, start)
    return 0
