"""The rules that every file of the library keeps; `make check` runs them.

    python tests/house_rules.py

- length: a file has at most 300 lines.
- body: a function has at most 40 lines after its docstring.
- circle: no file imports itself by way of others. Imports inside functions and under
  TYPE_CHECKING count: a reader has to follow them as well.
- private: private names of torch, Numba and llvmlite stand in two files only, each with a fallback.
- example: every name in a package's ``__all__``, and every public method, is shown at work.

ruff counts the branches of a function, and import-linter holds the order of the folders.

A file that breaks a rule for now is listed in pyproject.toml, in the table of that rule under
``tool.house-rules``, with the reason. A folder stands for all files below it. What is listed is
printed as what is left to do, and an entry that is no longer needed is an error.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
import tomllib
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import grimp

from private_names import defined_names, dependency_names

MOST_LINES, MOST_BODY_LINES = 300, 40
PRIVATE_HOMES = ("torch/private.py", "kernels/private.py")  # within the package


class Finding(NamedTuple):
    """A rule that a file breaks."""

    rule: str
    file: str  # as in "src/shrinkage/errors.py"
    message: str


class Tree:
    """The files of one package, parsed: ``root/src/package``."""

    def __init__(self, root: Path, package: str) -> None:
        self.package = package
        self.sources = {
            path.relative_to(root).as_posix(): path.read_text("utf-8")
            for path in sorted((root / "src" / package).rglob("*.py"))
        }
        self.parsed = {file: ast.parse(source) for file, source in self.sources.items()}
        self.files = {
            file.removeprefix("src/").removesuffix(".py").removesuffix("/__init__"): file
            for file in self.sources
        }

    def file_of(self, module: str) -> str:
        """The file of a module, "src/shrinkage/errors.py" for "shrinkage.errors"."""
        return self.files[module.replace(".", "/")]


def find_long_files(tree: Tree) -> Iterator[Finding]:
    for file, source in tree.sources.items():
        lines = len(source.splitlines())
        if lines > MOST_LINES:
            yield Finding("length", file, f"{lines} lines, but at most {MOST_LINES} are allowed")


def find_long_bodies(tree: Tree) -> Iterator[Finding]:
    for file, parsed in tree.parsed.items():
        for node in ast.walk(parsed):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            body = node.body if ast.get_docstring(node) is None else node.body[1:]
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            if lines > MOST_BODY_LINES:
                yield Finding(
                    "body",
                    file,
                    f"{node.name} (line {node.lineno}) has {lines} lines after its docstring, "
                    f"but at most {MOST_BODY_LINES} are allowed",
                )


def find_circles(tree: Tree) -> Iterator[Finding]:
    """For each module that can come back to itself, the shortest circle; each circle once."""
    graph = grimp.build_graph(tree.package, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    seen = set()
    for module in sorted(imports):
        circle = shortest_circle(imports, module)
        if circle is None or frozenset(circle) in seen:
            continue
        seen.add(frozenset(circle))
        arrows = [
            f"{tree.file_of(importer)}:"
            f"{graph.get_import_details(importer=importer, imported=imported)[0]['line_number']} "
            f"imports {imported}"
            for importer, imported in zip(circle, [*circle[1:], circle[0]], strict=True)
        ]
        lines = "".join(f"\n    {arrow}" for arrow in arrows)
        yield Finding("circle", tree.file_of(module), f"imports itself by way of others:{lines}")


def shortest_circle(imports: Mapping[str, set[str]], start: str) -> list[str] | None:
    """The modules on the shortest way from `start` back to it, found breadth first."""
    paths, seen = deque([[start]]), {start}
    while paths:
        path = paths.popleft()
        for module in sorted(imports[path[-1]]):
            if module == start:
                return path
            if module not in seen:
                seen.add(module)
                paths.append([*path, module])
    return None


def find_private_names(tree: Tree) -> Iterator[Finding]:
    own = set().union(*(defined_names(parsed) for parsed in tree.parsed.values()))
    homes = [f"src/{tree.package}/{home}" for home in PRIVATE_HOMES]
    for file, parsed in tree.parsed.items():
        if file not in homes:
            for line, name in dependency_names(parsed, own):
                yield Finding("private", file, f"line {line}: {name} belongs to a dependency")


def find_missing_examples(tree: Tree) -> Iterator[Finding]:
    """Public names and methods without an example, and public properties without a docstring.

    An example is a doctest or an indented block after ``::``. A method may instead be called in an
    example of its class, of a class above that, or of the module that defines one of them. One that
    overrides a method of another package, as ``state_dict`` does torch's, needs a docstring alone.
    """
    seen = set()
    for module, path in sorted(tree.files.items()):
        is_public = re.search(r"^__all__\b", tree.sources[path], re.MULTILINE)
        if not (is_public and path.endswith("/__init__.py")):
            continue
        exporter = importlib.import_module(module.replace("/", "."))
        for name in exporter.__all__:
            thing = getattr(exporter, name)
            if id(thing) in seen:
                continue
            seen.add(id(thing))
            home = thing.__name__ if isinstance(thing, ModuleType) else thing.__module__
            file = tree.file_of(home)
            if not example_in(inspect.getdoc(thing)):
                yield Finding("example", file, f"{name} has no example in its docstring")
            if isinstance(thing, type):
                yield from find_missing_in_class(tree, thing, seen)


def find_missing_in_class(tree: Tree, owner: type, seen: set[int]) -> Iterator[Finding]:
    """The same for the public methods and properties of a class, each where it is first defined."""
    ours = [base for base in owner.__mro__ if base.__module__.split(".")[0] == tree.package]
    examples = "\n".join(
        example_in(text)
        for base in ours
        for text in (base.__doc__, sys.modules[base.__module__].__doc__)
    )
    homes = {name: base for base in ours for name in vars(base)}  # the uppermost base wins
    for name, base in homes.items():
        member = vars(base)[name]
        is_property = isinstance(member, property)
        function = member.fget if is_property else getattr(member, "__func__", member)
        if name.startswith("_") or not inspect.isfunction(function) or id(function) in seen:
            continue
        seen.add(id(function))
        text, file = inspect.getdoc(getattr(base, name)), tree.file_of(base.__module__)
        is_shown = example_in(text) or re.search(rf"\.{name}\(", examples)
        is_override = any(name in vars(other) for other in owner.__mro__ if other not in ours)
        if not text:
            yield Finding("example", file, f"{base.__name__}.{name} has no docstring")
        elif not (is_shown or is_property or is_override):
            yield Finding("example", file, f"{base.__name__}.{name} is shown in no example")


def example_in(docstring: str | None) -> str:
    """The lines of a docstring that are code: after ``>>>``, or indented after ``::``."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    code, block_indent = [], None
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if line.strip() and block_indent is not None and indent <= block_indent:
            block_indent = None
        if block_indent is not None or line.lstrip().startswith((">>>", "...")):
            code.append(line)
        elif line.rstrip().endswith("::"):
            block_indent = indent
    return "\n".join(code).strip()


RULES = {
    "length": find_long_files,
    "body": find_long_bodies,
    "circle": find_circles,
    "private": find_private_names,
    "example": find_missing_examples,
}


def check(tree: Tree, exceptions: Mapping[str, Mapping[str, str]]) -> tuple[list[str], list[str]]:
    """What is wrong, and what is left to do: a message for each."""
    wrong = [f"tool.house-rules: there is no rule {rule!r}" for rule in exceptions.keys() - RULES]
    left = []
    for rule, find in RULES.items():
        allowed = exceptions.get(rule, {})
        counts = dict.fromkeys(allowed, 0)
        for finding in find(tree):
            entries = [
                entry for entry in allowed if f"{finding.file}/".startswith(f"{entry.rstrip('/')}/")
            ]
            for entry in entries:
                counts[entry] += 1
            if not entries:
                wrong.append(f"{finding.file}: {rule}: {finding.message}")
        for entry, count in counts.items():
            if count:
                left.append(f"{entry}: {rule}: {count} left: {allowed[entry]}")
            else:
                wrong.append(
                    f"{entry}: {rule}: keeps the rule now: remove it from tool.house-rules"
                )
    return wrong, left


def main() -> None:
    root = Path(__file__).resolve().parents[1]
    sys.path.insert(0, str(root / "src"))
    settings = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    wrong, left = check(Tree(root, "shrinkage"), settings["tool"].get("house-rules", {}))
    for line in left:
        print(f"left to do: {line}")
    for line in wrong:
        print(line)
    print(f"House rules: {len(wrong)} broken, {len(left)} left to do.")
    raise SystemExit(bool(wrong))


if __name__ == "__main__":
    main()
