"""``python -m isa_specs FILE...``: parse descriptions and print their syntax errors."""

import sys
from pathlib import Path

from isa_specs.diagnostics import render
from isa_specs.reader import parse

status = 0
for name in sys.argv[1:]:
    text = Path(name).read_text(encoding="utf-8")
    nodes, errors = parse(text, name)
    for error in errors:
        print(render(error, text))
    print(f"{name}: {len(nodes)} declarations, {len(errors)} errors")
    status |= bool(errors)
sys.exit(status)
