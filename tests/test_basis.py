"""The basis that the multiprecision active set keeps: its pseudo-inverse stays one, and what is dependent is refused."""

from __future__ import annotations

import numpy as np
import pytest
from flint import arb_mat, ctx

from problems.proofs.arithmetic import balls, column
from problems.proofs.basis import Basis


@pytest.fixture(autouse=True)
def precision():  # type: ignore[no-untyped-def]
    with ctx.workprec(256):
        yield


def largest(m: arb_mat) -> float:
    return max(float(abs(entry).upper()) for entry in m.entries())


def test_the_pseudo_inverse_follows_rows_that_come_and_go() -> None:
    rng = np.random.default_rng(0)
    w, x = rng.standard_normal((30, 12)), rng.standard_normal(12)
    basis, inside = Basis.of(w, np.arange(5)), set(range(5))
    for _ in range(200):
        row = int(rng.integers(30))
        if row in inside:
            basis.remove(row)
            inside.remove(row)
        elif len(inside) < 11:
            basis.add(row, w[row])
            inside.add(row)
        rows = sorted(inside)
        assert sorted(row for row in basis.rows if row >= 0) == rows
        lifted = basis.lift(balls(x))
        fresh = np.linalg.lstsq(w[rows].T, x, rcond=None)[0] if rows else np.zeros(0)
        # float64 least squares, conditions below 1e4
        np.testing.assert_allclose([float(lifted[row].mid()) for row in rows], fresh, rtol=1e-9, atol=1e-9)
        assert rows == [] or largest(balls(w[rows]) * basis.projected(balls(x), 1.0)) < 1e-70  # 256 bits are 77 digits


def test_a_full_basis_leaves_nothing() -> None:
    basis = Basis.of(np.eye(3), np.array([0, 1, 2]))
    assert basis.projected(balls(np.ones(3)), 1.0).entries() == [0, 0, 0]


def test_a_direction_of_1e_100_is_seen_at_512_bits_and_no_dependence_is() -> None:
    w = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1e-100], [2.0, 2.0, 0.0]])
    basis = Basis.of(w, np.array([0]))
    with pytest.raises(ZeroDivisionError):
        basis.add(2, w[2])
    with ctx.workprec(512):
        basis.add(1, w[1])
        point = basis.projected(column(balls(np.array([1.0, -1.0, 5.0])).entries()), 1.0)
        assert largest(point - balls(np.array([1.0, -1.0, 0.0]))) < 1e-50  # 512 bits are 154 digits, the condition takes 100


def test_the_direction_lost_is_orthogonal_to_the_rows_that_stay() -> None:
    w = np.random.default_rng(1).standard_normal((4, 6))
    lost = Basis.of(w, np.arange(4)).remove(2)
    assert largest(balls(w[[0, 1, 3]]) * lost) < 1e-70
    assert abs(float((balls(w[2:3]) * lost)[0, 0].mid())) > 0.1
