"""The kernels on real instances, for a process with the sanitizers' libraries loaded; `build` as argument only builds them.

Prints the functions that none of the instances has called.
"""

from __future__ import annotations

import sys

import numpy as np

from methods.blorc import Blorc
from problems import AnalysisL1
from problems.kernels import build, every

build.FLAGS += ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")

IMAGE = {"signal": "image-patches"}
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


if sys.argv[1:] == ["build"]:
    print(*(kernels.ready() for kernels in every()))
else:
    run()
    for kernels in every():
        unused = set(dir(kernels.lib)) - set(vars(kernels.lib))  # what was asked for is an attribute from then on
        print(*sorted(name for name in unused if not isinstance(getattr(kernels.lib, name), int)))
