"""Images: 2-D total variation by cuts and filter banks matrix-free, against dense proofs; their own proofs; refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from _exact import relative
from scipy import ndimage
from scipy.sparse import csr_array

from harness.plan.catalogue import with_ladders
from methods import METHODS, Gradient, to_numpy
from methods.blorc import Blorc
from methods.calculus.frameworks import FRAMEWORKS
from problems import AnalysisL1, Filters, SolveError, Weighted
from problems.base import Array
from problems.operators.matrices import dct_filters, tv_2d
from problems.proofs import certificate, filter_proof, graph_proof
from problems.solvers.graph_tv import Graph, parts

# Means of a region by compensated sums, then one product an edge: a few units in the last place; a shared weight is a sum of up
# to 264 such terms that cancel to a tenth.
FLAT = 1e-13
# Krylov refined to 1e-13 of |g|, over the least singular value of W0, above 0.1 on these instances.
KRYLOV = 1e-11


def blorc(problem: AnalysisL1) -> Gradient:
    return Blorc().prepare(problem)(problem.theta)


def image(n: int, seed: int, theta: str) -> AnalysisL1:
    operator = "dct-filters" if theta == "taps" else "tv-2d"
    return AnalysisL1.draw(n=n, seed=seed, operator=operator, signal="image-patches", theta=theta)


# Total variation on a graph


def test_tv_2d_takes_the_differences_of_neighbours() -> None:
    x = np.random.default_rng(0).standard_normal((5, 5))
    expected = np.concatenate([np.diff(x, axis=1).ravel(), np.diff(x, axis=0).ravel()])
    np.testing.assert_array_equal(tv_2d(25) @ x.ravel(), expected)


@pytest.mark.parametrize("theta", ["weight", "row-weights"])
@pytest.mark.parametrize("n", [16, 64, 144])
def test_tv_2d_has_the_proven_gradient(n: int, theta: str) -> None:
    for seed in range(4):
        problem = image(n, seed, theta)
        truth, again, found = certificate.certify(problem), graph_proof.certify(problem), blorc(problem)
        assert truth.status == again.status == "proven" and found.note == ""
        assert relative(found.grad, truth.grad) < FLAT
        assert relative(again.grad, truth.grad) < again.radius < 1e-11
        assert np.array_equal(again.signs, truth.signs) and np.array_equal(again.rank, truth.rank)
        np.testing.assert_allclose(found.solution, truth.x[0], rtol=1e-15, atol=1e-15)  # y is near 1


def on_graph(rng: np.random.Generator, n: int, k: int) -> AnalysisL1:
    """A random graph with random weights and log-weights, loops and parallel edges included."""
    ends = np.array([rng.choice(n, 2, replace=False) for _ in range(k)])
    scale = rng.uniform(0.5, 2.0, k)
    w = csr_array((np.stack((scale, -scale), axis=1).ravel(), ends.ravel(), 2 * np.arange(k + 1)), (k, n))
    w.sort_indices()
    y, target = rng.standard_normal((2, n))
    return AnalysisL1(rng.uniform(-1, 1, k), y, target, 10 ** rng.uniform(-1.5, 0), parametrisation=Weighted(w))


@pytest.mark.parametrize("seed", range(20))
def test_any_graph_has_the_proven_gradient(seed: int) -> None:
    rng = np.random.default_rng(seed)
    problem = on_graph(rng, int(rng.integers(3, 20)), int(rng.integers(2, 40)))
    truth, again, found = certificate.certify(problem), graph_proof.certify(problem), blorc(problem)
    assert truth.status == again.status and truth.status in ("proven", "zero")
    scale = np.linalg.norm(truth.grad) or 1.0
    assert np.linalg.norm(found.grad - truth.grad) < FLAT * scale
    assert np.linalg.norm(again.grad - truth.grad) <= again.radius * scale
    np.testing.assert_allclose(graph_proof.solve(problem, problem.theta), truth.x[0], rtol=1e-14, atol=1e-14)


def test_the_graph_proof_refuses_other_regions_and_flows() -> None:
    problem = image(144, 0, "row-weights")
    edges = graph_proof.Edges.of(problem, problem.theta)
    assert edges is not None
    found = parts(edges.graph, problem.y, edges.bound)
    assert graph_proof.verified(edges, problem.y, found) is not None
    cut = np.flatnonzero(found.between(edges.graph))
    for e in cut[::5]:  # two regions taken for one
        label = found.label.copy()
        label[label == label[edges.graph.head[e]]] = label[edges.graph.tail[e]]
        numbered = np.unique(label, return_inverse=True)[1]
        merged = replace(found, label=numbered, count=found.count - 1)
        assert graph_proof.verified(edges, problem.y, merged) is None
        turned = found.flow.copy()
        turned[e] *= -1
        assert graph_proof.verified(edges, problem.y, replace(found, flow=turned)) is None
    largest = np.flatnonzero(found.label == np.bincount(found.label).argmax())
    label = found.label.copy()
    label[largest[0]] = found.count  # one node taken out of its region
    assert graph_proof.verified(edges, problem.y, replace(found, label=label, count=found.count + 1)) is None


def test_a_kink_on_a_graph_is_noted_and_not_proven() -> None:
    w = csr_array(np.roll(np.eye(4), 1, axis=1) - np.eye(4))
    y = np.array([0.0, 0.0, 2.0, 2.0])  # two edges must carry 2 from the upper half, and can carry 1 each
    problem = AnalysisL1(np.zeros(4), y, np.arange(4.0), 1.0, parametrisation=Weighted(w))
    assert certificate.certify(problem).status == "kink"
    assert graph_proof.certify(problem).status == "undecided"
    assert "no gradient" in blorc(problem).note
    for beta, status in ((0.9, "proven"), (1.1, "zero")):
        moved = replace(problem, beta=beta)
        assert graph_proof.certify(moved).status == status and blorc(moved).note == ""


def test_a_batch_has_the_mean_gradient() -> None:
    problem = AnalysisL1.draw(n=400, seed=3, operator="tv-2d", signal="image-patches", theta="row-weights", batch=3)
    singles = [replace(problem, y=y, target=t) for y, t in zip(problem.y, problem.target, strict=True)]
    mean = np.mean([single.reference().grad for single in singles], axis=0)
    assert relative(problem.reference().grad, mean) < FLAT and relative(blorc(problem).grad, mean) < FLAT


def test_rows_that_are_no_differences_make_no_graph() -> None:
    assert Graph.of(tv_2d(16)) is not None
    for w in (csr_array([[1.0, -1.0, 0.0], [0.0, 1.0, -2.0]]), csr_array([[1.0, -1.0], [1.0, 0.0]]), csr_array(np.eye(3))):
        assert Graph.of(w) is None


# Filter banks


def test_dct_filters_are_orthonormal_and_have_mean_zero() -> None:
    taps = dct_filters(64).reshape(24, 25)
    np.testing.assert_allclose(taps @ taps.T, np.eye(24), atol=1e-15)
    np.testing.assert_allclose(taps.sum(axis=1), 0.0, atol=1e-15)


@pytest.mark.parametrize("size", [1, 3, 6])
def test_filters_correlate_around_the_edges(size: int) -> None:
    rng = np.random.default_rng(size)
    taps, x = rng.standard_normal((2, size, size)), rng.standard_normal((6, 6))
    origin = (size - 1) // 2 - size // 2 - (size - 1) // 2  # the tap (0, 0) at the pixel itself
    expected = [ndimage.correlate(x, f, mode="wrap", origin=(origin, origin)) for f in taps]
    found = Filters(6).apply(taps, x.ravel()).reshape(6, 6, 2)
    np.testing.assert_allclose(np.moveaxis(found, 2, 0), expected, atol=1e-13)


@pytest.mark.parametrize("batch", [(), (3,)])
def test_filters_obey_the_laws_of_a_parametrisation(batch: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    filters, taps = Filters(5), rng.standard_normal((4, 3, 3))
    v, z, direction = rng.standard_normal((*batch, 25)), rng.standard_normal((*batch, 100)), rng.standard_normal(taps.shape)
    matrix = filters.matrix(taps)
    np.testing.assert_allclose(filters.apply(taps, v), v @ matrix.T, atol=1e-13)
    np.testing.assert_allclose(filters.adjoint(taps, z), z @ matrix, atol=1e-13)
    np.testing.assert_allclose(filters.rows(taps, np.array([2, 57])).toarray(), matrix[[2, 57]])
    slope = (z * filters.apply(taps + 1e-30j * direction, v)).sum().imag / 1e-30  # the complex step has no cancellation
    assert (filters.pullback(taps, z, v) * direction).sum() == pytest.approx(slope, rel=1e-12)
    assert filters.square_norm(taps) == pytest.approx(np.linalg.norm(matrix, 2) ** 2, rel=1e-12)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_the_frameworks_apply_filters_like_numpy(name: str) -> None:
    rng, framework, filters = np.random.default_rng(1), FRAMEWORKS[name], Filters(5)
    taps, v, z = rng.standard_normal((4, 3, 3)), rng.standard_normal((2, 25)), rng.standard_normal((2, 100))
    with framework.active():
        t, v_, z_ = (framework.array(part) for part in (taps, v, z))
        found = [filters.apply(t, v_), filters.adjoint(t, z_), filters.matrix(t)]
        found.append(framework.grad(lambda u: (z_ * filters.apply(u, v_)).sum())(t))
        arrays = [to_numpy(part) for part in found]
    expected = [filters.apply(taps, v), filters.adjoint(taps, z), filters.matrix(taps), filters.pullback(taps, z, v)]
    for array, truth in zip(arrays, expected, strict=True):
        np.testing.assert_allclose(array, truth, atol=1e-13)


@pytest.mark.parametrize(("n", "seed"), [(36, 0), (36, 1), (64, 0), (64, 2), (64, 3), (144, 1)])
def test_filter_banks_have_the_proven_gradient(n: int, seed: int) -> None:
    problem = image(n, seed, "taps")
    truth, again, found = certificate.certify(problem), filter_proof.certify(problem), blorc(problem)
    assert truth.status == "proven" and again.status == "bounded" and found.note == ""
    assert relative(found.grad, truth.grad) < KRYLOV
    assert relative(again.grad, truth.grad) < again.radius < 1e-9
    assert np.array_equal(again.signs, truth.signs)
    np.testing.assert_allclose(again.x, truth.x, rtol=1e-15, atol=1e-15)
    assert 0 < (again.signs == 0).sum() == again.rank[0] < n


def test_dependent_zero_rows_of_filters_are_flagged() -> None:
    problem = image(36, 2, "taps")  # three rows vanish because fourteen others do, but for the rounding of the taps
    assert filter_proof.certify(problem).status == "undecided"
    assert "dependent" in blorc(problem).note
    with pytest.raises(SolveError, match="not proven"):
        filter_proof.solve(problem, problem.theta)


def test_the_error_of_the_dual_of_a_filter_bank_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """z is moved where W0 x shows least of it: along the least eigenvector of W0 W0^T, whose eigenvalue is below 0.01."""
    drawn, refined, moved = image(64, 0, "taps"), filter_proof._refined, 1e-10
    problem = AnalysisL1(0.1 * drawn.theta, drawn.y, drawn.target, drawn.beta / 0.1, parametrisation=drawn.parametrisation)

    def beside(factor, filters, taps, zero, q, z):  # type: ignore[no-untyped-def]
        x, z, rest = refined(factor, filters, taps, zero, q, z)
        values, vectors = np.linalg.eigh((factor.rows @ factor.rows.T).toarray())
        assert factor.least <= values[0] < 0.01
        step = np.zeros_like(z)
        step[zero] = moved * vectors[:, 0]
        return x - filters.adjoint(taps, step), z + step, rest + moved * values[0]

    monkeypatch.setattr(filter_proof, "_refined", beside)
    found = filter_proof.enclose(problem, problem.theta, problem.y, problem.target, 1.0)
    assert found is not None
    assert moved <= found.errors[1] and moved <= found.errors[3]


@pytest.mark.parametrize("seed", range(5))
def test_the_factorisation_bounds_the_least_eigenvalue(seed: int) -> None:
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((30, 40)) * (rng.random((30, 40)) < 0.3)
    least = np.linalg.eigvalsh(w @ w.T)[0]
    factor = filter_proof.Factor.of(csr_array(w))
    assert factor is not None and 0 < factor.least <= least
    assert filter_proof.Factor.of(csr_array(np.vstack((w, w[:1] + w[1:2])))) is None


# Both


@pytest.mark.parametrize(("theta", "status"), [("weight", "proven"), ("row-weights", "proven"), ("taps", "bounded")])
def test_images_of_64_by_64(theta: str, status: str) -> None:
    problem = image(64 * 64, 1, theta)
    reference, found = problem.reference(), blorc(problem)
    assert reference.status == status and reference.radius < 1e-8 and found.note == ""
    assert relative(found.grad, reference.grad) < KRYLOV
    assert reference.zero_rows * len(problem.parametrisation.apply(problem.theta, problem.y)) >= reference.rank
    np.testing.assert_allclose(problem.solve(problem.theta), found.solution, atol=1e-13)  # refined to 1e-14 |y| = 6e-13 / 64


def test_a_timed_theta_is_solved_too() -> None:
    for theta in ("row-weights", "taps"):
        problem = image(24 * 24, 1, theta)
        moved = replace(problem, theta=problem.perturbed(np.random.default_rng(0)))
        assert relative(blorc(moved).grad, moved.reference().grad) < KRYLOV


@pytest.mark.parametrize("theta", ["row-weights", "taps"])
@pytest.mark.parametrize("label", ["unrolled-fista-torch", "closed-form-jax", "diffcp-dense", "blorc-daqp"])
def test_other_methods_differentiate_small_images(label: str, theta: str) -> None:
    problem, method = image(36, 1, theta), with_ladders(METHODS)[label]
    assert method.unsupported(problem) is None
    grad = np.asarray(method.prepare(problem)(problem.theta).grad)
    # Their own accuracy is tested elsewhere; a wrong pullback would be off by its size.
    assert relative(grad, problem.reference().grad) < 0.2


def drawn(**axes: object) -> AnalysisL1:
    return AnalysisL1.draw(**{"n": 64, "operator": "tv-2d", "signal": "image-patches", "theta": "weight", **axes})  # type: ignore[arg-type]


REFUSED = [
    ({"theta": "dense"}, "operator 'tv-2d' needs theta one of weight, row-weights, got 'dense'"),
    ({"operator": "dct-filters"}, "operator 'dct-filters' needs theta one of taps, got 'weight'"),
    ({"operator": "tv", "theta": "taps"}, "theta 'taps' needs operator 'dct-filters', got 'tv'"),
    ({"n": 60}, "an image has a square n such as 64, 256 or 262144, got n = 60"),
    ({"n": 513**2}, "image-patches are at most 512 x 512, got n = 263169 = 513 x 513"),
    ({"n": 16, "operator": "dct-filters", "theta": "taps"}, "images of at least 5 x 5 pixels, got n = 16"),
    ({"signal": "piecewise-constant"}, "operator 'tv-2d' has a default beta with signal image-patches"),
]


@pytest.mark.parametrize(("axes", "message"), REFUSED)
def test_draws_that_cannot_be_are_refused(axes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        drawn(**axes)


def test_shapes_are_refused() -> None:
    y: Array = np.zeros(36)
    with pytest.raises(
        ValueError, match=r"theta \(taps\) must have shape \(filters, size, size\) with size <= 6, got \(2, 3, 4\)"
    ):
        AnalysisL1(np.ones((2, 3, 4)), y, y, 1.0, parametrisation=Filters(6))
    with pytest.raises(ValueError, match=r"y must have n = 25 = 5 x 5 pixels, got n = 36"):
        AnalysisL1(np.ones((2, 3, 3)), y, y, 1.0, parametrisation=Filters(5))
    with pytest.raises(MemoryError, match=r"K of shape \(98304, 4096\) must stay matrix-free: dense, it would take 3.22 GB"):
        image(4096, 0, "taps").parametrisation.matrix(dct_filters(4096))
