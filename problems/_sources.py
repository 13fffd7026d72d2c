"""What a module rests on, read off its imports: the key of whatever is stored of its results."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
C_FILES = ("*.c", "*.h")


def sources(module: str) -> list[Path]:
    """The files of this checkout behind a module, itself included, sorted: all that it imports, in functions too, and theirs.

    Imports for type checkers alone are left out. A package brings the C files of its folder along.
    """
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        path = _file(waiting.pop())
        if path is None or path in found:
            continue
        found.add(path)
        if path.name == "__init__.py":
            found.update(file for pattern in C_FILES for file in path.parent.glob(pattern))
        waiting.extend(_imports(ast.parse(path.read_text(encoding="utf-8"))))
    return sorted(found)


def _file(module: str) -> Path | None:
    """None where the module is not one of this checkout."""
    place = ROOT.joinpath(*module.split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def _imports(tree: ast.AST) -> Iterator[str]:
    """The modules imported; of `from package import name` the module `name` where it is one, else the package."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if _file(inner) else node.module
        else:
            yield from _imports(node)
