"""The schema of the results table: one Record for every planned cell of a run."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any

# Raised when a column goes or changes its meaning; a column of Measured that is new reads as not measured from an older run.
SCHEMA = 2
NAN = math.nan

# Only against references of these statuses does a relative error mean something.
JUDGED = ("proven", "bounded", "unproven")
# Only cells of these statuses have an answer, whose time is the time of one.
ANSWERED = ("ok", "inaccurate")
WRONG = 1e-2  # a relative error above it leaves fewer than two digits: of no use even from a method that promises nothing

# The first that applies is the status of a cell.
STATUSES = (
    "not-installed",
    "unsupported",
    "not-run",
    "timeout",
    "oom",
    "crash",
    "interrupted",
    "error",
    "nan",
    "diverged",
    "inaccurate",
    "ok",
)


@dataclass(frozen=True)
class Planned:
    """What is measured: the inputs of one cell. Axes a problem lacks are empty or NaN."""

    measure: str  # "time" or "memory": never in one pass
    sweep: str  # the sweeps that the cell belongs to, each with its free axes: "noise(n, sigma); n(n)"
    method: str
    label: str  # method and the knobs that differ from its default
    family: str
    knobs: str  # JSON object of all knobs
    knob: str  # the knob its work-precision ladder sweeps; empty: none
    knob_value: float
    batching: str  # "native" or "loop" (a Python loop over the signals)
    problem: str
    operator: str
    signal: str
    theta: str  # what is differentiated: "dense", "row-weights" or "weight"
    k: int
    n: int
    batch: int  # 0: one signal without a batch axis
    sigma: float  # standard deviation of the noise on a signal of peak 1
    beta: float
    seed: int
    device: str
    threads: int

    def key(self, versions: dict[str, str]) -> str:
        """Hash of all inputs with the versions (code commit and libraries) and the schema: same key, same measurement."""
        inputs = {name: value for name, value in asdict(self).items() if name != "sweep"}
        text = json.dumps([SCHEMA, inputs, versions], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def block(self) -> str:
        """Name of the instance that all methods of a block share."""
        parts = [self.measure, self.problem, self.operator, self.signal, self.theta]
        return "|".join([*parts, f"n={self.n}", f"batch={self.batch}", f"sigma={self.sigma:g}", f"seed={self.seed}"])


@dataclass(frozen=True)
class Ending:
    """How a cell ended."""

    status: str
    reason: str = ""
    stderr: str = ""
    host: str = ""

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status must be one of {', '.join(STATUSES)}, got {self.status!r}")


@dataclass(frozen=True)
class SetUp:
    """Seconds before the first warm call."""

    setup_s: float = NAN  # with what is compiled ahead
    first_call_s: float = NAN  # with what is compiled at the first call


@dataclass(frozen=True)
class Timing:
    """Seconds of warm calls."""

    forward_s: float = NAN  # medians from here
    backward_s: float = NAN
    total_s: float = NAN
    total_low_s: float = NAN  # bootstrap 95 % interval of the median; NaN where one sample was taken
    total_high_s: float = NAN
    total_mad_s: float = NAN
    samples_s: list[float] = field(default_factory=list)  # seconds a call, one a sample, in the order they were taken
    samples_order: list[int] = field(default_factory=list)  # position of each sample among all of its block
    canary: float = NAN  # seconds of a fixed kernel, timed on the same core beside this cell
    noisy: bool = False  # the canary ran slow, the samples spread widely, or they waited for their core


@dataclass(frozen=True)
class Memory:
    """Bytes of one call."""

    peak_bytes: float = NAN  # rise of resident memory during one call above the baseline
    floor_bytes: float = NAN  # a rise below this cannot be told from nothing
    allocated_bytes: float = NAN  # second channel: tracemalloc, saved tensors, CUDA's or the compiler's own count


@dataclass(frozen=True)
class Judgement:
    """The answer beside the reference, and what both say of themselves."""

    note: str = ""  # a doubt the method itself raised
    error_rel: float = NAN  # |g - G| / |G| against the reference gradient G
    error_abs: float = NAN
    error_max: float = NAN  # max |g - G| / max |G|
    cosine: float = NAN
    sign_agreement: float = NAN  # share of entries whose sign is right
    error_paper: float = NAN  # |g - D| / |D| against central differences D, the papers' metric; where the block has them
    error_bound: float = NAN  # what the method itself bounds its relative error by
    error_x: float = NAN  # |x - x*| / |x*|
    misread_rows: float = NAN  # rows whose sign a pattern-based method took for another than it is
    iterations: float = NAN
    converged: bool | None = None  # what the method claims
    promise: float = NAN  # the relative error that the method promises; NaN: none
    verified: bool | None = None  # whether the error is within the promise (None: no promise, or no gradient)
    reference_status: str = ""
    reference_radius: float = NAN
    reference_reason: str = ""
    kink_distance: float = NAN
    rho: float = NAN
    zero_rows: float = NAN
    rank: float = NAN
    cond: float = NAN


@dataclass(frozen=True)
class Measured(Judgement, Memory, Timing, SetUp, Ending):
    """What was measured, all parts in one: NaN, None or empty means not measured, never 0."""

    @classmethod
    def joined(cls, *parts: Ending | SetUp | Timing | Memory | Judgement) -> Measured:
        return cls(**{name: value for part in parts for name, value in vars(part).items()})


TEXT = 4000  # characters that a row keeps of each text

PLANNED_COLUMNS = tuple(f.name for f in fields(Planned))
MEASURED_COLUMNS = tuple(f.name for f in fields(Measured))
COLUMNS = ("run", "key", *PLANNED_COLUMNS, *MEASURED_COLUMNS)


def row(run: str, key: str, planned: Planned, measured: Measured) -> dict[str, Any]:
    """One line of the table."""
    found = {name: _text(value) if isinstance(value, str) else value for name, value in asdict(measured).items()}
    return {"run": run, "key": key, **asdict(planned), **found}


def _text(value: str) -> str:
    """Text that any file takes: cut, with "?" for what no encoding knows."""
    return value[:TEXT].encode(errors="replace").decode()
