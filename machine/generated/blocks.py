"""Basic blocks in static single assignment form, written down as structured code comes along: no name needs a stack slot.

Where ways meet, a name that comes with different values becomes a phi, but only once it is read."""

from __future__ import annotations

from dataclasses import dataclass, field

from machine.errors import MachineError


class Untranslatable(MachineError):
    """The generator wrote something outside the subset: a fault of the generator."""


@dataclass(slots=True, eq=False)
class Block:
    label: str
    phis: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Join:
    """A name where ways meet: with which value it comes from which block. Without any it is 0: no way that reads it comes from there."""

    block: Block
    values: list[tuple[Value | None, str]]
    phi: str = ""


Value = str | Join
Names = dict[str, Value]


@dataclass(slots=True, eq=False)
class Target:
    """A block to come: the blocks that lead there, and the names as they are at their ends."""

    label: str
    arrivals: list[tuple[str, Names]] = field(default_factory=list)


class Blocks:
    """The body of a function. ``names`` has the value of each name here; ``open`` is whether this place can be reached."""

    def __init__(self, names: Names):
        self.names = names
        self._block = Block("entry")
        self._blocks = [self._block]
        self._count = 0
        self.open = True

    def new(self) -> str:
        self._count += 1
        return f"%t{self._count}"

    def target(self) -> Target:
        self._count += 1
        return Target(f"b{self._count}")

    def emit(self, line: str) -> None:
        if self.open:
            self._block.lines.append(line)

    def value(self, text: str) -> str:
        """What an instruction computes."""
        name = self.new()
        self.emit(f"{name} = {text}")
        return name

    def read(self, name: str) -> str:
        """The value of a name."""
        found = self.names.get(name)
        if found is None:
            raise Untranslatable(f"{name} has no value")
        return _read(found, self)

    # ---- ways --------------------------------------------------------------------------

    def leave(self, line: str) -> None:
        self.emit(line)
        self.open = False

    def jump(self, target: Target) -> None:
        if self.open:
            target.arrivals.append((self._block.label, self.names))
        self.leave(f"br label %{target.label}")

    def branch(self, test: str, then: Target, other: Target) -> None:
        if self.open:
            for target in (then, other):
                target.arrivals.append((self._block.label, self.names))
        self.leave(f"br i1 {test}, label %{then.label}, label %{other.label}")

    def switch(self, tested: str, cases: list[tuple[int, Target]], other: Target) -> None:
        if self.open:
            for target in (*(target for _, target in cases), other):
                target.arrivals.append((self._block.label, self.names))
        listed = " ".join(f"i64 {value}, label %{target.label}" for value, target in cases)
        self.leave(f"switch i64 {tested}, label %{other.label} [{listed}]")

    def start(self, target: Target) -> None:
        """Go on where ``target`` is; it cannot be reached if nothing has led there."""
        if self.open:
            self.jump(target)
        if not target.arrivals:
            return
        self._begin(target.label)
        if len(target.arrivals) == 1:
            self.names = dict(target.arrivals[0][1])
            return
        all_names: dict[str, None] = {}
        for _, names in target.arrivals:
            all_names.update(dict.fromkeys(names))
        self.names = {name: self._met(name, target) for name in all_names}

    def _begin(self, label: str) -> None:
        self._block = Block(label)
        self._blocks.append(self._block)
        self.open = True

    def _met(self, name: str, target: Target) -> Value:
        first = target.arrivals[0][1].get(name)
        if first is not None and all(names.get(name) == first for _, names in target.arrivals):
            return first
        return Join(self._block, [(names.get(name), label) for label, names in target.arrivals])

    def loop(self, changed: set[str]) -> Loop:
        """Go on at the head of a loop that gives new values to these names."""
        before, names = self._block.label, self.names
        head = self.target()
        self.leave(f"br label %{head.label}")
        self._begin(head.label)
        starts = {name: (_read(names[name], self) if name in names else "0") for name in sorted(changed)}
        self.names = {**names, **{name: self.new() for name in starts}}
        return Loop(self._block, head.label, before, starts, {name: str(self.names[name]) for name in starts})

    def again(self, loop: Loop) -> None:
        """Back to the head."""
        ends = {name: self.read(name) for name in loop.starts} if self.open else {}
        for name, start in loop.starts.items():
            back = f", [{ends[name]}, %{self._block.label}]" if ends else ""
            loop.block.phis.append(f"{loop.phis[name]} = phi i64 [{start}, %{loop.before}]{back}")
        self.leave(f"br label %{loop.label}")

    def lines(self) -> list[str]:
        """The whole body."""
        return [line for block in self._blocks for line in (f"{block.label}:", *block.phis, *block.lines)]


@dataclass(slots=True)
class Loop:
    """The head of a loop: what its names are before it, and at each round."""

    block: Block
    label: str
    before: str
    starts: dict[str, str]
    phis: dict[str, str]


def _read(value: Value, blocks: Blocks) -> str:
    if isinstance(value, str):
        return value
    if not value.phi:
        value.phi = blocks.new()
        values = ", ".join(f"[{'0' if one is None else _read(one, blocks)}, %{label}]" for one, label in value.values)
        value.block.phis.append(f"{value.phi} = phi i64 {values}")
    return value.phi
