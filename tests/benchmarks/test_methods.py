"""pytest-benchmark: every method at a few sizes; error and memory stand in extra_info."""

from __future__ import annotations

import math

import pytest

from harness.checks.judge import judge
from harness.measure import memory, timing
from harness.plan.catalogue import select
from methods import GradientMethod
from problems import AnalysisL1

SIZES = (16, 36, 64)
MOST_SECONDS = 1.0  # a call slower than this is timed once


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("method", select(()), ids=lambda method: method.label)
def test_gradient(benchmark, method: GradientMethod, n: int) -> None:
    problem = AnalysisL1.draw(n=n, sigma=0.1, seed=1, operator="tv")
    if reason := method.unsupported(problem):
        pytest.skip(reason)
    prepared = method.prepare(problem)
    first, first_s = timing.call_once(prepared, problem.theta)
    reference = problem.reference()
    ending, judgement = judge(first, problem, reference, method.promise(problem, reference))
    benchmark.group = f"tv n={n}"
    benchmark.extra_info.update(
        {name: value for name, value in vars(judgement).items() if not (isinstance(value, float) and math.isnan(value))}
        | {"first_call_s": first_s}
    )

    def call() -> None:
        timing.call_once(prepared, problem.theta)

    benchmark.extra_info["peak_bytes"] = memory.peak(call)
    if first_s > MOST_SECONDS:
        benchmark.pedantic(call, rounds=1)
    else:
        benchmark(call)
    assert ending.status == "ok", ending.reason
