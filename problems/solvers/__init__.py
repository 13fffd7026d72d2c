"""Exact solutions of lower levels in float64, their sign patterns verified; methods may import these.

Begin in `box_dual.py`, which serves every W; `chain.py`, `graph_tv.py` and `filter_dual.py` serve large ones of structure.
May import: problems.arrays, problems.base, problems.kernels, problems.operators.
"""
