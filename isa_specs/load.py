"""Finding and loading descriptions: bundled names, paths, and what they extend."""

from __future__ import annotations

from pathlib import Path

from isa_specs import core
from isa_specs.diagnostics import NOWHERE, Diagnostic, Mistake, Span, SpecError, nearest
from isa_specs.elaborate import Elaborator
from isa_specs.reader import MAX_BYTES, Node, parse

BUNDLED = Path(__file__).parent


def bundled() -> dict[str, Path]:
    """The descriptions that come with the package: name -> file. A new ISA is found by being there."""
    files = sorted(BUNDLED.glob("*.spec")) + sorted(BUNDLED.glob("*/*.spec"))
    return {path.relative_to(BUNDLED).with_suffix("").as_posix(): path for path in files}


def find(name: str, near: Path | None = None) -> Path:
    """The file of a path or bundled name. ``near`` is the folder of a description that extends it."""
    path = Path(name)
    if path.suffix == ".spec":
        return path
    if near is not None and (near / f"{name}.spec").is_file():
        return near / f"{name}.spec"
    known = bundled()
    for key, file in known.items():
        if name in (key, key.rsplit("/", 1)[-1]):
            return file
    if path.is_file():
        return path
    hint = nearest(name, known) or "a path to a .spec file, or one of the names 'vcheck list' shows"
    raise SpecError([Diagnostic("SP010", f"there is no description '{name}'", Span(name, 0, 0, 0, 0), hint)])


def read_text(path: Path, shown: str) -> str:
    """The text of a description. Raises :class:`SpecError` when it is not readable text of sane size."""
    nowhere = Span(shown, 0, 0, 0, 0)
    try:
        with path.open("rb") as handle:
            data = handle.read(MAX_BYTES + 1)
    except OSError as error:
        raise SpecError([Diagnostic("SP010", f"cannot read {shown}: {error.strerror or error}", nowhere)]) from None
    if len(data) > MAX_BYTES:
        raise SpecError([Diagnostic("SP011", f"{shown} is larger than {MAX_BYTES // 1_000_000} MB", nowhere)])
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError([Diagnostic("SP011", f"{shown} is not UTF-8 text (byte {error.start})", nowhere)]) from None
    if "\0" in text:
        raise SpecError([Diagnostic("SP011", f"{shown} is a binary file", nowhere)])
    if not text.strip():
        raise SpecError([Diagnostic("SP012", f"{shown} is empty", nowhere, 'a description starts with: isa NAME "Title"')])
    return text


def load(name: str | Path) -> core.Isa:
    """Load a description by path or bundled name, with everything it extends.

    Raises :class:`SpecError` carrying every mistake found."""
    path = find(str(name))
    return load_chain(path, {})


def loads(text: str, name: str = "text.spec") -> core.Isa:
    """Load a description from text; what it extends is looked up among the bundled ones."""
    return load_chain(Path(name), {name: text})


def load_chain(path: Path, texts: dict[str, str]) -> core.Isa:
    sources: dict[str, str] = {}
    nodes: list[Node] = []
    errors: list[Diagnostic] = []
    headers: list[Node] = []
    chain: list[Path] = []
    current: Path | None = path
    asked: Span = NOWHERE
    while current is not None:
        shown = display(current)
        if shown in sources or len(chain) > 20:
            raise SpecError([Diagnostic("SP013", f"'extends' leads back to {shown}", asked, "a description cannot extend itself")])
        text = texts.get(str(current)) or read_text(current, shown)
        sources[shown] = text
        parsed, syntax = parse(text, shown)
        errors += syntax
        header = [node for node in parsed if node.kind == "isa"]
        if not header and not syntax:
            where = Span(shown, 1, 1, 1, 2)
            raise SpecError([Diagnostic("SP012", "the description does not say what it describes", where, 'it starts with: isa NAME "Title"')])
        if len(header) > 1:
            errors.append(Diagnostic("SP101", "a second 'isa' line", header[1].span))
        nodes = parsed + nodes
        chain.append(current)
        base = header[0].children[2] if header else None
        if header:
            headers.append(header[0])
        if base is None:
            break
        asked = base.span
        try:
            current = find(str(base), current.parent)
        except SpecError as error:
            raise SpecError([*errors, Diagnostic("SP010", error.diagnostics[0].message, asked, error.diagnostics[0].hint)]) from None
    if errors:
        raise Refused(errors, sources)
    try:
        isa = build(headers, nodes)
    except SpecError as error:
        raise Refused(list(error.diagnostics), sources) from None
    isa.sources = dict(reversed(list(sources.items())))
    return isa


class Refused(SpecError):
    """A :class:`SpecError` that knows the texts its places refer to (``sources``: file -> text)."""

    def __init__(self, diagnostics: list[Diagnostic], sources: dict[str, str]):
        super().__init__(diagnostics)
        self.sources = sources


def build(headers: list[Node], nodes: list[Node]) -> core.Isa:
    own = headers[0]
    name, title, _, cites, docs = own.children
    elaborator = Elaborator(str(name), strip(title), strip(cites) or strip(headers[-1].children[3]))
    if docs is not None:
        elaborator.isa.docs = [strip(word) for word in docs.children]
    return elaborator.run(nodes)


def strip(word: object) -> str:
    return "" if word is None else str(word)[1:-1]


def display(path: Path) -> str:
    """How a file is named in messages: relative to the bundle or as given."""
    try:
        return path.resolve().relative_to(BUNDLED.parent.resolve()).as_posix()
    except ValueError:
        return str(path)


__all__ = ["Mistake", "Refused", "bundled", "display", "find", "load", "loads", "read_text"]
