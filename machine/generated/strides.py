"""Loops over storage: rounds that stay within granules already translated touch the host's bytes, without a check for each.

A loop qualifies when what it does beside reading and storing cannot trap, and addresses move by a constant from round to round. As
long as every access of a round has a remembered walk, so have those of the rounds up to the end of the nearest granule: none of them
can trap, change what walks rest on, or reach a watched byte. A round that finds no walk is carried out as if alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from isa_specs import core
from isa_specs.core import Expr, Space, Stmt
from isa_specs.walk import statements, subexpressions, within
from machine.generated import slots
from machine.generated.layout import PAGE
from machine.generated.names import Role

if TYPE_CHECKING:
    from machine.generated.bodies import Body


@dataclass(frozen=True, slots=True)
class Site:
    """An access that moves by ``stride`` bytes a round; ``at`` is the expression or statement."""

    at: core.Load | core.Store
    stride: int
    shift: int  # bits of an address within the reach of a remembered walk

    @property
    def write(self) -> bool:
        return isinstance(self.at, core.Store)

    @property
    def count(self) -> int:
        return (self.at.value.width if isinstance(self.at, core.Store) else self.at.width) // 8


@dataclass(frozen=True, slots=True)
class Bound:
    """The loop goes on while the number of the round is less than ``value``, or not above it."""

    value: Expr
    included: bool


class Loop:
    """What is known of a loop. ``sites`` is empty where it does not qualify."""

    def __init__(self, body: Body, s: core.Loop):
        self.body, self.loop = body, s
        self.analysis, self.spaces = body.unit.analysis, body.unit.spaces
        self.facts = self.analysis.body(s.body)
        self.within = list(statements(s.body))
        self.sites: list[Site] = []
        self.probes: set[int] = set()  # loads whose addresses move otherwise: looked up in each round, before it has effects
        assigned = [one.name for one in self.within if isinstance(one, core.SetLocal)]
        self.assigned = {s.local, *assigned}
        self.carried = {name for name in assigned if name in body.locals}
        self.lets = {one.name: one for one in s.body if isinstance(one, core.SetLocal) and assigned.count(one.name) == 1
                     and one.name not in self.carried and self._plain(one.value)}
        self.bounds, rest = self._bounds()
        self.counted = not rest
        if self._qualifies():
            self.sites = self._sites()

    # ---- whether it qualifies ----------------------------------------------------------

    def _qualifies(self) -> bool:
        allowed = (core.SetLocal, core.Write, core.WriteElement, core.Store, core.If, core.Mark)
        rests_on, counter = self.body.unit.rests_on, self.body.unit.isa.counter.name
        changed = self.facts.writes - {one.space.name for one in self.within if isinstance(one, core.Store)}
        return (self.body.role is Role.NORMAL and not self.facts.externs and all(isinstance(one, allowed) for one in self.within)
                and not changed & {counter, *rests_on.cells, *rests_on.others}
                and (self.loop.condition is None or self._plain(self.loop.condition))
                and all(self._plain_call(e) for one in self.within for e in within(one) if isinstance(e, core.CallFunction)))

    def _plain_call(self, e: core.CallFunction) -> bool:
        facts = self.analysis.function(e.function)
        return not (facts.loads or facts.traps or facts.writes)

    def _plain(self, e: Expr) -> bool:
        facts = self.analysis.expression(e)
        return not (facts.loads or facts.traps or facts.writes or facts.externs)

    def _sites(self) -> list[Site]:
        found: list[Site] = []
        settled = True  # nothing of this round is done yet
        for one in self._in_order(self.loop.body):
            if not isinstance(one, (core.Load, core.Store)):
                settled = False
                continue
            site = self._site(one)
            if site is not None:
                found.append(site)
            elif isinstance(one, core.Load) and settled and self._remembered(one.space, one.width):
                self.probes.add(id(one))
            else:
                return []
            settled &= not isinstance(one, core.Store)
        return found

    def _in_order(self, body: list[Stmt]) -> Iterator[core.Load | core.Store | Stmt]:
        """Accesses, and statements with another effect that outlasts the round, as they may come."""
        for one in body:
            loads = [e for e in within(one) if isinstance(e, core.Load)]
            yield from loads
            if isinstance(one, core.If):
                yield from self._in_order(one.then)
                yield from self._in_order(one.other)
            elif one.name in self.carried if isinstance(one, core.SetLocal) else not isinstance(one, core.Mark):
                yield one

    def _remembered(self, space: Space, width: int) -> bool:
        return self.spaces.remembers(space) and width // 8 in (1, 2, 4, 8) and width % 8 == 0

    def _site(self, at: core.Load | core.Store) -> Site | None:
        write = isinstance(at, core.Store)
        width = at.value.width if isinstance(at, core.Store) else at.width
        if not self._remembered(at.space, width):
            return None
        shift = self.spaces.granule(at.space, write)
        stride = self._stride(at.address, shift)
        ascending = stride is not None and stride >= 0 and stride & (stride - 1) == 0
        return Site(at, stride or 0, shift) if ascending or (stride == -1 and width == 8) else None

    def _stride(self, e: Expr, shift: int) -> int | None:
        """By how much a value grows each round, in its low ``shift`` bits; None where that is not known."""
        if isinstance(e, core.Local):
            if e.name == self.loop.local:
                return 1
            if e.name in self.lets:
                return self._stride(self.lets[e.name].value, shift)
        if self._constant(e):
            return 0
        match e:
            case core.Apply() if e.op.name in ("add", "sub"):
                a, b = (self._stride(arg, shift) for arg in e.args)
                return None if a is None or b is None else a + b if e.op.name == "add" else a - b
            case core.Extend() if not e.signed and (e.arg.width >= shift or self._is_round(e.arg)):
                return self._stride(e.arg, shift)
            case core.Concat():
                *first, last = e.parts
                if isinstance(last, core.Const) and first:
                    inner = self._stride(core.Concat(tuple(first)), shift - last.width)
                    return None if inner is None else inner << last.width
                if all(map(self._constant, first)) and (last.width >= shift or self._is_round(last)):
                    return self._stride(last, shift)
        return None

    def _is_round(self, e: Expr) -> bool:
        return isinstance(e, core.Local) and e.name == self.loop.local

    def _constant(self, e: Expr) -> bool:
        """Whether a value is the same in every round."""
        return (self._plain(e) and not self.analysis.expression(e).reads & self.facts.writes
                and not any(isinstance(part, core.Local) and part.name in self.assigned for part in subexpressions(e)))

    def _bounds(self) -> tuple[list[Bound], bool]:
        """The parts of the condition that bound the number of a round, and whether it has others."""
        work, bounds, rest = [self.loop.condition] if self.loop.condition is not None else [], list[Bound](), False
        while work:
            e = work.pop()
            if isinstance(e, core.Apply) and e.op.name == "and" and e.width == 1:
                work += e.args
            elif isinstance(e, core.Apply) and e.op.name in ("ult", "ule") and self._number(e.args[0]) and self._constant(e.args[1]):
                bounds.append(Bound(e.args[1], e.op.name == "ule"))
            else:
                rest = True
        return bounds, rest

    def _number(self, e: Expr) -> bool:
        return e.width < 64 and (self._is_round(e) or (isinstance(e, core.Extend) and not e.signed and self._is_round(e.arg)))

    # ---- how it is written ---------------------------------------------------------------

    def write(self, name: str) -> None:
        """The loop, with ``name`` for the number of the round."""
        body, code, s = self.body, self.body.code, self.loop
        outer = body.after
        n, k = body.temporary(str(s.first)), body.temporary("0")
        code(f"while {n} < {s.last + 1}:")
        code.depth += 1
        code(f"{name} = {n}")
        if s.condition is not None:
            code(f"if not ({body.condition(s.condition)}):")
            code("    break")
        rounds = self._rounds(n)
        addresses = self._guard(rounds, k, journals_cells=not outer and self._journals_cells())
        code.depth += 1
        self._near(name, n, k, rounds, addresses, outer)
        code.depth -= 1
        code(f"if {k} == 0:")
        code.depth += 1
        body.after = outer or body.hazard(self.analysis.statement(s))
        body.block(s.body)
        body.after = outer
        code(f"{k} = 1")
        code.depth -= 1
        code(f"{n} = {n} + {k}")
        code.depth -= 1

    def _journals_cells(self) -> bool:
        cells = self.body.unit.isa.cells
        return any(isinstance(one, core.WriteElement) or (isinstance(one, core.Write) and self.body.keeps_cells and one.cell.name in cells)
                   for one in self.within)

    def _rounds(self, n: str) -> str:
        """How many there are at most from this one on."""
        rounds = self.body.temporary(f"{self.loop.last + 1} - {n}")
        for bound in self.bounds:
            self._at_most(rounds, f"{self.body.value(bound.value)} + {int(bound.included)} - {n}")
        return rounds

    def _needed(self) -> set[str]:
        """The names addresses are computed from."""
        found: set[str] = set()
        work = [site.at.address for site in self.sites]
        while work:
            names = {part.name for part in subexpressions(work.pop()) if isinstance(part, core.Local)} & self.lets.keys() - found
            found |= names
            work += [self.lets[name].value for name in names]
        return found

    def _at_most(self, rounds: str, text: str) -> None:
        limit = self.body.temporary(text)
        self.body.code(f"if {limit} < {rounds}:")
        self.body.code(f"    {rounds} = {limit}")

    def _guard(self, rounds: str, k: str, journals_cells: bool) -> list[str]:
        """Open the branch for rounds with remembered walks; the host's addresses in the first of them."""
        body, code = self.body, self.body.code
        for name in [name for name in self.lets if name in self._needed()]:
            body.statement(self.lets[name])
        every = body.temporary(rounds)
        tests, entries, addresses = [], [], []
        for site in self.sites:
            a = body.temporary(body.value(site.at.address))
            e = body.temporary(self.spaces.table(site.at.space, int(site.write), a, site.shift))
            inside = f"({a} & {(1 << site.shift) - 1:#x})"
            tests.append(f"int(LD({e}) == ({a} >> {site.shift}) + LD(s + CONTEXT))")
            if site.count > 1:
                tests.append(f"int({inside} <= {(1 << site.shift) - site.count})")
            if site.stride > 0:
                self._at_most(rounds, f"({(1 << site.shift) - site.count} - {inside} >> {site.stride.bit_length() - 1}) + 1")
            elif site.stride < 0:
                self._at_most(rounds, f"{inside} + 1")
            entries.append(e)
            addresses.append(a)
        if journals_cells:
            tests.append(f"int({rounds} == {every})")
        code(f"{k} = 0")
        code(f"if {' & '.join(tests)} != 0:")
        code.depth += 1
        near = [body.temporary(f"LD({e} + 8) + {a}") for e, a in zip(entries, addresses, strict=True)]
        self._journal(rounds, every, near)
        code.depth -= 1
        return near

    def _journal(self, rounds: str, every: str, near: list[str]) -> None:
        """Old bytes, all at once, unless no trap that takes back effects can come any more: not behind the last round, but a round
        that probes may be left before it."""
        body, code = self.body, self.body.code
        stores = [(site, q) for site, q in zip(self.sites, near, strict=True) if site.write]
        if not stores or not (body.after or body.hazard(self.analysis.statement(self.loop))):
            return
        body.keeps = True
        spared = not body.after and not self.probes
        if spared:
            code(f"if {rounds} != {every}:")
            code.depth += 1
        for site, q in stores:
            if site.stride < 0:
                code(f"keep_run(s, {q} - {rounds} + 1, {rounds})")
            else:
                code(f"keep_run(s, {q}, ({rounds} - 1) * {site.stride} + {site.count})")
        if spared:
            code.depth -= 1

    def _near(self, name: str, n: str, k: str, rounds: str, near: list[str], outer: bool) -> None:
        body, code = self.body, self.body.code
        move = self._move(near)
        if move:
            held = self.sites[0].at.space.onto
            assert held is not None
            base, flags = (body.unit.layout.pointer(self.spaces.buffer(held)[0], what) for what in ("base", "flags"))
            # Bytes shown in two places overlap where addresses do not.
            shown = f"BYTE(LD(s + {flags}) + ({move[1]} - LD(s + {base}) >> {PAGE})) & {slots.REAL}"
            code(f"if {shown} == 0:")
            code(f"    {k} = MOVE({', '.join(move)}, {rounds})")
            return
        code(f"while {k} < {rounds}:")
        code.depth += 1
        code(f"{name} = {n} + {k}")
        if not self.counted and self.loop.condition is not None:
            code(f"if not ({body.condition(self.loop.condition)}):")
            code("    break")
        body.near = {id(site.at): f"{q} + {k} * {site.stride}" if site.stride else q for site, q in zip(self.sites, near, strict=True)}
        body.probed, body.calm = self.probes, True
        body.block(self.loop.body)
        body.near, body.probed, body.calm = {}, set(), False
        body.after = outer
        code(f"{k} = {k} + 1")
        code.depth -= 1

    def _move(self, near: list[str]) -> list[str]:
        """Where to and from, if all the loop does is to move bytes one after the other."""
        match [one for one in self.loop.body if not isinstance(one, core.Mark) and one not in self.lets.values()]:
            case [core.Store(value=core.Load() as load) as store] if self.counted:
                found = {id(site.at): (site, q) for site, q in zip(self.sites, near, strict=True)}
                ends = [found.get(id(store)), found.get(id(load))]
                if all(end is not None and end[0].stride == end[0].count == 1 for end in ends):
                    return [end[1] for end in ends if end is not None]
        return []
