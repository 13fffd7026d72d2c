"""What tests/_borders.py imports from beside it."""


def quadratic(k: int) -> float:
    return 1.0 / (k + 1) ** 2
