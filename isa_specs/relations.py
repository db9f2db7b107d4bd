"""How the forms of an ISA stand to each other: which could be the same bytes, and which is then chosen."""

from __future__ import annotations

from functools import cached_property

from isa_specs.core import Form
from isa_specs.elements import MAX_LENGTH
from isa_specs.patterns import WORK_LIMIT, Layout, Pattern, TooHard

MAX_PAIRS = 20_000
MAX_GROUPED = 50_000
Groups = tuple[Form, ...] | list["Groups"]


class Relations:
    """The forms divided by their first bytes, and compared where they still meet."""

    def __init__(self, layout: Layout):
        self.layout = layout
        self.forms = tuple(layout.isa.forms)
        self.patterns: dict[Form, Pattern] = {form: layout.pattern(form) for form in self.forms}
        self.above: dict[Form, set[Form]] = {form: set() for form in self.forms}
        """For each form those it is strictly more special than."""
        self.clashes: list[tuple[Form, Form, int]] = []
        """Pairs with a common word of which neither is more special."""
        self._compare()

    def _compare(self) -> None:
        start = self.layout.work
        order = {form: i for i, form in enumerate(self.forms)}
        for first, second in sorted(self._neighbours(), key=lambda pair: (order[pair[0]], order[pair[1]])):
            a, b = self.patterns[first], self.patterns[second]
            if self.layout.work - start > WORK_LIMIT:
                raise TooHard(second)
            word = self.layout.common(a, b)
            if word is None:
                continue
            down, up = self.layout.within(a, b), self.layout.within(b, a)
            if down and not up:
                self.above[first].add(second)
            elif up and not down:
                self.above[second].add(first)
            else:
                self.clashes.append((first, second, word))

    def _neighbours(self) -> set[tuple[Form, Form]]:
        pairs: set[tuple[Form, Form]] = set()
        work = [self.groups]
        while work:
            node = work.pop()
            if isinstance(node, list):
                work.extend({id(child): child for child in node}.values())
            else:
                for i, a in enumerate(node):
                    pairs.update((a, b) for b in node[i + 1 :])
                    if len(pairs) > MAX_PAIRS:
                        raise TooHard(a)
        return pairs

    @cached_property
    def groups(self) -> Groups:
        """A tree: lists of 256 are indexed by the next byte, tuples hold the forms that remain."""
        self._grouped = 0
        return self._split(self.forms, 0)

    def _split(self, forms: tuple[Form, ...], depth: int) -> Groups:
        # Only a byte that belongs to all of them may be looked at: fetching it can fault.
        patterns = [self.patterns[form] for form in forms]
        if len(forms) < 2 or depth >= MAX_LENGTH or any(p.length <= depth for p in patterns):
            return forms
        # Forms that leave bytes open stand in many branches, and at every byte again: the tree must not grow without end.
        self._grouped += len(forms)
        if self._grouped > MAX_GROUPED:
            return forms
        byte = self.layout.at(0, depth)
        if not any(p.mask & byte.mask for p in patterns):
            return forms
        buckets: list[list[Form]] = [[] for _ in range(256)]
        for form, pattern in zip(forms, patterns, strict=True):
            mask, value = byte.of(pattern.mask), byte.of(pattern.value)
            for number in [value] if mask == 255 else (n for n in range(256) if not (n ^ value) & mask):
                buckets[number].append(form)
        keys = [tuple(bucket) for bucket in buckets]
        children = {key: self._split(key, depth + 1) for key in set(keys)}
        return [children[key] for key in keys]
