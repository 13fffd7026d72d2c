"""Timing one prepared call: phases, calibrated samples, and a canary."""

from __future__ import annotations

import gc
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from harness.answers import given
from methods import Chained, Gradient, Prepared, Split, synchronise, to_numpy
from problems.base import Array

SAMPLE_S = 0.01  # a sample loops until it lasts this long
MOVE = 1e-3  # by share of |theta|: one step of a training path


@dataclass(frozen=True)
class Sample:
    """Seconds a call, averaged over the inner loop; forward and backward are NaN where the call cannot be split."""

    forward: float
    backward: float
    total: float
    busy: float = np.nan  # CPU time over wall time


def _cpu() -> float:
    """CPU seconds of this process and of what it waited for."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


@contextmanager
def without_gc() -> Iterator[None]:
    """Collected before, off within."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def library(gradient: Gradient) -> str:
    """Whose arrays the gradient is made of: numpy, torch, jax, or cuda for those of torch on a GPU."""
    if getattr(gradient.grad, "is_cuda", False):
        return "cuda"
    return type(gradient.grad).__module__.split(".")[0].removesuffix("lib")


def waiter(gradient: Gradient) -> Callable[[Any], Any]:
    """What waits for results of this kind: JAX's for any tree of its arrays, CUDA's, or nothing."""
    if library(gradient) == "jax":
        return sys.modules["jax"].block_until_ready
    if library(gradient) == "cuda":
        return partial(_waited, gradient.grad)
    return lambda result: result


def _waited(on_device: Any, result: Any) -> Any:
    synchronise(on_device)
    return result


def call_once(prepared: Prepared, theta: Array) -> tuple[Gradient, float]:
    """One call to its synchronised end, and its seconds."""
    start = perf_counter()
    gradient = given(prepared(theta))
    synchronise(gradient.grad)
    return gradient, perf_counter() - start


def training_path(prepared: Chained, theta: Array, count: int) -> list[Array]:
    """theta and what gradient descent makes of it, steps of MOVE |theta| along the negative gradient."""
    path, state = [theta], None
    while len(path) < count:
        gradient, state = prepared.step(path[-1], state)
        grad = to_numpy(gradient.grad)
        length = float(np.linalg.norm(grad)) or 1.0
        path.append(path[-1] - MOVE * np.linalg.norm(theta) / length * grad)
    return path


def _to_and_fro(index: int, count: int) -> int:
    """0, 1, ..., count - 1, ..., 1, 0, 1, ...: neighbours stay neighbours."""
    place = index % (2 * count - 2) if count > 1 else 0
    return min(place, 2 * count - 2 - place)


def sample_path(prepared: Chained, path: list[Array], wait: Callable[[Any], Any], loops: int, offset: int) -> Sample:
    """The mean over `loops` steps along the path, to and fro, each from the state of the one before."""
    state, total = prepared.step(path[_to_and_fro(offset, len(path))], None)[1], 0.0
    for index in range(offset + 1, offset + 1 + loops):
        theta = path[_to_and_fro(index, len(path))]
        start = perf_counter()
        gradient, state = prepared.step(theta, state)
        wait(gradient.grad)
        total += perf_counter() - start
    return Sample(np.nan, np.nan, total / loops)


def watched(prepared: Prepared, thetas: list[Array], wait: Callable[[Any], Any], loops: int, offset: int) -> Sample:
    """A sample with the share of its time that it had a core for."""
    start, used = perf_counter(), _cpu()
    taken = sample(prepared, thetas, wait, loops, offset)
    return replace(taken, busy=(_cpu() - used) / (perf_counter() - start))


def sample(prepared: Prepared, thetas: list[Array], wait: Callable[[Any], Any], loops: int, offset: int) -> Sample:
    """The mean over `loops` calls, cycling through thetas from `offset`. The loop bodies are the timed region."""
    if isinstance(prepared, Chained):
        return sample_path(prepared, thetas, wait, loops, offset)
    forward = backward = 0.0
    split = isinstance(prepared, Split)
    for index in range(offset, offset + loops):
        theta = thetas[index % len(thetas)]
        if isinstance(prepared, Split):
            start = perf_counter()
            state = wait(prepared.forward(theta))
            middle = perf_counter()
            wait(prepared.backward(state).grad)
            end = perf_counter()
            forward += middle - start
            backward += end - middle
        else:
            start = perf_counter()
            wait(prepared(theta).grad)
            forward += perf_counter() - start
    total = (forward + backward) / loops
    return Sample(forward / loops, backward / loops, total) if split else Sample(np.nan, np.nan, total)


def overhead() -> dict[str, float]:
    """Seconds that the timed region adds to a call: an empty call, plain and in two phases, best of 5 samples of 2000."""
    empty = Gradient(0.0, np.zeros(1), np.zeros(1))
    calls: dict[str, Prepared] = {"plain": lambda theta: empty, "split": Split(lambda theta: theta, lambda state: empty)}

    def best(prepared: Prepared) -> float:
        return min(sample(prepared, [empty.grad], waiter(empty), 2000, 0).total for _ in range(5))

    with without_gc():
        return {name: best(prepared) for name, prepared in calls.items()}


def canary() -> float:
    """Seconds of a fixed kernel, five 96 x 96 matrix products, best of 5."""
    a = np.full((96, 96), 0.5)
    best = np.inf
    for _ in range(5):
        start = perf_counter()
        for _ in range(5):
            a @ a
        best = min(best, perf_counter() - start)
    return float(best)
