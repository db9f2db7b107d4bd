"""Instructions: encodings, variants, bodies, and the patches of extensions."""

from __future__ import annotations

from isa_specs import core
from isa_specs.diagnostics import Diagnostic, Mistake, nearest
from isa_specs.expressions import bits, number
from isa_specs.monitors import Monitors
from isa_specs.reader import Node, Word
from isa_specs.scope import Body, Cascade, unknown

MAX_FORMS = 8000


class Instructions(Monitors):
    """The part of the elaborator that reads instructions."""

    formats: dict[str, core.Format]
    patches: list[Node]

    def d_instructions(self, nodes: list[Node]) -> None:
        """All instructions of the description and its extensions, overridden ones left out."""
        names = {str(node.children[1]) for node in nodes}
        for patch in self.patches:
            for word in self.patched(patch):
                if word not in names:
                    mistake = unknown(word, sorted(names), word.span, "instruction")
                    self.errors.append(mistake.diagnostic)
        kept: list[Node] = []
        for node in nodes:
            override, name = node.children[:2]
            if override is not None:
                # The first overriding form of a file replaces what came from the files below.
                if not any(str(k.children[1]) == name for k in kept):
                    self.errors.append(unknown(name, sorted(names - {str(name)}), name.span, "instruction to override").diagnostic)
                kept = [k for k in kept if str(k.children[1]) != name or k.span.file == node.span.file]
            kept.append(node)
        for node in kept:
            try:
                self.instruction(node)
            except Mistake as mistake:
                self.errors.append(mistake.diagnostic)
            except Cascade:
                pass
            if len(self.isa.forms) > MAX_FORMS:
                self.errors.append(Diagnostic("SP104", f"more than {MAX_FORMS} forms", node.span))
                return

    @staticmethod
    def patched(patch: Node) -> list[Word]:
        words = [child for child in patch.children if isinstance(child, Word)]
        return words[1:] if patch.kind == "patch_after" else words

    def instruction(self, node: Node) -> None:
        _, name, title, encoding = node.children[:4]
        clauses = [c for c in node.children[4:] if isinstance(c, Node) and c.kind != "block"]
        block = next((c for c in node.children[4:] if isinstance(c, Node) and c.kind == "block"), None)
        by_kind: dict[str, Node] = {}
        for clause in clauses:
            if clause.kind in by_kind:
                raise Mistake("SP101", f"'{clause.kind}' is given twice", clause.span)
            by_kind[clause.kind] = clause
        variable, values = "", [0]
        if "variants" in by_kind:
            variable, *items = by_kind["variants"].children
            values = [self.constant(item, Body("expression")) for item in items]
        for value in values:
            constants = {str(variable): value} if variable else {}
            self.form(node, name, title, encoding, by_kind, block, constants)

    def form(self, node: Node, name: Word, title: Word | None, encoding: Node, clauses: dict[str, Node], block: Node | None,
             constants: dict[str, int]) -> None:
        body = Body("instruction")
        for key, value in constants.items():
            body.bind(key, value)
        built, fields, fixed = self.fixed(encoding, body) if encoding.kind == "fixed" else self.bytes(encoding, body)
        available = {**fields, **{p.name: p.width for p in self.isa.prefixes.values()}} if encoding.kind == "bytes" else dict(fields)
        for context in self.isa.contexts:
            available[context] = self.isa.contexts[context].width
        body.fields = dict(available)
        for key, value in fixed.items():
            body.bind(key, value)
        where = None
        if "where" in clauses:
            where = self.condition(clauses["where"].children[0], body)
        # A field the encoding fixes is a constant in the body and a field to the functions it calls.
        available.update({key: self.global_fields.get(key, 64) for key in fixed})
        patches_before, patches_after = self.patches_for(name, body, clauses)
        statements: list[core.Stmt] = []
        for patch in patches_before:
            statements += self.block(patch.children[-1], body)
        inner = list(block.children) if block is not None else []
        statements += self.patched_sequence(inner, patches_after, body, name)
        self.check_fields(body, available, f"this form of {name}")
        template = str(clauses["template"].children[0])[1:-1] if "template" in clauses else str(name)
        for key, value in constants.items():
            template = template.replace("{" + key + "}", str(value))
        self.check_template(template, clauses.get("template", node), available)
        cites = str(clauses["cites"].children[0])[1:-1] if "cites" in clauses else ""
        for key, value in fixed.items():
            fields.pop(key, None)
        form = core.Form(str(name), str(title)[1:-1] if title is not None else "", template, built, fields, constants, where,
                         statements, body.expects, cites, node.span)
        self.isa.forms.append(form)

    def patches_for(self, name: Word, body: Body, clauses: dict[str, Node]) -> tuple[list[Node], list[Node]]:
        before, after = [], []
        for patch in self.patches:
            if name not in self.patched(patch):
                continue
            condition = next((c for c in patch.children if isinstance(c, Node) and c.kind == "where_clause"), None)
            if condition is not None and not self.applies(condition.children[0], body):
                continue
            (before if patch.kind == "patch_before" else after).append(patch)
        return before, after

    def applies(self, condition: Node, body: Body) -> bool:
        """A patch's ``where``: decided by what the encoding fixes; a form without the fields it names is not meant."""
        try:
            return bool(self.constant(condition, body))
        except (Mistake, Cascade):
            return False

    def patched_sequence(self, nodes: list[Node], patches: list[Node], body: Body, name: Word) -> list[core.Stmt]:
        """The body with ``after ANCHOR`` blocks put behind the call of their anchor."""
        if not patches:
            body.names.append({})
            return self.sequence(nodes, body)
        out: list[Node] = []
        remaining = list(patches)
        for item in nodes:
            out.append(item)
            if item.kind != "call_stmt":
                continue
            called = item.children[0].children[0]
            for patch in [p for p in remaining if p.children[0] == called]:
                out += patch.children[-1].children
                remaining.remove(patch)
        for patch in remaining:
            self.errors.append(Diagnostic("SP110", f"{name} has no statement '{patch.children[0]}' to stand behind", patch.children[0].span,
                                          "use 'before'"))
        body.names.append({})
        return self.sequence(out, body)

    # ---- encodings ------------------------------------------------------------------------------------

    def fixed(self, node: Node, body: Body) -> tuple[core.FixedEncoding, dict[str, int], dict[str, int]]:
        name, arguments = node.children
        form = self.formats.get(name)
        if form is None:
            raise unknown(name, list(self.formats), name.span, "format")
        widths = dict(form.fields)
        fixed: dict[str, int] = {}
        for position, argument in enumerate(arguments.children if arguments is not None else []):
            named = isinstance(argument.children[0], Word)
            key = str(argument.children[0]) if named else (form.fields[position][0] if position < len(form.fields) else "")
            if key not in widths:
                raise Mistake("SP112", f"format {name} has no field '{key}'", argument.span, nearest(key, widths))
            fixed[key] = self.const(self.constant(argument.children[-1], body), widths[key], argument.span).value
        return core.FixedEncoding(form, tuple(fixed.items())), widths, fixed

    def bytes(self, node: Node, body: Body) -> tuple[core.ByteEncoding, dict[str, int], dict[str, int]]:
        elements: list[core.OpcodeByte | core.ModRM | core.Immediate] = []
        fields: dict[str, int] = {}
        fixed: dict[str, int] = {}

        def add(name: Word | str, width: int) -> None:
            if name in fields:
                raise Mistake("SP101", f"field '{name}' appears twice in the encoding", node.span)
            fields[str(name)] = width

        for item in node.children:
            if item.kind in ("opcode", "computed"):
                head, suffix = item.children
                value = int(head, 16) if item.kind == "opcode" else self.constant(head, body)
                if not 0 <= value <= 255:
                    raise Mistake("SP208", f"{value} is not a byte", item.span)
                if suffix is not None:
                    if value & 7:
                        raise Mistake("SP112", "the low three bits of this byte belong to the field", item.span)
                    add(suffix, 3)
                elements.append(core.OpcodeByte(value, str(suffix) if suffix is not None else ""))
            elif item.kind == "modrm":
                digit = item.children[0][1]
                for name, width in core.MODRM_FIELDS.items():
                    add(name, width)
                elements.append(core.ModRM(None if digit == "r" else int(digit)))
                if digit != "r":
                    fixed["reg"] = int(digit)
            else:
                name, width_node = item.children
                width = self.constant(width_node, body)
                if width % 8 or not 8 <= width <= 64:
                    raise Mistake("SP207", f"a field of {bits(width)} is not possible here", item.span, "8, 16, 24, 32 ... 64")
                add(name, width)
                elements.append(core.Immediate(str(name), width))
        if not elements or not isinstance(elements[0], core.OpcodeByte):
            raise Mistake("SP112", "an encoding starts with an opcode byte", node.span)
        return core.ByteEncoding(tuple(elements)), fields, fixed

    def check_template(self, template: str, node: Node, available: dict[str, int]) -> None:
        rest = template
        while "{" in rest:
            hole, _, rest = rest.partition("{")[2].partition("}")
            name, _, names = hole.partition(":")
            name = name.partition("@")[0]
            if name not in available:
                raise Mistake("SP111", f"the template names no field '{name}'", node.span, nearest(name, available))
            if names and names not in self.isa.names:
                raise Mistake("SP111", f"unknown names '{names}' in the template", node.span, nearest(names, self.isa.names))


__all__ = ["Instructions", "number"]
