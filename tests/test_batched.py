"""The batched route on every device there is, and what decides on which device a method works."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from _exact import relative

from harness import environment
from harness.measure import memory, timing
from harness.measure.worker import Refused, Settings, Worker, _usable
from harness.plan.sweeps import Sweep, plan
from methods import DEVICES, METHODS, GradientMethod, to_numpy
from methods.blorc import Blorc, torch_dual
from methods.blorc.batched import BlorcBatched
from methods.blorc.bounded import counted
from methods.closed_form import ClosedForm
from methods.unrolled import Unrolled
from problems import AnalysisL1

EXACT = 1e-12  # rounding times the condition of W0, below 1e3 in these instances, refined once


def require(device: str) -> str:
    """The device, or a skip with the reason."""
    if device == "cuda" and not environment.gpu():
        pytest.skip("no GPU that torch can use")
    return device


@pytest.fixture(params=DEVICES)
def device(request: pytest.FixtureRequest) -> str:
    return require(request.param)


def batched(problem: AnalysisL1, device: str = "cpu") -> tuple[Any, np.ndarray]:
    """The batched answer at the problem's theta, and its gradient in NumPy."""
    found = BlorcBatched(device).prepare(problem)(problem.theta)
    assert found.grad.device.type == found.solution.device.type == device
    return found, to_numpy(found.grad)


@pytest.mark.parametrize("operator", ["identity", "tv", "circular-tv", "random", "random-2n", "trained"])
def test_a_batch_has_the_proven_gradient(operator: str, device: str) -> None:
    problem = AnalysisL1.draw(n=64 if operator == "trained" else 36, operator=operator, batch=12, seed=1)
    found, grad = batched(problem, device)
    reference = problem.reference()
    assert reference.status in ("proven", "bounded"), reference.reason
    assert relative(grad, reference.grad) < EXACT
    assert relative(to_numpy(found.solution), reference.solution) < EXACT
    assert found.note == "" and found.converged


@pytest.mark.parametrize("start", [0, 5])
def test_newton_steps_make_up_for_a_poor_start(start: int, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_dual, "START", start)
    problem = AnalysisL1.draw(n=36, operator="tv", batch=12, seed=1)
    found, grad = batched(problem, device)
    assert relative(grad, problem.reference().grad) < EXACT
    assert found.iterations > start + 1  # more than one round was needed
    assert found.note == ""


def test_a_batch_that_is_factored_in_parts_has_the_proven_gradient(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = AnalysisL1.draw(n=36, operator="tv", batch=12, seed=1)
    monkeypatch.setattr(torch_dual, "ENTRIES", 5 * len(problem.theta) ** 2)
    found, grad = batched(problem, device)
    assert relative(grad, problem.reference().grad) < EXACT
    assert found.note == ""


def test_what_the_rounds_leave_open_is_solved_elsewhere_and_counted(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = AnalysisL1.draw(n=16, operator="tv", batch=3)
    monkeypatch.setattr(torch_dual, "ROUNDS", 0)
    found, grad = batched(problem, device)
    assert found.note == counted([torch_dual.HANDED] * 3, 3)
    assert relative(grad, problem.reference().grad) < EXACT


def test_signals_that_vanish_are_handed_over(device: str) -> None:
    problem = AnalysisL1.draw(n=16, operator="random-2n", batch=4, seed=1)
    y = np.concatenate([problem.y[:2], 1e-3 * problem.y[2:]])  # x* = 0: more zero rows than unknowns
    problem = AnalysisL1(problem.theta, y, problem.target, problem.beta)
    found, grad = batched(problem, device)
    assert not problem.solve(problem.theta)[2:].round(12).any()
    assert found.note == counted([torch_dual.HANDED] * 2, 4)
    assert relative(grad, problem.reference().grad) < EXACT


def test_no_free_rows_no_signal_and_one_signal(device: str) -> None:
    drawn = AnalysisL1.draw(n=9, operator="random", batch=2, seed=1)
    bound = AnalysisL1(drawn.theta, drawn.y, drawn.target, 1e-6)
    assert relative(batched(bound, device)[1], bound.reference().grad) < EXACT
    silent = AnalysisL1(drawn.theta, np.zeros_like(drawn.y), drawn.target, drawn.beta)
    found, grad = batched(silent, device)
    assert not to_numpy(found.solution).any() and not grad.any()
    single = AnalysisL1(drawn.theta, drawn.y[0], drawn.target[0], drawn.beta)
    found, grad = batched(single, device)
    assert found.solution.shape == (9,)
    assert relative(grad, single.reference().grad) < EXACT


@pytest.mark.parametrize("scale", [1e-60, 1e60])
def test_the_float32_start_does_not_see_the_scale(scale: float, device: str) -> None:
    problem = AnalysisL1.draw(n=16, operator="tv", batch=3, seed=1)
    scaled = AnalysisL1(problem.theta, scale * problem.y, scale * problem.target, scale * problem.beta)
    found, grad = batched(scaled, device)
    assert found.note == "" and found.iterations == batched(problem, device)[0].iterations
    assert relative(grad / scale**2, problem.reference().grad) < EXACT


def test_a_wrong_pattern_is_not_taken_for_the_solution(device: str) -> None:
    import torch

    problem = AnalysisL1.draw(n=16, operator="random", batch=1, seed=1)
    w, y = (torch.from_numpy(a.copy()).to(device) for a in (problem.theta, problem.y))
    dual = torch_dual.BatchedSolver(y, problem.beta).dual(w)
    z = dual.start()
    z, faces, done = dual.newton(torch.zeros(1, dtype=torch.int64, device=device), z)
    free = torch.zeros(z.shape, dtype=torch.bool, device=device)
    free[0, faces.rows[0, faces.used[0]]] = True
    assert done.all() and dual._optimal(y, z, free, faces).all()
    inner = int(free[0].int().argmax())
    loose = z.clone()
    loose[0, inner] *= 1 - 1e-9  # well inside the box, and not the solution
    assert not dual._optimal(y, loose, free, faces).any()
    for row in range(len(w)):
        wrong = z.clone()
        wrong[0, row] = dual.b[row] if free[0, row] else -wrong[0, row]  # a free row at its bound, a bound row at the other
        assert not dual._optimal(y, wrong, free, faces).any()
        assert not dual._optimal(y, z, free ^ (torch.arange(len(w), device=device) == row), faces).any()


# Which device a method works on


PLACED = [ClosedForm("torch"), *(Unrolled(scheme, "torch", iterations=50) for scheme in ("ista", "fista", "admm"))]


@pytest.mark.parametrize("method", [BlorcBatched(), *PLACED], ids=lambda method: method.name)
def test_no_tensor_is_made_on_a_device_that_is_not_named(method: GradientMethod) -> None:
    """A tensor of unnamed device becomes one of `meta`, which no operation takes beside one with data."""
    import torch

    problem = AnalysisL1.draw(n=16, operator="random-2n", batch=3, seed=1)
    expected = to_numpy(method.prepare(problem)(problem.theta).grad)
    with torch.device("meta"):
        with pytest.raises(RuntimeError):
            torch.ones(3) + torch.from_numpy(np.ones(3))
        found = method.prepare(problem)(problem.theta)
    assert np.array_equal(to_numpy(found.grad), expected)


@pytest.mark.parametrize("method", PLACED, ids=lambda method: method.name)
def test_autodiff_gives_the_same_on_every_device(method: GradientMethod, device: str) -> None:
    problem = AnalysisL1.draw(n=16, operator="random", batch=3, seed=1)
    placed = method.on(device)
    assert placed is not None and placed.label == method.label
    found = placed.prepare(problem)(problem.theta).grad
    assert found.device.type == device
    assert relative(to_numpy(found), to_numpy(method.prepare(problem)(problem.theta).grad)) < 1e-9  # both within rounding


def test_methods_say_where_they_can_work() -> None:
    able = {method.name for method in METHODS if method.on("cuda") is not None}
    unrolled = {method.name for method in METHODS if isinstance(method, Unrolled) and method.framework == "torch"}
    assert able == {"blorc-batched-torch", "closed-form-torch", *unrolled}
    assert all(method.on("cpu") == method for method in METHODS)


def test_a_method_of_the_cpu_alone_is_refused_elsewhere() -> None:
    problem = AnalysisL1.draw(n=9)
    assert _usable(Blorc(), problem, "cpu") == Blorc()
    assert _usable(BlorcBatched(), problem, "cuda") == BlorcBatched("cuda")
    with pytest.raises(Refused) as refusal:
        _usable(Blorc(), problem, "cuda")
    assert (refusal.value.status, refusal.value.reason) == ("unsupported", "runs on cpu only")


def test_arrays_of_a_gpu_are_waited_for_and_counted_as_such() -> None:
    found = SimpleNamespace(grad=SimpleNamespace(is_cuda=True))
    assert timing.library(found) == "cuda"  # type: ignore[arg-type]


def test_what_is_waited_for_goes_on(device: str) -> None:
    """The two phases of a call, each synchronised: the second gets what the first made."""
    problem = AnalysisL1.draw(n=16, batch=3)
    prepared = BlorcBatched(device).prepare(problem)
    first = prepared(problem.theta)
    assert timing.library(first) == ("cuda" if device == "cuda" else "torch")
    state = ("of the forward pass", first)
    assert timing.waiter(first)(state) is state
    taken = timing.sample(prepared, [problem.theta], timing.waiter(first), 2, 0)
    assert 0 < taken.forward < taken.total and taken.backward == pytest.approx(taken.total - taken.forward)


def test_the_phases_of_a_gpu_method_are_timed_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "library", lambda gradient: "cuda")
    problem = AnalysisL1.draw(n=16, batch=3)
    prepared = BlorcBatched().prepare(problem)
    assert timing.sample(prepared, [problem.theta], timing.waiter(prepared(problem.theta)), 1, 0).total > 0


def test_a_worker_gives_the_memory_of_a_gpu_back() -> None:
    require("cuda")
    import torch

    problem = AnalysisL1.draw(n=64, batch=1000)
    BlorcBatched("cuda").prepare(problem)(problem.theta)
    before = torch.cuda.memory_reserved()
    memory.release()
    assert torch.cuda.memory_reserved() < before


@pytest.mark.parametrize("initialised", [True, False])
def test_memory_is_given_back_where_a_gpu_is_in_use_alone(initialised: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    emptied: list[bool] = []
    cuda = SimpleNamespace(is_initialized=lambda: initialised, empty_cache=lambda: emptied.append(True))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    memory.release()
    assert len(emptied) == initialised
    monkeypatch.delitem(sys.modules, "torch")
    memory.release()  # and does not load torch
    assert "torch" not in sys.modules


def test_a_worker_measures_on_every_device(device: str) -> None:
    sweep = Sweep(n=(16,), batch=(3,), methods=("blorc-batched-torch",))
    (planned,) = plan([sweep], device=device)
    worker = Worker(SimpleNamespace(send=lambda message: None), Settings((), (0,), 0, "", True))  # type: ignore[arg-type]
    drawn = worker.reference(planned)
    first = worker.prepare("cell", planned, *drawn, None)
    assert first.ending.status == "ok" and first.judgement.error_rel < EXACT
    assert all(sample.total > sample.forward > 0 for sample in worker.sample("cell", True, 0.02).samples)
    assert worker.memory("again", planned, *drawn, None).ending.status == "ok"


def test_memory_on_a_gpu_is_that_of_its_allocator() -> None:
    require("cuda")
    problem = AnalysisL1.draw(n=16, batch=100)
    prepared = BlorcBatched("cuda").prepare(problem)
    library = timing.library(prepared(problem.theta))
    assert memory.allocated(prepared, problem.theta, library) >= 8 * problem.y.size  # x* at the least


def test_cuda_is_refused_where_there_is_none() -> None:
    if environment.gpu():
        pytest.skip("there is a GPU here")
    code = "import sys; sys.argv = 'dargmin run --device cuda --n 16 --dry-run'.split(); from harness.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "dargmin: --device cuda needs a GPU that torch can use, got none; see dargmin doctor, or give --device cpu"
    ]
