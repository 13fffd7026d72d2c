"""Re-made and own tables: EXPERIMENTS maps a name to a function of (folder, quick) that writes its page."""

from collections.abc import Callable
from pathlib import Path

from harness.experiments import blorc_table4, speed_floor

EXPERIMENTS: dict[str, Callable[[Path, bool], Path]] = {
    "blorc-table4": blorc_table4.reproduce,
    "speed-floor": speed_floor.reproduce,
}
