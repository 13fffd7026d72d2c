"""From cells to rows: the parent (`runner.py`, `processes.py`, `cluster.py`), its workers, clocks and memory inside of them.

Begin in `runner.py`; `worker.py` is the other side.
May import: harness.answers, harness.checks, harness.environment, harness.plan, methods, problems, results.
"""
