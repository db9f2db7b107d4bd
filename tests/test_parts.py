"""A generated module compiled in parts is the same module."""

from __future__ import annotations

import pytest

from isa_specs.load import load
from machine.generated import parts
from machine.generated.blocks import Untranslatable
from machine.generated.emit import Unit
from machine.generated.llvm import Module
from machine.generated.native import Compiled, compile_source

SOURCE = """
STEP = 3

def small(a):
    return a + STEP

@outline
def other(a, n):
    total = 0
    for i in range(0, n):
        if i == 5:
            continue
        if total > 1000:
            break
        total += small(a) * i
    return total

@cold
def seldom(a):
    while a > 10:
        a = a - 7
    return a

@exported
def peek(a):
    if a < 0:
        b = seldom(-a)
    else:
        b = other(a, 9)
    return b + small(b)

@exported
def run(a, b):
    r = 0
    if a == 1:
        r = other(b, 3)
    elif a == 2:
        r = seldom(b)
    elif a == 3:
        return peek(b)
    elif a == 4:
        r = LSHR(b, 1, 64)
    else:
        r = -1
    return r
"""


def expected(a: int, b: int) -> int:
    def other(a: int, n: int) -> int:
        total = 0
        for i in range(n):
            if i == 5:
                continue
            if total > 1000:
                break
            total += (a + 3) * i
        return total

    def seldom(a: int) -> int:
        while a > 10:
            a -= 7
        return a

    if a == 3:
        found = seldom(-b) if b < 0 else other(b, 9)
        return found + found + 3
    return {1: other(b, 3), 2: seldom(b), 4: b % (1 << 64) >> 1}.get(a, -1)


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_functions_call_each_other_wherever_they_are(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "WORTH", 1)
    codes = compile_source(SOURCE, threads=count)
    assert len(codes) == count
    compiled = Compiled(codes)
    run = compiled.function("run")
    for a in range(6):
        for b in (-40, -1, 0, 1, 6, 33, 5000):
            assert run(a, b) == expected(a, b), (a, b)


def test_each_kept_function_is_in_one_part() -> None:
    definitions = Module(Unit(load("s370")).source).definitions
    texts = parts.parts(definitions, 3)
    assert len(texts) == 3
    for name, each in definitions.items():
        shared = sum(f"define i64 @{name}(" in text for text in texts)
        copies = sum(f"define internal i64 @{name}(" in text for text in texts)
        assert shared <= 1, name
        assert shared == 1 or not each.kept, name
        assert not (shared and copies), name


def test_a_short_module_is_one_part() -> None:
    assert len(parts.parts(Module(SOURCE).definitions, 4)) == 1


@pytest.mark.parametrize("body", ["return c", "return f(a)", "del a", "return a[b]"])
def test_what_is_outside_the_subset_is_refused(body: str) -> None:
    with pytest.raises(Untranslatable):
        Module(f"def run(a, b):\n    {body}\n")
