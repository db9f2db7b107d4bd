"""System/370 against Hercules: every case one instruction, run to the first interruption.

The format of the cases is in tests/data/README.md."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from s370_machine import key_of, set_key

from isa_specs.load import load
from machine.outcomes import Trapped
from machine.plain import Machine
from machine.state import State

CASES = Path(__file__).parent / "data" / "s370_cases.jsonl.gz"
CONTROL_REGISTERS = {"0": 0x000000E0, "2": 0xFFFFFFFF, "14": 0xC2000000, "15": 0x00000200}
LAST_BLOCK = (8 << 20 >> 11) - 1
DRIVER = (0x800,)  # blocks that the program which ran the cases used for itself
ACCESS_EXCEPTIONS = (0x04, 0x05, 0x10, 0x11, 0x12)
MOST_STEPS = 5_000  # MVCL takes one step a byte

# Where Hercules and GA22-7000 part, the description follows the manual.
HERCULES_DIFFERS = {
    "SAC-26": "address-space code 2 is the access-register mode of later machines",
    "SAC-38": "address-space code 2 is the access-register mode of later machines",
    "MC-13": "class and code of a monitor event are not stored in BC mode",
    "RRB-0": "the reference bits of both 2K blocks of a block of 4K are reset",
    "DAT-458": "the page-table length is compared as a signed number",
    "DAT-583": "the page-table length is compared as a signed number",
}


@cache
def cases() -> dict[str, list[dict[str, Any]]]:
    """Cases by mnemonic."""
    out: dict[str, list[dict[str, Any]]] = {}
    if CASES.exists():
        with gzip.open(CASES, "rt", encoding="ascii") as lines:
            for line in lines:
                case = json.loads(line)
                out.setdefault(case["id"].rpartition("-")[0], []).append(case)
    return out


@cache
def machine(name: str) -> Machine:
    return Machine(load(name))


def load_psw(state: State, word: int) -> None:
    def field(first: int, last: int) -> int:
        return word >> (63 - last) & ((1 << (last - first + 1)) - 1)

    ec = field(12, 12)
    fields = {"io": (6, 6), "external": (7, 7), "key": (8, 11), "ec": (12, 12), "mcheck": (13, 13), "wait": (14, 14), "prob": (15, 15)}
    fields["ia"] = (40, 63)
    if ec:
        fields |= {"per": (1, 1), "dat": (5, 5), "cc": (18, 19), "pmask": (20, 23)}
    else:
        fields |= {"channels": (0, 5), "cc": (34, 35), "pmask": (36, 39)}
    if ec and "psw.s" in state.cells:
        fields["s"] = (16, 16)
    for name, (first, last) in fields.items():
        state[f"psw.{name}"] = field(first, last)


def start(case: dict[str, Any], machine: Machine) -> State:
    state = State(machine.isa)
    state["gpr"] = case["gpr"]
    for number, value in case.get("fpr", {}).items():
        state["fpr"][int(number) // 2] = int(value, 16)
    state["storage_size"] = LAST_BLOCK
    for number, value in {**CONTROL_REGISTERS, **case["cr"]}.items():
        state[f"cr{number}"] = value
    for address, key in case["keys"].items():
        set_key(state, int(address, 16), key)
    for address, data in case["mem"].items():
        state.memory["storage"].load(int(address, 16), bytes.fromhex(data))
    load_psw(state, int(case["psw"], 16))
    place = machine.place(machine.isa.spaces["virtual"], state.cells["psw.ia"], state, 0)
    state.memory["storage"].load(place[1] if place else state.cells["psw.ia"], bytes.fromhex(case["code"]) + b"\x0a\xff")
    return state


def finish(state: State, machine: Machine) -> str:
    """Run to the first interruption and deliver it; the cause's name."""
    for _ in range(MOST_STEPS):
        outcome = machine.step(state).outcome
        if isinstance(outcome, Trapped):
            machine.deliver(outcome.trap, outcome.args, state, outcome.ilen)
            assert not state.halted
            return outcome.trap.name
    raise AssertionError("no interruption")


def differences(case: dict[str, Any], machine: Machine) -> list[str]:
    state = start(case, machine)
    expected = dict(state.memory["storage"])
    cause = finish(state, machine)
    then = case["then"]
    storage = state.memory["storage"]

    def word(address: int, count: int) -> int:
        return int.from_bytes(bytes(storage[address + i] for i in range(count)), "big")

    svc = cause == "svc"
    found: dict[str, tuple[object, object]] = {"stop": ("svc" if svc else "program", then["stop"])}
    old = word(0x20 if svc else 0x28, 8)
    theirs = int(then["psw"], 16)
    unpredictable = 3 << 30 if then["code"] == 6 and theirs & 1 and not old >> 51 & 1 else 0
    found["psw"] = (old & ~unpredictable, theirs & ~unpredictable)
    found["code"] = (word(0x8A if svc else 0x8E, 2) if old >> 51 & 1 else old >> 32 & 0xFFFF, then["code"])
    for i, (before, after) in enumerate(zip(case["gpr"], state.arrays["gpr"], strict=True)):
        found[f"gpr{i}"] = (after, then["gpr"].get(str(i), before))
    fpr = case.get("fpr", {}) | then.get("fpr", {})
    found |= {f"fpr{2 * i}": (value, int(fpr.get(str(2 * i), "0"), 16)) for i, value in enumerate(state.arrays["fpr"])}
    found |= {f"cr{n}": (state.word(f"cr{n}"), value) for n, value in then["cr"].items()}
    # Which of several accesses have been made when one of them is refused is not said.
    shown = 0xF8 if not svc and then["code"] in ACCESS_EXCEPTIONS else 0xFE
    found |= {f"key {a}": (key_of(state, block) & shown, value & shown) for a, value in then["keys"].items()
              if (block := int(a, 16)) not in DRIVER}
    found["xaddr"] = (word(0x90, 4), int(then["xaddr"], 16))
    found["monitor"] = ((word(0x94, 2), word(0x9C, 4)), (int(then["mclass"], 16), int(then["mcode"], 16)))
    for address, data in then["mem"]:
        expected.update(enumerate(bytes.fromhex(data), address))
    for address in sorted(set(storage) | set(expected)):
        if address < 0x4000 and not (address < 0x80 or 0x88 <= address < 0xA0 or 0xE00 <= address < 0x1000):
            found[f"storage {address:X}"] = (storage[address], expected.get(address, 0))
    return [f"{what}: {mine} != {theirs}" for what, (mine, theirs) in found.items() if mine != theirs]


@pytest.mark.parametrize("mnemonic", cases())
def test_agrees_with_hercules(mnemonic: str) -> None:
    wrong = {}
    for case in cases()[mnemonic]:
        named = differences(case, machine("s370_das" if case["class"] == "semiprivileged" else "s370"))
        if bool(named) != (case["id"] in HERCULES_DIFFERS):
            wrong[case["id"]] = named
    assert not wrong
