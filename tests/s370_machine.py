"""System/370 and its kin, ready to carry out an instruction."""

from __future__ import annotations

from functools import cache

from isa_specs.core import Isa
from isa_specs.load import load
from machine.outcomes import Trapped
from machine.plain import Machine
from machine.state import State

AT = 0x1000
LAST = 0xFFFFFF  # addresses wrap behind it


@cache
def machine(name: str) -> Machine:
    return Machine(load(name))


def start(isa: Isa, code: str, address: int = AT, **cells: int) -> State:
    """16 MiB of storage, supervisor state, ``code`` at the instruction address. In names, ``__`` stands for a dot."""
    state = State(isa)
    state["storage_size"] = 0x1FFF
    state["psw.ia"] = address
    put(state, address, code)
    for cell, value in cells.items():
        state[cell.replace("__", ".")] = value
    return state


def put(state: State, address: int, data: str) -> State:
    for i, byte in enumerate(bytes.fromhex(data)):
        state.memory["storage"][address + i & LAST] = byte
    return state


def set_key(state: State, block: int, key: int) -> None:
    """Give the 2K block at an address its storage key: access-control, fetch-protection, reference and change bits, and a zero."""
    state.memory["keys"][block >> 11], state.memory["used"][block >> 11] = key >> 3, key >> 1 & 3


def key_of(state: State, block: int) -> int:
    """The storage key of the 2K block at an address."""
    return state.memory["keys"][block >> 11] << 3 | state.memory["used"][block >> 11] << 1


def at(state: State, address: int, length: int) -> str:
    return bytes(state.memory["storage"][address + i & LAST] for i in range(length)).hex()


def word(state: State, address: int) -> int:
    return int(at(state, address, 4), 16)


def step(state: State, *, bare: bool = False) -> str:
    """One step; the name of the trap, or nothing."""
    outcome = machine(state.isa.name).step(state, bare=bare).outcome
    return outcome.trap.name if isinstance(outcome, Trapped) else ""
