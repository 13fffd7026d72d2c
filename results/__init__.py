"""The table: what a row is (`record.py`), its bytes on disk (`store.py`), statistics of it, and the data. Begin in `record.py`.

May import: nothing else of ours.
"""

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
