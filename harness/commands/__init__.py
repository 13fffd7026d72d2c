"""What the verbs of the command line do, one a file; `harness/cli.py` reads their arguments.

Begin in `running.py`, which is `dargmin run`: `request.py` reads what is asked for, `estimate.py` knows what it may take.
May import: harness.answers, harness.checks, harness.environment, harness.measure, harness.plan, methods, problems, results.
"""
