"""Assembly language of any described ISA: the public functions."""

from __future__ import annotations

from collections.abc import Mapping

from isa_specs.assembler import CODES, AssemblyError, LineError, assembler
from isa_specs.core import Isa
from isa_specs.diagnostics import Span
from isa_specs.encoding import Contexts, Decoded
from isa_specs.program import Line, Program, assemble_program, no_state


def disassemble(isa: Isa, decoded: Decoded, address: int) -> str:
    """The text of an instruction at ``address``."""
    return assembler(isa).disassemble(decoded, address)


def assemble(isa: Isa, text: str, address: int = 0, contexts: Contexts | None = None, symbols: Mapping[str, int] | None = None) -> bytes:
    """The bytes of one instruction. ``contexts`` is needed where the encoding depends on the state. Raises :class:`AssemblyError`."""
    try:
        return assembler(isa).assemble(text, address, contexts or no_state(isa), symbols or {})
    except LineError as error:
        raise AssemblyError(error.at(Span("", 1, 1, 1, max(2, len(text) + 1)))) from None


__all__ = ["CODES", "AssemblyError", "Line", "Program", "assemble", "assemble_program", "disassemble"]
