"""Each remedy in a message of problems/ followed literally, and each n that an ensemble lacks refused with those it has."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

from problems import PROBLEMS, AnalysisL1, Dense, Ensemble, Sparse, Weighted
from problems.operators.parametrisations import LOG


def test_a_matrix_of_another_format_is_converted() -> None:
    w = scipy.sparse.csc_array([[1.0, -1.0]])
    with pytest.raises(ValueError, match=r"got format 'csc'; pass scipy\.sparse\.csr_array\(W\)"):
        Sparse(w)
    assert Sparse(scipy.sparse.csr_array(w)).w.shape == (1, 2)


def test_a_dense_matrix_is_converted() -> None:
    w = np.array([[1.0, -1.0]])
    with pytest.raises(ValueError, match=r"got ndarray; pass scipy\.sparse\.csr_array\(W\)"):
        Sparse(w)  # type: ignore[arg-type]
    assert Sparse(scipy.sparse.csr_array(w)).w.nnz == 2


def test_duplicates_are_summed_in_place() -> None:
    w = scipy.sparse.csr_array((np.array([1.0, 2.0, 3.0]), np.array([1, 0, 1]), np.array([0, 3])), shape=(1, 2))
    with pytest.raises(ValueError, match=r"call W\.sum_duplicates\(\), which works in place, before Sparse\(W\)"):
        Sparse(w)
    w.sum_duplicates()
    assert Sparse(w).w.toarray().tolist() == [[2.0, 4.0]]


def test_a_transposed_theta_is_passed_transposed() -> None:
    theta, y = np.zeros((3, 2)), np.zeros(3)
    with pytest.raises(ValueError, match=r"pass theta\.T"):
        Dense().check(theta, len(y))
    Dense().check(theta.T, len(y))


def test_sigma_0_takes_the_beta_that_is_given() -> None:
    with pytest.raises(ValueError, match="sigma = 0 has no default beta; give beta"):
        AnalysisL1.draw(n=4, sigma=0.0)
    assert AnalysisL1.draw(n=4, sigma=0.0, beta=0.5).beta == 0.5


def test_a_pair_without_a_beta_takes_the_one_that_is_given() -> None:
    with pytest.raises(ValueError, match="in Python, give beta"):
        AnalysisL1.draw(n=64, operator="trained", signal="dct-sparse")
    assert AnalysisL1.draw(n=64, operator="trained", signal="dct-sparse", beta=0.5).beta == 0.5


def test_an_operator_that_is_not_sparse_takes_a_dense_theta() -> None:
    with pytest.raises(ValueError, match="take a dense theta"):
        AnalysisL1.draw(n=4, operator="random", theta="sparse")
    assert AnalysisL1.draw(n=4, operator="random", theta="dense").theta.shape == (4, 4)


def test_a_matrix_that_is_too_large_takes_a_sparse_theta() -> None:
    with pytest.raises(ValueError, match="give a smaller n, or take a sparse theta"):
        AnalysisL1.draw(n=2**14 + 1)
    assert AnalysisL1.draw(n=2**14 + 1, theta="sparse").theta.shape == (2**15,)


@pytest.mark.parametrize("log", [800.0, -800.0])
@pytest.mark.parametrize("rows", [False, True])
def test_a_log_weight_out_of_range_says_the_range(log: float, rows: bool) -> None:
    w = scipy.sparse.csr_array(np.eye(2))
    theta = np.array([0.0, log]) if rows else np.asarray(log)
    with pytest.raises(ValueError, match=f"must lie between -{LOG} and {LOG}, so that .*, got {log:g}"):
        AnalysisL1(theta, np.ones(2), np.ones(2), 1.0, parametrisation=Weighted(w))
    AnalysisL1(np.clip(theta, -LOG, LOG), np.ones(2), np.ones(2), 1.0, parametrisation=Weighted(w))


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_a_small_n_is_drawn_or_refused_with_those_there_are(problem: Ensemble, n: int) -> None:
    """A refusal names n, and what it may be; the reference of what is drawn answers."""
    try:
        drawn = problem.instance(n, 0, problem.thetas[0])
    except ValueError as error:
        assert f"got n = {n}" in str(error) or str(error).endswith(f"got {n}"), error
        assert any(word in str(error) for word in ("at least", "times", "features", "alone")), error
        return
    assert drawn.reference().status in ("proven", "zero")
