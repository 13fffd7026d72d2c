"""Limits of time: preparation, which ends with the first call, has one of its own; a call's limit is for the calls after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from harness.commands import running
from harness.commands.checking import Checker
from harness.measure.processes import Limits
from harness.measure.runner import Options, Runner, blocks
from harness.plan.catalogue import ensemble, select
from harness.plan.sweeps import Sweep, plan
from methods import GradientMethod, to_numpy
from problems import AnalysisL1
from results import Measured, Planned, Run

METHODS_FILE = Path(__file__).parent / "_methods.py"
CALL = "a call took longer than 2 s; raise --timeout"


def measured(name: str, options: Options, *sweeps: Sweep) -> list[tuple[Planned, Measured]]:
    """The rows of a plan of the methods of that name in _methods.py, in the order of the plan."""
    source = f"{METHODS_FILE}:{name}"
    cells = {str(i): cell for i, cell in enumerate(plan(sweeps, select([source])))}
    with Runner(cells.values(), replace(options, sources=(source,))) as runner:
        rows = [row for _, members in blocks(cells) for row in runner.block(members)]
    return [(planned, found) for _, planned, found in rows]


def test_a_slow_preparation_that_ends_goes_on_and_a_slow_call_does_not() -> None:
    """Both are settings of one method: the second costs the first its worker, so that it is prepared again."""
    options = Options(timeout_s=2.0, preparation_s=30.0)
    rows = {planned.label: found for planned, found in measured("SLOW", options, Sweep(n=(8,)))}
    slow, stuck = rows["sleeps(setup=2.5, first=2.5)"], rows["sleeps(later=600)"]
    assert (slow.status, stuck.status, stuck.reason) == ("ok", "timeout", CALL)
    assert min(slow.setup_s, slow.first_call_s) > 2 > slow.total_s > 0


def test_who_meets_the_limit_of_preparation_is_not_run_again_but_on_other_problems() -> None:
    options = Options(timeout_s=1.0, preparation_s=8.0)
    gaussian = Sweep(problem=ensemble("lasso"), signals=("gaussian",), n=(8, 16), seeds=(1, 2))
    sweeps = gaussian, replace(gaussian, problem=ensemble("ridge"), n=(16,), seeds=(1,))
    found = [(planned.problem, planned.n, row.status, row.reason) for planned, row in measured("STUCK", options, *sweeps)]
    met = "preparation took longer than 8 s; raise --preparation-timeout"
    assert found == [
        ("lasso", 8, "timeout", met),
        ("lasso", 8, "not-run", f"at n = 8 {met}"),
        *[("lasso", 16, "not-run", f"at n = 8 {met}")] * 2,
        ("ridge", 16, "timeout", met),
    ]


def test_a_check_has_the_same_limits() -> None:
    source = f"{METHODS_FILE}:SLOW"
    slow, stuck = select([source])
    with Checker((), (source,), timeout_s=2.0, preparation_s=30.0) as checker:
        assert checker.verdict(slow, "purity", "tv").passed
        assert checker.verdict(stuck, "float64", "tv").passed  # one call
        assert checker.verdict(stuck, "purity", "tv").message == f"timeout: {CALL}"


def test_a_check_ends_at_the_limit_of_preparation() -> None:
    source = f"{METHODS_FILE}:STUCK"
    with Checker((), (source,), timeout_s=1.0, preparation_s=4.0) as checker:
        found = checker.verdict(*select([source]), "float64", "tv")
    assert (found.passed, found.message) == (False, "timeout: preparation took longer than 4 s; raise --preparation-timeout")


def test_a_preparation_is_never_given_less_than_a_call() -> None:
    assert Limits(600.0, 300.0, 0).of("preparation")[0] == 600.0
    assert Limits(60.0, 300.0, 0).of("preparation")[0] == 300.0


def test_a_resumed_run_keeps_the_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Options] = []
    monkeypatch.setattr(running, "_measure", lambda made, options, client: seen.append(options))
    request = running.Request(None, {"n": "8"}, ("fd-directional",), 1, "cpu", None, 7.0, 77.0, 8.0)
    running.run(request, tmp_path / "run", dry_run=False)
    running.resume(tmp_path / "run")
    assert seen[0] == seen[1] and (seen[0].timeout_s, seen[0].preparation_s) == (7.0, 77.0)
    assert Run.open(tmp_path / "run").settings["preparation_s"] == asdict(seen[0])["preparation_s"]


# What is compiled when


def compiling(call: Callable[[], object]) -> int:
    """How often JAX compiles in a call."""
    import jax.monitoring as monitoring

    names: list[str] = []

    def listen(name: str, seconds: float, **more: object) -> None:
        names.append(name)

    monitoring.register_event_duration_secs_listener(listen)
    try:
        call()
    finally:
        monitoring.unregister_event_duration_listener(listen)
    return sum("backend_compile" in name for name in names)


AHEAD = ("closed-form-jax", "unrolled-fista-jax", "unrolled-forward-ista-jax", "fixed-point-ista-jax", "one-step-ista-jax")
AHEAD += ("bregman-fixed-point-jax",)


@pytest.mark.parametrize("method", select(AHEAD), ids=lambda method: method.label)
@pytest.mark.parametrize("batch", [None, 3])
def test_what_jax_can_compile_ahead_it_compiles_in_prepare(method: GradientMethod, batch: int | None) -> None:
    problem = AnalysisL1.draw(n=13, batch=batch)  # a size that no other test has: compiled code is kept for a process
    made = []
    assert compiling(lambda: made.append(method.prepare(problem))) >= 1
    assert compiling(lambda: to_numpy(made[0](problem.theta).grad)) == 0


@pytest.mark.parametrize("method", select(AHEAD), ids=lambda method: method.label)
def test_prepare_solves_nothing(method: GradientMethod, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("solve", "pattern", "_dual_solution"):
        monkeypatch.setattr(AnalysisL1, name, lambda *arguments: pytest.fail("solved"))
    method.prepare(AnalysisL1.draw(n=13))
