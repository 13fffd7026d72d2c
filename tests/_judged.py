"""The judgement as the columns that it becomes."""

from __future__ import annotations

from typing import Any

from harness.checks.judge import judge


def judged(*arguments: Any) -> dict[str, Any]:
    """Status, reason and everything judged, by column."""
    ending, judgement = judge(*arguments)
    return {**vars(ending), **vars(judgement)}
