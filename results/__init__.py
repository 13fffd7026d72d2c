"""The table: the Record schema, its bytes on disk, and the data."""

from results.record import COLUMNS, SCHEMA, STATUSES, Measured, Planned
from results.store import Run, RunError, require_place

__all__ = ["COLUMNS", "SCHEMA", "STATUSES", "Measured", "Planned", "Run", "RunError", "require_place"]
