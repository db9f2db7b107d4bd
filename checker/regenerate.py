"""``python -m checker.regenerate``: write what is generated anew; ``--check`` only says what is not current.

That is reports/, docs/report.schema.json, and the example in README.md.

For a checkout. Exit codes: 0 done or current, 1 something is not current, 2 a description cannot be used.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from checker.check import check
from checker.cli import report_error
from checker.files import write
from checker.options import Options
from checker.progress import progress
from checker.reporting import json, markdown, text
from isa_specs.keeping import default_directory
from isa_specs.load import bundled

ROOT = Path(__file__).parent.parent
TIMEOUT = 60.0  # seconds; generous, so that a slow machine does not turn a verdict into unknown
EXAMPLE = "teaching/mode_sensitive"


def contents(names: list[str], cached: bool) -> Iterator[tuple[Path, str]]:
    """The generated files and what belongs into them. Raises as :func:`checker.check.check`."""
    yield ROOT / "docs" / "report.schema.json", json.schema()
    with progress() as tell:
        for name in names:
            cache = default_directory() if cached else None
            report = check(name, Options(timeout=TIMEOUT, cache=cache, confirm=True, progress=tell))
            if name == EXAMPLE:
                yield ROOT / "README.md", _with_example((ROOT / "README.md").read_text(encoding="utf-8"), text.render(report))
            yield ROOT / "reports" / f"{name}.json", json.render([report])
            yield ROOT / "reports" / f"{name}.md", markdown.render(report)


def _with_example(page: str, shown: str) -> str:
    """The page with the indented block behind the example's command replaced."""
    command = f"    $ vcheck {EXAMPLE.rpartition('/')[2]}\n"
    block = "".join(f"    {line}\n" if line else "\n" for line in shown.rstrip("\n").split("\n"))
    pattern = re.escape(command) + r"(?: {4}.*\n|\n(?= {4}|\n))*"
    if command not in page:
        raise ValueError(f"README.md has no line '{command.strip()}'")
    return re.sub(pattern, lambda found: command + block, page, count=1)


def main(arguments: list[str]) -> int:
    """Run the command."""
    about = argparse.ArgumentParser(prog="python -m checker.regenerate", description="Write the generated files of a checkout anew.")
    about.add_argument("names", metavar="NAME", nargs="*", choices=[[], *bundled()], help="bundled descriptions (default: all)")
    about.add_argument("--check", action="store_true", help="write nothing, say which files are not current")
    about.add_argument("--no-cache", action="store_true", help="neither use nor store remembered results")
    asked = about.parse_args(arguments)
    stale: list[Path] = []
    made: set[Path] = set()
    for path, content in contents(asked.names or list(bundled()), not asked.no_cache):
        made.add(path)
        if not path.is_file() or path.read_text(encoding="utf-8") != content:
            stale.append(path)
            if not asked.check:
                path.parent.mkdir(parents=True, exist_ok=True)
                write(path, content)
    if not asked.names:
        for path in sorted((ROOT / "reports").rglob("*.*")):
            if path.suffix in (".md", ".json") and path not in made and path.name != "README.md":
                stale.append(path)
                if not asked.check:
                    path.unlink()
    for path in stale:
        print(f"{'not current' if asked.check else 'written'}: {path.relative_to(ROOT)}")
    return 1 if stale and asked.check else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Exception as error:
        sys.exit(report_error(error))
