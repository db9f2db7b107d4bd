"""The parser made of kept tables is the parser of the grammar."""

from __future__ import annotations

from pathlib import Path

import pytest
from lark import Lark
from lark.exceptions import UnexpectedInput

from isa_specs import grammar
from isa_specs.load import bundled
from isa_specs.reader import declarations

WRONG = ["instruction\n", "state\n  a : bits(\n", "space a : bits(8 -> byte\n", "isa x 'y'\n", "instruction X [9D\n  a <- \n"]


def refusal(parser: Lark, text: str) -> str:
    with pytest.raises(UnexpectedInput) as caught:
        parser.parse(text)
    return str(caught.value)


@pytest.fixture(scope="module")
def parsers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lark, Lark]:
    """The parser as made, and as kept."""
    folder = tmp_path_factory.mktemp("kept") / "cache"
    made = grammar.kept(folder)
    assert (folder / grammar.FILE).is_file()
    return made, grammar.kept(folder)


@pytest.mark.parametrize("name", bundled())
def test_kept_tables_parse_alike(parsers: tuple[Lark, Lark], name: str) -> None:
    made, kept = parsers
    for _, text in declarations(bundled()[name].read_text(encoding="utf-8")):
        assert made.parse(text + "\n") == kept.parse(text + "\n")


def test_kept_tables_refuse_alike(parsers: tuple[Lark, Lark]) -> None:
    made, kept = parsers
    assert [refusal(made, text) for text in WRONG] == [refusal(kept, text) for text in WRONG]


def making(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Gets an entry whenever tables are made."""
    made: list[str] = []

    class Counted(Lark):
        def __init__(self, *args: object, **options: object):
            made.append("made")
            super().__init__(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(grammar, "Lark", Counted)
    return made


def test_tables_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = making(monkeypatch)
    for _ in range(3):
        grammar.kept(tmp_path).parse("isa x \"y\"\n")
    assert len(made) == 1
    monkeypatch.setattr("lark.__version__", "another")
    grammar.kept(tmp_path)
    assert len(made) == 2
    assert grammar.clear(tmp_path) > 0
    assert not any(tmp_path.iterdir())
    assert grammar.clear(tmp_path) == 0


def test_damaged_tables_are_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = making(monkeypatch)
    file = tmp_path / grammar.FILE
    for times in range(1, 5):
        grammar.kept(tmp_path).parse("isa x \"y\"\n")
        grammar.kept(tmp_path)
        assert len(made) == times
        whole = file.read_bytes()
        file.write_bytes((b"", whole[:-1], whole.replace(b"NAME", b"name"), b"\xff" + whole)[times - 1])


def test_where_nothing_can_be_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    grammar.kept(tmp_path / "file" / "folder").parse("isa x \"y\"\n")
