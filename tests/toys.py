"""A toy machine for tests of the definitions: one component of every role, and instructions given as bodies."""

from __future__ import annotations

from checker.analysis import analyse
from checker.model import Instruction, Monitor, Report
from checker.options import Options
from isa_specs.load import loads

STATE = """
state
  g     : bits(8)[4]  data
  pc    : bits(8)     counter
  m     : bit         mode "1 in user mode"
  base  : bits(8)     relocation
  mask  : bits(4)     resource interrupt
  flag  : bit         resource control
  clock : bits(8)     time
  id    : bits(8)     identity

space storage : bits(8) -> byte    data
space port    : bits(2) -> bits(4) resource io
"""

TRAPS = """
trap refused privileged nullify "Privileged operation"
  pc <- 0xF0

trap wrong program nullify "A mistake of the program"
  pc <- 0xF2

trap fault memory nullify "Storage is not there"
  pc <- 0xF4

trap request(n : bits(4)) call complete "A call of the system"
  g[3] <- zext(n, 8)
  pc <- 0xF6

procedure privileged
  trap refused when m == 1

illegal wrong
"""

ENCODING = """
format F = op:8 r:2 q:2 n:4

fetch (a : bits(8))
  return storage(a, 8)
"""

MODES = """
mode supervisor when m == 0
mode user when m == 1
"""

KEEPS = {"m": "-> 1", "base": ": host", "mask": ": host", "port": ": host", "flag": ": pinned 1", "clock": ": guest", "id": ": guest"}


def monitor(traps: str = "memory, privileged, program, call", **keeps: str) -> str:
    """The toy's profile; ``keeps`` replaces or adds what the real machine holds for a component, and "" drops it."""
    lines = [f"  {name} {how}" for name, how in {**KEEPS, **keeps}.items() if how]
    return "\n".join(["monitor vmm", f"  traps {traps}", *lines]) + "\n"


def toy(
    instructions: dict[str, str], *, state: str = STATE, traps: str = TRAPS, profile: str = "", more: str = "", modes: str = MODES
) -> str:
    """The description of a toy machine with these instructions: name -> body, a statement a line."""
    out = ['isa toy "Toy machine"', "bits lsb0", "bytes big", state, more, traps, ENCODING]
    for number, (name, body) in enumerate(instructions.items()):
        lines = [line for line in body.strip("\n").split("\n") if line.strip()]
        margin = min(len(line) - len(line.lstrip()) for line in lines)
        out.append(f'instruction {name} "{name}" F {number:#x} "{name} {{r}},{{q}},{{n}}"')
        out += ["  " + line[margin:] for line in lines]
    return "\n".join([*out, modes, profile or monitor()]) + "\n"


def judge(text: str) -> Report:
    """The report on a description, solved in one process."""
    return analyse(loads(text), Options(jobs=1))


def find(report: Report, name: str) -> Instruction:
    """What a report has on an instruction."""
    return next(i for i in report.instructions if i.name == name)


def profile(report: Report, name: str = "vmm") -> Monitor:
    """What a report has on a monitor."""
    return next(m for m in report.monitors if m.name == name)
