"""Tables and figures that one command makes: EXPERIMENTS maps a name to a function of (folder, quick) that writes its page."""

from collections.abc import Callable
from pathlib import Path

from harness.experiments import blorc_table4, lp_tuning, robustness, smoothing_bias, speed_floor
from harness.experiments._claims import experiment

EXPERIMENTS: dict[str, Callable[[Path, bool], Path]] = {
    "blorc-table4": blorc_table4.reproduce,
    "lp-tuning": experiment(lp_tuning.measure),
    "robustness": robustness.reproduce,
    "smoothing-bias": experiment(smoothing_bias.measure),
    "speed-floor": speed_floor.reproduce,
}
