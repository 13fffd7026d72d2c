"""The peer libraries against the reference: tight settings, defaults, batches, weights, what they leave behind."""

from __future__ import annotations

import numpy as np
import pytest
from _exact import relative
from _sharp import DEFAULTS, PEER_ERRORS, TIGHT, case, in_jax

from harness.plan.catalogue import select
from harness.plan.presets import PRESETS
from harness.plan.sweeps import plan
from methods import PEERS, GradientMethod, to_numpy
from methods.blorc.cvxpylayers import BlorcCvxpylayers
from methods.peers.jaxopt import Jaxopt
from methods.peers.osqp import Osqp, _one_thread
from methods.peers.proxsuite import Proxsuite
from methods.peers.qpax import Qpax
from methods.peers.torchopt import Torchopt
from problems import AnalysisL1


def answer(method: GradientMethod, problem: AnalysisL1) -> tuple[float, bool | None]:
    """(relative error of the gradient, what the solver claims), shapes and types checked."""
    assert method.unsupported(problem) is None
    reference = problem.reference()
    assert reference.status == "proven", reference.reason
    result = method.prepare(problem)(problem.theta)
    grad, x = to_numpy(result.grad), to_numpy(result.solution)
    assert grad.dtype == x.dtype == np.float64
    assert (grad.shape, x.shape) == (problem.theta.shape, problem.y.shape)
    assert float(result.value) == pytest.approx(float(problem.loss(x, problem.theta)), rel=1e-12)
    return relative(grad, reference.grad), result.converged


FEW_ROWS = AnalysisL1.draw(n=12, operator="tv", seed=4)  # k < n
MANY_ROWS = AnalysisL1.draw(n=8, operator="random-2n", seed=2, theta="row-weights", batch=3)  # k > n: WW' is singular


@pytest.mark.parametrize(
    ("method", "problem"),
    [
        case(m, problem, long=in_jax(m) and problem is FEW_ROWS)
        for m in TIGHT
        for problem in (FEW_ROWS, MANY_ROWS)
        if m.unsupported(problem) is None
    ],
    ids=lambda part: part.name if isinstance(part, GradientMethod) else f"k = {part.theta.shape[0]}",
)
def test_tight_settings_reach_the_reference(method: GradientMethod, problem: AnalysisL1) -> None:
    error, converged = answer(method, problem)
    assert error < PEER_ERRORS[method.name]
    assert converged is not False
    promise = method.promise(problem, problem.reference())
    assert promise is None or error < promise / 10


TORCH_DEFAULTS = [m for m in DEFAULTS if "torch" in m.requires]  # of JAX the tight ones are compiled already


@pytest.mark.parametrize("method", TORCH_DEFAULTS, ids=lambda m: m.name)
def test_defaults_promise_nothing_and_are_what_the_library_gives(method: GradientMethod) -> None:
    error, converged = answer(method, FEW_ROWS)
    assert method.promise(FEW_ROWS, FEW_ROWS.reference()) is None
    assert 1e-12 < error < 0.5  # neither exact nor meaningless: tolerances between 1e-5 and 1e-9
    assert converged is not False


def test_no_default_promises_anything() -> None:
    assert [m.promise(FEW_ROWS, FEW_ROWS.reference()) for m in DEFAULTS] == [None] * len(DEFAULTS)


def test_relaxed_by_default_means_a_wrong_gradient() -> None:
    error, converged = answer(Qpax(), FEW_ROWS)
    assert error > 1e-2  # s z = 1e-3 against margins of 1e-2
    assert converged is None


# ProxSuite's vectorised loops round by where memory happens to lie, which its adjoint carries to 1e-10 at default settings.
REPEATS = {Proxsuite(): 1e-8, Torchopt("inv"): 0.0, Osqp(tolerance=1e-8): 0.0}


@pytest.mark.parametrize("method", REPEATS, ids=lambda m: m.name)
def test_a_call_is_a_pure_function_of_theta_and_leaves_no_trace(method: GradientMethod) -> None:
    import torch

    call = method.prepare(MANY_ROWS)
    first = call(MANY_ROWS.theta)
    call(MANY_ROWS.theta + 0.1)
    again = call(MANY_ROWS.theta)
    assert relative(to_numpy(first.grad), to_numpy(again.grad)) <= REPEATS[method]
    assert torch.get_default_dtype() == torch.float32


def test_osqp_runs_on_one_thread() -> None:
    import joblib

    with _one_thread():
        assert joblib.effective_n_jobs(8) == 1


def test_blorc_in_the_layer_loops_over_a_batch_and_refuses_weights() -> None:
    problem = AnalysisL1.draw(n=8, operator="random-2n", seed=2, batch=3)
    error, _ = answer(BlorcCvxpylayers(), problem)
    assert error < PEER_ERRORS["cvxpylayers-torch-blorc"]
    assert BlorcCvxpylayers().unsupported(MANY_ROWS) == "the layer's parameter is W itself: theta = W"


def test_jaxopt_says_that_it_stopped_too_early() -> None:
    found = Jaxopt("box-osqp", tolerance=1e-300).prepare(MANY_ROWS)(MANY_ROWS.theta)
    assert (found.converged, found.iterations) == (False, 100_000)


# The preset


def test_no_other_preset_measures_the_peers_unless_asked() -> None:
    labels = {name: {cell.label for cell in plan(PRESETS[name])} for name in ("smoke", "default", "paper", "scaling", "peers")}
    peers = {m.label for m in PEERS}
    assert peers <= labels.pop("peers")
    assert not any(peers & found for found in labels.values())
    assert peers <= {cell.label for cell in plan(PRESETS["smoke"], select(["all"]))}


def test_the_preset_has_every_library_beside_ours_in_every_block() -> None:
    blocks: dict[str, set[str]] = {}
    for cell in plan(PRESETS["peers"]):
        blocks.setdefault(cell.block(), set()).add(cell.label)
    ours = {"blorc", "blorc-torch", "cvxpylayers-torch", "cvxpylayers-torch(tolerance=1e-10, adjoint=dense)"}
    libraries = {"optimistix", "jaxopt-box-cdqp", "qpax-dual", "proxsuite-dual", "osqp-dual", "cvxpylayers-torch-moreau"}
    for labels in blocks.values():
        assert ours <= labels
        assert libraries <= {label.split("(")[0] for label in labels}
    assert {m.requires[-1] for m in PEERS} >= {
        "lineax",
        "jaxopt",
        "qpax",
        "proxsuite",
        "joblib",
        "torchopt",
        "moreau",
        "clarabel",
    }
