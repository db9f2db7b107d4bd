"""How long the large descriptions are: the table of docs/reading-guide.md is current, and an instruction stays near six lines."""

from __future__ import annotations

import re
from pathlib import Path

from isa_specs.load import bundled, load
from isa_specs.reader import declarations

PAGE = Path(__file__).parent.parent / "docs" / "reading-guide.md"
LARGE = [name for name in bundled() if "/" not in name]
_INSTRUCTIONS = re.compile(r"\s*((override )?instruction|before|after) ")
_SHARED = re.compile(r"(override )?(function|procedure|accessor|const|layout|format|field|names|extern) ")


def counted(name: str) -> list[int]:
    """Instructions a file declares; its lines of instructions, of what they share, and all; blank lines and comments aside."""
    path = bundled()[name]
    own = {form.instruction for form in load(name).forms if form.span.file.endswith(path.name)}
    instructions = shared = every = 0
    for _, chunk in declarations(path.read_text(encoding="utf-8")):
        lines = [line for line in chunk.split("\n") if line.strip() and not line.strip().startswith("//")]
        every += len(lines)
        if any(map(_INSTRUCTIONS.match, lines)):
            instructions += len(lines)
        elif _SHARED.match(lines[0]):
            shared += len(lines)
    return [len(own), instructions, shared, every]


def row(name: str) -> str:
    number, instructions, shared, every = counted(name)
    each = f"{(instructions + shared) / number:.1f}" if number else ""
    return f"| {name} | {number} | {instructions} | {shared} | {each} | {every} |"


def test_the_table_of_lengths_is_current() -> None:
    page = PAGE.read_text(encoding="utf-8").splitlines()
    assert [line for line in page if line.startswith(tuple(f"| {name} |" for name in LARGE))] == list(map(row, LARGE))


def test_an_instruction_of_system_370_takes_about_six_lines() -> None:
    number, instructions, shared, _ = counted("s370")
    assert (instructions + shared) / number < 6.5
