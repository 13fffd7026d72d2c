"""Float64 data in exact integers and in ball arithmetic (python-flint), and back to float64 with a rigorous error."""

from __future__ import annotations

import math
from itertools import chain

import numpy as np
from flint import arb, arb_mat, fmpz, fmpz_mat, nmod_mat
from scipy.sparse import csr_array
from scipy.sparse.csgraph import structural_rank

from problems.arrays import Array

ROUNDING = 1 + 1e-6  # covers the float64 rounding of sums of at most 1e9 positive terms


def balls(a: Array) -> arb_mat:
    """Float64 entries as exact balls, shape (m, n); a vector becomes a column."""
    rows, columns = a.shape if a.ndim == 2 else (len(a), 1)
    return arb_mat(rows, columns, a.ravel().tolist())


def column(entries: list[arb]) -> arb_mat:
    return arb_mat(len(entries), 1, entries)


def beside(*blocks: arb_mat) -> arb_mat:
    """Blocks of equally many rows side by side."""
    return arb_mat([list(chain(*rows)) for rows in zip(*(block.tolist() for block in blocks), strict=True)])


def integer_rows(w: Array) -> list[list[int]]:
    """Rows of coprime integers, each a positive multiple of the row of w: finite float64 numbers are dyadic."""
    rows = []
    for row in w.tolist():
        ratios = [value.as_integer_ratio() for value in row]
        denominator = max(ratio[1] for ratio in ratios)  # powers of two, so the largest is common
        integers = [top * (denominator // bottom) for top, bottom in ratios]
        common = math.gcd(*integers) or 1
        rows.append([value // common for value in integers])
    return rows


def rank(w: Array) -> int:
    """The exact rank of w, shape (m, n)."""
    return integer_rank(integer_rows(w)) if w.size else 0


def integer_rank(integers: list[list[int]]) -> int:
    """The rank of an integer matrix.

    r = the largest rank found modulo a prime is a lower bound; the largest matching of rows and columns with nonzero entries
    is an upper one. Else, all minors of order r + 1 vanish modulo every prime tried; once the product of the primes exceeds
    Hadamard's bound (the product of the r + 1 largest row norms) they are zero.
    """
    squares = sorted((sum(v * v for v in row) for row in integers), reverse=True)
    matrix = fmpz_mat(integers)
    matching = structural_rank(csr_array(np.array([[value != 0 for value in row] for row in integers])))
    found, product, prime = 0, 1, 2**62
    while True:
        prime = _prime_below(prime)
        found = max(found, nmod_mat(matrix, prime).rank())
        product *= prime
        if found == matching or product**2 > math.prod(squares[: found + 1]):
            return found


def _prime_below(number: int) -> int:
    number -= 1
    while not fmpz(number).is_prime():
        number -= 1
    return number


def rounded(m: arb_mat) -> tuple[Array, float]:
    """The midpoints in float64, and a bound on the Frobenius distance of that array from every matrix in the balls.

    An entry errs by half a unit in the last place (2^-53 of it, or 2^-1075 where it is subnormal) and by the radius of its
    ball; the norm of these errors, scaled against underflow, is rounded up. inf where an entry is not a float64 number.
    """
    entries = m.entries()
    values = np.array([float(entry) for entry in entries]).reshape(m.nrows(), m.ncols())
    radii = np.array([float(entry.rad()) for entry in entries]).reshape(values.shape)
    if not (np.isfinite(values).all() and np.isfinite(radii).all()):
        return values, math.inf
    return values, norm_above((np.abs(values) * 2.0**-53 + radii) * ROUNDING + 2.0**-1073)


def norm_above(a: Array) -> float:
    """An upper bound on the Frobenius norm of a float64 array."""
    largest = float(np.abs(a).max(initial=0.0))
    return largest * float(np.linalg.norm(a / largest)) * ROUNDING if largest else 0.0
