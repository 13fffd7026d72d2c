"""What `dargmin run` is asked for, and how its text is read: axes, limits, what is named."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from harness import environment
from harness.measure.cluster import EXECUTORS
from harness.measure.runner import Options
from harness.plan.catalogue import ALL, ensembles, select, sources
from harness.plan.nearest import require
from harness.plan.presets import BUDGET_S, PRESETS, TIMEOUT_S
from harness.plan.sweeps import Sweep
from methods import DEVICES, GradientMethod
from problems import Ensemble


@dataclass(frozen=True)
class Request:
    """What the user asked for, unread."""

    preset: str | None
    axes: dict[str, Any]
    methods: tuple[str, ...]
    threads: int
    device: str
    budget_s: float | None
    timeout_s: float | None
    preparation_s: float
    memory_limit_gib: float
    executor: str = "local"
    scheduler: str | None = None


@dataclass(frozen=True)
class Asked:
    """The same, read: what is planned, and how it is measured. `methods` is None where none was named."""

    sweeps: tuple[Sweep, ...]
    methods: tuple[GradientMethod, ...] | None
    options: Options
    device: str
    executor: str
    scheduler: str | None


def read(request: Request) -> Asked:
    """Everything that can be wrong with a request alone is said here; ValueError names the option."""
    methods = select(request.methods) if request.methods else None
    sweeps, options = _sweeps(request), _options(request)
    require_device(request.device)
    require("--executor", request.executor, EXECUTORS)
    return Asked(sweeps, methods, options, request.device, request.executor, request.scheduler)


def require_device(device: str) -> None:
    """ValueError where there is no such device."""
    require("--device", device, DEVICES)
    if device == "cuda" and not environment.gpu():
        raise ValueError("--device cuda needs a GPU that torch can use, got none; see dargmin doctor, or give --device cpu")


def _options(request: Request) -> Options:
    seconds = {"timeout": request.timeout_s, "preparation-timeout": request.preparation_s, "budget": request.budget_s}
    for name, value in seconds.items():
        if value is not None and not 0 < value < math.inf:
            raise ValueError(f"--{name} must be above 0 seconds and finite, got {value}")
    if not 0 <= request.memory_limit_gib < math.inf:
        raise ValueError(f"--memory-limit must be at least 0 GiB and finite, got {request.memory_limit_gib}; 0 means no limit")
    cores = len(environment.cores())
    if not 1 <= request.threads <= cores:
        raise ValueError(f"--threads must be between 1 and the {cores} cores found, got {request.threads}")
    return Options(
        sources=sources(request.methods, request.axes.get("problems") or ()),
        threads=request.threads,
        budget_s=request.budget_s or BUDGET_S.get(request.preset or "default", 1.0),
        timeout_s=request.timeout_s or TIMEOUT_S.get(request.preset or "", 60.0),
        preparation_s=request.preparation_s,
        memory_limit_gib=request.memory_limit_gib,
    )


def _sweeps(request: Request) -> tuple[Sweep, ...]:
    """The preset with the given axes in place of its own; without a preset, one sweep of the given axes."""
    if request.preset is not None:
        require("--preset", request.preset, PRESETS)
    named = ensembles(request.axes.get("problems") or ())
    if request.preset or not request.axes:
        base = PRESETS[request.preset or "default"]
        if not (kept := tuple(sweep for sweep in base if not named or sweep.problem.name in named)):
            raise ValueError(f"preset {request.preset} has no {' or '.join(named)}; leave --preset out")
        base = kept
    else:
        base = tuple(Sweep(problem=one) for one in named.values()) or (Sweep(),)
    return tuple(replace(sweep, **read_axes(request.axes, sweep.problem)) for sweep in base)


def read_axes(axes: dict[str, Any], problem: Ensemble) -> dict[str, Any]:
    """The axes of a Sweep of one problem from the text of the options; ValueError names the option."""
    require("--theta", str(axes.get("theta", problem.thetas[0])), problem.thetas, f"a kind of theta of {problem.name}", ALL)
    require("--knobs", axes.get("knobs", "default"), ("default", "all"))
    for what, names in (("an operator", problem.operators), ("a signal", problem.signals)):
        option = what.split()[1]
        for name in axes.get(f"{option}s", ()):
            require(f"--{option}", name, names or _absent(f"--{option}", problem), f"{what} of {problem.name}", ALL)
    for option, has in (("sigma", problem.noise), ("batch", problem.batches)):
        if option in axes and not has:
            _absent(f"--{option}", problem)
    readers: dict[str, Callable[[str, str], Any]] = {"n": _integers, "sigma": _levels, "seeds": _seeds, "batch": _integers}
    lists = {name: tuple(value) if isinstance(value, list) else value for name, value in axes.items() if name != "problems"}
    return {name: readers[name](name, str(value)) if name in readers else value for name, value in lists.items()}


def _absent(option: str, problem: Ensemble) -> NoReturn:
    raise ValueError(f"{option} does not exist for {problem.name}; leave it out")


def _integers(name: str, text: str) -> tuple[int, ...]:
    try:
        values = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--{name} must be whole numbers such as 16,36,64, got {text!r}") from None
    if min(values) < 0:
        raise ValueError(f"--{name} must not be negative, got {text!r}")
    return values


def _levels(name: str, text: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--{name} must be numbers such as 0.02,0.1, got {text!r}") from None
    if not all(0 < value < math.inf for value in values):
        raise ValueError(f"--{name} must be finite numbers above 0 (the default beta is a multiple of it), got {text!r}")
    return values


def _seeds(name: str, text: str) -> tuple[int, ...]:
    first, colon, last = text.partition(":")
    try:
        seeds = range(int(first or "0"), int(last)) if colon else tuple(map(int, text.split(",")))
    except ValueError:
        seeds = ()
    if not seeds or min(seeds) < 0:
        raise ValueError(f"--{name} must be a range such as 0:5, or whole numbers such as 1,3, got {text!r}")
    return tuple(seeds)
