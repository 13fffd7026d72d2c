"""The table: the Record schema, its bytes on disk, and the data."""

from results.record import ANSWERED, COLUMNS, JUDGED, SCHEMA, STATUSES, WRONG, Measured, Planned
from results.store import Run, RunError, require_place

__all__ = [
    "ANSWERED",
    "COLUMNS",
    "JUDGED",
    "SCHEMA",
    "STATUSES",
    "WRONG",
    "Measured",
    "Planned",
    "Run",
    "RunError",
    "require_place",
]
