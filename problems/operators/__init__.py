"""Analysis operators: the matrices W that are drawn (`matrices.py`), and how K depends on theta (`parametrisations.py`).

Those without a matrix: `differences.py`, `fourier.py`, `stencil.py`. Begin in `parametrisations.py`.
May import: problems.arrays.
"""
