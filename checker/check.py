"""Checking one description, unless the very same check was done before.

A whole report is remembered under the description's file, the options and this program; with it the hashes of all texts it was
made from, so that a change in what the description extends is noticed without reading the descriptions themselves.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec

from checker.cache import Cache, program_digest
from checker.findings import verdict
from checker.model import Report
from checker.options import Options
from isa_specs.diagnostics import nearest
from isa_specs.keeping import digest
from isa_specs.load import BUNDLED, display, find, load, read_text


class UsageError(Exception):
    """A request that cannot be met, such as a monitor profile that does not exist; the text is for the user."""


def check(name: str, options: Options) -> Report:
    """The report on a description, given by path or bundled name.

    Raises :class:`isa_specs.diagnostics.SpecError` for a description that cannot be used, :class:`UsageError` for profiles or
    instructions it does not have, :class:`checker.solve.SolverError` when there is no solver.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError(f"a file name that is not UTF-8: {name!a}") from None
    path = find(name)
    # Exported obligations are wanted as files, so they have to be made.
    if options.cache is None or options.export is not None:
        return _analyse(path, options)[0]
    with Cache(options.cache) as cache:
        key = _key(path, options)
        # Times of another run are of no use.
        remembered = _recall(cache, key) if not options.timings else None
        if remembered is not None:
            return remembered
        report, sources = _analyse(path, options)
        # What was undecided may be decided with more time or on a faster machine.
        if not report.unknown and not options.timings:
            texts = {file: digest([text]) for file, text in sources.items()}
            cache.put(key, json.dumps([texts, msgspec.json.encode(report).decode()]))
        return report


def _key(path: Path, options: Options) -> str:
    wanted = [options.monitors, options.instructions, options.confirm, os.environ.get("VCHECK_JIT")]
    asked = ["report", display(path), json.dumps(wanted), program_digest()]
    return digest([*asked, read_text(path, display(path))])


def _recall(cache: Cache, key: str) -> Report | None:
    stored = cache.get(key)
    if stored is None:
        return None
    try:
        texts, report = json.loads(stored)
        if all(digest([_source(file)]) == known for file, known in texts.items()):
            return msgspec.json.decode(report, type=Report)
    except (ValueError, TypeError, AttributeError, OSError, msgspec.MsgspecError):
        pass
    return None


def _source(shown: str) -> str:
    bundled = BUNDLED.parent / shown
    path = bundled if display(bundled) == shown and bundled.is_file() else Path(shown)
    return path.read_text(encoding="utf-8")


def _analyse(path: Path, options: Options) -> tuple[Report, dict[str, str]]:
    isa = load(path)
    for asked, known, what in ((options.monitors, isa.monitors, "monitor"), (options.instructions, isa.instructions(), "instruction")):
        for name in asked:
            if name not in known:
                raise no_such(what, name, list(known), isa.name)
    from checker.analysis import analyse
    from checker.hybrid import user_only
    from machine.generated.layout import NotGenerated

    try:
        report = analyse(isa, options)
    except NotGenerated as reason:
        raise UsageError(f"there is no generated code to confirm with: {reason}") from None
    hybrid = {name for name, monitor in isa.monitors.items() if user_only(isa, monitor, options.timeout)}
    for monitor in report.monitors:
        monitor.user_only = monitor.name in hybrid
    report.verdict = verdict(report)
    report.only = list(options.instructions)
    if report.only:  # what is expected of the whole machine cannot be held against a part of it
        report.expectations = [expected for expected in report.expectations if expected.text.split(" ")[0] in report.only]
    # Names come from the description as strings that know their place. Going through plain values also validates: what does not
    # fit the published format is to be noticed here, not by a reader.
    return msgspec.convert(msgspec.to_builtins(report, enc_hook=str), Report), isa.sources


def no_such(what: str, name: str, known: list[str], isa: str) -> UsageError:
    """The error for an instruction or monitor that ``isa`` does not have."""
    hint = nearest(name, known) or f"it has: {' '.join(known[:12])}{' ...' if len(known) > 12 else ''}"
    return UsageError(f"{isa} has no {what} '{name}': {hint}")
