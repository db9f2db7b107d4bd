"""Instructions: encodings, variants, bodies, and the patches of extensions."""

from __future__ import annotations

from isa_specs import core, expectations
from isa_specs.diagnostics import Diagnostic, Enough, Mistake, Span, nearest
from isa_specs.elements import MAX_LENGTH
from isa_specs.expressions import AMBIENT
from isa_specs.monitors import Monitors
from isa_specs.reader import Node, Word
from isa_specs.scope import Body, Cascade
from isa_specs.template import HOLE
from isa_specs.values import bits, shorten

MAX_FORMS = 8000


class Instructions(Monitors):
    """The part of the elaborator that reads instructions."""

    formats: dict[str, core.Format]
    where_places: dict[core.Form, Span]
    sections: dict[Node, str]
    patches: dict[str, list[Node]]  # by the instruction they are for
    decided: set[Node]  # patches whose condition made sense for some form
    undecided: dict[Node, Diagnostic]

    def d_instructions(self, nodes: list[Node], patches: list[Node]) -> None:
        """All instructions of the description and its extensions, overridden ones left out."""
        names = {str(node.children[1]) for node in nodes}
        for patch in patches:
            for word in dict.fromkeys(patched(patch)):
                if word not in names:
                    self.guarded(lambda word=word: self.no_instruction(word, names), patch)  # type: ignore[misc]
                self.patches.setdefault(str(word), []).append(patch)
        self.each(self.not_overridden(nodes), self.instruction)
        for patch, problem in self.undecided.items():
            if patch not in self.decided:
                self.errors.append(problem)

    def no_instruction(self, name: Word, names: set[str], what: str = "instruction") -> None:
        raise self.unknown(name, sorted(names - {str(name)}), name.span, what)

    def not_overridden(self, nodes: list[Node]) -> list[Node]:
        """The first overriding form of a file replaces what came from the files below."""
        kept: dict[str, list[Node]] = {}
        overridden: set[tuple[str, str]] = set()
        for node in nodes:
            override, name = node.children[:2]
            listed = kept.setdefault(str(name), [])
            if override is not None:
                if not listed:
                    names = {str(other.children[1]) for other in nodes}
                    self.guarded(lambda name=name, names=names: self.no_instruction(name, names, "instruction to override"), node)  # type: ignore[misc]
                if (str(name), node.span.file) not in overridden:
                    overridden.add((str(name), node.span.file))
                    listed[:] = [other for other in listed if other.span.file == node.span.file]
            listed.append(node)
        chosen = {id(node) for listed in kept.values() for node in listed}
        return [node for node in nodes if id(node) in chosen]

    def instruction(self, node: Node) -> None:
        clauses: dict[str, Node] = {}
        for clause in (c for c in node.children[4:] if isinstance(c, Node)):
            if clause.kind in clauses:
                raise Mistake("SP101", f"'{clause.kind}' is given twice", clause.span)
            clauses[clause.kind] = clause
        variable, values = "", [0]
        if "variants" in clauses:
            variable, *items = clauses["variants"].children
            values = [self.constant(item, Body("expression")) for item in items]
        for value in values:
            if len(self.isa.forms) == MAX_FORMS:
                self.errors.append(Diagnostic("SP104", f"more than {MAX_FORMS} forms", node.span))
                raise Enough
            self.form(node, clauses, {str(variable): value} if variable else {})

    def form(self, node: Node, clauses: dict[str, Node], constants: dict[str, int]) -> None:
        _, name, title, encoding = node.children[:4]
        body = Body("instruction")
        for key, value in constants.items():
            body.bind(key, value)
        built, fields, fixed = self.fixed(encoding, body) if encoding.kind == "fixed" else self.bytes(encoding, body)
        body.fields = dict(fields)
        if encoding.kind == "bytes":
            body.fields.update((prefix.name, prefix.width) for prefix in self.isa.prefixes.values())
        body.fields.update((context, expr.width) for context, expr in self.isa.contexts.items())
        # A field the encoding fixes is a constant in the body and a field to the functions it calls.
        body.provided = body.fields
        for key, value in fixed.items():
            body.bind(key, value)
        where = None
        if "where" in clauses:
            where = self.condition(clauses["where"].children[0], body)
            self.check_fields(body, body.fields, "'where'")
        before, after = self.patches_for(name, body)
        statements: list[core.Stmt] = []
        for patch in before:
            statements += self.block(patch.children[-1], body)
        statements += self.patched_sequence(list(clauses["block"].children) if "block" in clauses else [], after, body, name)
        self.check_fields(body, (*body.fields, *AMBIENT), f"this form of {name}")
        template = text_of(clauses["template"].children[0]) if "template" in clauses else str(name)
        for key, value in constants.items():
            template = template.replace("{" + key + "}", str(value))
        self.check_template(template, clauses.get("template", node), body.fields, fixed)
        free = {key: width for key, width in fields.items() if key not in fixed}
        cites = text_of(clauses["cites"].children[0]) if "cites" in clauses else self.sections.get(node, "")
        form = core.Form(str(name), text_of(title), template, built, free, constants, where, statements,
                         expectations.in_force(body.expects, self.file_order), cites, node.span)
        self.isa.forms.append(form)
        self.where_places[form] = clauses.get("where", node).span

    def patches_for(self, name: Word, body: Body) -> tuple[list[Node], list[Node]]:
        before: list[Node] = []
        after: list[Node] = []
        for patch in self.patches.get(str(name), []):
            condition = next((c for c in patch.children if isinstance(c, Node) and c.kind == "where_clause"), None)
            if condition is None or self.applies(patch, condition.children[0], body):
                (before if patch.kind == "patch_before" else after).append(patch)
        return before, after

    def applies(self, patch: Node, condition: Node, body: Body) -> bool:
        """A patch's ``where``: decided by what the encoding fixes; a form without the fields it names is not meant."""
        try:
            result = bool(self.constant(condition, body))
        except Mistake as mistake:
            self.undecided.setdefault(patch, mistake.diagnostic)
            return False
        except Cascade:
            return False
        self.decided.add(patch)
        return result

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
            raise self.unknown(name, list(self.formats), name.span, "format")
        widths = dict(form.fields)
        fixed: dict[str, int] = {}
        for position, argument in enumerate(arguments.children if arguments is not None else []):
            named = isinstance(argument.children[0], Word)
            if not named and position >= len(widths):
                raise Mistake("SP112", f"format {name} has only {len(widths)} fields", argument.span)
            key = str(argument.children[0]) if named else form.fields[position][0]
            if key not in widths:
                raise Mistake("SP112", f"format {name} has no field '{key}'", argument.span, nearest(key, widths))
            if key in fixed:
                raise Mistake("SP101", f"field '{key}' is given twice", argument.span)
            fixed[key] = self.const(self.constant(argument.children[-1], body), widths[key], argument.span).value
        return core.FixedEncoding(form, tuple(fixed.items())), widths, fixed

    def bytes(self, node: Node, body: Body) -> tuple[core.ByteEncoding, dict[str, int], dict[str, int]]:
        elements: list[core.Element] = []
        part: list[tuple[str, int]] = []  # of a byte made of several fields
        fields: dict[str, int] = {}
        fixed: dict[str, int] = {}

        def add(name: Word | str, width: int) -> None:
            if name in fields or name in AMBIENT or name in self.isa.prefixes or name in self.isa.contexts:
                raise Mistake("SP101", f"there is another field '{name}'", node.span)
            fields[str(name)] = width

        for item in node.children:
            if part and item.kind != "immediate":
                break
            if item.kind in ("opcode", "computed"):
                head, suffix = item.children
                value = int(head, 16) if item.kind == "opcode" else self.constant(head, body)
                if not 0 <= value <= 255:
                    raise Mistake("SP208", f"{shorten(value)} is not a byte", item.span)
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
                left = 8 - sum(taken for _, taken in part)
                if not 1 <= width <= left and (part or width % 8 or not 8 <= width <= 64):
                    hint = f"{left} bits of the byte are left" if part else "8, 16, 24, 32 ... 64, or fewer than 8"
                    raise Mistake("SP207", f"a field of {bits(width)} is not possible here", item.span, hint)
                add(name, width)
                if width < 8:
                    part.append((str(name), width))
                    if width == left:
                        elements.append(core.FieldByte(tuple(part)))
                        part = []
                else:
                    elements.append(core.Immediate(str(name), width))
        if part:
            missing = bits(8 - sum(taken for _, taken in part))
            raise Mistake("SP207", f"{missing} of a byte belong to no field", node.span, "fields narrower than a byte fill one together")
        if not elements or not isinstance(elements[0], core.OpcodeByte):
            raise Mistake("SP112", "an encoding starts with an opcode byte", node.span)
        length = sum(e.width // 8 if isinstance(e, core.Immediate) else 6 if isinstance(e, core.ModRM) else 1 for e in elements)
        if length > MAX_LENGTH:
            raise Mistake("SP207", f"up to {length} bytes", node.span, f"an instruction has at most {MAX_LENGTH}")
        return core.ByteEncoding(tuple(elements)), fields, fixed

    def check_template(self, template: str, node: Node, available: dict[str, int], fixed: dict[str, int]) -> None:
        for hole in HOLE.findall(template):
            name, colon, names = hole.partition(":")
            name, at, anchor = name.partition("@")
            if name not in available or name == "_":
                raise Mistake("SP111", f"the template names no field '{name}'", node.span, nearest(name, available))
            if (at and (colon or anchor != "next")) or (colon and names not in self.isa.names):
                what = f"unknown names '{names}'" if colon else f"unknown address '{anchor}'"
                raise Mistake("SP111", f"{what} in the template", node.span, nearest(names, self.isa.names) or "{field@next}")
            if colon and fixed.get(name, 0) >= len(self.isa.names[names][1]):
                raise Mistake("SP111", f"'{names}' has no word for {fixed[name]}", node.span)
        if "{" in HOLE.sub("", template) or "}" in HOLE.sub("", template):
            raise Mistake("SP111", "a brace of the template has no partner", node.span)


def sections(nodes: list[Node]) -> dict[Node, str]:
    """Where the manual describes each instruction: the last section its file has named before it, and its title."""
    current: dict[str, str] = {}
    out: dict[Node, str] = {}
    for node in nodes:
        if node.kind == "section":
            current[node.span.file] = text_of(node.children[0])
        elif node.kind == "instruction" and node.span.file in current:
            out[node] = ": ".join((current[node.span.file], text_of(node.children[2]))).removesuffix(": ")
    return out


def patched(patch: Node) -> list[Word]:
    """The instructions a patch is for."""
    words = [child for child in patch.children if isinstance(child, Word)]
    return words[1:] if patch.kind == "patch_after" else words


def text_of(word: Word | None) -> str:
    """A string without its quotation marks."""
    return "" if word is None else str(word)[1:-1]
