"""The parser of one declaration. Its tables are kept between runs: to make them takes longer than to read most descriptions.

They are kept as JSON, in the form lark gives them to be stored in: what stands there can be a table, and never code.
"""

from __future__ import annotations

import contextlib
import functools
import json
from pathlib import Path
from typing import Any

import lark
from lark import Lark
from lark.grammar import Rule
from lark.indenter import Indenter
from lark.lexer import TerminalDef

from isa_specs.keeping import default_directory, digest, if_possible, read, write

FILE = "grammar.tables"
GRAMMAR = Path(__file__).with_name("spec.lark")
_OPTIONS: dict[str, Any] = {"parser": "lalr", "maybe_placeholders": True}


class Layout(Indenter):
    """Turns indentation into _INDENT and _DEDENT tokens."""

    NL_type = "_NL"
    OPEN_PAREN_types = ["LPAR", "LSQB", "LBRACE"]  # noqa: RUF012 - lark's interface
    CLOSE_PAREN_types = ["RPAR", "RSQB", "RBRACE"]  # noqa: RUF012
    INDENT_type = "_INDENT"
    DEDENT_type = "_DEDENT"
    tab_len = 8


@functools.cache
def parser() -> Lark:
    """The LALR parser of one declaration."""
    return kept(default_directory())


def kept(folder: Path) -> Lark:
    """The parser by the tables kept in ``folder``; where there are none for this grammar and this lark, made anew and kept."""
    grammar = GRAMMAR.read_text(encoding="utf-8")
    magic = f"vcheck grammar {digest([lark.__version__, repr(_OPTIONS), grammar])}\n".encode()
    text = read(folder / FILE, magic)
    if text is not None:
        tables = json.loads(text, object_pairs_hook=_numbered)
        tables["data"]["options"]["postlex"] = Layout()
        return Lark.load(tables)  # it takes what pickle would have read, too
    made = Lark(grammar, postlex=Layout(), **_OPTIONS)
    data, memo = made.memo_serialize([TerminalDef, Rule])
    del data["options"]["postlex"]
    text = json.dumps({"data": data, "memo": memo}, separators=(",", ":")).encode()
    with if_possible():
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / FILE, text, magic)
    return made


def clear(folder: Path) -> int:
    """Forget the tables; returns the number of bytes freed."""
    with contextlib.suppress(OSError):
        size = (folder / FILE).stat().st_size
        (folder / FILE).unlink()
        return size
    return 0


def _numbered(pairs: list[tuple[str, Any]]) -> dict[str | int, Any]:
    """States and symbols are numbers, which JSON has no keys of."""
    return {int(key) if key.isdecimal() else key: value for key, value in pairs}
