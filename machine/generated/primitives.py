"""The names generated code is written in, for readers and type checkers; each compiler gives them its own meaning.

All values are 64-bit integers that wrap. An address is a number, too. Nothing here is ever called.
"""

# ruff: noqa: N802 (capitals set primitives apart from functions of the generated code)

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def LD(p: int) -> int:
    """The word of the record, or of a table, at address ``p``."""
    raise NotImplementedError


def ST(p: int, value: int) -> int:
    """Store a word."""
    raise NotImplementedError


def LINK(p: int) -> int:
    """The word at ``p`` that says where the row at hand is; SET_LINK stores it. No other store reaches it."""
    raise NotImplementedError


SET_LINK = ST


def PREFETCH(p: int) -> int:
    """What is at ``p`` will be looked at soon."""
    raise NotImplementedError


def BYTE(p: int) -> int:
    """A byte of the maps of pages and of watched cells, 0..255."""
    raise NotImplementedError


def SET_BYTE(p: int, value: int) -> int:
    """Store the low 8 bits there."""
    raise NotImplementedError


def LOAD1(p: int) -> int:
    """A byte of a space; LOAD2, LOAD4 and LOAD8 are wider, in the order of the host, zero-extended."""
    raise NotImplementedError


LOAD2 = LOAD4 = LOAD8 = LOAD1


def STORE1(p: int, value: int) -> int:
    """Store the low 8 bits in a space; STORE2, STORE4 and STORE8 more."""
    raise NotImplementedError


STORE2 = STORE4 = STORE8 = STORE1


def COPY(to: int, p: int, words: int) -> int:
    """Store the words at ``p``, record or row of a batch, at ``to``; the two do not overlap."""
    raise NotImplementedError


def MOVE(to: int, p: int, n: int) -> int:
    """Copy ``n`` > 0 bytes of a space one by one, the first one first, wherever the two overlap; returns n."""
    raise NotImplementedError


def CALL(function: int, s: int, limit: int) -> int:
    """Call a region, by the address of its code."""
    raise NotImplementedError


def SWAP2(value: int) -> int:
    """The low 2 bytes reversed; SWAP4 and SWAP8 reverse more."""
    raise NotImplementedError


SWAP4 = SWAP8 = SWAP2


def ULT(a: int, b: int) -> bool:
    """a < b, both unsigned; ULE is a <= b."""
    raise NotImplementedError


ULE = ULT


def UDIV(a: int, b: int, ones: int) -> int:
    """Unsigned quotient; ``ones`` when b is 0."""
    raise NotImplementedError


def UREM(a: int, b: int) -> int:
    """Unsigned remainder; a when b is 0."""
    raise NotImplementedError


def SDIV(a: int, b: int) -> int:
    """Quotient truncated toward zero, wrapping; by zero 1 when a < 0, else -1. SREM: the remainder, by zero a."""
    raise NotImplementedError


SREM = SDIV


def SHL(a: int, n: int, w: int) -> int:
    """a << n, 0 when n >= w unsigned. LSHR: right, zeros come in. ASHR: right, signs come in."""
    raise NotImplementedError


LSHR = ASHR = SHL


def fetch_byte(s: int, a: int) -> int:
    """Generated: the byte at ``a``, as the description fetches it, or a trap. ``contexts(s)`` computes the contexts."""
    raise NotImplementedError


def fits(s: int, number: int) -> int:
    """Generated: whether a condition of the encodings holds."""
    raise NotImplementedError


def contexts(s: int) -> int:
    """Generated: the contexts, from state and prefixes; 0 or a trap."""
    raise NotImplementedError


def prefixes(s: int) -> int:
    """Generated: read the prefixes; the number of bytes, or a trap."""
    raise NotImplementedError


def run(s: int, limit: int) -> int:
    """Generated: the step loop."""
    raise NotImplementedError


def deliver(s: int, k: int, ilen: int) -> int:
    """Generated: the delivery of trap k."""
    raise NotImplementedError


def undoes(status: int) -> int:
    """Generated: whether a trap takes back effects."""
    raise NotImplementedError


def directly(s: int, mode: int) -> int:
    """Generated: whether a guest in this state runs on the machine below its monitor, of this M_MODE."""
    raise NotImplementedError


def guest_mode(s: int, profile: int) -> int:
    """Generated: whether the mode is that in which the hardware runs the guests of a profile."""
    raise NotImplementedError


def mapped(s: int, r: int, profile: int) -> int:
    """Generated: the values a profile's maps give for this state, put into the image ``r``."""
    raise NotImplementedError


# Generated, too: constants of the description.
EVERY_KIND = 0
ROW, ONCE, LOGGED, LINES, LINES_END, WATCHES, WATCHES_END, LINE_BYTES, MAX_LINES, MAX_WATCHES = range(10)  # of batches; see :mod:`rows`
TOO_LONG, NO_FORM, LITTLE, COUNTER, COUNTER_MASK, STATE, STATE_WORDS, ARGUMENTS, ARGUMENT_WORDS = range(9)
F_MOD, F_RM, F_WIDE, F_SCALE, F_INDEX, F_BASE, F_DISP, F_HAS_SIB = range(8)  # where fields of ModRM are kept


def outline(function: T) -> T:
    """Never inlined. ``inline``: always. ``cold``: never, and seldom called. ``exported``: called from outside."""
    return function


inline = cold = exported = outline
