"""Instances share nothing: a method answers at a second size, and for other shapes at one size, as if it had seen no other."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from methods import METHODS, GradientMethod, to_numpy
from methods._autodiff import _stages, _whole
from problems import PROBLEMS, AnalysisL1, Ensemble, Problem
from problems.base import Array

SIZES = {
    "image-denoising": (9, 16),
    "deblurring": (9, 16),
    "mri": (9, 16),
    "learned-potentials": (9, 16),
    "logistic": (26, 39),
    "ridge": (10, 64),
    "scalar": (1, 1),
}
QUICK = ("smoothed-ift-torch", "unrolled-admm-torch")
SHARE = ("analysis-l1", "lasso", "image-denoising", "matrix-game", "tv-value")
COMPILING = tuple(m for m in METHODS if {"torch", "jax"} & {name.split(".")[0] for name in m.requires})


def answer(method: GradientMethod, problem: Problem) -> Array:
    return np.asarray(to_numpy(method.prepare(problem)(problem.theta).grad))


def fresh(method: GradientMethod, problem: Problem) -> Array:
    _stages.cache_clear()
    _whole.cache_clear()
    return answer(method, problem)


def agree(method: GradientMethod, instances: tuple[Problem, ...]) -> None:
    """Both instances, one after the other, against each alone: the same computation, so the same numbers up to rounding."""
    if any(find_spec(name.split(".")[0]) is None for name in method.requires):
        pytest.skip(f"{method.name} is not installed")
    if method.unsupported(instances[0]) or method.unsupported(instances[1]):
        return
    expected = [fresh(method, problem) for problem in instances]
    for order in ((0, 1), (1, 0)):
        _stages.cache_clear()
        _whole.cache_clear()
        for i in order:
            found, scale = answer(method, instances[i]), np.abs(expected[i]).max()
            assert found.shape == instances[i].theta.shape
            np.testing.assert_allclose(found, expected[i], rtol=0, atol=1e-9 * scale, err_msg=method.label)


def pair(problem: Ensemble, theta: str) -> tuple[Problem, Problem]:
    first, second = SIZES.get(problem.name, (8, 12))
    if theta == "taps":
        first, second = 25, 36
    return problem.instance(first, 1, theta), problem.instance(second, 2, theta)


PAIRS = [(problem, theta) for problem in PROBLEMS for theta in problem.thetas]


@pytest.mark.parametrize("problem", [p for p in PROBLEMS if p.name in SHARE], ids=lambda problem: problem.name)
def test_two_sizes_in_one_process(problem: Ensemble) -> None:
    """A share: `test_two_sizes_with_every_method` goes through all."""
    for method in COMPILING:
        if method.label in QUICK:
            agree(method, pair(problem, problem.thetas[0]))


@pytest.mark.parametrize("label", QUICK)
def test_two_numbers_of_rows_at_one_n(label: str) -> None:
    """W of n and of 2n rows have data of the same shapes, and forms that differ."""
    method = next(m for m in METHODS if m.label == label)
    agree(method, tuple(AnalysisL1.draw(n=8, seed=1, operator=operator) for operator in ("random", "random-2n")))


@pytest.mark.long
@pytest.mark.parametrize("method", COMPILING, ids=lambda method: method.label)
@pytest.mark.parametrize(("problem", "theta"), PAIRS, ids=lambda part: getattr(part, "name", part))
def test_two_sizes_with_every_method(problem: Ensemble, theta: str, method: GradientMethod) -> None:
    agree(method, pair(problem, theta))


@pytest.mark.parametrize(("problem", "theta"), PAIRS, ids=lambda part: getattr(part, "name", part))
def test_other_data_leave_nothing_of_the_first_behind(problem: Ensemble, theta: str) -> None:
    """`with_data` of the second instance's data is the second instance in all but theta; structures tell sizes apart."""
    first, second = pair(problem, theta)
    if first.structure()[:-1] != second.structure()[:-1]:
        return  # the operator belongs to the structure
    first.solve(first.theta)  # fills whatever the instance keeps
    moved = first.with_data(second.data())
    x = second.solve(second.theta)
    assert moved.loss(x, second.theta) == second.loss(x, second.theta)
    np.testing.assert_allclose(moved.solve(second.theta), x, rtol=0, atol=1e-12 * max(1.0, np.abs(x).max()))
    assert (first.structure() == second.structure()) == (first.shapes() == second.shapes())
