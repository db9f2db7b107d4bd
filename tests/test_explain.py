"""Every code has its page, and the examples on the pages are what they claim to be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import isa_specs
from checker.commands import PAGES
from checker.findings import CLAUSE_CODES, OBSERVATION_CODES, SENSITIVITY_CODES, TITLES
from checker.run_command import CODES
from isa_specs.assembler import CODES as ASSEMBLY
from isa_specs.diagnostics import SpecError
from isa_specs.load import loads

HEADER = 'isa example "Example" extends third_generation\n'


def used_codes() -> set[str]:
    """The codes of mistakes in the source of the language, in assembly, in what is to be run, and those of findings."""
    folder = Path(isa_specs.__file__).parent
    found = {code for file in folder.glob("*.py") for code in re.findall(r'"(SP\d{3})"', file.read_text(encoding="utf-8"))}
    return found | ASSEMBLY.keys() | CODES.keys() | TITLES.keys()


def example(code: str, heading: str) -> str:
    """The indented block below ``Wrong:`` or ``Right:``; empty when there is none."""
    found = re.search(rf"^{heading}:\n\n((?: {{4}}.*\n|\n)+)", (PAGES / f"{code}.md").read_text(encoding="utf-8"), re.MULTILINE)
    return re.sub(r"^ {4}", "", found.group(1), flags=re.MULTILINE) if found else ""


ALL = sorted(page.stem for page in PAGES.glob("*.md"))


def test_a_page_for_every_code_and_no_other() -> None:
    assert set(ALL) == used_codes()
    assert {*SENSITIVITY_CODES.values(), *OBSERVATION_CODES.values(), *CLAUSE_CODES.values()} <= TITLES.keys()


@pytest.mark.parametrize("code", ALL)
def test_pages_have_title_and_text(code: str) -> None:
    title, empty, *text = (PAGES / f"{code}.md").read_text(encoding="utf-8").split("\n")
    assert title.startswith(f"# {code} ")
    assert empty == ""
    assert len(" ".join(text)) > 60


@pytest.mark.parametrize("code", [code for code in ALL if example(code, "Wrong")])
def test_wrong_example_is_wrong(code: str) -> None:
    with pytest.raises(SpecError) as caught:
        loads(HEADER + example(code, "Wrong"))
    assert [diagnostic.code for diagnostic in caught.value.diagnostics][0:1] == [code]


@pytest.mark.parametrize("code", [code for code in ALL if example(code, "Right")])
def test_right_example_is_right(code: str) -> None:
    loads(HEADER + example(code, "Right"))
