"""Guards that stand after effects: right, but harder to read than guards that stand first."""

from __future__ import annotations

from isa_specs import core
from isa_specs.diagnostics import Diagnostic


def late_guards(isa: core.Isa) -> list[Diagnostic]:
    """A warning for each form that may refuse its work after it has begun."""
    writes = _Writes()
    found: list[Diagnostic] = []
    for form in isa.forms:
        begun = False
        for statement in form.body:
            if begun and _refuses(statement):
                found.append(Diagnostic("SP310", f"{form.instruction} may trap here after it has changed the state", statement.span,
                                        "write guards before effects", "warning"))
                break
            begun = begun or writes.statement(statement)
    return list(dict.fromkeys(found))


def _refuses(statement: core.Stmt) -> bool:
    """Whether this is a trap that undoes what the instruction did, perhaps under a condition."""
    if isinstance(statement, core.If) and len(statement.then) == 1 and not statement.other:
        statement = statement.then[0]
    return isinstance(statement, core.Raise) and not statement.trap.keeps_effects


class _Writes:
    """Whether statements may change the state; the called functions are looked at once."""

    def __init__(self) -> None:
        self.functions: dict[core.Function, bool] = {}

    def statement(self, statement: core.Stmt) -> bool:
        match statement:
            case core.Write() | core.WriteElement() | core.Store():
                return True
            case core.If():
                return any(map(self.statement, (*statement.then, *statement.other)))
            case core.Loop():
                return any(map(self.statement, statement.body))
            case core.Call():
                return self.function(statement.function)
        return False

    def function(self, function: core.Function) -> bool:
        if function not in self.functions:
            self.functions[function] = any(map(self.statement, function.body))
        return self.functions[function]
