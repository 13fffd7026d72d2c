"""The exact closed form of analysis l1: x* with its sign pattern verified, and the adjoint there.

Begin in `method.py`, the strategy. `solver.py` solves for one signal, `batch.py` for signals that share W, `sparse.py`
for a sparse W (chains, graphs, any other) and `filters.py` for filter banks. What is compiled lies in `kernels/`.
Other entries: `warm.py`, `factors.py`, `daqp.py`, `batched.py` (on a GPU, by `torch_dual.py`), `cvxpylayers.py`, `paper.py`;
`entry.py` is what they share.
May import: methods.base, methods.calculus, problems.
"""

from methods.blorc.method import Blorc

__all__ = ["Blorc"]
