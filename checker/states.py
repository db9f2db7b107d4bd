"""The states the definitions quantify over.

A monitor profile divides the components into those that are the *guest's own* on the real machine and those that
are *owned* by the monitor (host, pinned, control, mapped). Everything the definitions vary is owned, or observes
time or identity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from checker.footprint import Footprints
from checker.steps import Start, Step, unknown
from checker.symbolic import Symbolic
from checker.term import Term
from checker.terms import Terms
from isa_specs import core

CLASSES = {"mode": "mode", "relocation": "location", "resource": "resource", "hidden": "resource", "data": "resource",
           "counter": "resource", "time": "time", "identity": "identity"}
BEHAVIOUR = ("mode", "location", "resource")
OBSERVED = ("time", "identity")
PLAIN = "s."  # begins the variables of a state
HOST = "host."  # those of the real machine that are the monitor's
FIRST = "v."  # begins the variables in which the first state of a pair differs from the second


class States:
    """Builds starting states for one description under one monitor profile.

    ``controls`` gives the constants chosen for components the profile leaves as ``control``."""

    def __init__(self, terms: Terms, isa: core.Isa, monitor: core.Monitor, controls: Mapping[str, int]):
        self.terms, self.isa, self.monitor = terms, isa, monitor
        self.symbolic = terms.kept(Symbolic, terms, isa)
        self.controls = dict(controls)
        self.owned: dict[str, core.Keep] = {name: keep for name, keep in monitor.keeps.items() if keep.how != "guest"}
        self.copies = monitor.copies()
        prints = Footprints(isa)
        maps = {name: keep.value for name, keep in self.owned.items() if keep.how == "map" and keep.value is not None}
        self._looks_at = {name: prints.expression(value).reads for name, value in maps.items()}
        self.roles = {c.name: c.role for c in isa.components()}
        self.classes: dict[str, frozenset[str]] = {
            kind: frozenset(name for name in self.owned if CLASSES[self.roles[name].name] == kind) for kind in BEHAVIOUR
        }
        for kind in OBSERVED:
            self.classes[kind] = frozenset(name for name, role in self.roles.items() if role.name == kind)
        self._starts: dict[tuple[object, ...], tuple[Start, Start]] = {}
        self._steps: dict[tuple[int, str, int], tuple[core.Form, Step]] = {}  # with the form, so that no other one gets its identity
        self._legal: dict[int, Term] = {}
        self.control_classes = frozenset(n for n in self.owned if self.roles[n].name not in OBSERVED)

    # ---- starting states -----------------------------------------------------------------

    def free(self) -> Start:
        """Any state."""
        return self._kept(("free",), lambda: Start(lambda name: unknown(self.terms, self.isa, PLAIN, name)))

    def _kept(self, key: tuple[object, ...], make: Callable[[], Start]) -> Start:
        # One object for each kind of start, so that the steps taken from it are taken once.
        if key not in self._starts:
            start = make()
            self._starts[key] = start, start
        return self._starts[key][0]

    def step(self, form: core.Form, region: str, start: Start, fields: dict[str, Term], like: Step | None = None) -> Step:
        """The form's step from ``start``, taken once (see :meth:`Symbolic.form`)."""
        key = (id(form), region, id(start))
        if key not in self._steps:
            self._steps[key] = form, self.symbolic.form(form, start, fields, region, like)
        return self._steps[key][1]

    def pinned(self, name: str, virtual: Start | None = None) -> Term | None:
        """What the profile fixes a component to on the real machine, if it does."""
        keep = self.owned.get(name)
        if keep is None or keep.how == "host":
            return None
        if keep.how == "control":
            assert isinstance(keep.target, core.Cell)
            if name in self.controls:
                return self.terms.const(keep.target.width, self.controls[name])
            return self.terms.var("control." + name, keep.target.width)
        assert keep.value is not None
        if virtual is None:
            return self.terms.const(keep.value.width, keep.value.value) if isinstance(keep.value, core.Const) else None
        return self.symbolic.expr(keep.value, virtual)

    def allowed(self) -> Start:
        """A real state while a guest runs: what the profile fixes is fixed."""
        def make(name: str) -> Term:
            fixed = self.pinned(name)
            return unknown(self.terms, self.isa, PLAIN, name) if fixed is None else fixed

        return self._kept(("allowed",), lambda: Start(make))

    def real(self, virtual: Start) -> Start:
        """f(virtual): guest components as they are, the owned ones as the profile says, ``host.`` unknowns."""
        def make(name: str) -> Term:
            if name not in self.owned:
                return virtual[name]
            fixed = self.pinned(name, virtual)
            return unknown(self.terms, self.isa, HOST, name) if fixed is None else fixed

        return self._kept(("real", id(virtual)), lambda: Start(make))

    def pair(self, varied: frozenset[str], *, restricted: bool) -> tuple[Start, Start]:
        """(S1, S2) equal but for ``varied``. With ``restricted`` S2 is a state the profile allows.

        S2 is the same start for every class, so the step from it is taken once."""
        key = ("pair", varied, restricted)
        if key not in self._starts:
            second = self.allowed() if restricted else self.free()

            def make(name: str) -> Term:
                return unknown(self.terms, self.isa, FIRST, name) if name in varied else second[name]

            self._starts[key] = Start(make), second
        return self._starts[key]

    # ---- conditions ---------------------------------------------------------------------------

    def legal(self, start: Start) -> Term:
        found = self._legal.get(id(start))
        if found is None:
            found = self._legal[id(start)] = self.terms.all([self.symbolic.expr(condition, start) for _, condition in self.isa.invariants])
        return found

    def violated(self, start: Start, reached: Start, conditions: Iterable[core.Expr]) -> Term:
        """Whether one of some invariants does not hold in a state reached from a legal one; one that has not changed does."""
        pairs = [(self.symbolic.expr(condition, start), self.symbolic.expr(condition, reached)) for condition in conditions]
        return self.terms.negate(self.terms.all([now for before, now in pairs if now is not before]))

    def mode(self, name: str, start: Start) -> Term:
        return self.symbolic.expr(self.isa.modes[name], start)

    def inside(self, start: Start) -> Term:
        """The machine is in the mode the profile runs guests in."""
        fixed = []
        for name in sorted(self.classes["mode"]):
            value = self.pinned(name)
            if value is not None:
                fixed.append(self.terms.eq(start[name], value))
        return self.terms.all(fixed)

    def assumed(self, start: Start) -> Term:
        """The profile's own restrictions on virtual states."""
        return self.terms.all([self.symbolic.expr(expr, start) for _, expr in self.monitor.assumptions if expr is not None])

    def following(self, written: Iterable[str]) -> list[str]:
        """The components that are mapped from one of these: as it changes, so have they to, written or not."""
        changed = set(written)
        return [name for name, reads in self._looks_at.items() if reads & changed]

    def observable(self, *touched: Iterable[str]) -> list[str]:
        """Component and view names a comparison must look at: what either run wrote."""
        return list(dict.fromkeys(name for mapping in touched for name in mapping))
