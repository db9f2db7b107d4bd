"""docs/robin_irvine.md says what the reports say.

Forms are matched by their assembly, with operand sizes left out. ``all others`` and ``all forms`` stand for the forms no other
row of the same name has.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from checker.model import Form, Instruction, Report
from checker.reporting.json import parse

ROOT = Path(__file__).parent.parent
DESCRIPTIONS = ("x86", "x86_umip", "x86_vtx")
ORDER = ("control", "mode", "location", "resource")
OPERANDS = {"rm:m48": "m", "reg:sregs": "sreg", "reg:cregs": "creg", "reg:dregs": "dreg"}
NAMES = [
    "SGDT", "SIDT", "SLDT", "SMSW", "PUSHF", "POPF", "LAR", "LSL", "VERR", "VERW", "PUSH", "POP", "CALL", "JMP", "INT", "RET", "STR", "MOV",
]

pytestmark = pytest.mark.skipif(
    not all((ROOT / "reports" / f"{name}.json").is_file() for name in DESCRIPTIONS), reason="no reports: run python -m checker.regenerate",
)


def tables() -> list[list[list[str]]]:
    """The tables of the page, as rows of cells, without their heads."""
    text = (ROOT / "docs" / "robin_irvine.md").read_text(encoding="utf-8")
    found = re.findall(r"^\|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [[[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()] for table in found]


LIST, MORE, ASSISTED = tables()


@cache
def report(name: str) -> Report:
    """The checked-in report. That it is current, ``python -m checker.regenerate --check`` sees to."""
    return parse((ROOT / "reports" / f"{name}.json").read_text(encoding="utf-8"))[0]


@cache
def instructions(name: str) -> dict[str, Instruction]:
    return {instruction.name: instruction for instruction in report(name).instructions}


def plain(form: Form, among: tuple[Form, ...]) -> str:
    """The assembly of a form without sizes: ``push{short} {text}`` in all variants is ``push cs``."""
    mnemonic, _, operands = form.form.partition(" ")
    if mnemonic[-1] in "wd" and any(other.form.split(" ")[0] == mnemonic[:-1] for other in among):
        mnemonic = mnemonic[:-1]
    operands = re.sub(r"\{rm:r\d+\}", "r/m", re.sub(r"\{reg:r\d+\}", "reg", operands))
    operands = re.sub(r"\{([\w:]+)[^}]*\}", lambda field: OPERANDS.get(field[1], field[1]), operands)
    return f"{mnemonic} {operands}".strip()


def key(form: Form, among: tuple[Form, ...]) -> tuple[str, str]:
    return plain(form, among), form.region


def keys(cell: str) -> set[tuple[str, str]]:
    forms, _, region = cell.partition(";")
    return {(form, region.strip()) for form in re.findall(r"`([^`]+)`", forms)}


def forms(name: str, cell: str, table: list[list[str]]) -> list[Form]:
    """The forms a row speaks of."""
    among = tuple(instructions("x86")[name].forms)
    if cell in ("all others", "all forms"):
        taken = {k for row in table if row[0] == name for k in keys(row[1])}
        return [form for form in among if key(form, among) not in taken]
    wanted = keys(cell)
    assert wanted <= {key(form, among) for form in among}, f"{name} has no such form: {cell}"
    return [form for form in among if key(form, among) in wanted]


def verdict(found: Form | Instruction) -> str:
    if found.critical:
        return "critical"
    return "privileged" if found.privileged == "proved" else "sensitive" if found.sensitive else "innocuous"


def classes(found: list[Form]) -> str:
    return ", ".join(kind for kind in ORDER if any(kind in form.sensitive for form in found))


def identify(row: list[str]) -> str:
    return f"{row[0]} {row[1]}"


@pytest.mark.parametrize("row", LIST, ids=identify)
def test_the_list(row: list[str]) -> None:
    name, cell, said, kinds, _ = row
    found = forms(name, cell, LIST)
    assert {verdict(form) for form in found} == {said}
    assert classes(found) == kinds
    assert all(form.critical_unconditional is form.critical for form in found)


@pytest.mark.parametrize("row", MORE, ids=identify)
def test_what_else_is_found(row: list[str]) -> None:
    name, cell, said, unconditional, kinds, _ = row
    found = forms(name, cell, MORE)
    assert {verdict(form) for form in found} == {said}
    assert {form.critical_unconditional for form in found} == {unconditional == "critical"}
    assert classes(found) == kinds


@pytest.mark.parametrize("table", [LIST, MORE], ids=["list", "more"])
def test_every_form_has_one_row(table: list[list[str]]) -> None:
    for name in {row[0] for row in table}:
        rows = [form for row in table if row[0] == name for form in forms(name, row[1], table)]
        assert len(rows) == len(instructions("x86")[name].forms), name


def test_names() -> None:
    assert list(dict.fromkeys(row[0] for row in LIST)) == NAMES
    assert [row[0] for row in ASSISTED] == NAMES


def test_nothing_else_is_critical() -> None:
    said = {row[0] for row in [*LIST, *MORE] if row[2] == "critical"}
    assert {name for name, found in instructions("x86").items() if found.critical} == said
    conditional = {row[0] for row in MORE if row[3] == "critical"}
    assert {name for name, found in instructions("x86").items() if found.critical_unconditional} == said | conditional


def test_every_critical_line_has_a_replayed_counterexample() -> None:
    for name, found in instructions("x86").items():
        assert not found.critical or (found.witness is not None and found.witness.replayed), name


@pytest.mark.parametrize("row", ASSISTED, ids=lambda row: row[0])
def test_umip(row: list[str]) -> None:
    name, bare, umip, _, _ = row
    assert verdict(instructions("x86")[name]) == bare
    assert verdict(instructions("x86_umip")[name]) == umip


@pytest.mark.parametrize("row", ASSISTED, ids=lambda row: row[0])
def test_vtx(row: list[str]) -> None:
    name, _, _, square, exits = row
    monitor = next(monitor for monitor in report("x86_vtx").monitors if monitor.name == "vmx")
    assert {"proved": "commutes", "refuted": "fails", "unknown": "unknown"}[monitor.squares[name]] == square
    leaves = next(leaves for leaves in monitor.exits if leaves.instruction == name)
    assert exits == ("by control" if leaves.when == "control" else leaves.when)
