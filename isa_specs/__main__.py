"""``python -m isa_specs NAME...``: load descriptions and print their mistakes."""

import sys

from isa_specs.diagnostics import SpecError, render
from isa_specs.load import load


def main(names: list[str]) -> int:
    status = 0
    for name in names:
        try:
            isa = load(name)
            sources, diagnostics = isa.sources, isa.warnings
            print(f"{name}: {len(isa.instructions())} instructions in {len(isa.forms)} forms, {len(isa.functions)} function instances")
        except SpecError as error:
            status = 2
            sources, diagnostics = getattr(error, "sources", {}), list(error.diagnostics)
            print(f"{name}: {len(diagnostics)} mistakes")
        for diagnostic in diagnostics:
            print(render(diagnostic, sources.get(diagnostic.span.file)))
    return status


sys.exit(main(sys.argv[1:]))
