"""Bases that several problem files share, one a family: images, least squares under constraints, regression, conic models.

Begin in `constrained.py`, on which `nnls.py` and `simplex_least_squares.py` above stand.
May import: problems.arrays, problems.base, problems.data, problems.forms, problems.operators, problems.penalties,
problems.proofs.
"""
