"""The documentation keeps its promises: descriptions load, commands run and print what is shown, links and file names lead somewhere.

How a page says what it means: a block ```` ```spec NAME ```` is the complete file NAME, or an excerpt if the repository has a file
of that name. A block ```` ```sh ```` has commands, run in the folder of the files so far; ``# exit code N`` behind one is checked. A
block ```` ```text ```` behind it shows lines of the output, with others left out. A block ```` ```python ```` goes on where the one
before it ended, and has its output behind it likewise.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest

from checker import cli
from checker.commands import COMMANDS
from isa_specs.load import bundled, find, load

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
FENCE = re.compile(r"^```(\w*)[ ]?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
NAMED = re.compile(r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|spec|lark|md|json)|(?:isa_specs|machine|checker|tests|docs|reports)/[\w./-]*)`")
PLACEHOLDERS = {"my.spec", "mine.spec", "my.md", "known.json", "checker/explain/CODE.md"}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, what follows that word, its text."""

    kind: str
    name: str
    text: str


def blocks(page: Path) -> list[Block]:
    return [Block(*found) for found in FENCE.findall(page.read_text(encoding="utf-8"))]


def names(pages: list[Path]) -> list[str]:
    return [page.relative_to(ROOT).as_posix() for page in pages]


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


# ---- descriptions and commands ----------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_blocks(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    found = blocks(page)
    if any(block.kind == "sh" for block in found):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    output = ""
    values: dict[str, object] = {}
    for block in found:
        if block.kind == "spec":
            description(block)
        elif block.kind == "sh":
            for line in block.text.splitlines():
                run(line)
            output = capsys.readouterr().out
        elif block.kind == "python":
            exec(block.text, values)
            output = capsys.readouterr().out
        elif block.kind == "text":
            at = 0
            for line in block.text.splitlines():
                at = output.find(line.strip(), at)
                assert at >= 0, f"not in the output, or not in this order: {line}"


def description(block: Block) -> None:
    original = ROOT / block.name
    if original.is_file():
        assert block.text in original.read_text(encoding="utf-8"), f"this is not what {block.name} says"
    else:
        Path(block.name).write_text(block.text, encoding="utf-8")
        load(block.name)


def run(line: str) -> None:
    command, *arguments = shlex.split(line, comments=True)
    assert command == "vcheck"
    wanted = re.search(r"# exit code (\d+)", line)
    specs = [word for word in arguments if word.endswith(".spec")]
    if arguments[0] == "fuzz":  # a campaign: not run, but what it names must be there
        name, *instruction = [word for word in arguments[1:3] if not word.startswith("--")]
        assert set(instruction) <= {form.instruction for form in load(find(name)).forms}
    elif arguments[0] in COMMANDS or specs or all(word.startswith("teaching/") for word in cli.parser().parse_args(arguments).specs):
        code = cli.main(arguments)
        assert code == int(wanted[1]) if wanted else code not in (2, 4)
    else:
        known(arguments)


def known(arguments: list[str]) -> None:
    """A command on a large description is not run, but what it names must be there."""
    asked = cli.parser().parse_args(arguments)
    for spec in asked.specs:
        isa = load(find(spec))
        assert set(asked.instruction) <= {form.instruction for form in isa.forms}
        assert set(asked.monitor) <= set(isa.monitors)


def test_reading_guide_teaches_on_a_complete_machine() -> None:
    complete = [b for b in blocks(ROOT / "docs" / "reading-guide.md") if b.kind == "spec" and not (ROOT / b.name).is_file()]
    assert len(complete) == 2
    assert len(complete[0].text.splitlines()) < 80


# ---- links and names ---------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """The anchors GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ +(.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_links_resolve(page: Path) -> None:
    for target in LINK.findall(prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_named_files_exist(page: Path) -> None:
    generated = {f"reports/{name}.{suffix}" for name in bundled() for suffix in ("json", "md")}
    good = {block.name for block in blocks(page)} | PLACEHOLDERS | generated
    for name in NAMED.findall(prose(page)):
        path = name.rstrip("/")
        assert name in good or (ROOT / path).exists() or any(ROOT.glob(f"*/{path}")) or any(ROOT.glob(f"*/*/{path}")), name


def test_every_page_is_in_the_contents() -> None:
    linked = {target.partition("#")[0] for target in LINK.findall(prose(ROOT / "docs" / "index.md"))}
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"} <= linked
