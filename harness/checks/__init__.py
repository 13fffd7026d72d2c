"""What an answer is worth: its error (`errors.py`), its status (`judge.py`), conformance of a method, faults of libraries.

Begin in `judge.py` for a run, in `conformance.py` for `dargmin check`.
May import: harness.answers, harness.plan, methods, problems, results.
"""
