"""A progress bar on standard error, when a person is there to see it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

from checker.options import Progress


@contextlib.contextmanager
def progress() -> Iterator[Progress]:
    """Gives the function that analyses tell what they are doing: ``tell(part, done, total)``."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda part, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("")
        yield lambda part, done, total: bar.update(task, description=part, completed=done, total=total)
