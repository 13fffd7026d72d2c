"""KNOWN_FAULTS: silent errors of libraries, by version, each with a script that its maintainers could run.

A script needs the library alone, exits 0 where the fault shows and 1 where it is gone.
"""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass

_LAYER = """
import warnings, numpy as np, cvxpy as cp, torch
warnings.simplefilter("ignore")
from cvxpylayers.torch import CvxpyLayer

def layer(k, n, beta):
    x, W, y = cp.Variable(n), cp.Parameter((k, n)), cp.Parameter(n)
    objective = cp.Minimize(0.5 * cp.sum_squares(x - y) + beta * cp.norm1(W @ x))
    return CvxpyLayer(cp.Problem(objective), parameters=[W, y], variables=[x])

def grad(solve, W, y, target, scale=1.0, **arguments):
    leaf = torch.tensor(W, dtype=torch.float64, requires_grad=True)
    (x,) = solve(leaf, torch.tensor(y), solver_args=arguments)
    (0.5 * scale * ((x - torch.tensor(target)) ** 2).sum()).backward()
    return leaf.grad.numpy(), x.detach().numpy()

D = np.diff(np.eye(8), axis=0)
y = np.array([0.0, 0.02, -0.01, 1.0, 1.01, 0.98, 1.0, 0.5])
target = np.array([0.3, -0.2, 0.5, 0.8, 1.4, 0.6, 1.1, 0.2])
tight = dict(eps=1e-10, mode="dense")
"""

_COTANGENT = """
# diffcp/cone_program.py: `if np.allclose(dz, 0): r = zeros`, an absolute test (1e-8) on a cotangent of any scale.
solve = layer(7, 8, 0.06)
whole, small = (grad(solve, D, y, target, scale, **tight)[0] / scale for scale in (1.0, 1e-12))
print("|grad(L)| =", np.linalg.norm(whole), " |grad(1e-12 L) / 1e-12| =", np.linalg.norm(small))
raise SystemExit(not (np.linalg.norm(whole) > 0.1 and np.linalg.norm(small) == 0))
"""

_LOOSE = """
# SCS says "solved" at its tolerance and diffcp passes a gradient on that has nothing to do with the true one.
solve = layer(7, 8, 0.06)
exact = grad(solve, D, y, target, **tight)[0]
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    loose = grad(solve, D, y, target, eps=1e-2, mode="dense")[0]
error = np.linalg.norm(loose - exact) / np.linalg.norm(exact)
print("relative error of the gradient at eps=1e-2:", error, " warnings:", sum("Inaccurate" in str(w.message) for w in caught))
raise SystemExit(not (error > 0.05 and not any("Inaccurate" in str(w.message) for w in caught)))
"""

_DEPENDENT = """
# The second zero row repeats the first: x*(W) has no derivative. lsqr and dense give two answers, neither with a word.
W = np.concatenate([D, np.roll(np.eye(8), 1, axis=1) - np.eye(8)])
solve = layer(15, 8, 0.06)
lsqr, dense = (grad(solve, W, y, target, eps=1e-10, mode=mode)[0] for mode in ("lsqr", "dense"))
difference = np.linalg.norm(lsqr - dense) / np.linalg.norm(dense)
print("|lsqr - dense| / |dense| =", difference)
raise SystemExit(not (difference > 1e-2 and np.isfinite(lsqr).all() and np.isfinite(dense).all()))
"""

_NEAR = """
# Zero rows (1, -1, 0), (1, -1, e) with e = 1e-4: the solution is right to 1e-5, the gradient is not, and nothing is said.
e, target = 1e-4, np.array([0.25, -0.5, 1.0])
W, y, x_true = np.array([[1.0, -1, 0], [1, -1, e]]), np.array([1.125, 0.875, e / 2]), np.array([1.0, 1.0, 0.0])
g, x = grad(layer(2, 3, 1.0), W, y, target, **tight)
v = np.array([1.125, 1.125, 0.0])  # the projection of x - target on the kernel of W
dual = lambda r: np.array([r[0] - r[2] / e, r[2] / e])  # W'z = r
truth = -np.outer(dual(y - x_true), v) - np.outer(dual(x_true - target - v), x_true)
error = np.linalg.norm(g - truth) / np.linalg.norm(truth)
print("|x - x*| =", np.abs(x - x_true).max(), " relative error of the gradient:", error)
raise SystemExit(not (np.abs(x - x_true).max() < 1e-5 and error > 1e-2))
"""

_CLARABEL = """
# An infeasible problem: x >= 1 and x <= 0. SCS raises; with Clarabel the status is never looked at.
import diffcp, scipy.sparse as sp
A, b, c = sp.csc_matrix([[-1.0], [1.0]]), np.array([-1.0, 0.0]), np.array([1.0])
x, _, _, _, adjoint = diffcp.solve_and_derivative(A, b, c, {"l": 2}, solve_method="Clarabel")
print("an infeasible problem has the solution", x)
raise SystemExit(not np.isfinite(x).all())
"""

_TORCH_LAYERS = ("cvxpylayers-torch", "cvxpylayers-torch(tolerance=1e-10, adjoint=dense)")
_LAYERS = (*_TORCH_LAYERS, "cvxpylayers-jax", "cvxpylayers-jax(tolerance=1e-10, adjoint=dense)")
_DIRECT = ("diffcp-lsqr", "diffcp-dense", "diffcp-lsqr(tolerance=1e-10)", "diffcp-dense(tolerance=1e-10)")
_DENSE_TIGHT = (_LAYERS[1], _LAYERS[3], _DIRECT[3])


@dataclass(frozen=True)
class KnownFault:
    """What `check` expects to find silent: check "" means that only the script shows it; no instances: all of the check."""

    reference: str
    library: str
    version: str
    what: str
    script: str
    methods: tuple[str, ...] = ()
    check: str = ""
    instances: tuple[str, ...] = ()


KNOWN_FAULTS: tuple[KnownFault, ...] = (
    KnownFault(
        "diffcp: small cotangents", "diffcp", "1.1.9", "the gradient is exactly 0 once the cotangent falls below 1e-8",
        _LAYER + _COTANGENT, (*_LAYERS, *_DIRECT), "homogeneity",
    ),
    KnownFault(
        "diffcp: small cotangents", "diffcp", "1.1.9", "the gradient is exactly 0 once the cotangent falls below 1e-8",
        _LAYER + _COTANGENT, (*_LAYERS, *_DIRECT), "trap", ("loss times 1e-09", "loss times 1e-14"),
    ),
    KnownFault(
        "SCS: solved at a loose tolerance", "diffcp", "1.1.9", "status solved, gradient wrong, no warning",
        _LAYER + _LOOSE, (*_LAYERS, *_DIRECT), "loose",
    ),
    KnownFault(
        "diffcp: dependent zero rows", "diffcp", "1.1.9", "no gradient exists; lsqr and dense differ without a warning",
        _LAYER + _DEPENDENT, (*_LAYERS, *_DIRECT), "trap", ("duplicated zero row", "2-D TV, W", "[I; D], W"),
    ),
    KnownFault(
        "diffcp: close to a kink", "diffcp", "1.1.9", "the solution is right, the gradient is not, no warning",
        _LAYER + _NEAR, _DENSE_TIGHT, "trap",
        ("near rank kink, e = 1e-04",),
    ),
    KnownFault(
        "diffcp: status of Clarabel", "diffcp", "1.1.9", "an infeasible problem gets a solution and a derivative",
        _LAYER + _CLARABEL,
    ),
)  # fmt: skip


def known(faults: tuple[KnownFault, ...], label: str, check: str, instance: str) -> KnownFault | None:
    """The fault that stands for this check of this method with the version installed."""
    for fault in faults:
        applies = fault.check == check and label in fault.methods and (not fault.instances or instance in fault.instances)
        if applies and _version(fault.library) == fault.version:
            return fault
    return None


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
