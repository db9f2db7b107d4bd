"""Exit codes of ``vcheck``, the same for every format (docs: ``vcheck --help``)."""

from __future__ import annotations

PROVED, FINDINGS, USAGE, INCONCLUSIVE, INTERNAL, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 3, 4, 130, 141


def worst(codes: list[int]) -> int:
    """One exit code for several descriptions: an unusable description, a dispute, findings, undecided, proved."""
    return next((code for code in (USAGE, INTERNAL, FINDINGS, INCONCLUSIVE) if code in codes), PROVED)
