"""``python -m isa_specs NAME...``: load descriptions and print their mistakes."""

import sys

from isa_specs.diagnostics import SpecError, render
from isa_specs.load import load

status = 0
for name in sys.argv[1:]:
    try:
        isa = load(name)
        print(f"{name}: {len(isa.instructions())} instructions in {len(isa.forms)} forms, {len(isa.functions)} function instances")
    except SpecError as error:
        status = 2
        sources = getattr(error, "sources", {})
        for diagnostic in error.diagnostics:
            print(render(diagnostic, sources.get(diagnostic.span.file)))
        print(f"{name}: {len(error.diagnostics)} mistakes")
sys.exit(status)
