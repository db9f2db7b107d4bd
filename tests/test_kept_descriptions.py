"""Bundled descriptions are kept as they were elaborated, and what is kept is what was read."""

from __future__ import annotations

from pathlib import Path

import pytest

from isa_specs import load as reading
from isa_specs.core import Isa
from isa_specs.encoding import converted, decoder
from machine import descriptions
from machine.generated import cache
from machine.generated.emit import Unit


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "vcheck" / "generated"


def refuse(name: str) -> Isa:
    raise AssertionError(f"{name} is read again")


def numbers(isa: Isa) -> object:
    """The tree of a decoder, with numbers in place of forms."""
    order = {form: number for number, form in enumerate(isa.forms)}
    return converted(decoder(isa).tree, lambda forms: tuple(order[form] for form in forms))


@pytest.mark.parametrize("name", ["teaching/paged", "x86_umip", "s370"])
def test_what_is_kept_generates_the_same_machine(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = descriptions.load(name)
    assert len(list(folder.glob("*.isa"))) == 1
    monkeypatch.setattr(reading, "load", refuse)
    kept = descriptions.load(name)
    assert kept is not first
    assert numbers(kept) == numbers(first)
    assert "relations" not in vars(decoder(kept))  # the tree was kept, not made again
    assert Unit(kept).source == Unit(first).source
    assert cache.key(kept, "") == cache.key(first, "")


def test_a_damaged_entry_is_made_anew(folder: Path) -> None:
    descriptions.load("paged")
    (entry,) = folder.glob("*.isa")
    good = entry.read_bytes()
    for bad in (b"", good[:-1], good.replace(b"paged", b"waged", 1), b"\x80\x05N." + good):
        entry.write_bytes(bad)
        assert descriptions.load("paged").name == "paged"
        assert entry.read_bytes()[: len(descriptions.MAGIC)] == descriptions.MAGIC


def test_clear_deletes_them(folder: Path) -> None:
    descriptions.load("paged")
    assert cache.clear() > 0
    assert not list(folder.glob("*"))


def test_a_folder_that_cannot_be_written(folder: Path) -> None:
    folder.parent.mkdir(parents=True)
    folder.write_text("in the way")
    assert descriptions.load("paged").name == "paged"


def test_only_bundled_descriptions_are_kept(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.spec"
    own.write_text(reading.bundled()["teaching/paged"].read_text(encoding="utf-8"), encoding="utf-8")
    assert descriptions.load(str(own)).name == "paged"
    assert not folder.exists()
