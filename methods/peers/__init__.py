"""Other libraries, one a file, each behind GradientMethod.

They share `library.py` (whose exception it is), `programme.py` (the lower level as a quadratic programme) and `conic.py`.
Begin in `qpax.py`. A library is imported where it is first called: one that is absent costs its own rows.
May import: methods.base, methods.calculus, problems.
"""
