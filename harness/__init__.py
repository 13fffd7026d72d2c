"""RUNS the grid: every method on every drawn problem, each answer timed and judged. Begin in `cli.py`.

    plan/         what a user names becomes planned cells
    checks/       what an answer is worth
    measure/      cells become rows: workers, clocks, memory
    commands/     one command line verb a file
    experiments/  tables and figures of papers, made again

`answers.py` is the border to the code of methods and problems, `environment.py` what figures depend on.
May import: methods, problems, results.

The way of one cell, from `dargmin run --n 16 --method blorc` to a figure:

    1  cli.py                   puts the words of the command into a Request
    2  commands/request.py      reads them; plan/catalogue.py finds the methods and problems that they name
    3  plan/sweeps.py           makes the cells, one for every instance and method
    4  results/store.py         makes the run folder, with the plan in it
    5  measure/runner.py        takes the cells of one instance together and asks a worker for each
    6  measure/worker.py        draws the instance, proves its reference, prepares the method, calls it
    7  checks/judge.py          holds the answer against the reference: errors and status
    8  measure/timing.py        samples warm calls, in rounds; memory.py weighs one in a pass of its own
    9  results/record.py        joins the parts to a row, which store.py appends to records.jsonl
   10  reports/select.py        reads the rows of a run; reports/sweeps.py and fronts.py draw them
"""
