"""Field values for a form: examples and random ones that its condition accepts."""

from __future__ import annotations

import random

from isa_specs.core import FixedEncoding
from isa_specs.elements import displacement_bytes, has_sib
from isa_specs.ops import to_signed
from isa_specs.patterns import Layout, Pattern


def draw(width: int, rng: random.Random | None) -> int:
    """A number of ``width`` bits: often a corner, as most mistakes sit there. 0 without a generator."""
    if rng is None or not width:
        return 0
    if rng.random() < 0.3:
        return rng.choice((0, 1, (1 << width) - 1, 1 << width - 1, (1 << width - 1) - 1))
    return rng.getrandbits(width)


def fields_of(layout: Layout, pattern: Pattern, word: int, rng: random.Random | None = None) -> dict[str, int]:
    """Fields, prefixes and contexts: what the form's condition looks at from ``word``, also what ``rng`` leaves; ModRM parts agree."""
    isa, form = layout.isa, pattern.form
    bound = {name for condition in (*pattern.conditions, *pattern.axioms) for name, _ in condition.places}
    env = {name: pattern.places[name].of(word) for name in (*isa.prefixes, *isa.contexts, *form.fields) if name != "_"}
    loose = env.keys() - bound if rng is not None else set()
    for name in isa.prefixes:
        if name in loose and rng is not None and not isinstance(form.encoding, FixedEncoding) and rng.random() < 0.2:
            env[name] = rng.choice(layout.domains[layout.side[name]])
    for name, expr in isa.contexts.items():
        if name in layout.pure_contexts:
            env[name] = layout.pure_contexts[name](env)
        elif name not in bound:
            env[name] = rng.getrandbits(expr.width) if rng is not None else int(name == "addrsize")
    for name, width in form.fields.items():
        if name in loose:
            env[name] = draw(width, rng)
    if "has_sib" in env:
        _agree(env, rng if "disp" in loose else None, "disp" in bound)
    return env


def _agree(env: dict[str, int], rng: random.Random | None, keep_disp: bool) -> None:
    """Make SIB and displacement what mod and rm allow."""
    wide = bool(env.get("addrsize", 1))
    env["has_sib"] = int(has_sib(env["mod"], env["rm"], wide))
    if not env["has_sib"]:
        env.update(scale=0, index=0, base=0)
    bits = 8 * displacement_bytes(env["mod"], env["rm"], env["base"], wide)
    if not keep_disp:
        env["disp"] = to_signed(draw(bits, rng), bits) & 0xFFFFFFFF if bits else 0
