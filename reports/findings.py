"""The result in sentences, computed from the rows and from nothing else."""

from __future__ import annotations

from typing import Any

import pandas as pd

from reports import text
from reports.select import PEER_METHOD, Study
from reports.tables import ratio
from results import ANSWERED, WRONG

ACCURATE = 1e-10  # what "accurate" means in the first finding: far below any use, far above round-off
# A warm start solves another problem, the same one again a step further; differences err by h^2, along one direction perhaps.
NOT_COMPARED = ("warm start", "finite differences")


def summary(study: Study) -> str:
    """Size of the plan and how it ended, in a sentence."""
    counts = study.frame.status.value_counts()
    ended = ", ".join(f"{count} {status}" for status, count in counts.items())
    sizes = f"{text.plural(len(study.frame), 'planned cell')}, {text.plural(study.frame.label.nunique(), 'setting')}"
    return f"{sizes} of {text.plural(study.frame.method.nunique(), 'method')}: {ended or 'nothing'}."


def findings(study: Study) -> list[str]:
    """Sentences, the most important first; what cannot be said from the rows is not said, except that it cannot."""
    made = [
        _fastest(study),
        _largest(study),
        _silent(study),
        _biased(study),
        _absent(study),
        _unproven(study),
        _unsteady(study),
    ]
    return [sentence for sentence in made if sentence]


def _fastest(study: Study) -> str:
    settled = study.main[study.main.judged]
    if settled.empty:
        return "Nothing was measured against a reference in the headline setting, so no method can be named the fastest."
    cold = settled[~settled.family.isin(NOT_COMPARED)]
    accurate = [str(label) for label, rows in cold.groupby("label") if (rows.error <= ACCURATE).all()]
    if not accurate:
        return f"No method reached a relative error of {ACCURATE:g} on every block of the headline setting."
    times = settled[settled.label.isin(accurate)].groupby("label").seconds.median()
    best = str(times.idxmin())
    return (
        f"Of {text.plural(len(accurate), 'method')} with a relative error of at most {ACCURATE:g} on every judged "
        f"block of the headline setting, {best} is the fastest: {text.significant(times.min() * 1e3)} ms"
        f"{_against_peer(settled, best)}."
    )


def _against_peer(rows: pd.DataFrame, best: str) -> str:
    if best == PEER_METHOD:
        return ""
    found = ratio(rows, best, PEER_METHOD)
    if not found.finite:
        return f" ({PEER_METHOD} answered on no block beside it)"
    inverse = ratio(rows, PEER_METHOD, best)
    return (
        f"; {PEER_METHOD} at its default settings takes {text.interval_text(inverse)} times as long "
        f"(paired over {text.plural(inverse.blocks, 'block')})"
    )


def _where(row: Any) -> str:
    """The operator with its noise, or the problem where there is none."""
    return f"operator {row.operator}, sigma = {row.sigma:g}" if row.operator else f"problem {row.problem}"


def _largest(study: Study) -> str:
    errors = study.headline.dropna(subset="error")
    if errors.empty:
        return ""
    worst = errors.sort_values("error").iloc[-1]
    return (
        f"The largest relative error of an answer in the main comparison is {worst.error:.1e}: {worst.label} on "
        f"{_where(worst)}, n = {worst.n:g}, seed {worst.seed} "
        f"(status {worst.status})."
    )


def _silent(study: Study) -> str:
    """Wrong without saying so: convergence claimed, no doubt noted, and the error beyond the promise or WRONG."""
    rows = study.headline[study.headline.status.isin(ANSWERED) & study.headline.judged]
    claimed = rows[(rows.converged == True).fillna(False)]  # noqa: E712  (a nullable column)
    if claimed.empty:
        return ""
    broken = (claimed.verified == False).fillna(False)  # noqa: E712
    wrong = claimed[(broken | (claimed.error > WRONG)) & (claimed.note == "")]
    wrong = wrong[~_by_design(study, wrong)]
    if wrong.empty:
        checked = text.plural(len(claimed), "claim")
        return f"No claim of convergence came with an error above the promise or {WRONG:g} ({checked} checked)."
    counts = wrong.label.value_counts()
    named = text.listed(f"{label} ({count})" for label, count in counts.items())
    return (
        f"Silently wrong: {len(wrong)} of {len(claimed)} cells that claim convergence, without a note, have an error above "
        f"the method's own promise or above {WRONG:g}: {named}. A tight setting, where one was measured, has a line of its own."
    )


def _by_design(study: Study, rows: pd.DataFrame) -> pd.Series:
    """Rows of methods that say why they are off, and that broke no promise, for they made none."""
    biased = {label for label, about in study.methods.items() if about.get("biased")}
    return rows.label.isin(biased) & rows.verified.isna()


def _biased(study: Study) -> str:
    rows = study.headline[study.headline.status.isin(ANSWERED) & study.headline.judged]
    rows = rows[_by_design(study, rows) & (rows.error > WRONG)]
    if rows.empty:
        return ""
    worst = rows.groupby("label").error.max()
    named = text.listed(f"{label} (up to {error:.1e})" for label, error in worst.items())
    return (
        f"Biased by design, with errors above {WRONG:g} in {text.plural(len(rows), 'cell')}: {named}; a knob lowers the bias."
    )


def _absent(study: Study) -> str:
    answered = set(study.headline.loc[study.headline.answered, "label"])
    missing = [label for label in study.labels if label not in answered]
    if not missing:
        return ""
    return f"{text.plural(len(missing), 'method')} answered on no timed cell (see Failures): {text.listed(missing, 12)}."


def _unproven(study: Study) -> str:
    timed = study.headline
    count = int((timed.reference_status == "unproven").sum())
    if not count:
        return ""
    return f"{count} of {len(timed)} cells are judged by a reference refined in float64 but not proven (status unproven)."


def _unsteady(study: Study) -> str:
    timed = study.headline[study.headline.answered]
    count = int(timed.noisy.astype(bool).sum())
    return f"{count} of {len(timed)} timed cells are flagged noisy; they are kept (see Noise)." if count else ""
