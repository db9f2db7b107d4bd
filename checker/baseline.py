"""Known findings: a JSON report of an earlier run, whose findings do not count again."""

from __future__ import annotations

from pathlib import Path

import msgspec

from checker.check import UsageError
from checker.findings import Finding, findings
from checker.reporting import json

Keys = frozenset[tuple[str, str, str, str]]


def read_baseline(path: Path) -> Keys:
    """The keys of the findings of a JSON report. Raises :class:`UsageError` when it is none, OSError when unreadable."""
    try:
        reports = json.parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"there is no baseline {path}: write one with --format json --output {path}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no JSON report of vcheck: {error}") from None
    return frozenset(finding.key for report in reports for finding in findings(report) if finding.severity == "error")


def remark(found: list[Finding], known: Keys) -> str:
    """What is new against the baseline, and what of the baseline is gone."""
    errors = {finding.key: finding for finding in found if finding.severity == "error"}
    checked = {finding.isa for finding in found}
    new = [f"new: {finding.code} {finding.isa} {finding.title}" for key, finding in errors.items() if key not in known]
    gone = [f"gone: {code} {isa} {subject}" for isa, code, subject, _ in sorted(known - errors.keys()) if isa in checked]
    count = f"{len(errors.keys() & known)} known, {len(new)} new, {len(gone)} gone"
    return "\n".join([f"vcheck: against the baseline: {count}", *(f"  {line}" for line in new + gone)])
