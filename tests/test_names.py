"""`import dargmin`: every name, loaded when it is used; and what is said where another module has the name of one of ours."""

from __future__ import annotations

import ast
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

import dargmin

ROOT = Path(__file__).resolve().parent.parent


def test_the_names_of_the_type_checker_are_those_of_run_time() -> None:
    tree = ast.parse((ROOT / "dargmin.py").read_text())
    (typed,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imported = {node.module: {alias.name for alias in node.names} for node in typed.body if isinstance(node, ast.ImportFrom)}
    assert imported == {module: set(names.split()) for module, names in dargmin.NAMES.items()}


@pytest.mark.parametrize("name", dargmin.__all__)
def test_every_name_is_there_and_that_of_its_module(name: str) -> None:
    (module,) = (module for module, names in dargmin.NAMES.items() if name in names.split())
    assert getattr(dargmin, name) is getattr(sys.modules[module], name)
    assert name in dir(dargmin)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"'dargmin' has no attribute 'Problems'; dir\(dargmin\) lists its names"):
        dargmin.__getattr__("Problems")


def _python(code: str, *flags: str, cwd: Path = ROOT, path: str = str(ROOT)) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *flags, "-c", code]
    as_users = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}  # a run sets it for its own
    environment = {**as_users, "PYTHONPATH": path}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_importing_is_fast_and_loads_no_library() -> None:
    """User and system seconds of the whole process, and how many modules it has loaded that matter."""
    code = "import dargmin, sys, time; print(time.process_time(), len({'numpy', 'torch', 'problems'} & set(sys.modules)))"
    runs = [_python(code).stdout.split() for _ in range(5)]
    assert statistics.median(float(seconds) for seconds, _ in runs) <= 0.3
    assert {loaded for _, loaded in runs} == {"0"}


def test_the_five_lines_of_the_docstring_run() -> None:
    (code,) = re.findall(r"::\n\n((?:    .*\n)+)", dargmin.__doc__ or "")
    done = _python("\n".join(line[4:] for line in code.splitlines()))
    assert done.returncode == 0, done.stderr
    status, error = done.stdout.split()
    assert status == "proven" and float(error) < 1e-12


@pytest.mark.parametrize(
    ("package", "shadow", "code"),
    [
        ("methods", "methods.py", "import dargmin"),
        ("problems", "problems.py", "import dargmin"),
        ("problems", "problems/__init__.py", "import dargmin"),
        ("results", "results.py", "import dargmin; dargmin.Problem; dargmin.Run"),
    ],
)
def test_what_shadows_a_package_of_ours_is_named(tmp_path: Path, package: str, shadow: str, code: str) -> None:
    (tmp_path / shadow).parent.mkdir(exist_ok=True)
    (tmp_path / shadow).write_text("")
    done = _python(code, cwd=tmp_path)
    assert done.returncode == 1
    message = done.stderr.splitlines()[-1]
    expected = (
        f"ImportError: {tmp_path / shadow} shadows the package {package} of dargmin, which is {ROOT / package}; rename yours"
    )
    assert message.startswith(expected)


def test_what_was_imported_under_our_name_before_is_named_too(tmp_path: Path) -> None:
    (tmp_path / "methods.py").write_text("")
    done = _python(f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import methods; sys.path.pop(0); import dargmin")
    assert f"ImportError: {tmp_path / 'methods.py'} shadows the package methods" in done.stderr


def test_a_shadow_that_is_not_used_is_no_harm(tmp_path: Path) -> None:
    (tmp_path / "results.py").write_text("")
    assert _python("from dargmin import Problem, METHODS", cwd=tmp_path).returncode == 0


def test_a_package_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "dargmin.py").write_text((ROOT / "dargmin.py").read_text())
    done = _python("import dargmin", "-S", cwd=tmp_path, path="")  # without site-packages
    assert "ImportError: dargmin needs its package problems beside" in done.stderr


def test_a_folder_without_init_that_is_found_in_place_of_a_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "dargmin").mkdir()
    (tmp_path / "dargmin" / "dargmin.py").write_text((ROOT / "dargmin.py").read_text())
    (tmp_path / "problems").mkdir()
    done = _python("import dargmin", "-S", cwd=tmp_path, path=str(tmp_path / "dargmin"))
    assert f"ImportError: {tmp_path / 'problems'} shadows the package problems of dargmin" in done.stderr
