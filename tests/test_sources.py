"""The key of the proof cache follows from what the prover imports."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from problems import AnalysisL1, storage
from problems.proofs import proof_cache, sources


def test_the_prover_rests_on_what_it_imports() -> None:
    """Modules that a list kept by hand had lost, a lazy import, and the kernels in C."""
    names = {path.relative_to(sources.ROOT).as_posix() for path in sources.sources("problems.proofs.proof_cache")}
    for name in (
        "proofs/certificate",
        "proofs/pattern_proof",
        "proofs/choice",
        "solvers/chain",
        "operators/parametrisations",
        "base",
        "solvers/graph_tv",
        "proofs/filter_proof",
        "kernels/build",
    ):
        assert f"problems/{name}.py" in names
    assert any(name.endswith(".c") for name in names)
    assert not any(name.startswith(("methods/", "harness/", "tests/")) for name in names)
    assert "problems/lasso.py" not in names


def test_whatever_a_proof_runs_is_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """All modules of problems/ that hold a function which runs while an instance is proven, but that of the problem itself."""
    monkeypatch.setenv(storage.VARIABLE, "0")
    ran: set[str] = set()

    def watch(frame: object, event: str, argument: object) -> None:
        code = getattr(frame, "f_code", None)
        if event == "call" and code is not None:
            ran.add(code.co_filename)

    problems = [AnalysisL1.draw(n=16, operator=name, seed=1) for name in ("tv", "random", "filters")]
    problems += [
        AnalysisL1.draw(n=16, theta="sparse"),
        AnalysisL1.draw(n=64, operator="tv-2d", signal="image-patches", theta="weight"),
    ]
    sys.setprofile(watch)
    try:
        for problem in problems:
            proof_cache.certified(problem)
    finally:
        sys.setprofile(None)
    ours = {Path(name) for name in ran if Path(name).is_relative_to(sources.ROOT / "problems")}
    assert len(ours) > 5
    assert ours - set(sources.sources("problems.proofs.proof_cache")) <= {sources.ROOT / "problems" / "analysis_l1.py"}


def test_a_changed_module_changes_the_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One byte of any of them."""
    problem = AnalysisL1.draw(n=8)
    paths = sources.sources("problems.proofs.proof_cache")
    keys = set()
    for i in range(len(paths)):
        changed = tmp_path / f"{i}.py"
        changed.write_bytes(paths[i].read_bytes() + b"#")
        monkeypatch.setattr(proof_cache, "sources", lambda name, i=i, changed=changed: [*paths[:i], changed, *paths[i + 1 :]])
        proof_cache._prover.cache_clear()
        keys.add(proof_cache._key(problem))
    monkeypatch.undo()
    proof_cache._prover.cache_clear()
    keys.add(proof_cache._key(problem))
    assert len(keys) == len(paths) + 1


BESIDE = {
    "my method.py": "import near\ndef f():\n    from parts import first\n    import deep.er.est\nimport numpy, parts.third\n",
    "near.py": "from further import *\nif TYPE_CHECKING:\n    import unused\n",
    "further.py": "import near\nimport broken\n",
    "broken.py": "def :\n",
    "parts/__init__.py": "from . import second\n",
    "parts/first.py": "from .second import x\nfrom ..outside import y\n",
    "parts/second.py": "x = 1\n",
    "parts/third.py": "",
    "deep/__init__.py": "",
    "deep/er/__init__.py": "",
    "deep/er/est.py": "from ...near import z\nfrom .. import down\n",
    "deep/down.py": "",
}


def test_a_file_rests_on_what_it_imports_from_beside_it(tmp_path: Path) -> None:
    """Files, packages, relative imports and cycles; not what is for type checkers, what lies elsewhere or is unused."""
    for name, text in {**BESIDE, "unused.py": "", "parts/unused.py": ""}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = {path.relative_to(tmp_path.resolve()).as_posix() for path in sources.beside(tmp_path / "my method.py")}
    assert found == set(BESIDE)
