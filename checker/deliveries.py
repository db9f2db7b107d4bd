"""Deliveries as something to check: a trap's delivery, or an interrupt's, in the shape of an instruction form.

Profiles under which the machine delivers traps to the guest itself must commute with deliveries as well, and every delivery must
preserve the invariants.
"""

from __future__ import annotations

from dataclasses import replace

from isa_specs import core
from isa_specs.diagnostics import NOWHERE


def delivery_form(trap: core.Trap) -> core.Form:
    """A trap's delivery as something with a body, its arguments as fields."""
    assert trap.delivery is not None
    body: list[core.Stmt] = [core.SetLocal(name, core.Field(name, width), NOWHERE) for name, width in trap.params]
    return core.Form(f"delivery of {trap.name}", trap.doc, f"delivery of {trap.name}", core.FixedEncoding(core.Format("", ()), ()),
                     dict(trap.params), {}, None, [*body, *trap.delivery.body], [], "", trap.span)


def interrupt_form(interrupt: core.Interrupt) -> core.Form:
    """What an interrupt does, in the states in which it is taken."""
    name = f"interrupt {interrupt.name}"
    return replace(delivery_form(interrupt.trap), instruction=name, template=name, where=interrupt.condition)


def is_delivery(form: core.Form) -> bool:
    """Whether the form is a delivery: it has no encoding."""
    return isinstance(form.encoding, core.FixedEncoding) and not form.encoding.format.fields
