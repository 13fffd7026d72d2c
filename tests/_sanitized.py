"""The kernels on real instances, for a process with the sanitizers' libraries loaded; `build` as argument only builds them.

Prints the functions that none of the instances has called.
"""

from __future__ import annotations

import sys

import numpy as np

from methods.blorc import Blorc
from methods.blorc.batch import BatchSolver
from methods.blorc.solver import SignalSolver
from problems import AnalysisL1
from problems.kernels import build, every

build.FLAGS += ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")

IMAGE = {"signal": "image-patches"}
DENSE = (
    *(
        {"n": n, "operator": operator}
        for n in (5, 16, 37)
        for operator in ("dct", "tv", "circular-tv", "random", "random-2n", "filters")
    ),
    *({"n": 21, "operator": operator, "batch": 6} for operator in ("dct", "tv", "random", "random-half", "random-2n")),
)
INSTANCES = (
    {"n": 400, "operator": "tv", "theta": "sparse"},
    {"n": 30, "operator": "tv", "theta": "sparse-row-weights", "batch": 3},
    {"n": 40, "operator": "second-differences", "theta": "sparse"},
    {"n": 64, "operator": "tv-2d", "theta": "row-weights", **IMAGE},
    {"n": 256, "operator": "dct-filters", "theta": "taps", **IMAGE},
)


def run() -> None:
    for axes in INSTANCES:
        problem = AnalysisL1.draw(seed=1, **axes)
        grad = Blorc().prepare(problem)(problem.theta).grad
        assert np.isfinite(grad).all()
        problem.reference()


def run_dense() -> None:
    """Every function of the dense solver, from nothing and from duals close by."""
    for axes in DENSE:
        problem = AnalysisL1.draw(seed=1, **axes)
        w, y = np.array(problem.theta), np.array(problem.y)
        Blorc().prepare(problem)(w)
        solver = BatchSolver(y, problem.beta) if y.ndim > 1 else SignalSolver(y, problem.beta)
        found = solver.solve(w, solver.solve(1.001 * w).z)
        found.adjoint(found.x)
        assert np.isfinite(found.gradient(found.x)).all()
        if y.ndim > 1:
            solver.restore(w, found.z, found.status).adjoint(found.x)


if sys.argv[1:] == ["build"]:
    print(*(kernels.ready() for kernels in every()))
else:
    run()
    run_dense()
    for kernels in every():
        unused = set(dir(kernels.lib)) - set(vars(kernels.lib))  # what was asked for is an attribute from then on
        print(*sorted(name for name in unused if not isinstance(getattr(kernels.lib, name), int)))
