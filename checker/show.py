"""``vcheck show``: one instruction with everything that is known of it."""

from __future__ import annotations

from collections.abc import Iterator

from checker.check import check, no_such
from checker.footprint import Footprints
from checker.model import Instruction
from checker.options import Options
from checker.places import patches, source
from checker.reporting import text, words
from isa_specs.core import Element, FieldByte, FixedEncoding, Form, Isa, ModRM, OpcodeByte
from isa_specs.keeping import default_directory
from isa_specs.load import load


def show_instruction(spec: str, name: str, cached: bool) -> str:
    """The text of ``vcheck show``. Raises as :func:`checker.check.check`."""
    isa = load(spec)
    instructions = isa.instructions()
    name = next((known for known in instructions if known.upper() == name.upper()), name)
    if name not in instructions:
        raise no_such("instruction", name, list(instructions), isa.name)
    report = check(spec, Options(instructions=(name,), cache=default_directory() if cached else None))
    verdicts = next(instruction for instruction in report.instructions if instruction.name == name)
    return "\n".join(_lines(isa, name, instructions[name], verdicts)) + "\n"


def _lines(isa: Isa, name: str, forms: list[Form], verdicts: Instruction) -> Iterator[str]:
    yield f"{name}: {forms[0].title}" + (f" ({forms[0].cites})" if forms[0].cites else "")
    for form in {form.span: form for form in forms}.values():
        yield from ("", f"{form.span.file}:{form.span.line}", _indented(source(isa, form.span)))
    for file, line, patch in patches(isa, name):
        yield from ("", f"{file}:{line}", _indented(patch))
    footprints = Footprints(isa)
    for form in forms:
        print_ = footprints.form(form)
        yield ""
        yield f"form {encoding(form)}" + (f"  {form.template}" if form.template else "")
        yield f"  reads   {words.listing(sorted(print_.reads))}"
        yield f"  writes  {words.listing(sorted(print_.writes))}"
        yield f"  traps   {words.listing(sorted(print_.traps))}"
    yield ""
    yield f"verdict: {text.one_line(verdicts)}"
    for verdict in verdicts.forms:
        where = verdict.form + (f", {verdict.region}" if verdict.region else "")
        yield f"  {where}: {text.one_line(verdict)}"
    for reason in verdicts.reasons:
        yield f"  {reason}"
    if verdicts.witness is not None:
        yield from text.witness_lines(verdicts.witness)


def encoding(form: Form) -> str:
    """An encoding as in the manual: ``0F 01 /4``, ``B8+reg imm:32``, ``S op=0x80``; constants of the form behind it."""
    if isinstance(form.encoding, FixedEncoding):
        bits = dict(form.encoding.format.fields)
        values = (f"{field}={value:#0{2 + (bits[field] + 3) // 4}x}" for field, value in form.encoding.values)
        shown = " ".join([form.encoding.format.name, *values])
    else:
        shown = " ".join(map(_element, form.encoding.elements))
    return " ".join([shown, *(f"({name} = {value})" for name, value in form.constants.items())])


def _element(element: Element) -> str:
    if isinstance(element, OpcodeByte):
        return f"{element.value:02X}" + (f"+{element.field}" if element.field else "")
    if isinstance(element, ModRM):
        return "/r" if element.digit is None else f"/{element.digit}"
    if isinstance(element, FieldByte):
        return " ".join(f"{name}:{width}" for name, width in element.fields)
    return f"{element.field}:{element.width}"


def _indented(block: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in block.split("\n"))
