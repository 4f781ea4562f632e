"""Which private names of torch, Numba and llvmlite a file of the library writes down.

A name counts if it is imported, if it is written after the name of a dependency, or if it is
private and no file of the library defines it: ``module._parameters`` belongs to torch, although no
type is written there.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

DEPENDENCIES = ("torch", "numba", "llvmlite")
INTERNAL_MODULES = ("llvmlite", "numba.core", "numba.np")  # private without an underscore
NOT_PRIVATE = {  # in spite of the underscore
    *("_asdict", "_fields", "_make", "_replace"),  # of named tuples
    *("_no_weight_decay", "_optim"),  # which models set on their own parameters
}


def dependency_names(parsed: ast.Module, own: set[str]) -> list[tuple[int, str]]:
    """The lines and names; `own` are all names that the library defines."""
    roots = imported_roots(parsed)
    names = {
        (node.lineno, name) for node in ast.walk(parsed) for name in private_names(node, roots, own)
    }
    # Of torch._C and torch._C._autograd on one line, the whole is enough.
    parts = {
        (line, name)
        for line, name in names
        if any(at == line and other.startswith(f"{name}.") for at, other in names)
    }
    return sorted(names - parts)


def defined_names(parsed: ast.Module) -> set[str]:
    """The names that a file defines: functions, classes, variables and attributes."""
    names = set()
    for node in ast.walk(parsed):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name):
                names.add(name)
            case ast.Attribute(attr=name, ctx=ast.Store()) | ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
    return names


def imported_roots(parsed: ast.Module) -> dict[str, str]:
    """For each name that a file imports, the package that it comes from."""
    roots = {}
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            for alias in node.names:
                roots[alias.asname or alias.name.split(".")[0]] = alias.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                roots[alias.asname or alias.name] = (node.module or "").split(".")[0]
    return roots


def private_names(node: ast.AST, roots: Mapping[str, str], own: set[str]) -> list[str]:
    """The dependencies' private names that this node alone writes down."""
    match node:
        case ast.Import(names=aliases):
            return [alias.name for alias in aliases if is_private_path(alias.name)]
        case ast.ImportFrom(module=str(module), names=aliases):
            paths = [f"{module}.{alias.name}" for alias in aliases]
            return [path for path in paths if is_private_path(path)]
        case ast.Attribute(attr=name):
            text = ast.unparse(node)
            root, _, rest = text.partition(".")
            if root in roots:
                is_theirs = is_private_path(f"{roots[root]}.{rest}")
            else:
                is_theirs = is_private(name) and name not in own
            return [text] if is_theirs else []
        case ast.Call(
            func=ast.Name(id="getattr" | "hasattr" | "setattr" | "delattr"),
            args=[_, ast.Constant(value=str(name)), *_],
        ) if is_private(name) and name not in own:
            return [ast.unparse(node)]
    return []


def is_private(name: str) -> bool:
    """Whether a name is private; the ``_foreach_`` functions are torch's public secret."""
    is_dunder = name.startswith("__") and name.endswith("__")
    return (
        name.startswith("_")
        and not is_dunder
        and not name.startswith("_foreach_")
        and name not in NOT_PRIVATE
    )


def is_private_path(path: str) -> bool:
    """Whether "torch._C.thing" or the like passes through what a dependency keeps to itself."""
    if path.split(".")[0] not in DEPENDENCIES:
        return False
    is_internal = any(f"{path}.".startswith(f"{module}.") for module in INTERNAL_MODULES)
    return is_internal or any(map(is_private, path.split(".")))
