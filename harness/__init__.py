"""RUNS the grid: every method on every drawn problem, each answer timed and judged. Begin in `cli.py`.

    plan/         what a user names becomes planned cells
    checks/       what an answer is worth
    measure/      cells become rows: workers, clocks, memory
    commands/     one command line verb a file
    experiments/  tables and figures of papers, made again

`answers.py` is the border to the code of methods and problems, `environment.py` what figures depend on.
May import: methods, problems, results.
"""
