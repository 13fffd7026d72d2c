"""What instances are drawn from: clean signals, photographs out of other wheels, a trained operator (`trained.npy`).

Begin in `drawing.py`; `tuning.py` made its table.
May import: problems.arrays, problems.operators, problems.solvers.
"""
