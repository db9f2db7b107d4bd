"""Encodings that cannot stand beside each other, or not at all."""

from __future__ import annotations

from collections.abc import Mapping

from isa_specs import core
from isa_specs.diagnostics import Diagnostic, Mistakes, Span
from isa_specs.encoding import decoder
from isa_specs.evaluate import NotPure, compiled, expressions
from isa_specs.patterns import WORK_LIMIT, TooHard


def check_conditions(isa: core.Isa, places: Mapping[core.Form, Span], contexts: Mapping[str, Span], errors: Mistakes) -> None:
    """What the decoder has to evaluate must be within its reach. ``places`` and ``contexts`` say where conditions stand."""
    for name, expr in isa.contexts.items():
        if _beyond(expr):
            errors.append(Diagnostic("SP115", f"context '{name}' must be computed from components and prefixes alone",
                                     contexts[name], "it cannot call functions or look into storage or arrays"))
    for form in isa.forms:
        if form.where is not None and (_beyond(form.where) or any(isinstance(e, core.Read) for e in expressions(form.where))):
            errors.append(Diagnostic("SP115", f"'where' of {form.instruction} must be about fields, prefixes and contexts alone",
                                     places[form], "what the state decides belongs into a context or into the body"))


def _beyond(expr: core.Expr) -> bool:
    try:
        compiled(expr)
    except NotPure:
        return True
    return False


def check_encodings(isa: core.Isa, errors: Mistakes) -> None:
    """Every form can be met, and no bytes are two forms of which neither is more special."""
    try:
        for form in isa.forms:
            if decoder(isa).layout.work > WORK_LIMIT:
                raise TooHard(form)
            reason = decoder(isa).unsatisfiable(form)
            if reason:
                errors.append(Diagnostic("SP114", f"no bytes are ever this form of {form.instruction}: {reason}", form.span))
        for overlap in decoder(isa).overlaps:
            first, second = overlap.first, overlap.second
            where = f"{first.span.file}:{first.span.line}"
            example = overlap.example.hex(" ").upper()
            errors.append(Diagnostic("SP113", f"{example} is this form of {second.instruction}, and also {first.instruction} ({where})",
                                     second.span, "tell them apart with 'where', or make one a special case of the other"))
    except TooHard as problem:
        errors.append(Diagnostic("SP104", "it takes too long to find out which forms could be the same bytes", problem.form.span,
                                 "let fixed bytes, not conditions, tell forms apart"))
