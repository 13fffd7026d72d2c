"""Forty faults of a maintainer's kind, each planted by itself by `mutations.py`: every one of them is to fail some test.

They were chosen by reading the source, not the tests. None is a matter of speed alone, and none fails at import. `likely` names
the test files that are about the place; whether they find the fault is what is asked.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """`old`, which stands exactly once in `file`, becomes `new`; `what` says what a user would see."""

    name: str
    file: str
    old: str
    new: str
    what: str
    likely: tuple[str, ...]


KERNELS = (
    Fault(
        "kernel-touch",
        "methods/blorc/kernels/signal.c",
        "static const double TOUCH = 1e-12;",
        "static const double TOUCH = 1e-16;",
        "a constant 1e4 off: at a kink, where a dual is at its bound but for rounding, a gradient comes without a doubt",
        ("test_layer_kinks", "test_signal", "test_exact", "test_batch"),
    ),
    Fault(
        "adjoint-refinement",
        "methods/blorc/kernels/adjoint.c",
        "static const double EXACT = 5e-16;",
        "static const double EXACT = 5e-12;",
        "a constant 1e4 off: h is left unrefined and errs by 5e-12 times the condition squared, beyond the promise of 1e-10",
        ("test_signal", "test_exact", "test_layer_kernel", "test_check"),
    ),
    Fault(
        "forward-mode-of-a-batch",
        "methods/blorc/kernels/adjoint.c",
        "t ? t + b * k : 0",
        "t ? t : 0",
        "a dropped offset: in forward mode along dW all signals of a batch but the first take the right side of the first",
        ("test_layer_kernel", "test_torch_transforms"),
    ),
    Fault(
        "outer-sum-last-column",
        "methods/blorc/kernels/layer.c",
        "if (rows && columns < o->n)",
        "if (rows && columns < o->n - 1)",
        "off by one: where one column is left beyond whole tiles (n = 33 in lanes of 8) dL/dW has memory of anybody there",
        ("test_layer_kernel", "test_layers"),
    ),
    Fault(
        "forward-mode-in-beta",
        "methods/blorc/kernels/layer.c",
        "r[j] -= *dbeta * o->signs[j];",
        "r[j] += *dbeta * o->signs[j];",
        "a flipped sign: the derivative of x* along beta is minus itself, in forward mode alone",
        ("test_layer_kernel", "test_torch_transforms"),
    ),
    Fault(
        "chain-bound-row-at-zero",
        "problems/kernels/chain.c",
        "touching |= state[i] * row < TOUCH * length;",
        "touching |= state[i] * row < -TOUCH * length;",
        "a flipped sign: a bound row with w_i x* = 0, a kink, is not noted, for what is below -TOUCH has failed already",
        ("test_sparse", "test_problem_kernels", "test_layer_kinks"),
    ),
    Fault(
        "xla-float32",
        "methods/layers/kernels/xla.c",
        "for (long j = 0; i >= first &&",
        "for (long j = 0; i > first &&",
        "> for >=: of float32 results the first, x* itself or a slope, is never written",
        ("test_layer_inputs", "test_layers"),
    ),
)

METHODS = (
    Fault(
        "linear-solve-claim",
        "methods/linear_solve_vjp.py",
        "converged=converged and also",
        "converged=converged or also",
        "or for and: converged is claimed where one of the two systems did not reach its tolerance",
        ("test_methods", "test_inexact", "test_laws"),
    ),
    Fault(
        "truncated-read-out",
        "methods/truncated.py",
        "return scheme.read(v, theta, shared)",
        "return scheme.read(v, theta, constant)",
        "the wrong one of two: x = R(v, theta) is read at a theta held constant, so on a dual dR/dtheta is lost",
        ("test_implicit", "test_laws"),
    ),
    Fault(
        "smoothed-hessian",
        "methods/smoothed.py",
        "derivatives.hessian(x, theta, self.eps)",
        "derivatives.hessian(x, theta)",
        "a dropped argument: the Hessian is that of eps = 0, without the curvature of the smoothed penalty",
        ("test_laws", "test_methods", "test_penalties"),
    ),
    Fault(
        "inexact-bound",
        "problems/base.py",
        "moved = (self.loss * distance + residual + self.hessian * distance * adjoint) / self.mu",
        "moved = (self.loss * distance + residual) / self.mu",
        "a dropped term: where the Hessian moves with x the bound handed out need not hold",
        ("test_inexact",),
    ),
    Fault(
        "gmres-claim",
        "methods/fixed_point.py",
        "gap <= 2 * self.tolerance * _norm(right)",
        "gap <= 2e4 * self.tolerance * _norm(right)",
        "a constant 1e4 off: converged is claimed for an adjoint that is 1e4 tolerances away",
        ("test_implicit",),
    ),
    Fault(
        "one-sided-differences",
        "methods/finite_differences.py",
        "return (q(theta + h * direction) - q(theta - h * direction)) / (2 * h)",
        "return (q(theta + h * direction) - q(theta)) / h",
        "a solve saved: the error is h in place of h^2, in the papers' own metric too",
        ("test_laws", "test_methods"),
    ),
    Fault(
        "bregman-read-out",
        "methods/bregman_fixed_point.py",
        "problem.loss(form.read(t)(v), t)",
        "problem.loss(form.read(theta)(v), t)",
        "the wrong variable: x = R(z, theta) is read at a theta held constant, so on a dual dR/dtheta is lost",
        ("test_inexact", "test_implicit", "test_laws", "test_methods"),
    ),
    Fault(
        "diffcp-claim",
        "methods/peers/diffcp.py",
        'converged = all(info["status"] == "solved" for info in infos)',
        'converged = any(info["status"] == "solved" for info in infos)',
        "any for all: a batch claims convergence where one of its signals did converge",
        ("test_cone_methods",),
    ),
    Fault(
        "graph-one-way",
        "methods/blorc/graph.py",
        "for way in (0, 1)",
        "for way in (0,)",
        "a dropped case: a region whose flow is at its bound in one of the two directions is a kink, and is not noted",
        ("test_images", "test_sparse"),
    ),
)

PROBLEMS = (
    Fault(
        "weights-pullback",
        "problems/operators/parametrisations.py",
        "rows = np.exp(theta) * z * self._product(theta, v)",
        "rows = z * self._product(theta, v)",
        "a dropped factor: right at log-weights of 0, where all instances are drawn, and wrong at any others",
        ("test_linear", "test_exact", "test_pairs"),
    ),
    Fault(
        "filters-norm",
        "problems/operators/parametrisations.py",
        "return float((np.abs(transfer) ** 2).sum(axis=0).max())",
        "return float((np.abs(transfer) ** 2).max())",
        "a dropped sum: |K|^2 of several filters is too small, so steps are too long, and the bound of the proof too tight",
        ("test_linear", "test_algorithms", "test_images"),
    ),
    Fault(
        "lasso-certificate",
        "problems/families/regression.py",
        "np.where(signs == 0, np.abs(slope) - weights",
        "np.where(signs == 0, slope - weights",
        "a dropped modulus: a coefficient whose slope is below minus its weight never comes in, and x* is not optimal",
        ("test_problems", "test_reference"),
    ),
    Fault(
        "weak-l1-weight",
        "problems/penalties/l1.py",
        "dz - step * xp.sign(z) * dweight",
        "dz - xp.sign(z) * dweight",
        "a dropped factor: the weak derivative of soft thresholding in its weight, for all steps but 1",
        ("test_penalties", "test_implicit"),
    ),
    Fault(
        "coupled-steps",
        "problems/algorithms/base.py",
        "scale / (len(norms) * norm) if norm else 1.0",
        "scale / norm if norm else 1.0",
        "a dropped factor: with two terms the dual steps break the condition under which primal-dual methods converge",
        ("test_algorithms",),
    ),
)

PROOFS = (
    Fault(
        "radius-without-balls",
        "problems/proofs/arithmetic.py",
        "norm_above((np.abs(values) * 2.0**-53 + radii) * ROUNDING + 2.0**-1073)",
        "norm_above(np.abs(values) * 2.0**-53 * ROUNDING + 2.0**-1073)",
        "a dropped term: the radius of a reference is that of rounding, however wide the balls around it are",
        ("test_proof", "test_reference"),
    ),
    Fault(
        "margins-not-negative",
        "problems/proofs/pattern_proof.py",
        "if all(margin > 0 for margin in found.margins):",
        "if all(not margin < 0 for margin in found.margins):",
        "a ball around 0 is no margin: a kink with a margin of exactly 0 is called proven, and has a gradient",
        ("test_proof", "test_traps", "test_reference"),
    ),
    Fault(
        "one-signal-at-its-target",
        "problems/proofs/certificate.py",
        "all(_at_target(proof) for proof",
        "any(_at_target(proof) for proof",
        "any for all: the gradient of a batch is proven to be 0 where that of one signal is",
        ("test_proof", "test_reference"),
    ),
    Fault(
        "filter-dual-error",
        "problems/proofs/filter_proof.py",
        "e_x, e_z = rest / math.sqrt(factor.least), rest / factor.least",
        "e_x, e_z = rest / math.sqrt(factor.least), rest / math.sqrt(factor.least)",
        "a root too many: the bound of the error of z, and with it the radius of the gradient, is too small",
        ("test_images",),
    ),
    Fault(
        "rho-of-one-row",
        "problems/proofs/margins.py",
        "beta * np.sqrt(len(w))",
        "beta",
        "a dropped factor: rho, within which no pattern may change, is too large; steps of differences pass as safe",
        ("test_reference",),
    ),
    Fault(
        "unclear-bound-row",
        "problems/solvers/box_dual.py",
        "unclear=solution.unclear or unclear",
        "unclear=solution.unclear and unclear",
        "and for or: a kink is noted only where both of its signs are seen",
        ("test_box_dual", "test_exact", "test_layer_kinks"),
    ),
)

HARNESS = (
    Fault(
        "bounded-is-not-judged",
        "results/record.py",
        'JUDGED = ("proven", "bounded", "unproven")',
        'JUDGED = ("proven", "unproven")',
        "a dropped case: on filter banks, whose references are bounded, no relative error is recorded and no promise verified",
        ("test_judge", "test_images"),
    ),
    Fault(
        "path-stands-still",
        "harness/measure/timing.py",
        "place = index % (2 * count - 2)",
        "place = index % (2 * count - 1)",
        "off by one: a warm start is timed on the theta it has just solved, once every round trip",
        ("test_harness",),
    ),
    Fault(
        "limit-beyond",
        "harness/measure/runner.py",
        "beyond = cell.planned.n + (not cell.in_preparation)",
        "beyond = cell.planned.n + cell.in_preparation",
        "a missing not: after a slow call other instances of the same n are not run, after a slow preparation they all are",
        ("test_limits", "test_harness"),
    ),
    Fault(
        "rounds-in-one-order",
        "harness/measure/runner.py",
        "for index in rng.permutation(len(cells)):",
        "for index in range(len(cells)):",
        "the order is no longer random: a machine that slows down in a round slows down the same methods every time",
        ("test_harness",),
    ),
    Fault(
        "half-a-block-is-finished",
        "harness/measure/runner.py",
        "if any(key not in finished for key, _ in members)",
        "if all(key not in finished for key, _ in members)",
        "all for any: --resume never measures the rest of a block of which a cell is there",
        ("test_harness", "test_results"),
    ),
    Fault(
        "failed-sample-is-ok",
        "harness/measure/runner.py",
        "            cell.fail(refusal.status, refusal.reason, handle.stderr())",
        "            pass",
        "a dropped line: a method that raises in a timed call keeps the status ok, without a time",
        ("test_harness", "test_limits"),
    ),
    Fault(
        "interval-of-90-percent",
        "results/statistics.py",
        "np.percentile(_resampled_medians(kept, np.random.default_rng(seed), draws), [2.5, 97.5])",
        "np.percentile(_resampled_medians(kept, np.random.default_rng(seed), draws), [5, 95])",
        "half of it at either end: what is called a 95 % interval is one of 90 %",
        ("test_harness", "test_reports"),
    ),
)

REPORTS = (
    Fault(
        "half-a-line-stays",
        "results/store.py",
        "file.seek(_whole_lines(path))",
        "file.seek(0, os.SEEK_END)",
        "what a crash has cut off stays, and the next line is glued to it: the run cannot be read any more",
        ("test_results",),
    ),
    Fault(
        "floor-of-the-base",
        "reports/compare.py",
        "(head > ERROR_RATIO * base) & (head > ERROR_FLOOR)",
        "(head > ERROR_RATIO * base) & (base > ERROR_FLOOR)",
        "swapped arguments: an error that grows from 1e-15 to 1 is no regression",
        ("test_compare",),
    ),
    Fault(
        "failed-seeds-do-not-count",
        "reports/tables.py",
        "errors.max(skipna=False)",
        "errors.max()",
        "a dropped argument: a setting that failed on a seed is said to reach an error, and is the cheapest",
        ("test_reports",),
    ),
    Fault(
        "columns-swapped",
        "reports/tables.py",
        "answered.first_call_s, answered.setup_s]",
        "answered.setup_s, answered.first_call_s]",
        "swapped: the seconds of the first call stand under setup, and the other way round",
        ("test_reports",),
    ),
)

LAYERS = (
    Fault(
        "vmap-of-the-wrong-array",
        "methods/layers/torch_operators.py",
        "(*dims[:4], dims[5])",
        "(*dims[:4], dims[4])",
        "off by one: the axis of vmap is taken from `work` in place of g, so that vmap over cotangents is refused or wrong",
        ("test_torch_transforms",),
    ),
    Fault(
        "fixed-w-warns",
        "methods/layers/open_signals.py",
        "beta, keeps_rank=bool(fixed))",
        "beta)",
        "a dropped argument: dependent zero rows are called a kink where W is fixed, and they are none",
        ("test_layer_kinks", "test_layers"),
    ),
)

FAULTS = (*KERNELS, *METHODS, *PROBLEMS, *PROOFS, *HARNESS, *REPORTS, *LAYERS)
