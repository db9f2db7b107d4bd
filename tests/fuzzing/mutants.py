"""Mutated descriptions: tokens, lines and bytes of the bundled ones deleted, doubled, exchanged, replaced."""

from __future__ import annotations

import functools
import random
import re

from isa_specs.load import bundled

TOKEN = re.compile(r'"[^"\n]*"|[A-Za-z_]\w*|0x[0-9A-Fa-f]+|\d+|\n *|[<>=!]=s?|<-|->|\+\+|<<|>>s?|\.\.|[^\w\s]| +')
NUMBERS = ("0", "1", "2", "3", "7", "8", "9", "15", "16", "17", "31", "32", "33", "63", "64", "65", "255", "256", "4096", "4097", "65536",
           "0xFFFFFFFF", "1000000000", "18446744073709551616")
NOISE = "\t\r\0\x1b\"'{}()[]<>=@$%\\/ \néß\u202e\ufeff😀"
OPERATORS = re.compile(r"[!=<>]=s?|[<>]s?|>>s?|<<|\+\+|[|^&+*/%-]|and|or")
FAMILY = """
for NAME, n, how in [(F0, 1, min), (F1, 2, max), (F2, 3, min)]
  instruction NAME "{NAME}" I 0xF0, n=n, unused=0 for w in 8, 16 where n == 0 or w == 16 "{NAME}{w}"
    let x : bits(16) = low(how(gpr[n], 5), w) ++ 0[15:0]
    match x
      is 1, 2
        gpr[1][w - 1:0] <- low(x, w)
      else
        trap supervisor_call(n) when parity(x) or not psw.m == 0
    for i in 0 .. w while i < 3
      mask <- mask ^ (mask >>s i)
"""


@functools.cache
def sources() -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Small and large descriptions as (name, text)."""
    texts = [(name, path.read_text(encoding="utf-8")) for name, path in bundled().items()]
    small = [(name, text) for name, text in texts if name.startswith("teaching/")]
    small.append(("family", 'isa family "Family" extends third_generation\n' + FAMILY))
    return small, [(name, text) for name, text in texts if not name.startswith("teaching/")]


@functools.cache
def vocabulary() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The tokens and the lines of all descriptions."""
    text = "\n".join(text for listed in sources() for _, text in listed)
    return tuple(sorted({*TOKEN.findall(text), *keywords()})), tuple(sorted(set(text.split("\n"))))


@functools.cache
def keywords() -> frozenset[str]:
    """The words and signs of the grammar."""
    return frozenset(re.findall(r'"([^"\s\\]+)"', (bundled()["s370"].parent / "spec.lark").read_text(encoding="utf-8")))


def mutant(rng: random.Random) -> tuple[str, str]:
    """A description with a few things wrong."""
    small, large = sources()
    name, text = rng.choice(large if rng.random() < 0.02 else small)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        text = rng.choice((_alike, _alike, _alike, _tokens, _lines, _bytes))(text, rng)
    return name, text


def _alike(text: str, rng: random.Random) -> str:
    """A name, number or operator replaced by another: most of these get past the grammar."""
    found = [m.span() for m in TOKEN.finditer(text) if kind(m.group())]
    if not found:
        return text
    start, end = rng.choice(found)
    what = kind(text[start:end])
    if what == "number":
        new = rng.choice(NUMBERS)
    elif rng.random() < 0.3:
        new = rng.choice([token for token in vocabulary()[0] if kind(token) == what])
    else:
        new = text[slice(*rng.choice([span for span in found if kind(text[slice(*span)]) == what]))]
    return text[:start] + new + text[end:]


@functools.cache
def kind(token: str) -> str:
    """What a token can be replaced by without a mistake of syntax, mostly."""
    if token[:1].isdigit():
        return "number"
    if OPERATORS.fullmatch(token):
        return "operator"
    return "name" if token.isidentifier() and token not in keywords() else ""


def _tokens(text: str, rng: random.Random) -> str:
    found = [m.span() for m in TOKEN.finditer(text) if m.group().strip() or "\n" in m.group()]
    if not found:
        return text
    start, end = rng.choice(found)
    token = text[start:end]
    match rng.randrange(6):
        case 0:
            new = ""
        case 1:
            new = f"{token} {token}"
        case 2:
            new = rng.choice(vocabulary()[0])
        case 3:
            new = rng.choice(NUMBERS) if token.isalnum() else rng.choice(vocabulary()[0])
        case 4:
            other = rng.choice(found)
            new = text[slice(*other)]
        case _:
            first, second = sorted(((start, end), rng.choice(found)))
            if first[1] > second[0]:
                return text
            return text[: first[0]] + text[slice(*second)] + text[first[1] : second[0]] + text[slice(*first)] + text[second[1] :]
    return text[:start] + new + text[end:]


def _lines(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(7):
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, lines[other])
        case 2:
            lines[at], lines[other] = lines[other], lines[at]
        case 3:
            lines[at] = " " * rng.randrange(8) + lines[at].lstrip()
        case 4:
            lines.insert(at, rng.choice(vocabulary()[1]))
        case 5:
            lines[min(at, other) : max(at, other)] = []
        case _:
            lines[at] += rng.choice(lines)
    return "\n".join(lines)


def _bytes(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text) + 1)
    match rng.randrange(3):
        case 0:
            return text[:at] + rng.choice(NOISE) + text[at:]
        case 1:
            return text[:at] + text[at + rng.randrange(1, 12) :]
        case _:
            return text[:at] if rng.random() < 0.3 else text[:at] + rng.choice(NOISE) + text[at + 1 :]
