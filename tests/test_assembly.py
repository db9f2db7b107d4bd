"""Assembler and disassembler, on two toy machines and on every bundled description."""

from __future__ import annotations

import contextlib
import functools
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isa_specs.assembler import assembler
from isa_specs.assembly import AssemblyError, Program, assemble, assemble_program, disassemble
from isa_specs.core import Form, Isa
from isa_specs.encoding import Contexts, Decoded, decode, encode, padded, random_fields, state_contexts
from isa_specs.evaluate import field_names
from isa_specs.load import bundled, load, loads

SPECS = Path(__file__).parent / "specs" / "encoding"


@functools.cache
def toy(name: str) -> Isa:
    return load(SPECS / f"{name}.spec")


def flat(isa: Isa, db: int = 1) -> Contexts:
    return state_contexts(isa, {"cs.db": db})


def asm86(text: str, db: int = 1, address: int = 0, **symbols: int) -> str:
    isa = toy("toy86")
    return assemble(isa, text, address, flat(isa, db), symbols).hex()


def dis86(code: str, db: int = 1, address: int = 0) -> str:
    isa = toy("toy86")
    found = decode(isa, padded(bytes.fromhex(code)), flat(isa, db))
    assert found is not None
    assert found.length == len(code) // 2
    return disassemble(isa, found, address)


# ---- one instruction ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("AR 1,2", "1a12"),
        ("A 1,0x345(2,15)", "5a12f345"),
        ("STIDP 0(1)", "b2021000"),
        ("MVI 0xfff(1),0x40", "92401fff"),
        ("MVC 1(0xff,1),2(2)", "d2ff10012002"),
        ("NOPR 2", "0702"),
        ("SSM", "8000"),
    ],
)
def test_fixed_formats(text: str, code: str) -> None:
    isa = toy("toy370")
    assert assemble(isa, text).hex() == code
    found = decode(isa, padded(bytes.fromhex(code)), dict)
    assert found is not None
    assert disassemble(isa, found, 0) == text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("add eax,ebx", "01d8"),
        ("add ax,bx", "6601d8"),
        ("add byte [eax],cl", "0008"),
        ("add dword [0x1234],ecx", "010d34120000"),
        ("add dword [esp],ecx", "010c24"),
        ("add dword [ebp],ecx", "014d00"),
        ("add dword [eax+ebx*4-0x10],ecx", "014c98f0"),
        ("add dword [eax+ebx],ecx", "010c18"),
        ("add dword [ebx*1+0x10],ecx", "010c1d10000000"),
        ("add dword [fs:ebx+0x12345678],ecx", "64018b78563412"),
        ("add dword [bx+si-2],ecx", "670148fe"),
        ("addrsize67 add dword [0x1234],ecx", "67010e3412"),
        ("addrsize67 add eax,ebx", "6701d8"),
        ("lock add dword [eax],ecx", "f00108"),
        ("add ecx,dword [eax]", "0308"),
        ("add dword [eax],5", "830005"),
        ("add dword [eax],0xff", "8100ff000000"),
        ("add dword [eax],-1", "8300ff"),
        ("popf32", "9d"),
        ("popf16", "669d"),
        ("rep movsb", "f3a4"),
        ("fs repne movsb", "64f2a4"),
        ("opsize66 movsb", "66a4"),
        ("mov al,[0x1234]", "a034120000"),
        ("jmp 8:0x1000", "ea001000000800"),
        ("nop", "90"),
        ("vmcall", "0f01c1"),
    ],
)
def test_text_and_bytes(text: str, code: str) -> None:
    assert asm86(text) == code
    assert dis86(code) == text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("ADD EAX, EBX", "01d8"),
        ("  add  dword[ EAX + 4 * EBX ] , ecx ", "010c98"),
        ("add [eax],ecx", "0108"),
        ("add eax,'a'", "83c061"),
        ("add eax,value+2*3-1", "83c015"),
        ("add eax,0xffffffff", "83c0ff"),
        ("add dword [ebx+eax],ecx", "010c03"),
        ("fs add dword [eax],ecx", "640108"),
        ("segment=5 movsb", "64a4"),
        ("add eax,dword [table+eax*4]", "03048500100000"),
    ],
)
def test_other_spellings(text: str, code: str) -> None:
    assert asm86(text, value=16, table=0x1000) == code


def test_the_size_of_code_decides_prefixes() -> None:
    assert asm86("popf16", db=0) == "9d"
    assert asm86("add eax,dword [ebx]", db=0) == "66670303"
    assert dis86("660307", db=0) == "add eax,dword [bx]"


@pytest.mark.parametrize(
    ("target", "code"),
    [(0x1002, "7000"), (0x1000, "70fe"), (0x1081, "707f"), (0x1082, "0f807c000000"), (0, "0f80faefffff")],
)
def test_relative_addresses_take_the_short_form_when_it_reaches(target: int, code: str) -> None:
    assert asm86(f"jo {target}", address=0x1000) == code
    assert dis86(code, address=0x1000) == f"jo {hex(target) if target > 9 else target}"


@pytest.mark.parametrize(
    ("text", "code", "message", "hint"),
    [
        ("ad eax,ebx", "AS001", "unknown mnemonic 'ad'", "did you mean 'add'?"),
        ("add eax", "AS002", "operands of 'add'", "add {rm:r8},{reg:r8}"),
        ("add [eax],5", "AS004", "size", "dword or word"),
        ("aam 256", "AS003", "does not fit in 8 bits", ""),
        ("aam -129", "AS003", "does not fit in 8 bits", ""),
        ("aam nowhere", "AS003", "'nowhere' is not defined", ""),
        ("add [eax+ebx+ecx],ecx", "AS003", "not an address", ""),
        ("add [eax+esp*2],ecx", "AS003", "not an address", ""),
        ("add [eax-ebx],ecx", "AS003", "cannot be part", ""),
        ("add [bx+cx],ecx", "AS003", "not an address", ""),
        ("add qword [eax],ecx", "AS002", "not a qword", "it is written"),
        ("fs add dword [es:eax],ecx", "AS003", "contradicts", ""),
        ("aam 5+", "AS002", "a number is expected", ""),
        ("", "AS001", "unknown mnemonic ''", ""),
    ],
)
def test_mistakes(text: str, code: str, message: str, hint: str) -> None:
    with pytest.raises(AssemblyError) as caught:
        asm86(text)
    assert caught.value.code == code
    assert message in caught.value.diagnostics[0].message
    assert hint in caught.value.hint


def test_fields_the_text_does_not_show_follow_from_the_condition() -> None:
    more = 'instruction G "Group" [82 /r] where reg == 5 "group {rm:r8}"\n  gpr[0] <- 1\n'
    isa = loads((SPECS / "toy86.spec").read_text(encoding="utf-8") + more)
    assert assemble(isa, "group al", 0, flat(isa)).hex() == "82e8"


def test_a_register_that_is_one_in_any_case() -> None:
    more = 'instruction CR "Move" [0F 22 mod:2 reg:3 rm:3] "mov cr{reg},{rm:r32}"\n  gpr[0] <- 1\n'
    isa = loads((SPECS / "toy86.spec").read_text(encoding="utf-8") + more)
    assert assemble(isa, "mov cr3,ecx", 0, flat(isa)).hex() == "0f22d9"
    for code in ("0f22d9", "0f2259"):
        found = decode(isa, padded(bytes.fromhex(code)), flat(isa))
        assert found is not None
        assert disassemble(isa, found, 0) == "mov cr3,ecx"


def test_a_names_class_in_the_mnemonic_and_for_a_prefix() -> None:
    more = 'instruction SCAS "Scan" [AE] "{rep:rep} scasb"\n  gpr[0] <- 1\n'
    more += 'instruction SETCC "Set" [0F 90+cc] "set{cc:conditions}"\n  gpr[0] <- 1\n'
    isa = loads((SPECS / "toy86.spec").read_text(encoding="utf-8") + more)
    for text, code in [("scasb", "ae"), ("repne scasb", "f2ae"), ("setbe", "0f96"), ("seto", "0f90")]:
        assert assemble(isa, text, 0, flat(isa)).hex() == code
        found = decode(isa, padded(bytes.fromhex(code)), flat(isa))
        assert found is not None
        assert disassemble(isa, found, 0) == text


def test_contexts_must_be_given_where_they_matter() -> None:
    with pytest.raises(ValueError, match="opsize depends on the state"):
        assemble(toy("toy86"), "nop")


# ---- round trips ----------------------------------------------------------------------------------------


def check_round_trip(isa: Isa, form: Form, seed: int) -> None:
    """Text gives the same text and, but for the documented redundancies, the same fields."""
    rng = random.Random(seed)
    values = random_fields(isa, form, rng)
    contexts = assembler(isa)._contexts_like(values)
    data, address = encode(isa, form, values), rng.getrandbits(min(32, isa.counter.width))
    found = decode(isa, padded(data), contexts)
    assert found is not None
    if found.form is not form:
        return  # no state gives these contexts with these prefixes
    text = disassemble(isa, found, address)
    again = assemble(isa, text, address, contexts)
    back = decode(isa, padded(again), contexts)
    assert back is not None
    assert len(again) <= len(data), "the assembler takes the shortest"
    shown = disassemble(isa, back, address)
    assert shown == text or back.form is not form, "a shorter form may write an operand its own way"
    assert assemble(isa, shown, address, contexts) == again
    assert [back.fields[name] for name in isa.prefixes] == [found.fields[name] for name in isa.prefixes]
    if back.form is form:
        assert same_meaning(isa, form, found) == same_meaning(isa, form, back)


def same_meaning(isa: Isa, form: Form, decoded: Decoded) -> dict[str, int]:
    """The fields without those an address may be written with in several ways, and those the text leaves out."""
    shown = assembler(isa).templates[form].shown | set(isa.prefixes) | set(isa.contexts)
    redundant = {"ilen", "scale", "index", "base", "has_sib"}
    if "has_sib" in decoded.fields and decoded.fields["mod"] != 3:
        redundant |= {"mod", "rm"}
    relative = {name for name in shown if f"{{{name}@" in form.template}
    return {name: value for name, value in decoded.fields.items() if name in shown - redundant - relative}


@given(st.data(), st.integers(0, 2**32))
@pytest.mark.parametrize("name", ["toy86", "toy370"])
def test_toys_round_trip(name: str, data: st.DataObject, seed: int) -> None:
    isa = toy(name)
    check_round_trip(isa, data.draw(st.sampled_from(isa.forms)), seed)


@pytest.mark.parametrize("name", sorted(bundled()))
def test_every_bundled_form(name: str) -> None:
    isa = load(name)
    for form in isa.forms:
        for seed in range(2):
            check_round_trip(isa, form, seed)


@pytest.mark.parametrize("name", sorted(bundled()))
def test_templates_show_what_the_instruction_uses(name: str) -> None:
    """A field the body looks at is in the text or fixed by the condition; otherwise text would lose meaning."""
    isa = load(name)
    for form in isa.forms:
        template = assembler(isa).templates[form]
        lost = (field_names(form.body) & form.fields.keys()) - template.shown - field_names(form.where)
        assert not lost, f"{form.instruction} {form.template}: {lost}"


# ---- programs -------------------------------------------------------------------------------------------


def program(source: str, origin: int = 0x1000) -> Program:
    isa = toy("toy86")
    return assemble_program(isa, source, origin, flat(isa))


def test_a_program() -> None:
    source = """
    ; counts down
    size = table_end - table
    start:  mov ecx,size            # a comment
    again:  add eax,dword [table+ecx*4]
            jo done
            jo again                // another
    done:   nop
            .align 4
    table:  .word 1, -2, start
            .half 0x1234
            .byte 'a', ';', 3
            .ascii "a;\\n\\x41"
            .space 2, 0xff
    table_end:
            .org 0x1040
            .quad table
    """
    out = program(source)
    assert out.labels["start"] == 0x1000
    assert out.labels["table"] % 4 == 0
    table = out.labels["table"] - 0x1000
    assert out.bytes[table:].startswith(bytes.fromhex("01000000feffffff001000003412613b03613b0a41ffff"))
    assert out.labels["size"] == out.labels["table_end"] - out.labels["table"] == 23
    assert out.bytes[0x40:] == out.labels["table"].to_bytes(8, "little")
    assert len(out.bytes) == 0x48
    assert "jo again" in out.listing()
    assert [line.address for line in out.lines if line.text.startswith("mov")] == [0x1000]


def test_big_endian_data() -> None:
    assert assemble_program(toy("toy370"), ".half 1\n.word start\nstart: AR 1,2", 0x100).bytes.hex() == "0001000001061a12"


def test_jumps_grow_only_when_they_must() -> None:
    near = program("jo end\n.space 127\nend: nop")
    far = program("jo end\n.space 128\nend: nop")
    assert (near.bytes[0], far.bytes[:2]) == (0x70, b"\x0f\x80")
    assert far.labels["end"] == 0x1000 + 6 + 128


def test_jumps_over_each_other_settle() -> None:
    lines = [f"l{i}: jo l{(i * 7) % 60}\n.space {i % 5}" for i in range(60)]
    out = program("\n".join(lines))
    isa = toy("toy86")
    for line in out.lines:
        if "jo" in line.text:
            found = decode(isa, padded(line.data), flat(isa))
            assert found is not None
            target = out.labels[line.text.split()[-1]]
            assert disassemble(isa, found, line.address) == f"jo {target:#x}"


@pytest.mark.parametrize(
    ("source", "codes"),
    [
        ("nop\nfrob\nadd eax,[nowhere]", [(2, "AS001"), (3, "AS003")]),
        ("a: nop\na: nop", [(2, "AS006")]),
        ("eax: nop", [(1, "AS006")]),
        ("be: nop", []),  # a condition, not an operand
        (".byt 1", [(1, "AS001")]),
        (".byte 256", [(1, "AS003")]),
        (".ascii hello", [(1, "AS005")]),
        (".org 0x900", [(1, "AS007")]),
        (".space 0x7fffffff", [(1, "AS007")]),
        (".space 1,2,3", [(1, "AS005")]),
        ("x: .space x - 0xff0", []),
        ("x: .space y - 0xff8\ny: nop", [(2, "AS007")]),
    ],
)
def test_all_mistakes_are_reported(source: str, codes: list[tuple[int, str]]) -> None:
    if not codes:
        program(source)
        return
    with pytest.raises(AssemblyError) as caught:
        program(source)
    assert [(d.span.line, d.code) for d in caught.value.diagnostics] == codes


@given(st.text(max_size=60))
def test_any_text_is_refused_politely(text: str) -> None:
    for assembled in (program, asm86):
        with contextlib.suppress(AssemblyError):
            assembled(text)
