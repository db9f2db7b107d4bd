"""A module in parts that can be compiled side by side.

What other code calls by its name belongs to one part. A short function that only functions of its module call is a copy in each part
that calls it, so that it can still become part of its callers; a long one is compiled once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from machine.generated.prelude import METADATA, PRELUDE
from machine.generated.translation import Definition

LONG = 40  # lines: what LLVM would leave a function, unless it is given numbers that make little of it
WORTH = 4000  # lines of a part: a shorter one is compiled in the time of a few copies


@dataclass(slots=True)
class _Part:
    """The functions that are here for all, these and their copies of others, and the lines of them all."""

    owned: set[str] = field(default_factory=set)
    all: set[str] = field(default_factory=set)
    lines: int = 0


def parts(definitions: Mapping[str, Definition], count: int) -> list[str]:
    """The texts of at most ``count`` modules that together are one, the one that takes longest first."""
    count = max(1, min(count, sum(each.lines for each in definitions.values()) // WORTH))
    kept = {name for name, each in definitions.items() if each.kept}
    if count > 1:
        kept |= _alone(definitions)
    groups = {name: _group(name, definitions, kept) for name in definitions if name in kept}

    def lines(names: set[str]) -> int:
        return sum(definitions[name].lines for name in names)

    found = [_Part() for _ in range(count)]
    for name, group in sorted(groups.items(), key=lambda item: (-lines(item[1]), item[0])):
        with_it, _, part = min((part.lines + lines(group - part.all), number, part) for number, part in enumerate(found))
        part.owned.add(name)
        part.all |= group
        part.lines = with_it
    return [_text(part, definitions, kept) for part in sorted(found, key=lambda part: -part.lines)]


def _alone(definitions: Mapping[str, Definition]) -> set[str]:
    """The long functions that several others call."""
    callers = dict.fromkeys(definitions, 0)
    given: set[str] = set()
    for each in definitions.values():
        given |= each.given
        for name in each.called:
            callers[name] += 1
    return {name for name, each in definitions.items()
            if each.lines >= LONG and callers[name] > 1 and name not in given and "alwaysinline" not in each.inlining}


def _group(name: str, definitions: Mapping[str, Definition], kept: set[str]) -> set[str]:
    """A function and all that have to be where it is."""
    found, work = {name}, [name]
    while work:
        for called in definitions[work.pop()].called - kept - found:
            found.add(called)
            work.append(called)
    return found


def _text(part: _Part, definitions: Mapping[str, Definition], kept: set[str]) -> str:
    called = set().union(*(definitions[name].called for name in part.all))
    lines = [each.declaration for name, each in definitions.items() if name in called - part.all]
    lines += [each.text(kept=name in part.owned) for name, each in definitions.items() if name in part.all]
    return "\n".join([PRELUDE, *lines, METADATA])
