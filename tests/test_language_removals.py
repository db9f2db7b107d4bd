"""``without``: what an extension takes away from its base."""

from __future__ import annotations

from pathlib import Path

import pytest

from isa_specs.diagnostics import SpecError
from isa_specs.load import load, loads

HEAD = 'isa less "Less" extends third_generation\n'


def mistakes(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        loads(HEAD + text)
    return [f"{d.code} {d.message}" for d in caught.value.diagnostics]


def test_an_instruction_is_gone_and_its_code_is_free() -> None:
    isa = loads(HEAD + 'without instruction [LA,\n  LPSW]\ninstruction NEW "New" RX 0x12 "NEW {r1},{d}({x})"\n  gpr[r1] <- 0\n')
    assert set(isa.instructions()) == set(load("third_generation").instructions()) - {"LA", "LPSW"} | {"NEW"}


def test_a_name_is_free_for_another_declaration() -> None:
    isa = loads(HEAD + 'without monitor trap_and_emulate\nwithout trap supervisor_call\nwithout instruction SVC\n'
                'monitor trap_and_emulate "another"\n  psw.m -> 1\n  psw.base, psw.bound, mask, port, timer, stopped : host\n')
    assert "supervisor_call" not in isa.traps
    assert isa.monitors["trap_and_emulate"].doc == "another"


def test_what_still_speaks_of_it_is_a_mistake() -> None:
    found = mistakes("without state psw.m\n")
    assert "SP100 unknown field of psw 'm'" in found


@pytest.mark.parametrize(("text", "mistake"), [
    ("without instruction LPSX\n", "SP100 unknown instruction 'LPSX'"),
    ("without state psw.nothing\n", "SP100 unknown state 'psw.nothing'"),
    ("without state nothing.m\n", "SP100 unknown state 'nothing.m'"),
    ('without invariant "never"\n', """SP100 unknown invariant '"never"'"""),
    ("without monitr trap_and_emulate\n", "SP103 'monitr' is nothing that can be left out"),
    ('instruction X "X" RX 0x77 "X"\n  gpr[r1] <- 0\nwithout instruction X\n', "SP100 unknown instruction 'X'"),  # its own
])
def test_mistakes(text: str, mistake: str) -> None:
    assert mistake in mistakes(text)


def test_the_extension_of_an_extension_takes_from_both(tmp_path: Path) -> None:
    (tmp_path / "middle.spec").write_text('isa middle "M" extends third_generation\nstate\n  extra : bit data\n')
    (tmp_path / "top.spec").write_text('isa top "T" extends middle\nwithout state extra\nwithout instruction LA\n')
    isa = load(tmp_path / "top.spec")
    assert "extra" not in isa.cells
    assert "LA" not in isa.instructions()
