"""What a module rests on, read off its imports: the key of whatever is stored of its results."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
C_FILES = ("*.c", "*.h")


def sources(module: str) -> list[Path]:
    """The files of this checkout behind a module, itself included, sorted: all that it imports, in functions too, and theirs.

    Imports for type checkers alone are left out. A package brings the C files of its folder along.
    """
    return sorted(_behind([module], ROOT))


def beside(file: Path) -> list[Path]:
    """The same of a file outside: what of its imports lies in its folder, and theirs."""
    folder = file.resolve().parent
    return sorted({file.resolve()} | _behind(_imports(file, "", folder), folder))


def _behind(modules: Iterable[str], root: Path) -> set[Path]:
    found: set[Path] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        path = _file(module, root)
        if path is None or path in found:
            continue
        found.add(path)
        is_package = path.name == "__init__.py"
        if is_package:
            found.update(file for pattern in C_FILES for file in path.parent.glob(pattern))
        waiting.extend(_imports(path, module if is_package else module.rpartition(".")[0], root))
    return found


def _file(module: str, root: Path) -> Path | None:
    """None where the module is not one of this folder."""
    place = root.joinpath(*module.split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def _imports(file: Path, package: str, root: Path) -> Iterator[str]:
    """The modules that a file of the package imports; none where it is no Python, for then it gives no results."""
    with suppress(SyntaxError, ValueError):
        for node in _statements(ast.parse(file.read_bytes())):
            if isinstance(node, ast.Import):
                yield from (part for alias in node.names for part in _chain(alias.name))
            else:
                base = _base(node, package)
                inner = [".".join(filter(None, (base, alias.name))) for alias in node.names]
                yield from (name if _file(name, root) else base for name in inner if base or _file(name, root))


def _statements(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        else:
            yield from _statements(node)


def _chain(name: str) -> Iterator[str]:
    """a, a.b and a.b.c of `import a.b.c`, which binds a."""
    parts = name.split(".")
    return (".".join(parts[:count]) for count in range(1, len(parts) + 1))


def _base(node: ast.ImportFrom, package: str) -> str:
    """The module that is imported from; a relative one counts its dots from the package."""
    if not node.level:
        return node.module or ""
    parents = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join(filter(None, [*parents, node.module]))
