"""The border to other solvers: an exception from inside of one says whose it is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from methods.base import Gradient, LibraryError, Split
from problems import SolveError

Context = Callable[[], contextlib.AbstractContextManager[Any]]


@contextlib.contextmanager
def named(library: str) -> Iterator[None]:
    """What is raised inside becomes a LibraryError that names the library; what ran out of memory, or is ours, stays."""
    try:
        yield
    except (MemoryError, SolveError, LibraryError, Warning):
        raise
    except Exception as error:
        raise LibraryError(f"{library} failed: {type(error).__name__}: {str(error).strip()}") from error


def inside(library: str, prepare: Callable[[], Split], context: Context = contextlib.nullcontext) -> Split:
    """The steps that `prepare` makes, all three phases under the library's name, and the calls in a context of their own."""
    with named(library):
        steps = prepare()

    def forward(theta: Any) -> Any:
        with named(library), context():
            return steps.forward(theta)

    def backward(state: Any) -> Gradient:
        with named(library), context():
            return steps.backward(state)

    return Split(forward, backward)
