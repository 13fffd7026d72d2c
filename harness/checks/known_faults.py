"""KNOWN_FAULTS: errors of libraries, silent ones above all, by version, each with a script that its maintainers could run.

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

_TWICE = """
# get_solver_ctx permutes rows in matrices that CVXPY keeps with the problem: each further layer permutes them once more.
x, W, y = cp.Variable(4), cp.Parameter((4, 4)), cp.Parameter(4)
problem = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(x - y) + cp.norm1(W @ x)))
rng = np.random.default_rng(0)
values = torch.tensor(rng.standard_normal((4, 4))), torch.tensor(rng.standard_normal(4))
first, second = (CvxpyLayer(problem, parameters=[W, y], variables=[x], solver="MOREAU") for _ in range(2))
answers = [layer(*values)[0].detach().numpy() for layer in (first, second)]
print("the same problem and values, first and second layer:", *answers)
raise SystemExit(not np.abs(answers[1] - answers[0]).max() > 0.1)
"""

_BOUNDS = """
# min 1/2 |x + 1|^2 over x >= 0 is x = 0; Moreau drops the constraint, and says that it solved the problem.
x, y = cp.Variable(3), cp.Parameter(3)
problem = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(x - y)), [x >= 0])
solve = CvxpyLayer(problem, parameters=[y], variables=[x], solver="MOREAU")
found = solve(-torch.ones(3, dtype=torch.float64))[0].detach().numpy()
print("x >= 0 asked for, got", found)
raise SystemExit(not found.max() < -0.1)
"""

_PANIC = """
# A NaN in W panics in the backward pass: a panic is no Exception, so that it goes through `except Exception`.
x, W, y = cp.Variable(2), cp.Parameter((2, 2)), cp.Parameter(2)
problem = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(x - y) + cp.norm1(W @ x)))
solve = CvxpyLayer(problem, parameters=[W, y], variables=[x], solver="MOREAU", solver_args=dict(solver="ipm"))
w = torch.tensor([[float("nan"), 0.0], [0.0, 1.0]], dtype=torch.float64, requires_grad=True)
try:
    solve(w, torch.ones(2, dtype=torch.float64))[0].sum().backward()
except Exception as error:
    print("an ordinary exception:", type(error).__name__)
    raise SystemExit(1)
except BaseException as panic:
    print(type(panic).__name__, "is no Exception")
    raise SystemExit(0)
raise SystemExit(1)
"""

_OSQP = """
import warnings, numpy as np, torch
warnings.simplefilter("ignore")
from osqp.nn.torch import OSQP

one, bound = np.arange(2), torch.ones(2, dtype=torch.float64)
tight = dict(eps_abs=1e-10, eps_rel=1e-10)
"""

_OSQP_SMALL = """
# min 1/2 u'Pu + q'u over |u| <= 1: the derivative of u_1 in q is -(P^-1)_1, whatever the scale of the loss.
rows, columns = (i.ravel("F") for i in np.indices((2, 2)))

def grad(scale):
    P, q = torch.tensor([2.0, 0.5, 0.5, 1.0]).double(), torch.tensor([-0.5, 0.3], dtype=torch.float64, requires_grad=True)
    u = OSQP((rows, columns), (2, 2), (one, one), (2, 2), **tight)(P, q, bound, -bound, bound)
    (scale * u[0]).backward()
    return q.grad.numpy() / scale

error = np.abs(grad(1e-9) - grad(1.0)).max()
print("error of grad(1e-9 L) / 1e-9:", error, " of grad(1e-6 L) / 1e-6:", np.abs(grad(1e-6) - grad(1.0)).max())
raise SystemExit(not error > 1e-6)
"""

_OSQP_ZEROS = """
# u = (0.5, 0) with P = I: dL/dP = -(0.5, 0) for L = u_1 + u_2. Exact zeros are dropped from a sparse dP, the rest is broadcast.
P, q = torch.ones(2, dtype=torch.float64, requires_grad=True), torch.tensor([-0.5, 0.0], dtype=torch.float64)
u = OSQP((one, one), (2, 2), (one, one), (2, 2))(P, q, bound, -bound, bound)
u.sum().backward()
print("u =", u.detach().numpy(), " dL/dP =", P.grad.numpy(), " instead of [-0.5, 0]; with more entries left, RuntimeError")
raise SystemExit(not abs(P.grad[1] + 0.5) < 1e-6)
"""

_OSQP_NEAR = """
# min 1/2 u'Pu + q'u over |u| <= 1 with the solution inside and eigenvalues 5e-5 and 4 of P: du_1/dq = -(P^-1)_1.
P = np.array([[2.0, 2.0], [2.0, 2.0001]])
rows, columns = (i.ravel("F") for i in np.indices((2, 2)))
q = torch.tensor(-P @ [-0.375, 0.5], requires_grad=True)
u = OSQP((rows, columns), (2, 2), (one, one), (2, 2), **tight)(torch.tensor(P[rows, columns]), q, bound, -bound, bound)
u[0].backward()
exact = -np.linalg.inv(P)[0]
error = np.linalg.norm(q.grad.numpy() - exact) / np.linalg.norm(exact)
print("u =", u.detach().numpy(), " relative error of du_1/dq:", error)
raise SystemExit(not (np.abs(u.detach().numpy() - [-0.375, 0.5]).max() < 1e-5 and error > 0.5))
"""

_OSQP_ORDER = """
# A given by columns and by rows: one programme, one solution, two gradients.
def grad(order):
    rows, columns = (i.ravel(order) for i in np.indices((2, 2)))
    A = torch.tensor(np.array([[2.0, 1.0], [1.0, 3.0]])[rows, columns], requires_grad=True)
    q = torch.tensor([-3.0, -1.0], dtype=torch.float64)
    u = OSQP((one, one), (2, 2), (rows, columns), (2, 2), **tight)(bound, q, A, -bound, bound)
    u[0].backward()
    dense = np.zeros((2, 2))
    dense[rows, columns] = A.grad.numpy()
    return dense

print("dL/dA by columns", grad("F").tolist(), " by rows", grad("C").tolist())
raise SystemExit(not np.abs(grad("F") - grad("C")).max() > 0.1)
"""

_PROXSUITE = """
# min 3/2 u^2 - u over |u| <= 1: dL/dQ = -1/9 for L = u. The backward pass allocates in torch's default dtype.
import torch
from proxsuite.torch.qplayer import QPFunction

def error():
    Q = torch.tensor([[3.0]], dtype=torch.float64, requires_grad=True)
    none, one = torch.empty(0, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    tight = dict.fromkeys(("eps", "eps_backward", "rho_backward", "mu_backward"), 1e-12)
    QPFunction(**tight)(Q, -one, none, none, one[None], -one, one)[0].sum().backward()
    return abs(float(Q.grad) + 1 / 9)

single = error()
torch.set_default_dtype(torch.float64)
print("error of a float64 gradient with default dtype float32:", single, " float64:", error())
raise SystemExit(not (single > 1e-10 and error() < 1e-11))
"""

_QPAX = """
import jax, jax.numpy as jnp, qpax
jax.config.update("jax_enable_x64", True)

def second(g, **settings):
    # z_2 of min 1/2 |z|^2 - 3 z_1 - z_2 subject to g'z <= 1: at g = (1, 0) the multiplier is 2 and dz_2/dg = (0, -2).
    none = jnp.zeros((0, 2)), jnp.zeros(0)
    return qpax.solve_qp_primal(jnp.eye(2), jnp.array([-3.0, -1.0]), *none, g[None], jnp.ones(1), **settings)[1]

def grad(f, **settings):
    return jax.grad(lambda g: f(g, **settings))(jnp.array([1.0, 0.0]))
"""

_QPAX_MATRIX = """
# optnet_derivatives scales lam dz' by lam once more: right only where every multiplier is 0 or 1.
tight = dict(solver_tol=1e-10, target_kappa=1e-10)
explicit, implicit = (grad(second, backend=backend, **tight) for backend in "ei")
print("dz_2/dg by the explicit backend, the default:", explicit, " implicit:", implicit)
raise SystemExit(not (abs(explicit[1] + 4) < 1e-6 and abs(implicit[1] + 2) < 1e-6))
"""

_QPAX_RELAXED = """
# The derivative is that of a problem smoothed by target_kappa = 1e-3, while the solution is that of the problem itself.
def clipped(g, **settings):
    # min 1/2 z^2 - (1 + 1e-2) z over z <= g_1: z = g_1 with multiplier 1e-2, so dz/dg_1 = 1.
    none = jnp.zeros((0, 1)), jnp.zeros(0)
    return qpax.solve_qp_primal(jnp.eye(1), jnp.array([-1.01]), *none, jnp.eye(1), g[:1], **settings)[0]

z, default, tight = clipped(jnp.ones(2)), grad(clipped)[0], grad(clipped, solver_tol=1e-10, target_kappa=1e-10)[0]
print("z =", z, " dz/dg at the defaults:", default, " at target_kappa=1e-10:", tight)
raise SystemExit(not (abs(z - 1) < 1e-4 and abs(default - 1) > 0.1 and abs(tight - 1) < 1e-4))
"""

_TORCH_LAYERS = ("cvxpylayers-torch", "cvxpylayers-torch(tolerance=1e-10, adjoint=dense)")
_LAYERS = (*_TORCH_LAYERS, "cvxpylayers-jax", "cvxpylayers-jax(tolerance=1e-10, adjoint=dense)")
_DIRECT = ("diffcp-lsqr", "diffcp-dense", "diffcp-lsqr(tolerance=1e-10)", "diffcp-dense(tolerance=1e-10)")
_CLARABEL_LAYERS = (
    "cvxpylayers-torch-clarabel",
    "cvxpylayers-torch-clarabel(tolerance=1e-12, adjoint=dense)",
)
_OSQP_LAYERS = ("osqp-dual", "osqp-primal", "osqp-dual(tolerance=1e-08)", "osqp-primal(tolerance=1e-08)")
_RELAXED = ("qpax-dual", "qpax-primal")
_DENSE_TIGHT = (_LAYERS[1], _LAYERS[3], _DIRECT[3])


@dataclass(frozen=True)
class KnownFault:
    """What `check` expects to fail or be silent: check "" means that only the script shows it; no instances: all of a check."""

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
        _LAYER + _COTANGENT, (*_LAYERS, *_CLARABEL_LAYERS, *_DIRECT), "homogeneity",
    ),
    KnownFault(
        "diffcp: small cotangents", "diffcp", "1.1.9", "the gradient is exactly 0 once the cotangent falls below 1e-8",
        _LAYER + _COTANGENT, (*_LAYERS, *_CLARABEL_LAYERS, *_DIRECT), "trap", ("loss times 1e-09", "loss times 1e-14"),
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
    KnownFault(
        "cvxpylayers: a second Moreau layer", "cvxpylayers", "1.2.0", "of two layers on one CVXPY problem the second is wrong",
        _LAYER + _TWICE,
    ),
    KnownFault(
        "cvxpylayers: constraints without Moreau", "cvxpylayers", "1.2.0", "x >= 0 is dropped, and the status says Solved",
        _LAYER + _BOUNDS,
    ),
    KnownFault(
        "moreau: panic", "moreau", "0.4.1", "bad data end in a Rust panic, which is no Exception and ends the process",
        _LAYER + _PANIC, ("cvxpylayers-torch-moreau(tolerance=1e-12)",), "finite",
    ),
    KnownFault(
        "osqp: small cotangents", "osqp", "1.1.3", "the gradient loses digits once the cotangent falls below 1e-8",
        _OSQP + _OSQP_SMALL, ("osqp-dual", "osqp-dual(tolerance=1e-08)"), "homogeneity",
    ),
    KnownFault(
        "osqp: zeros of dP", "osqp", "1.1.3", "entries of dL/dP that are exactly 0 are dropped: wrong, or RuntimeError",
        _OSQP + _OSQP_ZEROS, ("osqp-primal(tolerance=1e-08)",), "homogeneity",
    ),
    KnownFault(
        "osqp: zeros of dP", "osqp", "1.1.3", "entries of dL/dP that are exactly 0 are dropped: wrong, or RuntimeError",
        _OSQP + _OSQP_ZEROS, ("osqp-primal(tolerance=1e-08)",), "batch",
    ),
    KnownFault(
        "osqp: close to a kink", "osqp", "1.1.3", "the solution is right, the refinement of its adjoint stops far from it",
        _OSQP + _OSQP_NEAR, _OSQP_LAYERS, "trap", ("near rank kink, e = 1e-02",),
    ),
    KnownFault(
        "osqp: order of A", "osqp", "1.1.3", "dL/dA is permuted where A is not given by columns",
        _OSQP + _OSQP_ORDER,
    ),
    KnownFault(
        "proxsuite: float32 adjoint", "proxsuite", "0.8.0", "a float64 gradient is rounded to torch's default dtype",
        _PROXSUITE,
    ),
    KnownFault(
        "qpax: derivative in G", "qpax", "0.1.4", "the default backend scales a part of dL/dG by the multipliers",
        _QPAX + _QPAX_MATRIX,
    ),
    KnownFault(
        "qpax: relaxed by default", "qpax", "0.1.4", "the derivative of a smoothed problem beside the exact solution",
        _QPAX + _QPAX_RELAXED, _RELAXED, "gradient",
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
