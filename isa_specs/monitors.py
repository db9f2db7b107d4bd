"""Monitor profiles: what the real machine holds for each component while a guest runs."""

from __future__ import annotations

from isa_specs import core, expectations
from isa_specs.diagnostics import Diagnostic, Mistake, Span, nearest
from isa_specs.reader import Node, Word
from isa_specs.scope import ArrayComponent, Body, CellComponent, Component, GroupComponent
from isa_specs.state import StateDeclarations

HOWS = ("guest", "host", "pinned", "control")


class Monitors(StateDeclarations):
    """The part of the elaborator that reads monitor profiles."""

    file_order: list[str]  # base first
    broken_monitors: set[str]  # a line in error may have covered what seems to be missing
    monitor_expects: dict[str, list[expectations.Expectation]]
    conditions: list[tuple[core.Expr, Span]]  # expressions outside every body

    def d_monitor(self, node: Node) -> None:
        """A profile, or lines added to one by an extension; later lines win."""
        name, doc = node.children[:2]
        lines = node.children[2:]
        monitor = self.isa.monitors.get(name)
        if monitor is None:
            text = str(doc)[1:-1] if doc is not None else ""
            monitor = core.Monitor(str(name), text, frozenset(core.TRAP_KINDS), {}, [], [], node.span)
            self.isa.monitors[name] = monitor
        noted = self.errors.noted
        self.each(lines, lambda line: getattr(self, f"m_{line.kind}")(line, monitor))
        if self.errors.noted > noted:
            self.broken_monitors.add(str(name))

    def m_monitor_traps(self, line: Node, monitor: core.Monitor) -> None:
        for word in line.children:
            if word not in core.TRAP_KINDS:
                raise Mistake("SP103", f"unknown kind of trap '{word}'", word.span, nearest(word, core.TRAP_KINDS))
        monitor.traps = frozenset(map(str, line.children))

    def m_monitor_expect(self, line: Node, monitor: core.Monitor) -> None:
        self.monitor_expects.setdefault(monitor.name, []).append(expectations.of_monitor(line))

    def m_monitor_assume(self, line: Node, monitor: core.Monitor) -> None:
        text, expr = line.children
        condition = None if expr is None else self.plain(expr, 1, "an assumption")
        if condition is not None:
            self.conditions.append((condition, line.span))
        monitor.assumptions.append((str(text)[1:-1], condition))

    def m_monitor_map(self, line: Node, monitor: core.Monitor) -> None:
        *paths, expr = line.children
        for path in paths:
            for target in self.targets(path):
                if not isinstance(target, core.Cell):
                    raise Mistake("SP401", "only a single component can be mapped", path.span)
                value = self.plain(expr, target.width, "a map")
                self.conditions.append((value, expr.span))
                monitor.keeps[target.name] = core.Keep(target, "map", value, span=line.span)

    def m_monitor_keep(self, line: Node, monitor: core.Monitor) -> None:
        at = next(i for i, child in enumerate(line.children) if isinstance(child, Word))
        paths, how = line.children[:at], line.children[at]
        value, saved = line.children[at + 1], line.children[at + 2]
        if how not in HOWS:
            raise Mistake("SP401", f"unknown way to keep a component: '{how}'", how.span, nearest(how, HOWS) or "one of " + ", ".join(HOWS))
        if (how == "pinned") != (value is not None):
            raise Mistake("SP401", "'pinned' takes the constant, the others take none", line.span, "eflags.iopl : pinned 0")
        for path in paths:
            for target in self.targets(path):
                constant = None
                if value is not None:
                    if not isinstance(target, core.Cell):
                        raise Mistake("SP401", "only a single component can be pinned", path.span)
                    constant = self.const(self.constant(value, Body("expression")), target.width, value.span)
                place = self.saved_in(saved, target) if saved is not None else None
                monitor.keeps[target.name] = core.Keep(target, str(how), constant, place, line.span)

    def saved_in(self, path: Node, target: core.Cell | core.Array | core.Space) -> core.Cell:
        found = self.targets(path)
        # `es : guest in vmcs.guest_es` pairs like-named fields of two groups.
        if len(found) > 1:
            found = [cell for cell in found if cell.name.rsplit(".", 1)[-1] == target.name.rsplit(".", 1)[-1]]
        if len(found) != 1 or not isinstance(found[0], core.Cell) or not isinstance(target, core.Cell):
            raise Mistake("SP401", f"'{'.'.join(path.children)}' is not one place for {target.name}", path.span)
        if found[0].width != target.width:
            raise Mistake("SP201", f"{found[0].name} and {target.name} differ in width", path.span)
        return found[0]

    def targets(self, path: Node) -> list[core.Cell | core.Array | core.Space]:
        """The components at or below a path."""
        first, *rest = path.children
        if first in self.isa.spaces and not rest:
            if not self.isa.spaces[first].physical:
                raise Mistake("SP401", f"'{first}' holds nothing itself", path.span, "name the space below its translation")
            return [self.isa.spaces[first]]
        if first not in self.state:
            raise self.unknown(first, [*self.state, *self.isa.spaces], path.span, "component")
        component: Component = self.state[first]
        for name in rest:
            if not isinstance(component, GroupComponent) or name not in component.children:
                known = list(component.children) if isinstance(component, GroupComponent) else []
                raise self.unknown(name, known, name.span, "component")
            component = component.children[name]
        found = leaves(component)
        self.spend(len(found), path.span)
        return found

    def check_monitor(self, monitor: core.Monitor) -> None:
        """Every component that is not plain data must be covered; what accesses record is whose the storage is."""
        for space in self.isa.spaces.values():
            if space.recorded is not None:
                owners = {one.name not in monitor.keeps or monitor.keeps[one.name].how == "guest" for one in (space, space.recorded)}
                if len(owners) > 1:
                    self.errors.append(Diagnostic("SP401", f"{space.recorded.name} has to be kept as {space.name} is, whose accesses it "
                                                  "records", monitor.span, "both are the guest's, or neither is"))
        self.spend(len(self.isa.cells), monitor.span)
        missing = [c for c in self.isa.components() if c.role.name not in ("data", "counter") and c.name not in monitor.keeps]
        if missing:
            shown = ", ".join(c.name for c in missing[:6]) + (f" and {len(missing) - 6} more" if len(missing) > 6 else "")
            # What an extension adds is missing there, not in the monitor of its base.
            later = self.file_order[self.file_order.index(monitor.span.file) + 1 :]
            added = all(c.span.file in later for c in missing)
            self.errors.append(Diagnostic("SP400", f"monitor '{monitor.name}' does not say what becomes of {shown}",
                                          missing[0].span if added else monitor.span,
                                          "add a line for each: guest, host, pinned, control or a map"))


def leaves(component: Component) -> list[core.Cell | core.Array | core.Space]:
    if isinstance(component, CellComponent):
        return [component.cell]
    if isinstance(component, ArrayComponent):
        return [component.array]
    return [leaf for child in component.children.values() for leaf in leaves(child)]
