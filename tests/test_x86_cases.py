"""x86 against QEMU and Bochs: 2,386 cases of ring-3 code on which both emulators agree.

The format of the cases is in tests/data/README_x86.md."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from x86_machine import CODE, DATA, REGISTERS, load_cache, machine, selector, system

from machine.outcomes import Trapped
from machine.state import State

CASES = Path(__file__).parent / "data" / "x86_cases.jsonl.gz"
MOST_STEPS = 20_000  # a string instruction takes one step a unit
VECTORS = {
    "divide_error": "#DE", "bound_exceeded": "#BR", "invalid_opcode": "#UD", "overflow": "#OF", "breakpoint": "#BP",
    "invalid_tss": "#TS", "segment_not_present": "#NP", "stack_fault": "#SS", "stack_violation": "#SS",
    "general_protection": "#GP", "protection_check": "#GP", "segment_violation": "#GP",
}
WITH_CODE = ("#TS", "#NP", "#SS", "#GP")


@cache
def cases() -> dict[str, list[dict[str, Any]]]:
    """Cases by instruction."""
    out: dict[str, list[dict[str, Any]]] = {}
    with gzip.open(CASES, "rt", encoding="ascii") as lines:
        for line in lines:
            case = json.loads(line)
            out.setdefault(case["name"], []).append(case)
    return out


def start(case: dict[str, Any]) -> State:
    state = system()
    *state["gpr"], state["eip"], state["eflags"] = case["start"]
    for address, data in case["mem"].items():
        state.memory["storage"].load(int(address, 16), bytes.fromhex(data))
    state.memory["storage"].load(state.cells["eip"], bytes.fromhex(case["code"]))
    return state


def finish(state: State) -> str:
    """Run to the INT3 behind the instruction or to the first trap; the outcome in the words of the cases."""
    first = state.cells["eip"]
    for _ in range(MOST_STEPS):
        outcome = machine().step(state).outcome
        eip = state.cells["eip"]
        if isinstance(outcome, Trapped):
            if outcome.trap.name == "page_fault":
                address, code = outcome.args
                return f"#PF({code:x}) cr2={address:x} eip={eip:x}"
            vector = VECTORS[outcome.trap.name]
            return f"{vector}({sum(outcome.args):x})" if vector in WITH_CODE else vector
        if eip != first and state.memory["storage"][eip] == 0xCC:
            return f"jumps to {selector(state, 'cs'):x}:{eip:x}"
    raise AssertionError("neither a trap nor the end")


def differences(case: dict[str, Any]) -> list[str]:
    state = start(case)
    storage = state.memory["storage"]
    expected = {address: storage[address] for address in range(DATA, DATA + 0x2000)}
    outcome = finish(state)
    if case["outcome"] == "completes" and outcome.startswith("jumps to 1b:"):
        outcome = "completes"
    for address, data in case.get("stored", {}).items():
        expected.update(enumerate(bytes.fromhex(data), int(address, 16)))
    found: dict[str, tuple[object, object]] = {"outcome": (outcome, case["outcome"])}
    flags = (state.word("eflags") | 2) ^ case["end"][9]
    found["eflags"] = (flags & ~case.get("ignore", 0), 0)
    found |= {name: (mine, theirs) for name, mine, theirs in zip(REGISTERS, state.arrays["gpr"], case["end"], strict=False)}
    found["eip"] = (state.cells["eip"], case["end"][8])
    wrong = [f"{what}: {mine} != {theirs}" for what, (mine, theirs) in found.items() if mine != theirs]
    return wrong + [f"byte {address:x}: {storage[address]} != {value}" for address, value in expected.items() if storage[address] != value]


@pytest.mark.parametrize("name", cases())
def test_agrees_with_both_emulators(name: str) -> None:
    wrong = {case["code"]: named for case in cases()[name] if (named := differences(case))}
    assert not wrong


def test_the_system_is_legal() -> None:
    for cpl in (0, 1, 3):
        assert machine().legal(system(cpl)) == []
    state = system()
    load_cache(state, "ds", 0x10)  # a ring-0 segment in ring 3 breaks an invariant
    assert machine().legal(state)
    assert state.memory["storage"][CODE] == 0xCC
