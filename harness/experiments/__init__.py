"""Re-made tables and figures of the papers: EXPERIMENTS maps a name to a function of (folder, quick) that writes its page.

One experiment a file; what several share has an underscore in front. Begin in `smoothing_bias.py`, the shortest.
May import: harness.checks, harness.environment, harness.measure, harness.training, methods, problems, results.
"""

from collections.abc import Callable
from pathlib import Path

from harness.experiments import (
    blorc_table4,
    bregman,
    identification,
    inexact_ift,
    kinks,
    lp_tuning,
    memory,
    rates_convex,
    rates_strongly_convex,
    robustness,
    smoothing_bias,
    training_epoch,
)
from harness.experiments._claims import experiment

EXPERIMENTS: dict[str, Callable[[Path, bool], Path]] = {
    "blorc-table4": blorc_table4.reproduce,
    "bregman": experiment(bregman.measure),
    "identification": experiment(identification.measure),
    "inexact-ift": experiment(inexact_ift.measure),
    "kinks": kinks.reproduce,
    "memory": experiment(memory.measure),
    "rates-convex": experiment(rates_convex.measure),
    "rates-strongly-convex": experiment(rates_strongly_convex.measure),
    "lp-tuning": experiment(lp_tuning.measure),
    "robustness": robustness.reproduce,
    "smoothing-bias": experiment(smoothing_bias.measure),
    "training-epoch": training_epoch.reproduce,
}
