"""The one error of this floor."""

from __future__ import annotations


class MachineError(Exception):
    """The machine cannot go on for a reason that is not a trap of the described machine."""
