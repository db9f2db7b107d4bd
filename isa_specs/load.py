"""Finding and loading descriptions: bundled names, paths, and what they extend.

The reader and the elaborator are imported only where a description is read: one kept from an earlier run needs neither."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from isa_specs import core
from isa_specs.diagnostics import Diagnostic, Mistake, Span, SpecError, nearest
from isa_specs.nodes import Node, Word

BUNDLED = Path(__file__).parent
MAX_BYTES = 320_000  # far beyond any real description, and near enough that what is refused is refused at once
MAX_CHAIN = 20  # descriptions that extend each other


def bundled() -> dict[str, Path]:
    """The descriptions that come with the package: name -> file. A new ISA is found by being there."""
    files = sorted(BUNDLED.glob("*.spec")) + sorted(BUNDLED.glob("*/*.spec"))
    return {path.relative_to(BUNDLED).with_suffix("").as_posix(): path for path in files}


def find(name: str) -> Path:
    """The file of a path or bundled name."""
    path = Path(name)
    if path.suffix == ".spec":
        return path
    found = among_bundled(name)
    if found is not None:
        return found
    if is_file(path):
        return path
    raise no_such(name, Span(name, 0, 0, 0, 0), "a path to a .spec file, or one of the names 'vcheck list' shows")


def base(name: Word, folder: Path | None) -> Path:
    """The file of a description that one in ``folder`` extends: beside it, or bundled. Only a name, so it leads nowhere else."""
    if folder is not None and is_file(folder / f"{name}.spec"):
        return folder / f"{name}.spec"
    found = among_bundled(name)
    if found is None:
        raise no_such(name, name.span, "a bundled description, or NAME.spec in the same folder")
    return found


def among_bundled(name: str) -> Path | None:
    return next((file for key, file in bundled().items() if name in (key, key.rsplit("/", 1)[-1])), None)


def is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name no file can have
        return False


def no_such(name: str, where: Span, hint: str) -> SpecError:
    return SpecError([Diagnostic("SP010", f"there is no description '{name[:100]}'", where, nearest(name, bundled()) or hint)])


def read_text(path: Path, shown: str) -> str:
    """The text of a description. Raises :class:`SpecError` when it is not readable text of sane size."""
    try:
        with path.open("rb") as handle:
            data = handle.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SpecError([Diagnostic("SP010", f"cannot read {shown}: {reason}", Span(shown, 0, 0, 0, 0))]) from None
    if len(data) > MAX_BYTES:
        raise SpecError([too_large(shown)])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError([Diagnostic("SP011", f"{shown} is not UTF-8 text (byte {error.start})", Span(shown, 0, 0, 0, 0))]) from None
    check_text(text, shown)
    return text


def check_text(text: str, shown: str) -> None:
    nowhere = Span(shown, 0, 0, 0, 0)
    if len(text) > MAX_BYTES:
        raise SpecError([too_large(shown)])
    if "\0" in text:
        raise SpecError([Diagnostic("SP011", f"{shown} is a binary file", nowhere)])
    if not text.strip():
        raise SpecError([Diagnostic("SP012", f"{shown} is empty", nowhere, 'a description starts with: isa NAME "Title"')])


def too_large(shown: str) -> Diagnostic:
    return Diagnostic("SP011", f"{shown} is larger than {MAX_BYTES // 1000} kB", Span(shown, 0, 0, 0, 0))


def load(name: str | Path) -> core.Isa:
    """Load a description by path or bundled name, with everything it extends.

    Raises :class:`SpecError` carrying every mistake found."""
    path = find(str(name))
    shown = display(path)
    return load_chain(path, shown, read_text(path, shown))


def loads(text: str, name: str = "text.spec") -> core.Isa:
    """Load a description from text; what it extends is looked up among the bundled ones."""
    check_text(text, name)
    return load_chain(None, name, text)


@contextmanager
def collector_paused() -> Iterator[None]:
    """For work that leaves hardly any garbage before its end: to look for some takes a tenth to a quarter of the time."""
    paused = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if paused:
            # To the oldest generation, untouched: else all there is would be looked through as soon as the collector goes on.
            gc.freeze()
            gc.unfreeze()
            gc.enable()


@collector_paused()
def load_chain(path: Path | None, shown: str, text: str) -> core.Isa:
    """Load ``text``, the contents of ``path``, and what it extends."""
    from isa_specs.reader import parse

    sources = {shown: text}  # own first, base last
    nodes: list[Node] = []
    headers: list[Node] = []
    errors: list[Diagnostic] = []
    try:
        while True:
            parsed, syntax = parse(text, shown)
            errors += syntax
            nodes = parsed + nodes
            header = header_of(parsed, shown, errors)
            if header is None:
                break
            headers.append(header)
            name = header.children[2]
            if name is None:
                break
            path = base(name, path.parent if path is not None else None)
            shown = display(path)
            if shown in sources or len(sources) == MAX_CHAIN:
                raise SpecError([Diagnostic("SP013", f"'extends' leads back to {shown}", name.span, "a description cannot extend itself")])
            text = sources[shown] = read_text(path, shown)
        if not errors:
            isa = build(headers, nodes, sum(map(len, sources.values())))
    except SpecError as error:
        errors += error.diagnostics
    except RecursionError:  # the limits leave room, but not to a caller who has used up most of the stack
        errors.append(Diagnostic("SP004", "nested too deeply for the room that is left on the stack", headers[0].span))
    if errors:
        raise Refused(errors, sources)
    isa.sources = dict(reversed(list(sources.items())))
    return isa


def header_of(nodes: list[Node], shown: str, errors: list[Diagnostic]) -> Node | None:
    """The ``isa`` line of a file."""
    found = [node for node in nodes if node.kind == "isa"]
    if len(found) > 1:
        errors.append(Diagnostic("SP101", "a second 'isa' line", found[1].span))
    if not found and not errors:
        errors.append(Diagnostic("SP012", "the description does not say what it describes", Span(shown, 1, 1, 1, 2),
                                 'it starts with: isa NAME "Title"'))
    return found[0] if found else None


class Refused(SpecError):
    """A :class:`SpecError` that knows the texts its places refer to (``sources``: file -> text)."""

    def __init__(self, diagnostics: list[Diagnostic], sources: dict[str, str]):
        super().__init__(diagnostics)
        self.sources = sources


def build(headers: list[Node], nodes: list[Node], size: int) -> core.Isa:
    from isa_specs.elaborate import Elaborator

    own = headers[0]
    name, title, _, cites, docs = own.children
    elaborator = Elaborator(str(name), strip(title), strip(cites) or strip(headers[-1].children[3]), size)
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
