"""Operand regions: the parts of a form's operands that a description tells apart."""

from __future__ import annotations

from collections.abc import Iterable

from isa_specs import core
from isa_specs.walk import statements

OUTSIDE = "none of the regions"


def marks(body: Iterable[core.Stmt]) -> list[core.Mark]:
    """The statements of a body that declare regions."""
    return [s for s in statements(body) if isinstance(s, core.Mark)]


def regions(form: core.Form) -> list[str]:
    """The operand regions a form declares and what lies outside all of them; the whole form if it declares none."""
    found: dict[str, None] = {}

    def look(block: list[core.Stmt]) -> None:
        for s in block:
            if isinstance(s, core.Mark):
                found.setdefault(s.label)
            elif isinstance(s, core.If):
                look(s.then)
                look(s.other)

    look(form.body)
    return [*found, OUTSIDE] if found else [""]
