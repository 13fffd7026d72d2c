"""Tuning a solver by its own derivative: ADMM on linear programmes before and after ten Adam steps on its step parameters."""

from __future__ import annotations

import numpy as np

from methods import to_numpy
from methods.computation import ThroughComputation
from problems.base import Array
from problems.lp_tuning import STEPS, TOLERANCE, LPTuning
from results.claims import Claim, Curve, Mark

SEEDS, N = (1, 2, 3), 20
ADAM_STEPS, RATES = 10, (0.005, 0.05)  # Lai et al. take 0.005; a rate of 0.3 overshoots, and needs more iterations than before
LONGEST = 20_000  # iterations
ALPHA = (0.5, 1.95)  # over-relaxation converges between 0 and 2
STRIDE = 10


def measure(quick: bool) -> Claim:
    """Residuals at n = 20 on three programmes; one when quick."""
    curves, marks, notes = [], [], []
    for seed in SEEDS[:1] if quick else SEEDS:
        problem, panel, told = LPTuning.draw(N, seed, "steps"), f"programme {seed}", []
        for label, rate in (("as given", 0.0), *((f"ten Adam steps of {rate:g}", rate) for rate in RATES)):
            theta = _tuned(problem, rate) if rate else problem.theta
            x, y, objective = _residuals(problem, theta)
            curves.append(Curve(panel, label, tuple(x), tuple(y), (x[-1] / 4, x[-1]), "linear once the active set is found"))
            gap = abs(objective - _highs(problem)) / abs(objective)
            told.append(f"{label}: {x[-1]:.0f} (rho {np.exp(theta[0]):.3g}, alpha {theta[2]:.3g}, {gap:.0e} from HiGHS)")
        marks.append(Mark(panel, STEPS, "differentiated"))
        notes.append(f"{panel}, iterations to {TOLERANCE:g}: {'; '.join(told)}.")
    return Claim(
        name="lp-tuning",
        title="ADMM on a linear programme, before and after tuning by its own derivative",
        statement="Ten iterations of an OSQP-like ADMM are differentiated in rho, sigma and alpha; ten Adam steps on the "
        "logarithm of its residuals then lower the number of iterations that it needs to the end.",
        source="Lai, Wei, Fu, Haertel and Heide (2023); Stellato et al. (2020) for the iteration",
        x_label="iterations",
        y_label="|A x - z| + |c + A' u|",
        curves=tuple(curves),
        fit="geometric",
        marks=tuple(marks),
        notes=tuple(notes),
    )


def _tuned(problem: LPTuning, rate: float) -> Array:
    """theta after the Adam steps, alpha kept where the iteration converges."""
    import torch

    call = ThroughComputation("torch").prepare(problem)
    theta = torch.tensor(problem.theta, requires_grad=True)
    adam = torch.optim.Adam([theta], lr=rate)
    for _ in range(ADAM_STEPS):
        theta.grad = torch.from_numpy(to_numpy(call(theta.detach().numpy()).grad))
        adam.step()
        with torch.no_grad():
            theta[2].clamp_(*ALPHA)
    return np.array(theta.detach().numpy())


def _residuals(problem: LPTuning, theta: Array) -> tuple[list[float], list[float], float]:
    """(iterations, residuals) until both are below the tolerance, and the objective there."""
    m, n = problem.a.shape
    state, x, y = None, [], []
    for count in range(STRIDE, LONGEST + 1, STRIDE):
        state = np.asarray(problem.steps(theta, STRIDE, state))
        primal = np.linalg.norm(problem.a @ state[:n] - state[n : n + m])
        dual = np.linalg.norm(problem.c + problem.a.T @ state[n + m :])
        x.append(float(count))
        y.append(float(primal + dual))
        if max(primal, dual) <= TOLERANCE:
            break
    assert state is not None
    return x, y, float(problem.c @ state[:n])


def _highs(problem: LPTuning) -> float:
    """The optimal value by HiGHS."""
    from scipy.optimize import linprog

    rows = np.concatenate([problem.a, -problem.a])
    found = linprog(problem.c, rows, np.concatenate([problem.upper, -problem.lower]), bounds=(None, None), method="highs")
    return float(found.fun)
