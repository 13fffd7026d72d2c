"""The exact closed form of analysis l1: x* with its sign pattern verified, and the adjoint there.

`method.py` is the strategy; begin there. `solver.py` solves for one signal, `batch.py` for signals that share W, `sparse.py`
for a sparse W (chains, graphs, any other) and `filters.py` for filter banks. What is compiled lies in `kernels/`.
"""

from methods.blorc.method import Blorc

__all__ = ["Blorc"]
