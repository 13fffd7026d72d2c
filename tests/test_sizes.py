"""Instances share nothing: a method answers at a second size, and for other shapes at one size, as if it had seen no other."""

from __future__ import annotations

import functools
import sys
from dataclasses import fields, replace

import numpy as np
import pytest

from harness.measure.runner import Options, Runner, blocks
from harness.measure.worker import missing
from harness.plan.sweeps import Sweep, plan
from methods import METHODS, GradientMethod, to_numpy
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
# What compiled code is shared by does not hang on how often it runs.
SHORT = {"iterations": 30, "last": 10, "terms": 30}


def short(method: GradientMethod) -> GradientMethod:
    return replace(method, **{f.name: SHORT[f.name] for f in fields(method) if f.name in SHORT})


# One setting a name.
COMPILING = tuple({m.name: short(m) for m in reversed(METHODS) if {"torch", "jax"} & set(m.requires)}.values())


def forget() -> None:
    """What the modules of methods and problems keep from one instance to the next."""
    for module in [module for name, module in sys.modules.items() if name.startswith(("methods", "problems."))]:
        for kept in vars(module).values():
            if isinstance(kept, functools._lru_cache_wrapper):
                kept.cache_clear()


def answer(method: GradientMethod, problem: Problem) -> Array:
    return np.asarray(to_numpy(method.prepare(problem)(problem.theta).grad))


def agree(method: GradientMethod, first: Problem, second: Problem) -> None:
    """Each after the other against each alone: the same computation, so the same numbers up to rounding."""
    if name := missing(method):
        pytest.skip(f"{name} is not installed")
    if method.unsupported(first) or method.unsupported(second):
        return
    forget()
    first_alone, second_after = answer(method, first), answer(method, second)
    forget()
    second_alone, first_after = answer(method, second), answer(method, first)
    for problem, alone, after in ((first, first_alone, first_after), (second, second_alone, second_after)):
        assert after.shape == problem.theta.shape
        np.testing.assert_allclose(after, alone, rtol=0, atol=1e-9 * np.abs(alone).max(), err_msg=method.label)


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
        if method.name in QUICK:
            agree(method, *pair(problem, problem.thetas[0]))


def test_two_sizes_in_one_run() -> None:
    """A worker goes on from block to block: the larger size after the smaller has the errors that it has alone."""
    methods = tuple(method for method in METHODS if method.name in QUICK)
    sizes = {problem.name: SIZES.get(problem.name, (8, 12)) for problem in PROBLEMS if problem.name in SHARE}
    sweeps = [Sweep(problem=problem, n=sizes[problem.name]) for problem in PROBLEMS if problem.name in SHARE]
    both, alone = errors(sweeps, methods), errors([replace(sweep, n=sweep.n[1:]) for sweep in sweeps], methods)
    assert len(alone) > len(sweeps) and len(both) == 2 * len(alone)
    assert {cell: both[cell] for cell in alone} == alone


def errors(sweeps: list[Sweep], methods: tuple[GradientMethod, ...]) -> dict[str, float]:
    """The relative error of every cell that has one, by block and label."""
    cells = {str(place): cell for place, cell in enumerate(plan(sweeps, methods))}
    with Runner(cells.values(), Options(budget_s=0.01, rounds=1)) as runner:
        rows = [row for _, members in blocks(cells) for row in runner.block(members)]
    assert not {row.status for _, _, row in rows} - {"ok", "inaccurate", "unsupported"}
    return {f"{cell.block()} {cell.label}": row.error_rel for _, cell, row in rows if row.status != "unsupported"}


@pytest.mark.parametrize("name", QUICK)
def test_two_numbers_of_rows_at_one_n(name: str) -> None:
    """W of n and of 2n rows have data of the same shapes, and forms that differ."""
    method = next(m for m in COMPILING if m.name == name)
    agree(method, *(AnalysisL1.draw(n=8, seed=1, operator=operator) for operator in ("random", "random-2n")))


def together() -> list[tuple[Ensemble, str, GradientMethod]]:
    """Every problem with its first theta and every method that compiles; on a share those that do not."""
    found: list[tuple[Ensemble, str, GradientMethod]] = []
    for problem in PROBLEMS:
        instance = pair(problem, problem.thetas[0])[0]
        chosen = [method for method in COMPILING if "jax" in method.requires or problem.name in SHARE]
        found += [(problem, problem.thetas[0], method) for method in chosen if not method.unsupported(instance)]
    return found


@pytest.mark.long
@pytest.mark.parametrize(("problem", "theta", "method"), together(), ids=lambda part: getattr(part, "name", part))
def test_two_sizes_with_every_method(problem: Ensemble, theta: str, method: GradientMethod) -> None:
    agree(method, *pair(problem, theta))


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
