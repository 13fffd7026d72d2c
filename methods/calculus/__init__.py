"""What strategies share: the calculus of solution maps, and the frameworks that do it.

Begin in `frameworks.py`, the only code that knows torch from JAX, then `autodiff.py`.
May import: methods.base, problems.
"""
