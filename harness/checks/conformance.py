"""The checks of one method on one instance, run inside a worker; each ends in a Verdict."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np

from harness.answers import judged, promised, received, sentence
from harness.checks.errors import relative, relative_or_absolute
from harness.checks.judge import reference_error
from harness.checks.verdicts import EXACT, Answer, Begin, Verdict, ask, by_design, error, graded
from harness.plan.catalogue import ensemble, small_instance
from methods import Gradient, GradientMethod
from problems import AnalysisL1, Problem
from problems.base import Array
from problems.traps import COTANGENTS, TRAPS, Trap
from results import WRONG

# Regular instances: the reference has a gradient, far from any kink.

REGULAR: dict[str, dict[str, str]] = {
    "tv": {"operator": "tv"},
    "identity": {"operator": "identity"},
    "dct": {"operator": "dct"},
    "random": {"operator": "random"},
    "random-2n": {"operator": "random-2n"},
    "tv, row-weights": {"operator": "tv", "theta": "row-weights"},
    "dct, weight": {"operator": "dct", "theta": "weight"},
}
BATCH = 3
CLAIMS = ("tv",)  # where what an answer says beside its gradient is judged


@cache
def regular(name: str, batch: int | None = None) -> AnalysisL1:
    """The instance of REGULAR, n = 16."""
    return AnalysisL1.draw(n=16, batch=batch, **REGULAR[name])  # type: ignore[arg-type]


@cache
def small(name: str) -> Problem:
    """The instance "problem|theta", the problem by its name or as path/to/file.py:NAME."""
    problem, _, theta = name.rpartition("|")
    return small_instance(ensemble(problem), theta)


def on(instance: str) -> Problem:
    """What a check that any problem can undergo is made on."""
    return regular(instance) if instance in REGULAR else small(instance)


def check_gradient(method: GradientMethod, instance: str, begin: Begin) -> Verdict:
    """The error against the reference within the method's own promise."""
    problem, truth = on(instance), _truth(instance)
    return graded(ask(method, problem, begin), truth, _promise(method, problem), flags_pass=False)


def check_float64(method: GradientMethod, instance: str, begin: Begin) -> Verdict:
    """A float64 gradient of the shape of theta (a slope along a direction: a scalar)."""
    problem = on(instance)
    answer = ask(method, problem, begin)
    if answer.gradient is None:
        return _law(answer, math.nan)
    shape = problem.theta.shape if answer.gradient.direction is None else ()
    found = f"{answer.grad.dtype} of shape {answer.grad.shape}"
    right = answer.grad.dtype == np.float64 and answer.grad.shape == shape
    return _law(answer, 0.0 if right else math.inf, f"expected float64 of shape {shape}, got {found}")


def check_purity(method: GradientMethod, instance: str, begin: Begin) -> Verdict:
    """theta, another, the same again: identical bits."""
    problem = on(instance)
    if reason := sentence("unsupported", method.unsupported(problem)):
        return _law(Answer(refused=reason), math.nan)
    begin("preparation")
    prepared = method.prepare(problem)
    other = problem.perturbed(np.random.default_rng(0))
    grads = []
    for theta in (problem.theta, other, problem.theta):
        answer = Answer(received(prepared(np.array(theta))))
        grads.append(answer.grad.copy())
        begin("call")
    figure = float(np.abs(grads[2] - grads[0]).max())
    right = grads[0].tobytes() == grads[2].tobytes()
    return _law(answer, 0.0 if right else max(figure, 1e-300), f"the same theta again differs by {figure:.1e}")


def check_inputs(method: GradientMethod, instance: str, begin: Begin) -> Verdict:
    """The caller's theta is not written to, nor is it the gradient's memory."""
    problem = on(instance)
    if reason := sentence("unsupported", method.unsupported(problem)):
        return _law(Answer(refused=reason), math.nan)
    theta = np.array(problem.theta)
    begin("preparation")
    answer = Answer(received(method.prepare(problem)(theta)))
    right = theta.tobytes() == problem.theta.tobytes() and not np.shares_memory(theta, answer.grad)
    return _law(answer, 0.0 if right else math.inf, "the array of the caller was changed or is shared")


def check_homogeneity(method: GradientMethod, instance: str, begin: Begin) -> Verdict:
    """grad(c L)/c = grad(L), c down to 1e-14; without a promise to WRONG, for it is a law and not accuracy."""
    problem = regular(instance)
    first, worst, where = ask(method, problem, begin), 0.0, ""
    if first.gradient is None:
        return _law(first, math.nan)
    for scale in COTANGENTS:
        answer = ask(method, replace(problem, loss_scale=scale), begin)
        if answer.gradient is None:
            return _law(answer, math.nan)
        figure = relative(answer.grad / scale, first.grad)
        worst, where = max((worst, where), (figure, f"grad(c L)/c is off by {figure:.1e} at c = {scale:.0e}"))
    return _law(first, worst, where, _promise(method, problem) or WRONG)


def check_batch(method: GradientMethod, instance: str, begin: Begin) -> Verdict:
    """The gradient of a batch is the mean of those of its signals."""
    problem = regular(instance, BATCH)
    together = ask(method, problem, begin)
    singles = [
        ask(method, replace(problem, y=y, target=target), begin) for y, target in zip(problem.y, problem.target, strict=True)
    ]
    for answer in (together, *singles):
        if answer.gradient is None:
            return _law(answer, math.nan)
    mean = np.mean([answer.grad for answer in singles], axis=0)
    figure = relative(together.grad, mean)
    return _law(together, figure, "the batch is not the mean of its signals", _promise(method, problem) or WRONG)


def check_shapes(method: GradientMethod, instance: str, begin: Begin) -> Verdict:
    """A theta that does not fit the signals is refused with an exception."""
    problem = regular(instance)
    k, n = problem.theta.shape
    for wrong in (np.ones((k, n + 1)), np.ones((n, k))):
        answer = ask(method, problem, begin, wrong)
        if answer.gradient is not None:
            return _law(answer, math.inf, f"theta of shape {wrong.shape} was taken for {(k, n)}")
    return Verdict("", "", True, "refused" if answer.refused else "right", math.nan, answer.flag)


def check_finite(method: GradientMethod, instance: str, begin: Begin) -> Verdict:
    """A theta with a NaN is refused, or the answer shows it."""
    theta = np.array(on(instance).theta)
    theta.flat[0] = np.nan
    answer = ask(method, on(instance), begin, theta)
    return Verdict(
        "", "", bool(answer.flag), "right" if answer.flag else "silent", math.nan, answer.flag or "a NaN in theta vanished"
    )


def check_loose(method: GradientMethod, instance: str, begin: Begin) -> Verdict:
    """The loosest rungs of the ladder (defaults may stand before them) are right to WRONG, or flagged; the worst counts."""
    problem, truth = on(instance), _truth(instance)
    rungs = method.ladder()[:2] if method.knob else (method,)
    verdicts = []
    for rung in rungs:
        verdict = graded(ask(rung, problem, begin), truth, None, flags_pass=True)
        verdicts.append(replace(verdict, message=f"{rung.label}: {verdict.message}"))
    return max(verdicts, key=lambda v: (v.outcome == "silent", v.outcome == "flagged", v.figure))


# What an answer claims beside its gradient, on a regular instance.


def check_value(method: GradientMethod, instance: str, begin: Begin) -> Verdict:
    """L(x*) within the promise."""
    answer, problem = _answer(method, instance, begin), on(instance)
    truth = problem.reference().value
    return _claim(
        answer, lambda found: abs(float(found.value) - truth) / (abs(truth) or 1.0), _promise(method, problem), "value"
    )


def check_solution(method: GradientMethod, instance: str, begin: Begin) -> Verdict:
    """x* within the promise."""
    answer, problem = _answer(method, instance, begin), on(instance)
    truth = problem.reference().solution

    def figure(found: Gradient) -> float:
        if found.solution.shape != truth.shape:
            return math.inf
        return relative_or_absolute(found.solution, truth)

    return _claim(answer, figure, _promise(method, problem), "solution")


def check_converged(method: GradientMethod, instance: str, begin: Begin) -> Verdict:
    """Who claims convergence has the gradient to its promise, without one to WRONG."""
    answer = _answer(method, instance, begin)
    if answer.gradient is None or not answer.gradient.converged:
        return _law(answer, 0.0)
    promise = _promise(method, on(instance))
    return _claim(answer, lambda found: error(answer, _truth(instance)), promise, "error of what is claimed to have converged")


def check_bound(method: GradientMethod, instance: str, begin: Begin) -> Verdict:
    """The error of the gradient is within the method's own bound; the figure is by how much it is above."""
    answer = _answer(method, instance, begin)
    if answer.gradient is None or answer.gradient.bound is None:
        return _law(answer, 0.0)
    bound, found = answer.gradient.bound, error(answer, _truth(instance))
    above = max(found - bound - reference_error(on(instance).reference().radius), 0.0)
    return _law(answer, above, f"error {found:.1e}: the method's own bound {bound:.1e} is violated")


def check_pattern(method: GradientMethod, instance: str, begin: Begin) -> Verdict:
    """Who promises a gradient has the signs right that it took for granted; the figure counts the wrong ones."""
    answer, problem = _answer(method, instance, begin), on(instance)
    truth = problem.reference().pattern
    if answer.gradient is None or answer.gradient.pattern is None or truth is None:
        return _law(answer, 0.0)
    pattern = answer.gradient.pattern
    wrong = float(np.count_nonzero(pattern != truth)) if pattern.shape == truth.shape else math.inf
    limit = math.inf if _promise(method, problem) is None else 0.0
    return _law(answer, wrong, f"{wrong:g} rows have another sign than the pattern says", limit)


def check_note(method: GradientMethod, instance: str, begin: Begin) -> Verdict:
    """Who promises an exact gradient raises no doubt where it exists."""
    answer, promise = _answer(method, instance, begin), _promise(method, on(instance))
    if answer.gradient is None or not answer.gradient.note or promise is None or promise > EXACT:
        return _law(answer, 0.0)
    return _law(answer, math.inf, f"a doubt where there is none: {answer.gradient.note}")


def check_trap(method: GradientMethod, instance: str, begin: Begin) -> Verdict:
    """What the method returns on a trap against what is right there."""
    trap = trap_named(instance)
    if trap.expectation == "refuse":
        return _refused(trap)
    problem = trap.make()
    answer, promise = ask(method, problem, begin), _promise(method, problem)
    if trap.expectation == "kink":
        return _at_kink(answer, promise)
    truth = trap.truth(problem) if trap.truth is not None else problem.reference().grad
    assert truth is not None
    return graded(answer, truth, promise, flags_pass=True)


def trap_named(name: str) -> Trap:
    return next(trap for trap in TRAPS if trap.name == name)


def _refused(trap: Trap) -> Verdict:
    try:
        trap.make()
    except ValueError as refusal:
        return Verdict("", "", True, "refused", message=f"at construction: {refusal}")
    return Verdict("", "", False, "silent", message="bad data were taken")


def _at_kink(answer: Answer, promise: float | None) -> Verdict:
    if answer.refused:
        return Verdict("", "", True, "refused", message=answer.refused)
    norm = math.nan if answer.gradient is None else float(np.linalg.norm(answer.grad))
    if answer.flag:
        return Verdict("", "", True, "right", message=answer.flag, norm=norm)
    exact = promise is not None and promise <= EXACT
    reason = f"promises {promise:.0e} and says nothing" if exact else "says nothing"
    return Verdict("", "", not exact, "silent", message=f"{reason}; |g| = {norm:.2g}", norm=norm)


_last: list[tuple[GradientMethod, str, Answer]] = []


def _answer(method: GradientMethod, instance: str, begin: Begin) -> Answer:
    """The answer on a regular instance, asked for once for all that it claims."""
    if not (_last and _last[0][0] is method and _last[0][1] == instance):
        _last[:] = [(method, instance, ask(method, on(instance), begin))]
    return _last[0][2]


def _truth(instance: str) -> Array:
    found = judged(on(instance))
    if found.grad is None:
        raise ValueError(f"the reference has no gradient here: {found.status}: {found.reason}")
    return found.grad


def _promise(method: GradientMethod, problem: Problem) -> float | None:
    return promised(method, problem, problem.reference())


def _claim(answer: Answer, figure: Callable[[Gradient], float], promise: float | None, what: str) -> Verdict:
    """A number beside the gradient, graded like the gradient: right within the promise, without one within WRONG."""
    if answer.gradient is None:
        return _law(answer, math.nan)
    found, limit = figure(answer.gradient), WRONG if promise is None else promise
    if found <= limit:
        return Verdict("", "", True, "right", found, answer.flag)
    outcome = "flagged" if answer.flag else "silent"
    return Verdict("", "", promise is None, outcome, found, answer.flag or f"the {what} is above {limit:.0e}")


def _law(answer: Answer, figure: float, message: str = "", limit: float = 0.0) -> Verdict:
    """A law holds or fails, promise or not; a refusal is no failure, an exception is one."""
    if answer.refused:
        return Verdict("", "", True, "refused", message=answer.refused)
    if answer.gradient is None:
        return Verdict("", "", False, "flagged", message=answer.raised)
    if figure <= limit:
        return Verdict("", "", True, "right", figure)
    return Verdict("", "", False, "flagged" if answer.flag else "silent", figure, message)


CHECKS: dict[str, tuple[Callable[[GradientMethod, str, Begin], Verdict], tuple[str, ...]]] = {
    "gradient": (check_gradient, tuple(REGULAR)),
    "value": (check_value, CLAIMS),
    "solution": (check_solution, CLAIMS),
    "converged": (check_converged, CLAIMS),
    "bound": (check_bound, CLAIMS),
    "pattern": (check_pattern, CLAIMS),
    "note": (check_note, CLAIMS),
    "float64": (check_float64, ("tv", "dct, weight")),
    "purity": (check_purity, ("tv",)),
    "inputs": (check_inputs, ("tv",)),
    "homogeneity": (check_homogeneity, ("tv",)),
    "batch": (check_batch, ("tv",)),
    "shapes": (check_shapes, ("tv",)),
    "finite": (check_finite, ("tv",)),
    "loose": (check_loose, ("tv",)),
    "trap": (check_trap, tuple(trap.name for trap in TRAPS)),
}

GENERAL = (
    *("gradient", "value", "solution", "converged", "bound", "pattern", "note"),
    *("float64", "purity", "inputs", "finite", "loose"),
)  # which can be made on any problem


def verdict(method: GradientMethod, check: str, instance: str, begin: Begin) -> Verdict:
    """One check of one method on one instance."""
    found = CHECKS[check][0](method, instance, begin)
    return by_design(method, replace(found, check=check, instance=instance))
