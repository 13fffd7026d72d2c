"""From names to cells: what a user names (`catalogue.py`, `knobs.py`, `userfiles.py`), and what is measured of it.

Begin in `sweeps.py`: a preset (`presets.py`) is a tuple of sweeps, and a sweep expands to planned cells.
May import: harness.answers, methods, problems, results.
"""
