"""Report whatever in the repository refers to something outside it; `make check` runs this.

A clone has nothing beside it. A test that reads a file of a neighbouring folder passes where that
folder happens to be, and fails for everybody else. Looked at is every file that git tracks or would
track. A line may hold an allowance that gives its reason: `outside-ok: hostile input`.
"""

from __future__ import annotations

import ast
import json
import os
import posixpath
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]

# These two files hold what is looked for.
EXEMPT = {"tests/check_self_contained.py", "tests/test_self_contained.py"}
ALLOWANCE = re.compile(r"outside-ok: *\w")

# A folder of a developer's machine. `/user/...` of JupyterHub and `$HOME/...` are none.
MACHINE = re.compile(
    r"(?<![\w.$)}/~-])/(?:home|root|work|workspaces?|Users|mnt|private/var)/[\w.]+"
    r"|(?<!\w)[A-Za-z]:\\{1,2}Users\\{1,2}\w+"
)
NEIGHBOUR = re.compile(r"(?<![\w/.$)}-])(?:\.{1,2}/)*shared/")
REGISTRY = re.compile(
    r"(?:(?:test\.|upload\.)?pypi\.org|files\.pythonhosted\.org|download\.pytorch\.org"
    r"|(?:registry\.)?npmjs\.(?:org|com)|registry\.yarnpkg\.com|(?:deb|security)\.debian\.org"
    r"|(?:archive|security)\.ubuntu\.com|(?:conda\.)?anaconda\.org|proxy\.golang\.org|crates\.io"
    r"|ghcr\.io|quay\.io|docker\.io|cdn\.jsdelivr\.net|unpkg\.com|cdnjs\.cloudflare\.com)\b"
    r"|--(?:extra-)?index-url\b|--find-links\b"
)
# Text around a `..` that stands between slashes; a `)`, `}` or `"` before is the end of a variable.
UPWARD = re.compile(r"(?P<start>[)}\"']?)(?P<path>[\w.@/-]*(?<![\w.])\.\.(?![\w.])[\w.@/-]*)")
MARKDOWN_LINK = re.compile(
    r"\]\(\s*<?([^)>\s#]*)|^\s*\[[^\]]+\]:\s*<?([^>\s#]+)|\b(?:src|href)=[\"']([^\"'#]*)"
)
# Token texts and tables are data: a `..` in them is no path.
DATA = {".json", ".csv", ".tsv", ".svg"}
# Where the system itself answers.
SYSTEM = ("/dev/", "/proc/", "/sys/")
PATHS = {"Path", "PurePath", "PosixPath"}
# What looks at the path that it is given, and what looks at the path that it is a method of.
OPENERS = {"open", "listdir", "scandir", "walk", "exists", "isfile", "isdir"}
READERS = {"open", "read_text", "read_bytes", "iterdir", "glob", "rglob", "exists", "is_file"}


@dataclass(frozen=True, order=True)
class Finding:
    """A line that refers to something outside the repository."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


def leads_out(path: str, folder: str) -> bool:
    """Whether a relative path, followed from a folder of the repository, leaves the repository."""
    return posixpath.normpath(posixpath.join(folder, path)).split("/")[0] == ".."


def in_text(file: str, text: str, *, links: bool = True) -> Iterator[Finding]:
    """Look at the lines of a file of any kind."""
    suffix, folder = PurePosixPath(file).suffix, posixpath.dirname(file)
    for number, line in enumerate(text.splitlines(), start=1):
        for kind, pattern in (
            ("a folder of one machine", MACHINE),
            ("a folder beside the repository", NEIGHBOUR),
            ("a package registry", REGISTRY),
        ):
            for found in pattern.finditer(line):
                yield Finding(file, number, f"{kind}: {found[0]}")
        # Python is parsed instead, and links of Markdown are followed.
        if not links or suffix == ".py" or suffix in DATA:
            continue
        line_without_links = MARKDOWN_LINK.sub("](", line) if suffix == ".md" else line
        for found in UPWARD.finditer(line_without_links):
            path = found["path"]
            relative = not path.startswith("/") or found["start"] != ""
            if relative and leads_out(path.lstrip("/"), folder):
                yield Finding(file, number, f"leads out of the repository: {path}")


def in_markdown(file: str, text: str, files: set[str]) -> Iterator[Finding]:
    """Follow the relative links of a Markdown file; each leads to a file or folder that git has."""
    folders = {str(parent) for name in files for parent in PurePosixPath(name).parents}
    for number, line in enumerate(text.splitlines(), start=1):
        for groups in MARKDOWN_LINK.findall(line):
            target = next((group for group in groups if group), "")
            if not target or "://" in target or target.startswith(("mailto:", "data:")):
                continue
            place = posixpath.normpath(posixpath.join(posixpath.dirname(file), target))
            if target.startswith("/") or leads_out(target, posixpath.dirname(file)):
                yield Finding(file, number, f"a link out of the repository: {target}")
            elif place not in files | folders:
                yield Finding(file, number, f"a link to a file that is not there: {target}")


@dataclass(frozen=True)
class Place:
    """A path below the repository's root, or `ups` folders above it."""

    parts: tuple[str, ...] = ()
    ups: int = 0

    def joined(self, path: str) -> Place | None:
        """Return the place that a relative path leads to; None for an absolute path."""
        if path.startswith("/"):
            return None
        place = self
        for part in PurePosixPath(path).parts:
            place = place.up() if part == ".." else Place((*place.parts, part), place.ups)
        return place

    def up(self, steps: int = 1) -> Place:
        beyond = max(0, steps - len(self.parts))
        return Place(self.parts[: max(0, len(self.parts) - steps)], self.ups + beyond)


@dataclass
class Sources:
    """The Python files of the repository and what their names at module level stand for."""

    root: Path
    files: set[str]
    names: dict[str, dict[str, Place | str]] = field(default_factory=dict)

    def module(self, dotted: str) -> str | None:
        """Return the file of a module of the repository, or None."""
        base = dotted.removeprefix("concept_fragmentation").lstrip(".").replace(".", "/")
        candidates = (f"{base}.py", f"{base}/__init__.py".lstrip("/"))
        return next((name for name in candidates if name in self.files), None)

    def names_of(self, file: str) -> dict[str, Place | str]:
        if file not in self.names:
            self.names[file] = {}  # what imports itself in a circle ends here
            tree = ast.parse((self.root / file).read_text(encoding="utf-8"))
            reader = Reader(self, file, {})
            for statement in tree.body:
                reader.learn(statement)
            self.names[file] = reader.names
        return self.names[file]


@dataclass
class Reader:
    """Evaluates the expressions of one file that stand for a place."""

    sources: Sources
    file: str
    names: dict[str, Place | str]

    def learn(self, node: ast.AST) -> None:
        """Note what an assignment or import binds a name to."""
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                name = alias.asname or alias.name
                if inner := self.sources.module(f"{node.module}.{alias.name}"):
                    self.names[f"{name}.__file__"] = Place(tuple(inner.split("/")))
                elif outer := self.sources.module(node.module):
                    value = self.sources.names_of(outer).get(alias.name)
                    if value is not None:
                        self.names[name] = value
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            value = self.value(node.value)
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name) and value is not None:
                    self.names[target.id] = value

    def value(self, node: ast.AST) -> Place | str | None:  # noqa: PLR0911 - one a kind of node
        """Return the place or text that an expression stands for; None where it is neither."""
        match node:
            case ast.Constant(value=str(text)):
                return text
            case ast.Name(id="__file__"):
                return Place(tuple(self.file.split("/")))
            case ast.Name(id=name):
                return self.names.get(name)
            case ast.Attribute(value=ast.Name(id=name), attr="__file__"):
                return self.names.get(f"{name}.__file__")
            case ast.Attribute(value=inner, attr="parent"):
                place = self.place(inner)
                return place.up() if place else None
            case ast.Subscript(value=ast.Attribute(value=inner, attr="parents"), slice=index):
                place = self.place(inner)
                steps = index.value if isinstance(index, ast.Constant) else None
                return place.up(steps + 1) if place and isinstance(steps, int) else None
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return self.joined(left, [right])
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self.added([left, right])
            case ast.JoinedStr(values=values):
                return self.added(values)
            case ast.FormattedValue(value=inner):
                return self.value(inner)
            case ast.Call():
                return self.called(node)
        return None

    def place(self, node: ast.AST) -> Place | None:
        value = self.value(node)
        return value if isinstance(value, Place) else None

    def joined(self, base: ast.AST, parts: Iterable[ast.AST]) -> Place | None:
        place = self.place(base)
        for part in parts:
            text = self.value(part)
            if place is None:
                return None
            # A name that is not known is some file below.
            place = place.joined(text) if isinstance(text, str) else place.joined("?")
        return place

    def added(self, parts: list[ast.expr]) -> Place | str | None:
        start, *rest = (self.value(part) for part in parts)
        texts = [text if isinstance(text, str) else "?" for text in rest]
        if isinstance(start, Place):
            return start.joined("".join(texts).lstrip("/"))
        return start + "".join(texts) if isinstance(start, str) else None

    def called(self, node: ast.Call) -> Place | str | None:  # noqa: PLR0911 - one a function
        function, arguments = node.func, node.args
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if isinstance(function, ast.Attribute):
            inner = self.place(function.value)
            if inner and name in {"resolve", "absolute", "expanduser"}:
                return inner
            if inner and name == "joinpath":
                return self.joined(function.value, arguments)
            if inner and name in {"with_name", "with_suffix", "with_stem"}:
                return inner.up().joined("?")
            if name in {"cwd", "getcwd"}:  # tests and scripts run in the root
                return Place()
        if name in {"str", "abspath", "realpath", "fspath", "normpath"} and arguments:
            return self.value(arguments[0])
        if name == "dirname" and arguments:
            place = self.place(arguments[0])
            return place.up() if place else None
        if name in {*PATHS, "join"} and arguments:
            first, *rest = arguments
            value = self.value(first)
            place = Place().joined(value) if isinstance(value, str) else value
            for part in rest:
                text = self.value(part)
                place = place.joined(text if isinstance(text, str) else "?") if place else None
            return place
        return None

    def opened(self, node: ast.Call) -> str:
        """Return the text of a path that a call looks at, or one that is relative; else nothing."""
        function = node.func
        name = getattr(function, "attr", getattr(function, "id", ""))
        if name in READERS and isinstance(function, ast.Attribute):
            made = function.value
            if isinstance(made, ast.Call) and getattr(made.func, "id", "") in PATHS and made.args:
                text = self.value(made.args[0])
                return text if isinstance(text, str) else ""
        text = self.value(node.args[0]) if node.args else None
        if not isinstance(text, str):
            return ""
        if name in OPENERS:
            return text
        # An absolute path in a variable is data as often as not.
        return text if name in {*PATHS, "join"} and not text.startswith("/") else ""


def in_python(file: str, text: str, sources: Sources, first_line: int = 1) -> Iterator[Finding]:
    """Evaluate every path of a Python file that is built from known parts."""
    reader = Reader(sources, file, {})

    def walk(node: ast.AST) -> Iterator[Finding]:
        reader.learn(node)
        line = first_line - 1 + getattr(node, "lineno", 1)
        place = reader.value(node) if isinstance(node, ast.expr) else None
        if isinstance(place, Place) and place.ups:
            yield Finding(file, line, f"leads out of the repository: {ast.unparse(node)}")
            return  # one finding for the whole of an expression
        if isinstance(node, ast.For | ast.comprehension):
            iterated = node.iter
            if (
                isinstance(iterated, ast.Attribute)
                and iterated.attr == "parents"
                and reader.place(iterated.value)
            ):
                line = first_line - 1 + iterated.lineno
                yield Finding(file, line, f"climbs out of the repository: {ast.unparse(iterated)}")
        if isinstance(node, ast.Call):
            given = reader.opened(node)
            absolute = given.startswith("/") and not given.startswith(SYSTEM)
            if absolute or (not given.startswith("/") and leads_out(given, "")):
                yield Finding(file, line, f"leads out of the repository: {ast.unparse(node)}")
        outer = dict(reader.names)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            for parameter in ast.walk(node.args):
                if isinstance(parameter, ast.arg):
                    reader.names.pop(parameter.arg, None)
        for child in ast.iter_child_nodes(node):
            yield from walk(child)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            reader.names = outer

    yield from walk(ast.parse(textwrap.dedent(text)))


def in_notebook(file: str, text: str, sources: Sources) -> Iterator[Finding]:
    """Look at the cells of a notebook."""
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            yield from in_markdown(file, source, sources.files)
        elif cell["cell_type"] == "code":
            magic = re.compile(r"^\s*[%!].*$", re.MULTILINE)
            yield from in_python(file, magic.sub("pass", source), sources)


def listed(root: Path) -> dict[str, str]:
    """Return the mode of every file that git tracks, or would track, by its path."""
    command = ["git", "-C", os.fspath(root), "ls-files", "-z"]
    tracked = subprocess.run([*command, "--stage"], capture_output=True, text=True, check=True)
    found = {}
    for entry in filter(None, tracked.stdout.split("\0")):
        about, _, name = entry.partition("\t")
        found[name] = about.split()[0]
    others = subprocess.run(
        [*command, "--others", "--exclude-standard"], capture_output=True, text=True, check=True
    )
    found |= dict.fromkeys(filter(None, others.stdout.split("\0")), "new")
    return {name: mode for name, mode in found.items() if os.path.lexists(root / name)}


def in_repository(root: Path) -> Iterator[Finding]:
    """Look at every file of a repository, lines with an allowance left out."""
    modes = listed(root)
    sources = Sources(root, set(modes))
    for file in sorted(sources.files - EXEMPT):
        path = root / file
        if path.is_symlink():
            target = os.readlink(path)  # noqa: PTH115 - the text of the link, as git has it
            if target.startswith("/") or leads_out(target, posixpath.dirname(file)):
                yield Finding(file, 1, f"a link out of the repository: {target}")
            continue
        data = path.read_bytes()
        if b"\0" in data[:8000] or not path.is_file():
            continue
        text = data.decode("utf-8", errors="replace")
        lines = text.splitlines()
        for finding in _in_file(file, text, sources):
            line = lines[finding.line - 1] if finding.line <= len(lines) else ""
            if not ALLOWANCE.search(line):
                yield finding


def _in_file(file: str, text: str, sources: Sources) -> Iterator[Finding]:
    suffix = PurePosixPath(file).suffix
    yield from in_text(file, text, links=suffix != ".ipynb")
    if suffix == ".py":
        yield from in_python(file, text, sources)
    elif suffix == ".md":
        yield from in_markdown(file, text, sources.files)
    elif suffix == ".ipynb":
        yield from in_notebook(file, text, sources)


def main() -> None:
    """Print what was found; leave with an error if it is anything."""
    findings = sorted(set(in_repository(ROOT)))
    if findings:
        sys.exit(
            "\n".join(map(str, findings))
            + "\nA clone has none of these. Ship what is needed; where such a text is meant as "
            "data, write `outside-ok:` and the reason on its line."
        )


if __name__ == "__main__":
    main()
