"""The arrows between the folders, and which libraries may be imported where, read from the source with ast."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import dargmin

ROOT = Path(__file__).resolve().parent.parent
OURS = ("problems", "methods", "harness", "results", "reports")
FACADE = "dargmin.py"  # who imports a name from it imports the module behind the name

EXCEPTIONS = {"harness/cli.py": ("reports",)}  # it ends a run with a report
TABLES = {"pandas": ("results", "reports"), "seaborn": ("reports",), "matplotlib": ("reports",)}
HEAVY = {
    *("torch", "jax", "jaxlib", "cvxpy", "cvxpylayers", "diffcp", "scs", "clarabel", "daqp", "cffi"),
    *("optimistix", "lineax", "jaxopt", "proxsuite", "osqp", "qpax", "torchopt", "moreau", "distributed"),
}


SHARED = ("methods.base", "methods.calculus")
BINDING = "problems/kernels/binding.py"  # where alone C is bound


@dataclass(frozen=True)
class Import:
    """One imported dotted name; `eager`: it happens when the module is imported."""

    name: str
    eager: bool

    @property
    def top(self) -> str:
        return self.name.split(".")[0]


def imports(source: str, package: str = "") -> Iterator[Import]:
    """Every import of a source; relative ones are resolved against the dotted `package`."""
    yield from _walk(ast.parse(source), package, True)


def _walk(node: ast.AST, package: str, eager: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, eager) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            base = _base(child, package)
            yield from (Import(f"{base}.{alias.name}", eager) for alias in child.names)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _walk(child, package, False)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from _walk(ast.Module(child.body, []), package, False)
            yield from _walk(ast.Module(child.orelse, []), package, eager)
        else:
            yield from _walk(child, package, eager)


def _base(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parents = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*parents, *([node.module] if node.module else [])])


def violations(path: str, source: str) -> list[str]:
    """The broken rules of one file; `path` is relative to the root, such as methods/blorc.py."""
    found = [*imports(source, ".".join(path.split("/")[:-1])), *_used_of_dargmin(source)]
    return [f"{path}: {reason}: {entry.name}" for entry in map(_behind, found) if (reason := _reason(path, entry))]


def _used_of_dargmin(source: str) -> Iterator[Import]:
    """dargmin.Name for every dm.Name after `import dargmin as dm`."""
    nodes = list(ast.walk(ast.parse(source)))
    aliases = [alias for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    bound = {alias.asname or alias.name for alias in aliases if alias.name == "dargmin"}
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in bound:
            yield Import(f"dargmin.{node.attr}", False)


def _behind(entry: Import) -> Import:
    """A name of dargmin as that of the module which defines it."""
    top, _, name = entry.name.partition(".")
    homes = [module for module, names in dargmin.NAMES.items() if top == "dargmin" and name in names.split()]
    return Import(f"{homes[0]}.{name}", entry.eager) if homes else entry


@cache
def room(folder: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """(the dotted name of the room that a folder is of, what it may import of ours, what it never may): its map says so.

    A folder without the line is of the room around it; what a folder never may, no room in it may.
    """
    if folder == FACADE:
        return FACADE, ("problems", "methods", "results", "reports"), ()
    around = room(folder.rpartition("/")[0]) if "/" in folder else ("", (), ())
    map_ = ROOT / folder / "__init__.py"
    said = " ".join((ast.get_docstring(ast.parse(map_.read_text())) or "").split()) if map_.exists() else ""
    never = (*around[2], *_names("Never: ", said))
    if "May import: " not in said:
        return around[0], around[1], never
    own = folder.replace("/", ".")
    return own, (own, *_names("May import: ", said)), never


def _names(start: str, said: str) -> tuple[str, ...]:
    """The dotted names of a sentence of a map, such as `May import: methods.base, problems.`"""
    sentence = f"{said} ".partition(start)[2].partition(". ")[0]
    return tuple(name for name in sentence.split(", ") if name.split(".")[0] in OURS)


def _within(name: str, places: tuple[str, ...]) -> bool:
    return any(f"{name}.".startswith(f"{place}.") for place in places)


def _reason(path: str, entry: Import) -> str:
    package = path.split("/")[0]
    own, allowed, never = room(path.rpartition("/")[0] or FACADE)
    if entry.top in OURS and (not _within(entry.name, allowed + EXCEPTIONS.get(path, ())) or _within(entry.name, never)):
        return f"{own} must not import {entry.top}"
    if entry.top in TABLES and package not in TABLES[entry.top]:
        return f"only {' and '.join(TABLES[entry.top])} may import {entry.top}"
    if entry.eager and entry.top in HEAVY and not _is_layer(path, entry):
        return "imported at module level"
    if entry.top == "cffi" and path != BINDING:
        return f"only {BINDING} may import cffi"
    if entry.top == "tests" or entry.top.startswith("test_"):
        return "nothing imports tests"
    return "one method file imports another" if _crosses_methods(path, entry) else ""


def _is_layer(path: str, entry: Import) -> bool:
    """Whether the file is of the layer of that framework, and loaded when it is first used: methods/layers/torch_layer.py."""
    return path.startswith(f"methods/layers/{entry.top}_")


@cache
def strategies() -> frozenset[str]:
    """The modules of the strategies: what methods/__init__.py imports, but for what they share."""
    tree = ast.parse((ROOT / "methods" / "__init__.py").read_text())
    found = {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return frozenset(name for name in found if name.startswith("methods.") and not _within(name, SHARED))


def _crosses_methods(path: str, entry: Import) -> bool:
    """Whether a file of methods/ imports a strategy; the maps, which list them, may."""
    if not path.startswith("methods/") or path.endswith("__init__.py"):
        return False
    return entry.name in ("methods.blorc", "methods.blorc.Blorc") or _within(entry.name, tuple(strategies()))


def private(source: str) -> list[str]:
    """Names with an underscore in front that are reached through an import of somebody else's package."""
    tree, found = ast.parse(source), []
    bound: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            dotted = [(alias.asname or alias.name.split(".")[0], alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            dotted = [(alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names]
        else:
            continue
        others = [(name, path) for name, path in dotted if _is_others(path.split(".")[0])]
        bound |= dict(others)
        found += [path for _, path in others if _is_private(path)]
    chains = [_chain(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    return found + [chain for chain in chains if chain.split(".")[0] in bound and _is_private(chain)]


def _chain(node: ast.expr) -> str:
    """a.b.c of an attribute; nothing where its root is no name."""
    if isinstance(node, ast.Attribute):
        root = _chain(node.value)
        return f"{root}.{node.attr}" if root else ""
    return node.id if isinstance(node, ast.Name) else ""


def _is_others(top: str) -> bool:
    return (
        top not in OURS
        and top not in sys.stdlib_module_names
        and not (ROOT / "tests" / f"{top}.py").exists()
        and top != "tests"
    )


def _is_private(path: str) -> bool:
    return any(part.startswith("_") and not part.endswith("__") for part in path.split("."))


def sources() -> list[Path]:
    rooms = sorted(path for package in OURS for path in (ROOT / package).rglob("*.py") if "runs" not in path.parts)
    return [ROOT / FACADE, *rooms]


def modules() -> dict[str, Path]:
    """The files by their dotted names."""
    dotted = {path: path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") for path in sources()}
    return {name.removesuffix(".__init__"): path for path, name in dotted.items()}


def drawing() -> dict[str, set[str]]:
    """What each module imports of ours: also in functions, and for type checkers."""
    known = modules()
    return {name: {_module(entry.name, known) for entry in _of(path)} - {name, ""} for name, path in known.items()}


def _of(path: Path) -> Iterator[Import]:
    return imports(path.read_text(), ".".join(path.relative_to(ROOT).parent.parts))


def _module(name: str, known: Mapping[str, Path]) -> str:
    """The module that a dotted name is of; empty: none of ours."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name


def rooms(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The same between rooms; a file that lies beside rooms is by itself."""
    found: dict[str, set[str]] = {}
    for name, others in graph.items():
        found.setdefault(_room_of(name), set()).update(map(_room_of, others))
    return {name: others - {name} for name, others in found.items()}


def _room_of(name: str) -> str:
    top = ".".join(name.split(".")[:2])
    return top if (ROOT / top.replace(".", "/")).is_dir() else name


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """One that the drawing has; empty: none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_there_are_no_circles() -> None:
    assert circle(drawing()) == []
    assert circle(rooms(drawing())) == []


def test_there_are_no_circles_in_c() -> None:
    """What a name.c or name.h includes; nothing includes what rests on it."""
    graph: dict[str, set[str]] = {}
    for path in (file for package in OURS for file in (ROOT / package).rglob("*.[ch]")):
        included = re.findall(r'^#include "(\w+)\.[ch]"', path.read_text(), re.MULTILINE)
        graph.setdefault(path.stem, set()).update({*included} - {path.stem})
    assert {"matrix", "signal"} <= graph.keys() and circle(graph) == []


def test_a_circle_is_found() -> None:
    assert len(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == 4
    assert len(circle(rooms({"methods.blorc.x": {"methods.layers.y"}, "methods.layers.z": {"methods.blorc.w"}}))) == 3
    assert "problems.proofs.graph_proof" in drawing()["problems.proofs.choice"]  # which it imports in a function


def test_every_room_has_a_map() -> None:
    """What is in it, where to begin, and what it may import, all of which somebody in it does."""
    graph = drawing()
    for name, path in modules().items():
        if path.name != "__init__.py" or (name.endswith(".kernels") and not name.startswith("problems")):
            continue
        said = ast.get_docstring(ast.parse(path.read_text())) or ""
        assert "May import: " in said and "Begin " in said, f"{name} has no map"
        lines = said.partition("\n\nThe way of one cell")[0].splitlines()
        assert len(lines) <= 12, f"the map of {name} has more than a dozen lines"
        _, (_, *allowed), _ = room(name.replace(".", "/"))
        used = {other for module, others in graph.items() if _within(module, (name,)) for other in others}
        assert [place for place in allowed if not any(_within(other, (place,)) for other in used)] == []


def test_the_way_of_one_cell_names_files_in_at_most_ten_hops() -> None:
    said = (ast.get_docstring(ast.parse((ROOT / "harness" / "__init__.py").read_text())) or "").partition(
        "The way of one cell"
    )[2]
    hops = re.findall(r"^ +(\d+)  (\S+\.py)", said, re.MULTILINE)
    assert [int(number) for number, _ in hops] == list(range(1, len(hops) + 1)) and 1 < len(hops) <= 10
    places = [ROOT / "harness" / path if not path.startswith(("results", "reports")) else ROOT / path for _, path in hops]
    assert [place for place in places if not place.is_file()] == []


def test_what_is_shared_lies_in_a_room() -> None:
    """Not beside them, under a name with an underscore."""
    assert [name for name in modules() if name.count(".") == 1 and "._" in name] == []


def test_the_walk_sees_the_whole_source() -> None:
    found = {path.relative_to(ROOT).as_posix() for path in sources()}
    assert {"problems/algorithms/admm.py", "methods/blorc/method.py", "harness/cli.py", "results/store.py"} <= found
    assert {path.split("/")[0] for path in found} == {FACADE, *OURS}


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_rule_is_broken(path: Path) -> None:
    assert violations(path.relative_to(ROOT).as_posix(), path.read_text()) == []


BROKEN = [
    ("problems/x.py", "from methods import METHODS", "problems must not import methods"),
    ("problems/x.py", "def f():\n    import methods.blorc", "problems must not import methods"),
    ("problems/algorithms/x.py", "from ...results import Run", "problems.algorithms must not import results"),
    ("methods/x.py", "import harness.measure.timing", "methods must not import harness"),
    ("methods/x.py", "from results.record import Measured", "methods must not import results"),
    ("methods/x.py", "if TYPE_CHECKING:\n    from reports import page", "methods must not import reports"),
    ("harness/measure/runner.py", "def f():\n    from reports import write_report", "harness.measure must not import reports"),
    ("results/x.py", "from problems.base import Array", "results must not import problems"),
    ("results/x.py", "import harness", "results must not import harness"),
    ("reports/x.py", "from methods import METHODS", "reports must not import methods"),
    ("reports/x.py", "from problems import Problem", "reports must not import problems"),
    ("reports/x.py", "from harness import presets", "reports must not import harness"),
    ("methods/x.py", "from methods.blorc import Blorc", "one method file imports another"),
    ("methods/x.py", "from methods import blorc", "one method file imports another"),
    ("methods/x.py", "def f():\n    from .blorc import Blorc", "one method file imports another"),
    ("methods/x.py", "import methods.blorc", "one method file imports another"),
    ("methods/x.py", "from methods.blorc.method import Blorc", "one method file imports another"),
    ("problems/kernels/binding.py", "from cffi import FFI", "imported at module level"),
    ("methods/blorc/x.py", "def f():\n    from cffi import FFI", "only problems/kernels/binding.py may import cffi"),
    ("methods/x.py", "from methods.unrolled import Unrolled", "one method file imports another"),
    ("methods/peers/x.py", "from methods.peers.osqp import Osqp", "one method file imports another"),
    ("methods/peers/x.py", "from methods.blorc.solver import solve", "methods.peers must not import methods"),
    ("methods/calculus/x.py", "def f():\n    from methods import METHODS", "methods.calculus must not import methods"),
    ("methods/x.py", "from problems.proofs.enclosure import certify", "methods must not import problems"),
    ("methods/layers/kernels/x.py", "from problems.proofs import kkt", "methods.layers must not import problems"),
    ("problems/solvers/x.py", "def f():\n    from problems.proofs import kkt", "problems.solvers must not import problems"),
    ("problems/penalties/x.py", "from problems.base import Problem", "problems.penalties must not import problems"),
    ("harness/plan/x.py", "from harness.measure.worker import serve", "harness.plan must not import harness"),
    ("harness/x.py", "def f():\n    import pandas as pd", "only results and reports may import pandas"),
    ("methods/x.py", "import pandas.api", "only results and reports may import pandas"),
    ("results/x.py", "import seaborn as sns", "only reports may import seaborn"),
    ("harness/x.py", "from matplotlib import pyplot", "only reports may import matplotlib"),
    ("problems/x.py", "import torch", "imported at module level"),
    ("reports/x.py", "from jax import numpy", "imported at module level"),
    ("methods/x.py", "try:\n    import cvxpy\nexcept ImportError:\n    pass", "imported at module level"),
    ("methods/x.py", "if True:\n    from cvxpylayers.torch import CvxpyLayer", "imported at module level"),
    ("methods/x.py", "class A:\n    import diffcp", "imported at module level"),
    ("harness/x.py", "if TYPE_CHECKING:\n    pass\nelse:\n    import jax.numpy", "imported at module level"),
    ("methods/x.py", "with f():\n    import torch.func", "imported at module level"),
    ("methods/layers/torch_layer.py", "import jax", "imported at module level"),
    ("methods/layers/x.py", "import torch", "imported at module level"),
    ("harness/x.py", "from tests.conftest import x", "nothing imports tests"),
    ("problems/x.py", "from dargmin import Problem, GradientMethod", "problems must not import methods"),
    ("problems/x.py", "import dargmin as dm\ndef f(): return dm.METHODS", "problems must not import methods"),
    ("methods/x.py", "def f():\n    from dargmin import Run", "methods must not import results"),
    ("results/x.py", "from dargmin import Problem", "results must not import problems"),
    ("dargmin.py", "from harness import cli", "dargmin.py must not import harness"),
    ("dargmin.py", "import torch", "imported at module level"),
]


@pytest.mark.parametrize(("path", "source", "reason"), BROKEN)
def test_every_rule_can_fail(path: str, source: str, reason: str) -> None:
    (message,) = violations(path, source)
    assert message.startswith(f"{path}: {reason}: ")


KEPT = [
    ("methods/x.py", "from methods.base import Gradient\nfrom methods.calculus import newton\nfrom problems import Problem"),
    ("methods/x.py", "def f():\n    import torch\n    return lambda: torch"),
    ("methods/x.py", "if TYPE_CHECKING:\n    import torch"),
    ("methods/__init__.py", "from methods.blorc import Blorc"),
    ("methods/peers/x.py", "from methods.peers import conic\nfrom methods.base import Gradient"),
    ("harness/cli.py", "def report():\n    from reports import write_report"),
    ("harness/x.py", "from results import Run\nfrom methods import METHODS\nfrom problems import PROBLEMS"),
    ("reports/x.py", "import pandas as pd\nimport seaborn as sns\nfrom results import Run"),
    ("results/x.py", "import pandas as pd\nfrom results.record import Measured"),
    ("problems/algorithms/x.py", "from .base import Algorithm\nfrom ..arrays import Array"),
    ("problems/kernels/binding.py", "def f():\n    from cffi import FFI"),
    ("methods/layers/torch_layer.py", "import torch\nfrom torch.autograd import Function"),
    ("methods/blorc/x.py", "from methods.blorc import graph\nfrom problems.kernels import KERNELS"),
    ("problems/x.py", "import dargmin as dm\nfrom dargmin import Ensemble\ndm.proven_minimiser"),
    ("methods/x.py", "from dargmin import Gradient, Problem"),
    ("dargmin.py", "if TYPE_CHECKING:\n    from methods import METHODS\n    from results.store import Run"),
]


@pytest.mark.parametrize(("path", "source"), KEPT)
def test_what_is_allowed_passes(path: str, source: str) -> None:
    assert violations(path, source) == []


@pytest.mark.parametrize("path", [*sources(), *sorted((ROOT / "tests").glob("*.py"))], ids=lambda path: path.name)
def test_nothing_private_of_a_library_is_reached(path: Path) -> None:
    assert private(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ndef f():\n    return torch._C._is()",
        "import jax.numpy as jnp\njnp._x",
        "from jax._src import core",
        "import torch._dynamo",
        "from torch import _C",
        "def f():\n    import numpy as np\n    return np.linalg._umath",
        "from torch.autograd import Function\nFunction._x.y",
    ],
)
def test_what_is_private_is_found(source: str) -> None:
    assert len(set(private(source))) >= 1


@pytest.mark.parametrize(
    "source", ["import torch\ntorch.__version__", "import os\nos._exit(0)", "from methods import base\nbase._x", "x._y"]
)
def test_what_is_not_is_left(source: str) -> None:
    assert private(source) == []


def loaded(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after the statement."""
    code = f"import sys\n{statement}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


def test_importing_methods_and_problems_loads_no_framework() -> None:
    found = loaded("import methods, problems")
    assert {"methods", "problems", "numpy"} <= found
    assert not found & (HEAVY | set(TABLES))


def test_the_command_line_loads_no_framework() -> None:
    found = loaded("import harness.cli")
    assert {"harness", "typer"} <= found
    assert not found & (HEAVY | set(TABLES))


def test_reports_need_no_framework() -> None:
    found = loaded("import reports")
    assert "reports" in found
    assert not found & (HEAVY | {"problems", "methods", "harness"})
