"""What a user names: methods with any knob, problems and methods of his files, and what is said where a name is unknown."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from _command import Done, dargmin, within

from harness.plan.catalogue import OURS, entries, select, sources, with_ladders
from harness.plan.knobs import parse, turned
from harness.plan.nearest import nearest, unknown
from harness.plan.userfiles import NamingError, absolute
from methods import GradientMethod, Prepared
from methods.peers.cvxpylayers import ConeLayer
from problems import PROBLEMS, Problem
from results import Run

HERE = Path(__file__).parent
MINE = f"{HERE / '_my_ridge.py'}:ENSEMBLE"


def refused(done: Done) -> str:
    """What is said of bad input: one line."""
    assert done.returncode == 2 and done.stdout == "", done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    return line.removeprefix("dargmin: ")


# Unknown names


def test_the_nearest_three_are_told_and_those_that_hold_the_text_come_first() -> None:
    names = [method.name for method in OURS]
    assert nearest("blrc", names)[0] == "blorc" and len(nearest("blrc", names)) == 3
    assert nearest("fista", names) == ["unrolled-fista-jax", "unrolled-fista-torch"]
    assert nearest("BLORC", names)[0] == "blorc"
    assert nearest("zzz", names) == []


def test_few_names_are_told_and_many_are_not() -> None:
    assert unknown("--knobs", "x", ("default", "all")) == "--knobs must be one of default, all, got 'x'"
    many = [f"name-number-{i}" for i in range(20)]
    assert unknown("--x", "name-number", many, "an x", "see") == (
        "--x must name an x, got 'name-number'; did you mean name-number-0, name-number-1 or name-number-2? see"
    )
    assert unknown("--x", "q", many, "an x", "see") == "--x must name an x, got 'q'; see"


ASKED = {
    ("run", "--method", "blrc"): "--method must name a method, got 'blrc'; did you mean blorc, ",
    ("list", "--method", "blrc"): "--method must name a method, got 'blrc'; did you mean blorc, ",
    ("check", "blrc"): "METHOD must name a method, got 'blrc'; did you mean blorc, ",
    ("run", "--problem", "laso"): "--problem must name a problem, got 'laso'; did you mean lasso? dargmin list shows all",
    ("prove", "--problem", "laso"): "--problem must name a problem, got 'laso'; did you mean lasso?",
    ("run", "--operator", "dctt"): "--operator must name an operator of analysis-l1, got 'dctt'; did you mean dct, dct-tv",
    ("run", "--signal", "dct"): "got 'dct'; did you mean dct-sparse?",
    ("run", "--preset", "smok"): "got 'smok'; did you mean smoke?",
    ("run", "--theta", "row-weight"): "got 'row-weight'; did you mean row-weights, ",
    ("run", "--method", "blorc(thread=2)"): "--method: blorc has no knob 'thread', but threads; did you mean threads?",
    ("reproduce", "table4"): "NAME must name an experiment, got 'table4'; did you mean blorc-table4?",
}


@pytest.mark.parametrize("arguments", ASKED)
def test_an_unknown_name_is_answered_with_the_nearest(arguments: tuple[str, ...]) -> None:
    said = refused(within(*arguments))
    assert ASKED[arguments] in said
    assert len(said) < 200


# Knobs


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("cvxpylayers-torch(tolerance=1e-6)", "cvxpylayers-torch(tolerance=1e-06)"),
        ("cvxpylayers-torch(adjoint=dense, tolerance=1e-6)", "cvxpylayers-torch(tolerance=1e-06, adjoint=dense)"),
        ("cvxpylayers-torch(adjoint='dense')", "cvxpylayers-torch(adjoint=dense)"),
        ("cvxpylayers-torch(tolerance=None)", "cvxpylayers-torch"),
        ("cvxpylayers-torch-clarabel(tolerance=1)", "cvxpylayers-torch-clarabel(tolerance=1)"),
        ("blorc(threads=2)", "blorc(threads=2)"),
        ("blorc-warm(threads=3, warm=False)", "blorc-warm(warm=False, threads=3)"),
        ("optimistix(tolerance=1e-08)", "optimistix"),
        ("lapack-limit", "lapack-limit"),
    ],
)
def test_any_knob_of_any_method_can_be_set_and_the_label_is_canonical(text: str, label: str) -> None:
    (method,) = select([text])
    assert method.label == label
    found = with_ladders(entries(sources([text])))  # as in another process
    assert found[label] == method


def test_a_setting_has_its_knobs_and_the_defaults_of_all_others() -> None:
    (method,) = select(["cvxpylayers-torch(adjoint=dense)"])
    assert method == ConeLayer(adjoint="dense")
    (tight,) = select(["qpax-dual(kappa=1e-12)"])
    assert tight.knobs == {"kappa": 1e-12, "backend": "e"}


def test_every_label_names_its_method() -> None:
    for label, method in with_ladders(OURS).items():
        assert select([label]) == (method,)
        if "(" in label:
            assert turned(method, parse(label, "")[1], "") == method


def test_two_values_never_share_a_label() -> None:
    a, b = (f"cvxpylayers-torch(tolerance={value})" for value in ("1.23456789e-6", "1.2345678e-6"))
    assert [method.label for method in select([a, b])] == [a.replace("e-6", "e-06"), b.replace("e-6", "e-06")]


BAD = {
    "cvxpylayers-torch(tolernce=1)": "has no knob 'tolernce', but tolerance, adjoint; did you mean tolerance?",
    "cvxpylayers-torch(framework=jax)": "has no knob 'framework', but tolerance, adjoint",
    "closed-form-torch(x=1)": "closed-form-torch has no knob 'x', nor any other; leave it out",
    "cvxpylayers-torch(tolerance=tight)": "tolerance of cvxpylayers-torch must be a number or None, got 'tight'",
    "cvxpylayers-torch(tolerance=True)": "tolerance of cvxpylayers-torch must be a number or None, got True",
    "cvxpylayers-torch(adjoint=1)": "adjoint of cvxpylayers-torch must be text or None, got 1",
    "blorc(threads=1.5)": "threads of blorc must be a whole number, got 1.5",
    "blorc(threads='2')": "threads of blorc must be a whole number, got '2'",
    "blorc-warm(warm=1)": "warm of blorc-warm must be True or False, got 1",
    "fixed-point-admm-torch(adjoint=nope)": "ValueError: adjoint must be one of plain, anderson, gmres, got 'nope'",
    "nosuch(threads=2)": "must name a method, got 'nosuch'",
    **{
        f"blorc{knobs}": "must look like name(knob=value, ...), such as blorc(threads=2), got"
        for knobs in (
            "(",
            "()",
            "(2)",
            "(threads=)",
            "(threads=1, threads=2)",
            "(**threads)",
            "(threads=1)(threads=1)",
            "(a=1) + 1",
        )
    },
}


@pytest.mark.parametrize("text", BAD)
def test_a_wrong_knob_is_a_sentence(text: str) -> None:
    with pytest.raises(NamingError) as caught:
        select([text])
    assert BAD[text] in str(caught.value)


def test_no_code_is_run_by_a_value(tmp_path: Path) -> None:
    with pytest.raises(NamingError, match="must be a whole number"):
        select([f"blorc(threads=open('{tmp_path / 'made'}', 'w'))"])
    assert list(tmp_path.iterdir()) == []


@dataclass(frozen=True)
class Sorted(GradientMethod):
    name: ClassVar[str] = "sorted"
    order: Literal["up", "down"] = "up"
    steps: tuple[int, ...] = (1, 2)
    anything: Any = None

    def unsupported(self, problem: Problem) -> str | None:
        return None

    def prepare(self, problem: Problem) -> Prepared:
        raise NotImplementedError


def test_types_of_all_kinds_are_held_against() -> None:
    found = turned(Sorted(), {"order": "down", "steps": (3,), "anything": {1}}, "--method")
    assert found == Sorted("down", (3,), {1})
    for knobs, said in (({"order": "left"}, "'up' or 'down'"), ({"steps": [3]}, "a tuple")):
        with pytest.raises(NamingError, match=said):
            turned(Sorted(), knobs, "--method")


# A problem and a method of a user, by path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a user's problem, by a setting of one of our methods and one of his, begun from beside the files."""
    folder = tmp_path_factory.mktemp("mine")
    for name in ("_my_ridge.py", "_borders.py", "_borders_neighbour.py"):
        shutil.copy(HERE / name, folder)
    (folder / "elsewhere").mkdir()
    methods = ("fd-directional", "linear-solve-vjp-torch(tolerance=1e-6)", "linear-solve-vjp-jax")
    given = [part for method in methods for part in ("--method", method)]
    done = dargmin(
        "run", "--problem", "_my_ridge.py:ENSEMBLE", "--n", "8,9", *given, "--budget", "0.02", "--no-report", "--out", "run",
        cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_a_problem_of_a_file_is_measured_and_its_rows_name_it(folder: Path) -> None:
    frame = Run.open(folder / "run").frame()
    assert set(frame["problem"]) == {"my-ridge"} and set(frame["n"]) == {8, 9} and set(frame["theta"]) == {"weight"}
    assert set(frame["reference_status"]) == {"unproven"}
    rows = frame[frame["label"] == "linear-solve-vjp-torch(tolerance=1e-06)"]
    assert [json.loads(text) for text in rows["knobs"]] == [{"tolerance": 1e-6}] * 2
    assert set(frame["status"]) == {"ok"} and (frame["error_rel"] < 1e-6).all()


def test_a_run_of_files_goes_on_from_another_folder_and_not_with_a_changed_file(folder: Path) -> None:
    records = folder / "run" / "records.jsonl"
    lines = records.read_text().splitlines(keepends=True)
    records.write_text("".join(lines[:3]))  # one block of two
    done = dargmin("run", "--resume", "../run", "--no-report", cwd=folder / "elsewhere")
    assert done.returncode == 0, done.stderr
    assert records.read_text().splitlines(keepends=True)[:3] == lines[:3] and len(Run.open(folder / "run").rows()) == 6
    mine = folder / "_my_ridge.py"
    text = mine.read_text()
    mine.write_text(text + "\n# changed\n")
    assert "was measured with other code or library versions, or with other files of yours" in refused(
        dargmin("run", "--resume", "run", cwd=folder)
    )
    mine.write_text(text)


def test_a_users_method_takes_knobs_behind_its_path(folder: Path) -> None:
    done = within("run", "--method", f"{HERE / '_methods.py'}:Sleeps(setup=0.25)", "--n", "8", "--dry-run")
    assert done.returncode == 0, done.stderr
    (method,) = select([f"{HERE / '_methods.py'}:Sleeps(setup=0.25)"])
    assert method.label == "sleeps(setup=0.25)"
    assert "sleeps has no knob 'set_up', but" in refused(within("run", "--method", f"{HERE / '_methods.py'}:Sleeps(set_up=1)"))


def test_a_problem_of_a_file_is_checked() -> None:
    done = within("check", "fd-entrywise", "--problem", MINE)
    assert done.returncode == 0 and "all 12 checks passed" in done.stdout, done.stdout + done.stderr
    assert "gradient     my-ridge, weight" in done.stdout


def test_a_reference_that_is_wrong_fails_its_check_by_differences() -> None:
    done = within("check", "--problem", MINE.replace("ENSEMBLE", "WRONG"))
    assert done.returncode == 1
    failed = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("  FAIL")]
    assert "gradient" in failed and "value" not in failed and done.stdout.startswith("fd-entrywise\n")


def test_a_problem_of_a_file_is_proven_and_listed() -> None:
    done = within("prove", "--problem", MINE, "--seeds", "0:2")
    assert done.returncode == 0, done.stderr
    assert "my-ridge weight │      2" in done.stdout and "unproven" in done.stdout
    done = within("list", "--problem", MINE)
    assert "my-ridge: 1/2 |x - y|^2 + e^t/2 |x|^2 (Hoerl and Kennard (1970))" in done.stdout
    assert "  yes  theta weight: fd-entrywise, fd-directional, linear-solve-vjp-torch" in done.stdout


def test_problems_of_ours_are_proven_by_name() -> None:
    done = within("prove", "--problem", "lasso", "--signal", "gaussian", "--theta", "weight", "--n", "8", "--seeds", "0:2")
    assert done.returncode == 0, done.stderr
    assert "lasso weight │      2 │      2" in done.stdout


_DRAW = """
import numpy as np
from problems import Ensemble
from _my_ridge import Ridge
def draw(n, seed, theta):
    {body}
E = Ensemble({name!r}, draw, "", "", thetas={thetas})
"""


def source(body: str = "return Ridge.draw(n, seed, theta)", name: Any = "mine", thetas: str = "('weight',)") -> str:
    return _DRAW.format(body=body, name=name, thetas=thetas)


BROKEN = {
    "import nothing_of_that_name\n": "cannot be imported: ModuleNotFoundError",
    "def f(:\n": "cannot be imported: SyntaxError",
    "raise SystemExit(3)\n": "cannot be imported: SystemExit: 3",
    "x = 1\n": "has no 'E'; give a name that is defined in that file",
    "E = 3\n": "must be an Ensemble, got int; make one with dargmin.Ensemble",
    "from methods.blorc import Blorc as E\n": "must be an Ensemble, got the class Blorc",
    source(thetas="()"): "thetas must name one kind of theta at least, got none",
    source(thetas="['weight']"): "thetas, operators and signals tuples of str",
    source(thetas="'weight'"): "thetas, operators and signals tuples of str",
    source(name=1): "name must be a str",
    source(name="lasso"): "two problems have the name 'lasso'; give yours a name that no other problem has",
    source("1 / 0"): "mine cannot be drawn: ZeroDivisionError: division by zero; mend its draw",
    source("return draw(n)"): "mine cannot be drawn: TypeError",
    source("return 3"): "draw of mine must return a Problem, got int; derive from dargmin.Problem",
    source("return Ridge(np.zeros((), np.float32), np.ones(n))"): "theta of mine must be a float64 array, got float32 ndarray",
    source("problem = Ridge.draw(n, seed, theta); object.__setattr__(problem, 'f', lambda: 0); return problem"): (
        "mine cannot be sent to a worker: "
    ),
    source("raise ValueError('n must be even,\\n got 1')"): "n must be even, got 1",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_problem_is_one_line_and_nothing_is_written(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(f"import sys\nsys.path.append({str(HERE)!r})\n{text}")
    given = ("--problem", f"{tmp_path / 'mine.py'}:E")
    assert BROKEN[text] in refused(within("run", *given, "--out", str(tmp_path / "run")))
    for command in ("check", "prove"):
        assert BROKEN[text] in refused(within(command, *given))
    assert BROKEN[text] in refused(within("list", *given))
    assert not (tmp_path / "run").exists()


REFERENCES = {
    "raise RuntimeError('no')": "RuntimeError: no",
    "return None": "BadAnswer: reference() must return a Reference, got None",
    "return Reference('sure', None, self.y, 0.0)": "BadAnswer: status of a reference must be one of zero, proven, bounded, ",
    "return Reference('bounded', np.ones(2), self.y, 0.0)": "BadAnswer: grad of a reference must have the shape of theta, ()",
}
_REFERENCE = """
from problems import Reference
class Odd(Ridge):
    def reference(self): {}
"""


def test_a_reference_that_cannot_be_used_costs_its_rows_alone(tmp_path: Path) -> None:
    given = []
    for number, body in enumerate(REFERENCES):
        file = tmp_path / f"odd{number}.py"
        text = source("return Odd.draw(n, seed, theta)", f"odd-{number}") + _REFERENCE.format(body)
        file.write_text(f"import sys\nsys.path.append({str(HERE)!r})\n{text}")
        given += ["--problem", f"{file}:E"]
    proven = within("prove", *given, "--seeds", "0:1")
    assert proven.returncode == 1
    run = ("run", *given, "--problem", MINE, "--method", "fd-directional", "--n", "8", "--budget", "0.02", "--no-report")
    done = dargmin(*run, "--out", str(tmp_path / "run"))
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    frame = Run.open(tmp_path / "run").frame().set_index("problem")
    assert frame.loc["my-ridge", "status"] == "ok"
    for number, said in enumerate(REFERENCES.values()):
        assert f"undecided: odd-{number} weight n=16 seed=0: {said}" in proven.stdout
        assert (frame.loc[f"odd-{number}", "status"], said in frame.loc[f"odd-{number}", "reason"]) == ("error", True)


def test_what_is_no_place_is_one_line() -> None:
    assert refused(within("run", "--problem", "no.py:E")) == "--problem names the file no.py, which does not exist"
    assert refused(within("run", "--problem", "no.py")) == "--problem must look like path/to/file.py:NAME, got 'no.py'"
    assert "--problem takes no knobs" in refused(within("run", "--problem", f"{MINE}(n=3)"))


def test_two_problems_of_one_name_are_refused(tmp_path: Path) -> None:
    for file in ("a.py", "b.py"):
        (tmp_path / file).write_text(f"import sys\nsys.path.append({str(HERE)!r})\n{source()}")
    a, b = (("--problem", f"{tmp_path / file}:E") for file in ("a.py", "b.py"))
    assert "two problems have the name 'mine'" in refused(within("run", *a, *b, "--out", str(tmp_path / "run")))
    twice = within("run", *a, *a, "--n", "8", "--method", "fd-directional", "--dry-run")
    assert twice.returncode == 0 and "plan: 1 cell in 1 block" in twice.stderr


# Files


def test_a_file_is_loaded_once_and_anew_where_it_was_changed(tmp_path: Path) -> None:
    loads = tmp_path / "loads"
    file = tmp_path / "both.py"
    text = f"import sys\nsys.path.append({str(HERE)!r})\nwith open({str(loads)!r}, 'a') as f: f.write('x')\n"
    text += "from _borders import Ruled\n"
    file.write_text(text + source())
    given = ("--problem", f"{file}:E", "--method", f"{file}:Ruled", "--n", "8", "--dry-run")
    assert within("run", *given).returncode == 0
    assert loads.read_text() == "x"
    file.write_text(text + source(name="renamed"))
    done = within("run", *given)
    assert loads.read_text() == "xx" and "renamed" in done.stderr


def test_files_of_one_name_are_not_taken_for_each_other(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        text = source("return Own.draw(n, seed, theta)", name) + "class Own(Ridge): pass\n"
        (tmp_path / name / "mine.py").write_text(f"import sys\nsys.path.append({str(HERE)!r})\n{text}")
    given = [part for name in ("a", "b") for part in ("--problem", f"{tmp_path / name / 'mine.py'}:E")]
    done = within("run", *given, "--n", "8", "--method", "fd-directional", "--dry-run")
    assert done.returncode == 0 and "plan: 2 cells in 2 blocks" in done.stderr, done.stderr


def test_sources_are_the_same_in_any_folder_without_what_is_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert sources(["blorc", "all", "blorc(threads=2)", "m.py:A(h=1)", "blorc(threads=3)"], ["lasso", "p.py:E"]) == (
        f"{tmp_path / 'm.py'}:A(h=1)",
        "blorc(threads=3)",
        f"{tmp_path / 'p.py'}:E",
    )
    assert absolute("blorc(threads=3)") == "blorc(threads=3)"


# What the command line says of itself


def test_the_help_of_theta_names_every_kind() -> None:
    for command in ("run", "prove"):
        said = "".join(within(command, "--help").stdout.split())  # which may be broken after a hyphen
        names = re.findall(r"[a-z-]+", said[said.index("--theta") :][:600].replace("or", ",").replace("others", ","))
        for theta in {theta for problem in PROBLEMS for theta in problem.thetas}:
            assert theta in names


def test_the_version_is_told() -> None:
    done = within("--version")
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith("dargmin 0.1.0")
