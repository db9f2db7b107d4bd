"""Decoder, encoder and the relations between forms, on two toy machines and on every bundled description."""

from __future__ import annotations

import functools
import random
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isa_specs import encoding
from isa_specs.core import Form, Isa
from isa_specs.diagnostics import SpecError
from isa_specs.encoding import (
    Decoded,
    EncodeError,
    Overlap,
    decode,
    encode,
    example,
    overlaps,
    random_fields,
    state_contexts,
    unsatisfiable,
)
from isa_specs.load import bundled, load, loads

SPECS = Path(__file__).parent / "specs" / "encoding"


@functools.cache
def toy(name: str) -> Isa:
    return load(SPECS / f"{name}.spec")


def variant(name: str, *lines: str) -> Isa:
    """A toy with more instructions."""
    more = "\n".join(f"{line}\n  gpr[0] <- 1" for line in lines)
    return unchecked((SPECS / f"{name}.spec").read_text(encoding="utf-8") + more + "\n")


def unchecked(text: str) -> Isa:
    """A description whose forms may overlap, which is not let through otherwise."""
    with mock.patch("isa_specs.elaborate.check_encodings"):
        return loads(text)


def read(isa: Isa, code: str, **state: int) -> Decoded | None:
    data = bytes.fromhex(code)

    def fetch(offset: int) -> int:
        assert offset < len(data), "the decoder asked for a byte it does not need"
        return data[offset]

    return decode(isa, fetch, state_contexts(isa, state))


def named(found: Decoded | None) -> str:
    assert found is not None
    return f"{found.form.instruction} {found.form.template}"


def fields(isa: Isa, code: str, *names: str, **state: int) -> tuple[int, ...]:
    found = read(isa, code, **state)
    assert found is not None
    assert found.length == found.fields["ilen"] == len(code) // 2
    return tuple(found.fields[name] for name in names)


def form(isa: Isa, template: str) -> Form:
    return next(f for f in isa.forms if f.template == template)


# ---- fixed formats --------------------------------------------------------------------------------------


def test_fixed_formats_are_told_apart_by_their_first_bytes() -> None:
    isa = toy("toy370")
    assert fields(isa, "1A12", "op", "r1", "r2") == (0x1A, 1, 2)
    assert fields(isa, "5A12F345", "r1", "x2", "b2", "d2") == (1, 2, 15, 0x345)
    assert fields(isa, "B2021FFF", "b2", "d2") == (1, 0xFFF)
    assert fields(isa, "D2FF10012002", "l", "b1", "d1", "b2", "d2") == (255, 1, 1, 2, 2)


def test_bytes_that_are_no_instruction_are_not_read_further() -> None:
    assert read(toy("toy370"), "FF") is None
    assert read(toy("toy370"), "B203") is None


def test_the_more_special_form_wins() -> None:
    isa = toy("toy370")
    assert named(read(isa, "0702")).startswith("NOPR")
    assert named(read(isa, "0712")).startswith("BCR")
    assert overlaps(isa) == []


def test_where_restricts() -> None:
    assert read(toy("toy370"), "1C21") is not None
    assert read(toy("toy370"), "1C12") is None


def test_ignored_bits_are_written_as_zero() -> None:
    isa = toy("toy370")
    found = read(isa, "80AB")
    assert found is not None
    assert encode(isa, found.form, found.fields) == bytes.fromhex("8000")


def test_little_endian_fixed_formats() -> None:
    isa = unchecked((SPECS / "toy370.spec").read_text(encoding="utf-8").replace("bytes big", "bytes little"))
    assert fields(isa, "45F3125A", "r1", "x2", "b2", "d2") == (1, 2, 15, 0x345)


# ---- byte patterns --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "values"),
    [  # Intel Software Developer's Manual, volume 2, tables 2-2 and 2-3
        ("03C1", (3, 0, 1, 0, 0)),
        ("0301", (0, 0, 1, 0, 0)),
        ("034180", (1, 0, 1, 0, -0x80)),
        ("038178563412", (2, 0, 1, 0, 0x12345678)),
        ("030578563412", (0, 0, 5, 0, 0x12345678)),
        ("030424", (0, 0, 4, 1, 0)),
        ("03042578563412", (0, 0, 4, 1, 0x12345678)),
        ("03448840", (1, 0, 4, 1, 0x40)),
    ],
)
def test_modrm(code: str, values: tuple[int, ...]) -> None:
    *rest, disp = values
    assert fields(toy("toy86"), code, "mod", "reg", "rm", "has_sib", "disp", **{"cs.db": 1}) == (*rest, disp & 0xFFFFFFFF)


def test_a_byte_of_fields() -> None:
    isa = variant("toy86", "instruction CR [0F 20 mod:2 reg:3 rm:3 imm:8]")
    assert fields(isa, "0F20D17F", "mod", "reg", "rm", "imm", **{"cs.db": 1}) == (3, 2, 1, 0x7F)
    assert fields(isa, "0F20557F", "mod", "reg", "rm", "imm", **{"cs.db": 1}) == (1, 2, 5, 0x7F), "no displacement follows"
    assert encode(isa, form(isa, "CR"), {"mod": 2, "reg": 7, "rm": 1, "imm": 1}).hex() == "0f20b901"


def test_a_byte_of_fields_overlaps_like_the_byte_it_is() -> None:
    one, two = "instruction ONE [0F 20 a:2 b:6] where a == 3", "instruction TWO [0F 20 /5]"
    isa = variant("toy86", one, two, "instruction THREE [0F 21 c:4 d:4]")
    found = [{overlap.first.instruction, overlap.second.instruction} for overlap in overlaps(isa)]
    assert found == [{"ONE", "TWO"}]


@pytest.mark.parametrize(("pattern", "message"), [
    ("0F 20 mod:2 reg:3", "3 bits of a byte belong to no field"),
    ("0F 20 mod:2 reg:7", "a field of 7 bits is not possible here"),
    ("0F 20 mod:2 90", "6 bits of a byte belong to no field"),
    ("0F 20 mod:2 imm:8", "a field of 8 bits is not possible here"),
    ("0F 20 mod:12", "a field of 12 bits is not possible here"),
])
def test_fields_that_fill_no_byte(pattern: str, message: str) -> None:
    with pytest.raises(SpecError, match="SP207") as caught:
        variant("toy86", f"instruction CR [{pattern}]")
    assert message in caught.value.diagnostics[0].message


def test_16_bit_addressing() -> None:
    isa = toy("toy86")
    assert fields(isa, "01063412", "mod", "rm", "disp") == (0, 6, 0x1234)
    assert fields(isa, "0144FE", "mod", "rm", "has_sib", "disp") == (1, 4, 0, 0xFFFFFFFE)
    assert fields(isa, "670181FEFFFFFF", "mod", "rm", "disp", "addrsize", "addrsize67") == (2, 1, 0xFFFFFFFE, 1, 1)


def test_prefixes_in_any_order_once_each() -> None:
    isa = toy("toy86")
    for code in ("6667F00301", "F067660301"):
        assert fields(isa, code, "opsize66", "addrsize67", "lock", "segment", "opsize") == (1, 1, 1, 0, 1)
    assert read(isa, "6666") is None
    assert read(isa, "2664") is None


def test_at_most_fifteen_bytes() -> None:
    isa = variant("toy86", "instruction LONG [0F 0F x:64 y:32 z:8]")
    long = form(isa, "LONG")
    values = {"x": 0, "y": 0, "z": 0}
    assert len(encode(isa, long, values)) == 15
    with pytest.raises(EncodeError, match="at most 15"):
        encode(isa, long, values | {"lock": 1})
    assert read(isa, "F00F0F" + "00" * 12) is None


def test_conditions_are_tested_before_more_bytes_are_read() -> None:
    """The 16-bit form must not fault because the 32-bit form of the same opcode would be longer."""
    assert fields(toy("toy86"), "A03412", "off") == (0x1234,)
    assert fields(toy("toy86"), "A078563412", "off", **{"cs.db": 1}) == (0x12345678,)


def test_an_opcode_byte_may_be_a_special_modrm_byte() -> None:
    isa = toy("toy86")
    assert named(read(isa, "0F01C1")) == "VMCALL vmcall"
    assert read(isa, "0F01C0") is None
    assert named(read(isa, "0F0100")).startswith("SGDT")
    assert named(read(isa, "D405")) == "SALC five"
    assert named(read(isa, "D406")).startswith("AAM")


# ---- encoding errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"imm": 256}, "imm = 0x100 does not fit in 8 bits"),
        ({"imm": -1}, "does not fit"),
        ({"nonsense": 1}, "no field 'nonsense'"),
        ({"reg": 3}, "fixes it to 0x0"),
        ({"disp": 4}, "leave no displacement"),
        ({"mod": 1, "disp": 0x80}, "8-bit displacement"),
        ({"rm": 4, "has_sib": 0}, "need a SIB byte"),
        ({"base": 2}, "leave no SIB byte"),
        ({"opsize": 0}, "condition"),
        ({"segment": 7}, "no byte gives segment = 7"),
    ],
)
def test_impossible_fields(change: dict[str, int], message: str) -> None:
    isa = toy("toy86")
    add = next(f for f in isa.forms if f.constants == {"w": 32} and "imm" in f.fields)
    good = {"mod": 0, "rm": 0, "imm": 5, "opsize": 1}
    assert encode(isa, add, good) == bytes.fromhex("830005")
    with pytest.raises(EncodeError, match=message):
        encode(isa, add, good | change)


def test_missing_field() -> None:
    with pytest.raises(EncodeError, match="'r2' is missing"):
        encode(toy("toy370"), form(toy("toy370"), "AR {r1},{r2}"), {"r1": 1})


# ---- relations ------------------------------------------------------------------------------------------


def clash(isa: Isa) -> list[tuple[str, str]]:
    for found in overlaps(isa):
        assert_both(isa, found)
    return [(o.first.instruction, o.second.instruction) for o in overlaps(isa)]


def assert_both(isa: Isa, overlap: Overlap) -> None:
    """The example is an instruction of each form when the other is not there."""
    for kept in (overlap.first, overlap.second):
        alone = variant_of(isa, [kept])
        data = encoding.padded(overlap.example)
        assert any(decode(alone, data, functools.partial(constant, values)) is not None for values in all_contexts(isa))


def constant(values: dict[str, int], _: dict[str, int]) -> dict[str, int]:
    return values


def variant_of(isa: Isa, forms: list[Form]) -> Isa:
    return Isa(isa.name, isa.title, isa.cites, isa.bits, isa.bytes, [], isa.counter,
               prefixes=isa.prefixes, contexts=isa.contexts, forms=forms)


def all_contexts(isa: Isa) -> list[dict[str, int]]:
    out: list[dict[str, int]] = [{}]
    for name in isa.contexts:
        out = [{**c, name: bit} for c in out for bit in (0, 1)]
    return out


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("instruction X [9D]", []),  # more general than both forms of POPF
        ("instruction X [9D] where addrsize == 1", [("POPF", "X"), ("POPF", "X")]),
        ("instruction X [9D] where opsize == 1 and addrsize == 1", []),
        ("instruction X [9D] where not opsize == 0", [("POPF", "X")]),
        ("instruction X [D4 imm:8] where imm < 6", []),
        ("instruction X [D4 imm:8] where imm < 6 or imm == 9", []),
        ("instruction X [D4 imm:8] where imm != 5", []),
        ("instruction X [D0+reg]", []),
        ("instruction X [D0+reg] where addrsize == 1", [("AAM", "X"), ("SALC", "X")]),
        ("instruction X [0F 01 /r] where mod == 3", []),
        ("instruction X [0F 01 /r] where reg == 0", []),
        ("instruction X [0F 01 /r] where rm == 1", [("SGDT", "X")]),
        ("instruction X [0F 01 /0] where has_sib == 1", []),
        ("instruction X [0F 01 /0] where base == 3 and mod != 2", []),
        ("instruction X [A4] where rep != 3 and lock == 1", []),
        ("instruction X [70 imm:8] where imm == 0", []),
    ],
)
def test_overlaps(line: str, expected: list[tuple[str, str]]) -> None:
    assert clash(variant("toy86", line)) == expected


def test_conditions_on_wide_fields() -> None:
    lines = ("instruction X [0F 55 imm:32] where imm == 0x12345678", "instruction Y [0F 55 imm:32] where imm[7:0] == 0x78")
    isa = variant("toy86", *lines)
    assert clash(isa) == []
    assert named(read(isa, "0F5578563412")).startswith("X")
    assert named(read(isa, "0F5578563413")).startswith("Y")


def test_unsatisfiable() -> None:
    isa = variant(
        "toy86",
        "instruction X [0F 55] where opsize == 1 and opsize == 0",
        "instruction Y [66 0F]",
        "instruction Z [0F 56 /3] where mod == 3 and has_sib == 1",
    )
    never = "its condition never holds"
    assert [unsatisfiable(isa, form(isa, name)) for name in "XYZ"] == [never, "its first byte 66 is a prefix", never]
    with pytest.raises(EncodeError):
        example(isa, form(isa, "X"))
    assert not any(unsatisfiable(toy("toy86"), f) for f in toy("toy86").forms)


# ---- round trips ----------------------------------------------------------------------------------------


def check_round_trip(isa: Isa, chosen: Form, seed: int) -> None:
    values = random_fields(isa, chosen, random.Random(seed))
    data = encode(isa, chosen, values)
    found = decode(isa, encoding.padded(data), lambda _: {name: values[name] for name in isa.contexts})
    assert found is not None
    assert (found.form, found.fields, found.length) == (chosen, values, len(data))


@given(st.data(), st.integers(0, 2**32))
@pytest.mark.parametrize("name", ["toy86", "toy370"])
def test_toys_round_trip(name: str, data: st.DataObject, seed: int) -> None:
    isa = toy(name)
    check_round_trip(isa, data.draw(st.sampled_from(isa.forms)), seed)


@given(st.binary(min_size=15, max_size=15), st.integers(0, 1))
def test_what_decodes_encodes(data: bytes, db: int) -> None:
    """Up to the order of prefixes, encoding gives the bytes back."""
    isa = toy("toy86")
    contexts = state_contexts(isa, {"cs.db": db})
    found = decode(isa, data.__getitem__, contexts)
    if found is not None:
        again = encode(isa, found.form, found.fields)
        prefixes = sum(bool(found.fields[name]) for name in isa.prefixes)
        assert sorted(again[:prefixes]) == sorted(data[:prefixes])
        assert again[prefixes:] == data[prefixes : found.length]


@pytest.mark.parametrize("name", sorted(bundled()))
def test_every_bundled_form(name: str) -> None:
    isa = load(name)
    assert overlaps(isa) == []
    for chosen in isa.forms:
        assert unsatisfiable(isa, chosen) == ""
        assert example(isa, chosen)
        for seed in range(3):
            check_round_trip(isa, chosen, seed)
