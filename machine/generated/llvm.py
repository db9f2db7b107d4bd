"""A whole generated module, or a part of one, as LLVM's text."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from machine.generated.blocks import Untranslatable
from machine.generated.prelude import METADATA, PRELUDE
from machine.generated.translation import Scope, translated


class Module:
    """The functions of a generated module, translated; one that is part of another calls functions ``outside``, by their addresses."""

    def __init__(self, source: str, outside: Mapping[str, int] | None = None):
        constants: dict[str, int] = {}
        nodes: list[ast.FunctionDef] = []
        for node in ast.parse(source).body:
            match node:
                case ast.FunctionDef():
                    nodes.append(node)
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    constants[name] = int(ast.literal_eval(value))
        scope = Scope(constants, frozenset(node.name for node in nodes), outside or {})
        self.definitions = {node.name: translated(node, scope) for node in nodes}

    @property
    def text(self) -> str:
        return "\n".join([PRELUDE, *(each.text(kept=each.kept) for each in self.definitions.values()), METADATA])


__all__ = ["Module", "Untranslatable"]
