"""What the experiments on claims share: the error of a method, and a folder with the measured claim."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from harness.checks.errors import relative
from methods import GradientMethod, to_numpy
from problems import Problem
from results.claims import Claim


def experiment(measure: Callable[[bool], Claim]) -> Callable[[Path, bool], Path]:
    """The claim measured and written into a new folder."""
    return partial(_write, measure)


def _write(measure: Callable[[bool], Claim], folder: Path, quick: bool) -> Path:
    if folder.exists():
        raise ValueError(f"folder {folder} exists already; give another --out")
    return measure(quick).write(folder)


def error(method: GradientMethod, problem: Problem) -> float:
    """|g - G| / |G| against the reference gradient G; ValueError where there is none."""
    truth = problem.reference().grad
    if truth is None:
        raise ValueError(f"the instance has no gradient: {problem.reference().reason}")
    grad = to_numpy(method.prepare(problem)(problem.theta).grad)
    return relative(grad, truth)
