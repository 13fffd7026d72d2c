"""The peer libraries against the reference: tight settings, defaults, batches, weights, what they leave behind."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
from _exact import relative

from harness.catalogue import select
from harness.presets import PRESETS
from harness.sweeps import plan
from methods import METHODS, PEERS, GradientMethod, to_numpy
from methods.blorc_cvxpylayers import BlorcCvxpylayers
from methods.peer_jaxopt import Jaxopt
from methods.peer_osqp import Osqp, _one_thread
from methods.peer_proxsuite import Proxsuite
from methods.peer_qpax import Qpax
from methods.peer_torchopt import Torchopt
from problems import AnalysisL1

DEFAULTS = PEERS[:-1:2]
TIGHT = (*PEERS[1::2], PEERS[-1])

# The relative error of the gradient at the tight settings, here with kinks 1e-2 away and condition numbers below 1e2.
ERRORS = {
    "optimistix": 1e-9,  # a last step of 1e-13 over 1 - rate, which is above 1e-2, over the margin
    "jaxopt-box-cdqp": 1e-7,  # tol 1e-10 over the margin
    "jaxopt-box-osqp": 1e-7,
    "jaxopt-box-osqp-primal": 1e-7,
    "qpax-dual": 1e-5,  # bias of s z = 1e-12 over margins of s and z of 1e-2 each, and rounding at that ill-conditioning
    "qpax-primal": 1e-5,
    "proxsuite-dual": 1e-7,  # eps, rho and mu of 1e-10 times condition numbers
    "proxsuite-primal": 1e-5,  # likewise, of a KKT matrix with twice the rows
    "osqp-dual": 1e-5,  # eps 1e-8 over the margin
    "osqp-primal": 1e-5,
    "torchopt": 1e-11,  # rounding
    "cvxpylayers-torch-clarabel": 1e-4,  # x good to the square root of 1e-12: the quadratic is a second-order cone
    "cvxpylayers-torch-moreau": 1e-5,  # tol 1e-12 on the gap is 1e-6 on x
    "cvxpylayers-torch-blorc": 1e-12,  # rounding
}


def skip_if_absent(method: GradientMethod) -> None:
    for name in method.requires:
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed; make install brings it")


def answer(method: GradientMethod, problem: AnalysisL1) -> tuple[float, bool | None]:
    """(relative error of the gradient, what the solver claims), shapes and types checked."""
    skip_if_absent(method)
    if reason := method.unsupported(problem):
        pytest.skip(reason)
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


@pytest.mark.parametrize("problem", [FEW_ROWS, MANY_ROWS], ids=["tv", "random-2n, row-weights, batch"])
@pytest.mark.parametrize("method", TIGHT, ids=lambda m: m.name)
def test_tight_settings_reach_the_reference(method: GradientMethod, problem: AnalysisL1) -> None:
    error, converged = answer(method, problem)
    assert error < ERRORS[method.name]
    assert converged is not False
    promise = method.promise(problem)
    assert promise is None or error < promise / 10


TORCH_DEFAULTS = [m for m in DEFAULTS if "torch" in m.requires]  # of JAX the tight ones are compiled already


@pytest.mark.parametrize("method", TORCH_DEFAULTS, ids=lambda m: m.name)
def test_defaults_promise_nothing_and_are_what_the_library_gives(method: GradientMethod) -> None:
    error, converged = answer(method, FEW_ROWS)
    assert method.promise(FEW_ROWS) is None
    assert 1e-12 < error < 0.5  # neither exact nor meaningless: tolerances between 1e-5 and 1e-9
    assert converged is not False


def test_no_default_promises_anything() -> None:
    assert [m.promise(FEW_ROWS) for m in DEFAULTS] == [None] * len(DEFAULTS)


def test_relaxed_by_default_means_a_wrong_gradient() -> None:
    error, converged = answer(Qpax(), FEW_ROWS)
    assert error > 1e-2  # s z = 1e-3 against margins of 1e-2
    assert converged is None


# ProxSuite's vectorised loops round by where memory happens to lie, which its adjoint carries to 1e-10 at default settings.
REPEATS = {Proxsuite(): 1e-8, Torchopt("inv"): 0.0, Osqp(tolerance=1e-8): 0.0}


@pytest.mark.parametrize("method", REPEATS, ids=lambda m: m.name)
def test_a_call_is_a_pure_function_of_theta_and_leaves_no_trace(method: GradientMethod) -> None:
    skip_if_absent(method)
    import torch

    call = method.prepare(MANY_ROWS)
    first = call(MANY_ROWS.theta)
    call(MANY_ROWS.theta + 0.1)
    again = call(MANY_ROWS.theta)
    assert relative(to_numpy(first.grad), to_numpy(again.grad)) <= REPEATS[method]
    assert torch.get_default_dtype() == torch.float32


def test_osqp_runs_on_one_thread() -> None:
    joblib = pytest.importorskip("joblib", reason="joblib is not installed")
    with _one_thread():
        assert joblib.effective_n_jobs(8) == 1


def test_blorc_in_the_layer_loops_over_a_batch_and_refuses_weights() -> None:
    problem = AnalysisL1.draw(n=8, operator="random-2n", seed=2, batch=3)
    error, _ = answer(BlorcCvxpylayers(), problem)
    assert error < ERRORS["cvxpylayers-torch-blorc"]
    assert BlorcCvxpylayers().unsupported(MANY_ROWS) == "the layer's parameter is W itself: theta = W"


def test_jaxopt_says_that_it_stopped_too_early() -> None:
    skip_if_absent(Jaxopt())
    found = Jaxopt("box-osqp", tolerance=1e-300).prepare(MANY_ROWS)(MANY_ROWS.theta)
    assert (found.converged, found.iterations) == (False, 100_000)


# The preset


def test_no_other_preset_measures_the_peers_unless_asked() -> None:
    ours = select(())
    assert set(ours) == set(METHODS) - set(PEERS)
    for name, sweeps in PRESETS.items():
        labels = {cell.label for cell in plan(sweeps, ours)}
        assert (labels >= {m.label for m in PEERS}) if name == "peers" else not labels & {m.label for m in PEERS}
    assert {m.label for m in PEERS} <= {cell.label for cell in plan(PRESETS["smoke"], select(["all"]))}


def test_the_preset_has_every_library_beside_ours_in_every_block() -> None:
    blocks: dict[str, set[str]] = {}
    for cell in plan(PRESETS["peers"], select(())):
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
