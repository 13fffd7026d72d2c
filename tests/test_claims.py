"""Claims: their files, the fits, and what each experiment measures at its smallest size."""

import re
from pathlib import Path

import numpy as np
import pytest

from harness.experiments import (
    bregman,
    identification,
    inexact_ift,
    lp_tuning,
    memory,
    rates_convex,
    rates_strongly_convex,
    smoothing_bias,
)
from harness.experiments._claims import error
from harness.experiments._iterations import Pass, constant, fista, plain
from harness.experiments.rates_convex import spectrum
from methods.unrolled import Unrolled
from problems import AnalysisL1
from problems.lp_tuning import TOLERANCE
from problems.ridge import Ridge
from reports import claims as page
from results import statistics
from results.claims import Claim, Curve, Mark


def small(fit: str = "power") -> Claim:
    curves = (
        Curve("a", "one", (1.0, 2.0, 4.0, 8.0), (8.0, 4.0, 2.0, 1.0), (1.0, 8.0), "-1"),
        Curve("b", "two", (1.0,), (3.0,)),
    )
    return Claim("name", "title", "statement", "source", "x", "y", curves, fit, (Mark("a", 2.0, "here"),), ("a note",))


def slopes(claim: Claim, label: str) -> dict[str, float]:
    """The slope of the curves of that label by panel."""
    return {curve.panel: page.slope(claim, curve).value for curve in claim.curves if curve.label == label}


def assert_drawn(claim: Claim) -> None:
    for curve in claim.curves:
        assert np.isfinite(curve.y).sum() >= 3, (curve.panel, curve.label)
        if curve.fit is not None:
            assert page.slope(claim, curve).finite, (curve.panel, curve.label)


# The framework


def test_a_claim_comes_back_as_it_was_written(tmp_path: Path) -> None:
    claim = small()
    claim.write(tmp_path / "new")
    assert Claim.read(tmp_path / "new") == claim
    with pytest.raises(FileExistsError):
        claim.write(tmp_path / "new")


def test_a_page_shows_slopes_notes_and_the_figure(tmp_path: Path) -> None:
    small().write(tmp_path / "new")
    text = page.write(tmp_path / "new").read_text()
    assert "-1 [-1, -1]" in text and "- a note" in text
    assert (tmp_path / "new" / "claim.png").exists() and (tmp_path / "new" / "claim.svg").exists()


def test_curves_and_fits_are_checked() -> None:
    with pytest.raises(ValueError, match="as many y as x, got 1 and 2"):
        Curve("a", "one", (1.0, 2.0), (1.0,))
    with pytest.raises(ValueError, match="fit must be one of 'power', 'geometric', '', got 'linear'"):
        small("linear")


def test_fits_find_the_rate_and_the_exponent_they_were_given() -> None:
    rng, k = np.random.default_rng(0), np.arange(1, 200.0)
    noise = np.exp(0.1 * rng.standard_normal(k.size))
    for q in (0.5, 0.97):
        found = statistics.rate(k, 3 * q**k * noise)
        assert found.low <= q <= found.high
        assert statistics.rate(k, 3 * q**k).value == pytest.approx(q, rel=1e-12)  # exact but for rounding
    found = statistics.exponent(k, 3 * k**-1.5 * noise)
    assert found.low <= -1.5 <= found.high
    assert not statistics.rate(k[:2], k[:2]).finite  # two points say nothing of the fit


# One pass against the methods of the suite


@pytest.mark.parametrize(("scheme", "momentum"), [("ista", plain), ("fista", fista)])
def test_one_pass_gives_what_unrolling_gives_for_every_k(scheme: str, momentum: object) -> None:
    problem = AnalysisL1.draw(n=9, seed=1, theta="row-weights")
    errors = Pass(problem, 12, momentum).unrolled()  # type: ignore[arg-type]
    for k in (1, 5, 12):  # the same real numbers by forward and by reverse mode: rounding alone
        assert errors[k - 1] == pytest.approx(error(Unrolled(scheme, "torch", iterations=k), problem), rel=1e-9)


def test_the_three_strategies_meet_the_reference() -> None:
    problem = Ridge.draw(n=10, seed=1, theta="row-weights", signal="diabetes")
    made = Pass(problem, 400)
    made = Pass(problem, 250, constant(made.ratio))  # 0.834^250 = 2e-20, with room for powers of K
    assert max(made.unrolled()[-1], made.at_optimum()[-1], made.fixed_point(np.array([250]))[0]) < 1e-12


# The experiments, each at its smallest


def test_strongly_convex_rates_keep_to_their_bounds() -> None:
    claim = rates_strongly_convex.measure(True)
    assert_drawn(claim)
    problem = Ridge.draw(n=10, seed=1, theta="row-weights", signal="diabetes")
    ratio = Pass(problem, 1).ratio
    # The eigenvector of mu is reached: q is 1 - mu/L itself, up to a factor K over K of 500 and more (1/500 of q).
    plainly = [curve for curve in claim.curves if curve.panel == "ridge, diabetes: plain"]
    assert len(plainly) >= 3
    assert all(page.slope(claim, curve).value == pytest.approx(1 - ratio, abs=2.5e-3) for curve in plainly)
    # K^2 q^K with K from 50 to 170: ln q rises by 2/100 on average.
    fast = [curve for curve in claim.curves if curve.panel == "ridge, diabetes: accelerated"]
    assert len(fast) >= 3
    assert all(1 - ratio**0.5 <= page.slope(claim, curve).value <= (1 - ratio**0.5) * np.exp(0.03) for curve in fast)


def test_without_strong_convexity_errors_fall_like_powers() -> None:
    claim = rates_convex.measure(True)
    assert_drawn(claim)
    for label in ("x", "unrolled"):
        found = slopes(claim, label)
        # Sums over a discrete spectrum from K = 5 on: a tenth off their integrals; momentum rings by more.
        assert found["spectrum i^-3: plain"] == pytest.approx(-0.5, abs=0.1)
        assert found["spectrum i^-3: accelerated"] == pytest.approx(-1, abs=0.2)


def test_the_flat_spectrum_is_what_it_says() -> None:
    assert np.linalg.svd(spectrum(8).a2, compute_uv=False) ** 2 == pytest.approx(np.arange(1, 9.0) ** -3)


@pytest.mark.long
def test_patterns_settle_and_errors_fall_after_it() -> None:
    claim = identification.measure(True)
    assert_drawn(claim)
    assert len(claim.marks) == 4 and all(mark.x > 1 for mark in claim.marks)
    found = slopes(claim, "unrolled")
    assert len(found) == 4 and all(0 < value < 1 for value in found.values())
    for curve in claim.curves:
        (settled,) = (mark.x for mark in claim.marks if mark.panel == curve.panel)
        x, y = np.array(curve.x), np.array(curve.y)
        if curve.label == "unrolled":  # of order one while patterns change, rounding at the end
            assert y[x < settled].max() > 1e-2 and y[-1] < 1e-9


@pytest.mark.long
def test_bregman_steps_fall_more_slowly_than_projected_ones() -> None:
    claim = bregman.measure(True)
    assert_drawn(claim)
    by = {(curve.panel, curve.label): curve for curve in claim.curves}
    panels = {panel for panel, _ in by}
    assert len(panels) == 3
    for panel in panels:
        projected, slow = by[panel, "x, projected"], by[panel, "x, Bregman"]
        end = projected.x[-1]
        assert np.array(slow.y)[np.array(slow.x) <= end].min() > 10 * projected.y[-1]
        assert slow.y[-1] < 0.1 * slow.y[0]  # they do fall


@pytest.mark.long
def test_unrolling_takes_memory_for_every_iteration_and_implicit_differentiation_for_none() -> None:
    claim = memory.measure(True)
    unrolled, series = slopes(claim, "unrolled"), slopes(claim, "at the optimum, K terms")
    # From 30 iterations on what does not grow is a tenth of the whole at most; pages and the allocator blur the rest.
    assert unrolled["over K, n = 64"] == pytest.approx(1, abs=0.25)
    assert abs(series["over K, n = 64"]) < 0.4


def test_the_bound_is_above_the_error_everywhere_and_falls_like_eps() -> None:
    claim = inexact_ift.measure(True)
    assert_drawn(claim)
    by = {(curve.panel, curve.label): np.array(curve.y) for curve in claim.curves}
    for panel in inexact_ift.INSTANCES:
        bound, found = by[panel, "bound"], by[panel, "error"]
        held = np.isfinite(bound)
        assert held.sum() >= 4 and (bound[held] >= found[held]).all()
    # omega is linear in the two residuals, which lie below eps by factors that differ from level to level.
    assert slopes(claim, "bound")["quadratic"] == pytest.approx(1, abs=0.15)


def test_the_bias_of_smoothing_is_of_first_order() -> None:
    claim = smoothing_bias.measure(True)
    assert_drawn(claim)
    # Below the margins the bias is linear in eps, with a quadratic part of the size of eps over them.
    # Random operators are left out: their margins lie inside the range fitted.
    found = slopes(claim, "smoothed IFT")
    assert all(found[operator] == pytest.approx(1, abs=0.15) for operator in ("tv", "dct"))


def test_tuning_by_the_own_derivative_lowers_the_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lp_tuning, "N", 8)
    claim = lp_tuning.measure(True)
    given, *tuned = claim.curves
    assert [curve.label for curve in tuned] == [f"ten Adam steps of {rate:g}" for rate in lp_tuning.RATES]
    assert all(curve.y[-1] <= 2 * TOLERANCE < curve.y[0] for curve in claim.curves)  # the sum of two that are each below
    assert min(curve.x[-1] for curve in tuned) < given.x[-1] < lp_tuning.LONGEST
    assert all(float(gap) < 1e-5 for gap in re.findall(r"(\S+) from HiGHS", claim.notes[0]))  # the tolerance over the value
