"""Every method of METHODS against the reference, the peers (which have their own tests) in what they say of themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache

import numpy as np
import pytest
from _exact import EXISTS, relative
from _sharp import OURS, STRATEGIES, case, in_jax, label, sharp, slow

from methods import CORE, METHODS, PEERS, Gradient, GradientMethod, Prepared, Split
from methods.blorc import Blorc
from methods.blorc.warm import BlorcWarm
from methods.finite_differences import DirectionalDifferences, EntrywiseDifferences
from methods.unrolled import Unrolled
from methods.unrolled_forward import UnrolledForward
from methods.weak import Weak
from problems import OPERATORS, THETAS, AnalysisL1, Problem
from problems.algorithms import ALGORITHMS, algorithm

SEEDS = {"random-2n": 2, "filters": 1, "tv": 4}  # of instances whose kink distance exceeds 1e-3
FEW_OPERATORS = ("tv", "random-2n")  # k < n and k > n: a JAX compilation takes a second, cone programs have their own tests
SLOW_OPERATORS = ("tv", "random")  # of the entrywise differences: two solves an entry


SINGLE = (EntrywiseDifferences, DirectionalDifferences, BlorcWarm, UnrolledForward, Weak)  # one phase, or a state

each_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.label)


@cache
def drawn(operator: str, theta: str = "dense", batch: int | None = None, signal: str = "piecewise-constant") -> AnalysisL1:
    return AnalysisL1.draw(n=9, operator=operator, theta=theta, batch=batch, seed=SEEDS.get(operator, 1), signal=signal)


# AnalysisL1 has no smooth energy, is no linear system, and its loss is not its optimal value: tests/test_pairs.py has problems
# that are, for the methods that ask for them.
ELSEWHERE = ("Energy", "Conditioned", "LinearSystem", "Computation", "ValueFunction: the loss is not the optimal value")
MISSING = {f"needs the structure {name}" for name in ELSEWHERE}
HERE = [method for method in STRATEGIES if method.unsupported(drawn("tv")) not in MISSING]
each_strategy = pytest.mark.parametrize("method", HERE, ids=lambda method: method.name)
each_of_ours = pytest.mark.parametrize(
    "method", [m for m in OURS if m.name in {h.name for h in HERE}], ids=lambda method: method.label
)


CORE_NAMES = {method.name for method in CORE}


def shapes(method: GradientMethod) -> tuple[str, ...]:
    """The operators a method is compared on: outside the core one with JAX, two with others; slow methods have two at most."""
    if method.name not in CORE_NAMES:
        return FEW_OPERATORS[1:] if in_jax(method) else FEW_OPERATORS
    if in_jax(method) or method.family == "cone program":
        return FEW_OPERATORS
    return SLOW_OPERATORS if isinstance(method, EntrywiseDifferences) else OPERATORS


def rarely(method: GradientMethod) -> bool:
    """Outside the core, slow methods are here for one instance alone, the batch; tests/test_pairs.py has others."""
    return slow(method) and method.name not in CORE_NAMES


SHAPES = [case(method, operator, long=rarely(method)) for method in HERE for operator in shapes(method)]
WEIGHTS = [
    case(method, theta, batch, long=rarely(method) or (theta, batch) not in ((THETAS[1], 3), (THETAS[2], None)))
    for method in HERE
    for theta in THETAS[1:]
    for batch in (None, 3)
    if method.unsupported(drawn("tv", theta, batch)) is None
]


@cache
def prepared(method: GradientMethod, problem: AnalysisL1) -> Prepared:
    """Prepared once, and with JAX compiled once, for all tests that ask for the same."""
    return method.prepare(problem)


def check(method: GradientMethod, problem: AnalysisL1) -> Gradient:
    """Gradient, solution and value against the reference, in float64 and the right shapes."""
    reference, limits = problem.reference(), sharp(method)[1]
    assert reference.status in EXISTS, reference.reason
    result = prepared(method, problem)(problem.theta)
    grad, x = np.asarray(result.grad), np.asarray(result.solution)
    assert grad.dtype == x.dtype == np.float64
    assert x.shape == problem.y.shape
    assert relative(x, reference.solution) < limits.error_x
    assert float(result.value) == pytest.approx(float(problem.loss(x, problem.theta)), rel=1e-12)
    assert result.converged is not False
    if result.direction is None:
        assert grad.shape == problem.theta.shape
        assert relative(grad, reference.grad) < limits.error
    else:
        assert grad.shape == ()
        assert abs(grad - (reference.grad * result.direction).sum()) < limits.error * np.linalg.norm(reference.grad)
    return result


@pytest.mark.parametrize(("method", "operator"), SHAPES, ids=label)
def test_the_gradient_is_that_of_the_reference(method: GradientMethod, operator: str) -> None:
    check(method, drawn(operator))


@pytest.mark.parametrize(("method", "theta", "batch"), WEIGHTS, ids=label)
def test_weights_and_their_batches(method: GradientMethod, theta: str, batch: int | None) -> None:
    check(method, drawn("tv", theta, batch))


@pytest.mark.parametrize("batch", [pytest.param(1, marks=pytest.mark.long), 2])
@each_strategy
def test_the_gradient_of_a_batch_is_that_of_its_reference(method: GradientMethod, batch: int) -> None:
    check(method, drawn("random", batch=batch))


def test_the_reference_of_a_batch_is_the_mean_of_those_of_its_signals() -> None:
    problem = drawn("random", batch=2)
    pairs = zip(problem.y, problem.target, strict=True)
    singles = [AnalysisL1(problem.theta, y, target, problem.beta).reference() for y, target in pairs]
    assert relative(problem.reference().grad, np.mean([single.grad for single in singles], axis=0)) < 1e-14  # rounding
    assert problem.reference().value == pytest.approx(np.mean([single.value for single in singles]), rel=1e-14)
    assert relative(singles[0].grad, singles[1].grad) > 0.1


WITHOUT_JAX = [method for method in HERE if not in_jax(method)]
SIGNALS = ("dct-sparse", "image-patches")


@pytest.mark.parametrize(
    ("method", "signal"),
    [case(m, signal, long=rarely(m) or signal == SIGNALS[1]) for m in WITHOUT_JAX for signal in SIGNALS],
    ids=label,
)
def test_other_signals(method: GradientMethod, signal: str) -> None:
    check(method, drawn("dct", signal=signal))


# A prepared call is a pure function of theta


def bits(result: Gradient) -> tuple[bytes, bytes, bytes]:
    return tuple(np.asarray(part).tobytes() for part in (result.value, result.solution, result.grad))  # type: ignore[return-value]


@each_of_ours
def test_a_prepared_call_is_pure(method: GradientMethod) -> None:
    problem = drawn("random", batch=2)
    theta = problem.theta.copy()
    other = np.asfortranarray(1.01 * problem.theta)
    call = prepared(method, problem)
    first = call(theta)
    kept = bits(first)
    second = call(other)
    assert bits(call(theta)) == kept == bits(first)
    assert bits(second) != kept
    assert np.array_equal(theta, problem.theta) and np.array_equal(other, 1.01 * problem.theta)
    assert not np.shares_memory(np.asarray(first.solution), problem.y)


@pytest.mark.parametrize(("method",), [case(m, long=rarely(m)) for m in WITHOUT_JAX], ids=label)
def test_the_gradient_is_taken_at_the_theta_given(method: GradientMethod) -> None:
    problem = drawn("random")
    moved = AnalysisL1(1.1 * problem.theta, problem.y, problem.target, problem.beta)
    result, truth = method.prepare(problem)(moved.theta), moved.reference().grad
    found = np.asarray(result.grad)
    expected = truth if result.direction is None else (truth * result.direction).sum()
    assert np.linalg.norm(found - expected) < sharp(method)[1].error * np.linalg.norm(truth)


@each_of_ours
def test_split_calls_are_their_two_phases(method: GradientMethod) -> None:
    problem = drawn("random", batch=2)
    call = prepared(method, problem)
    if isinstance(call, Split):
        assert bits(call.backward(call.forward(problem.theta))) == bits(call(problem.theta))
    else:
        assert isinstance(method, SINGLE)


# Single methods


def test_directional_differences_give_the_slope_along_a_drawn_unit_direction() -> None:
    problem = drawn("random")
    results = [DirectionalDifferences(seed=seed).prepare(problem)(problem.theta) for seed in (0, 0, 1)]
    directions = [result.direction for result in results]
    assert all(np.linalg.norm(d) == pytest.approx(1, rel=1e-14) for d in directions)
    assert np.array_equal(directions[0], directions[1]) and not np.array_equal(directions[0], directions[2])
    for result in results:
        slope = (problem.reference().grad * result.direction).sum()
        assert float(result.grad) == pytest.approx(slope, rel=1e-6)
        assert result.iterations == 2


@pytest.mark.parametrize("scheme", ["ista", "fista", "admm"])
@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_unrolling_takes_the_iterations_it_is_told_to(scheme: str, framework: str) -> None:
    problem = drawn("random", batch=2)
    steps = algorithm(scheme, problem)
    v = steps.init(problem.theta)
    shared = steps.shared(v, problem.theta)
    for _ in range(3):
        v = steps.step(v, problem.theta, shared)
    result = Unrolled(scheme, framework, iterations=3).prepare(problem)(problem.theta)
    assert result.iterations == 3
    np.testing.assert_allclose(result.solution, steps.read(v, problem.theta, shared), atol=1e-14)  # rounding
    assert relative(np.asarray(result.solution), problem.reference().solution) > 1e-6  # and three are not enough


SCHEMES = [kind.name for kind in ALGORITHMS if Unrolled(kind.name).unsupported(drawn("random")) is None]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_unrolling_differentiates_its_own_iterations_wherever_they_lead(scheme: str) -> None:
    """Schemes that solve another problem, or slowly, are as exact in this as the others."""
    problem = drawn("random", batch=2)
    steps = algorithm(scheme, problem)
    start = steps.init(problem.theta)

    def loss(theta: np.ndarray) -> float:
        v, shared = start, steps.shared(start, theta)
        for _ in range(20):
            v = steps.step(v, theta, shared)
        return float(problem.loss(steps.read(v, theta, shared), theta))

    result = Unrolled(scheme, "torch", iterations=20).prepare(problem)(problem.theta)
    assert float(result.value) == pytest.approx(loss(problem.theta), rel=1e-12)
    grad, h = np.asarray(result.grad), 1e-5
    along = np.random.default_rng(0).standard_normal(grad.shape)
    slope = (loss(problem.theta + h * along) - loss(problem.theta - h * along)) / (2 * h)
    assert (grad * along).sum() == pytest.approx(slope, rel=1e-6)  # h^2 times third derivatives, and rounding 1e-16 / h


def test_blorc_names_dependent_zero_rows() -> None:
    w = np.diff(np.eye(6), axis=0)[[0, 1, 2, 3, 4, 0]]
    y = np.array([[1.0, 1.02, 0.98, -0.5, -0.52, 0.03], [3.0, -2.0, 1.0, -4.0, 2.0, 0.0]])
    problem = AnalysisL1(w, y, np.zeros_like(y), 0.1)
    note = Blorc().prepare(problem)(problem.theta).note
    assert note == "dependent zero rows in 1 of 2 signals: no gradient in the entries of W"
    assert Blorc().prepare(drawn("tv"))(drawn("tv").theta).note == ""


class Bare(Problem):
    """A problem without any structure."""

    solve = loss = loss_grad = reference = lambda self: None  # type: ignore[assignment]
    theta = np.zeros((3, 4))


STRUCTURES = {
    "blorc": "needs the structure BoxDual",
    "blorc-paper": "needs the structures BoxDual and Splitting",
    "closed-form": "needs the structure PartlySmooth",
    "unrolled": "needs the structure Splitting",
    "smoothed-ift": "needs the structure Splitting",
    "truncated": "needs the structure Splitting",
    "unrolled-forward": "needs the structure Splitting",
    "fixed-point": "needs the structure Splitting",
    "neumann": "needs the structure Splitting",
    "one-step": "needs the structure Splitting",
    "partial-smoothness": "needs the structure Splitting",
    "weak": "needs the structure Splitting",
    "cvxpylayers": "needs the structure ConicProgram",
    "diffcp": "needs the structure ConicProgram",
    "bregman-fixed-point": "needs the structure Splitting",
    "ift": "needs the structure Energy",
    "ift-cg": "needs the structure Conditioned",
    "autodiff": "needs the structure Computation",
    "linear-solve-vjp": "needs the structure LinearSystem",
    "value-duality": "needs the structure ValueFunction: the loss is not the optimal value",
    "fd": None,
    **dict.fromkeys(("optimistix", "jaxopt", "qpax", "proxsuite", "osqp", "torchopt"), "needs the structure BoxDual"),
}


@each_method
def test_a_refusal_names_what_is_missing(method: GradientMethod) -> None:
    matching = [name for name in STRUCTURES if method.name == name or method.name.startswith(f"{name}-")]
    assert matching, f"add {method.name} to STRUCTURES"
    assert method.unsupported(Bare()) == STRUCTURES[matching[-1]]
    assert (method.unsupported(drawn("tv")) is None) == (method.name in {m.name for m in (*HERE, *PEERS)})


def named(name: str) -> GradientMethod:
    return next(method for method in METHODS if method.name == name)


REFUSALS: list[tuple[GradientMethod, Callable[[], AnalysisL1], str | None]] = [
    (named("blorc-paper"), lambda: drawn("tv", "row-weights"), "the printed formulas are for theta = W"),
    (named("blorc-paper"), lambda: drawn("tv", "weight"), "the printed formulas are for theta = W"),
    (
        EntrywiseDifferences(),
        lambda: AnalysisL1.draw(n=256, operator="identity"),
        "needs 131072 lower-level solves, more than 100000",
    ),
    (EntrywiseDifferences(), lambda: AnalysisL1.draw(n=223, operator="identity"), None),
    (EntrywiseDifferences(), lambda: AnalysisL1.draw(n=256, operator="identity", theta="row-weights"), None),
    (
        Unrolled("newton"),
        lambda: drawn("tv"),
        f"algorithm must be one of {', '.join(a.name for a in ALGORITHMS)}, got 'newton'",
    ),
]


@pytest.mark.parametrize(("method", "make", "reason"), REFUSALS, ids=range(len(REFUSALS)))
def test_refusals_carry_their_reason(method: GradientMethod, make: Callable[[], AnalysisL1], reason: str | None) -> None:
    assert method.unsupported(make()) == reason


# Labels


def test_labels_are_unique_and_show_changed_knobs_only() -> None:
    labels = [method.label for method in METHODS]
    assert len(set(labels)) == len(labels)
    assert Unrolled("ista", "jax").label == "unrolled-ista-jax"
    assert Unrolled("ista", "jax", 300).label == "unrolled-ista-jax"
    assert Unrolled("ista", "jax", 10).label == "unrolled-ista-jax(iterations=10)"
    assert EntrywiseDifferences(h=1e-4).label == "fd-entrywise(h=0.0001)"
    assert DirectionalDifferences(h=1e-3, seed=2).label == "fd-directional(h=0.001, seed=2)"


@each_method
def test_the_rungs_of_a_ladder_differ_in_the_knob_alone(method: GradientMethod) -> None:
    rungs = method.ladder()
    assert len({rung.label for rung in rungs}) == len(rungs) >= 1
    assert {rung.name for rung in rungs} == {method.name}
    assert (len(rungs) > 1) == bool(method.knob)
    if method.knob:
        values = [getattr(rung, method.knob) for rung in rungs]
        assert len(set(values)) == len(values)


@each_method
def test_what_a_method_says_of_itself(method: GradientMethod) -> None:
    assert method.family and method.formula and method.batching in ("native", "loop")
    assert set(method.knobs) == {f.name for f in fields(method)} - set(method.identity)
    assert method.knob in {"", *method.knobs}
    promise = method.promise(drawn("tv"), drawn("tv").reference())
    assert promise is None or 0 < promise < 1
    assert hash(method) == hash(replace(method))
