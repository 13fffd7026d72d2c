"""The kernels on real instances, for a process with the sanitizers' libraries loaded; `build` as argument only builds them.

Prints the functions that none of the instances has called.
"""

from __future__ import annotations

import sys

import numpy as np
from _layer_kernel import LayerKernel

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
        run_layer(LayerKernel(w[None], np.atleast_2d(y)[None, None], np.array([problem.beta])))


def run_layer(kernel: LayerKernel) -> None:
    """Both modes, with factors that are kept and with others."""
    work = kernel.room()
    x, duals = kernel.solve(work)
    for kept in (work, None):
        in_w, in_y, in_beta = kernel.pull(duals, x, kept)
    assert np.isfinite(kernel.push(duals, in_w, in_y, in_beta)).all()


def run_xla() -> None:
    """The custom calls, on float32, which is converted, and on float64."""
    import jax

    from methods.layers import analysis_l1

    for precise in (False, True):
        with jax.enable_x64(precise):
            problem = AnalysisL1.draw(n=12, operator="random", batch=3, seed=1)
            inputs = tuple(jax.numpy.asarray(a) for a in (problem.theta, problem.y, problem.beta))
            x, pull_back = jax.vjp(analysis_l1, *inputs)
            assert np.isfinite(pull_back(x)[0]).all()
            assert np.isfinite(jax.jvp(analysis_l1, inputs, inputs)[1]).all()


BY_C = {"restore_signals", "room_size"}  # called by the layer's kernel

if sys.argv[1:] == ["build"]:
    print(*(kernels.ready() for kernels in every()))
else:
    run()
    run_dense()
    run_xla()
    for kernels in every():
        unused = set(dir(kernels.lib)) - set(vars(kernels.lib)) - BY_C  # what was asked for is an attribute from then on
        print(*sorted(name for name in unused if not isinstance(getattr(kernels.lib, name), int)))
