"""Statistics against known values; the selection of sweeps; the report of a full, a failed and an empty run."""

from __future__ import annotations

import ast
import io
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import _runs
import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, sync_playwright
from rich.console import Console

import reports
from reports import fronts, large, laws, operators, select, speed, style, tables, terminal_table, text, write_report
from reports.failures import reasons, statuses, unjudged
from reports.figures import CHAPTERS, DRAWINGS, Drawing
from reports.findings import findings
from reports.page import sections
from reports.select import Study, load
from results import Measured, Planned, Run, statistics

ROOT = Path(reports.__file__).parent


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return _runs.build(tmp_path_factory.mktemp("full") / "run")


@pytest.fixture(scope="module")
def study(run: Run) -> Study:
    return load([run])


@pytest.fixture(scope="module")
def page(run: Run) -> Path:
    return write_report([run], run.path.parent / "report")


def column(table: text.Table, name: str) -> dict[str, text.Cell]:
    place = table.columns.index(name)
    return {row[0].text: row[place] for row in table.rows}


# Statistics


def test_median_interval_of_known_samples() -> None:
    assert statistics.median_interval([3.0, math.nan, 1.0, 2.0]).value == 2.0
    assert statistics.median_interval([5.0]) == (
        5.0,
        pytest.approx(math.nan, nan_ok=True),
        pytest.approx(math.nan, nan_ok=True),
        1,
    )
    assert math.isnan(statistics.median_interval([]).value)


def test_median_interval_covers_the_median_about_as_often_as_it_says() -> None:
    samples = np.random.default_rng(1).normal(size=(200, 25))
    found = [statistics.median_interval(sample, draws=400) for sample in samples]
    share = np.mean([one.low <= 0.0 <= one.high for one in found])
    assert 0.88 < share < 0.99  # three standard errors of a share of 0.95 over 200 are 0.046
    assert np.mean([one.low <= 0.6 <= one.high for one in found]) < 0.5


def test_paired_ratio_is_immune_to_a_difference_between_blocks() -> None:
    generator = np.random.default_rng(2)
    scales = 10.0 ** np.arange(6)
    base = [scale * np.exp(generator.normal(0, 0.02, 9)) for scale in scales]
    found = statistics.paired_ratio(base, [1.3 * block for block in base])
    assert found.value == pytest.approx(1.3)
    assert 1.25 < found.low <= found.value <= found.high < 1.36


def test_paired_ratio_of_one_block_rests_on_its_samples() -> None:
    assert math.isnan(statistics.paired_ratio([[1.0]], [[2.0]]).low)
    found = statistics.paired_ratio([[1.0, 1.1, 0.9, 1.0]], [[2.0, 2.2, 1.8, 2.0]])
    assert found.low < found.value == 2.0 < found.high


def test_exponent_of_an_exact_power_law() -> None:
    n = np.array([16, 32, 64, 128])
    found = statistics.exponent(n, 3e-7 * n**1.5)
    assert found[:3] == pytest.approx((1.5, 1.5, 1.5))


def test_exponent_interval_covers_the_truth_and_widens_with_curvature() -> None:
    n = np.repeat([16, 32, 64, 128, 256], 3)
    noise = np.random.default_rng(3).normal(0, 0.05, n.size)
    straight = statistics.exponent(n, n**2.0 * np.exp(noise))
    bent = statistics.exponent(n, 3000 + n**2.0)
    assert straight.low < 2.0 < straight.high
    assert straight.high - straight.low < 0.1 < bent.high - bent.low


def test_exponent_needs_three_sizes() -> None:
    assert math.isnan(statistics.exponent([16, 32, 32], [1.0, 2.0, 2.0]).value)


def test_pareto_of_a_known_set() -> None:
    cost = [1.0, 2.0, 3.0, 3.0, math.nan, 2.0]
    error = [5.0, 3.0, 4.0, 1.0, 0.0, 3.0]
    assert statistics.pareto(cost, error).tolist() == [True, True, False, True, False, True]


def test_profile_ratios_with_failures_at_infinity() -> None:
    found = statistics.profile([[1.0, 2.0, math.nan], [6.0, 3.0, math.inf], [math.nan, math.nan, math.nan]])
    assert found.tolist() == [[1.0, 2.0, math.inf], [2.0, 1.0, math.inf], [math.inf] * 3]


# Selection


def test_the_main_setting_is_the_most_frequent_one(study: Study) -> None:
    assert set(study.main.n) == {64}
    assert set(study.main.sigma) == {0.1}
    assert set(study.main.operator) == {"identity", "tv", "dct", "random"}
    assert set(study.main.label) == set(_runs.HEADLINE) == set(study.labels)


def test_sweeps_vary_in_one_axis_alone(study: Study) -> None:
    sizes, levels = select.sweep(study.headline, "n"), select.sweep(study.headline, "sigma")
    assert set(sizes.n) == {16, 32, 64, 128, 256} and set(sizes.sigma) == {0.1} and set(sizes.operator) == {"tv"}
    assert set(levels.sigma) == {0.01, 0.03, 0.1, 0.3, 1.0} and set(levels.n) == {64}


def test_the_grid_is_no_cross_of_two_sweeps(study: Study) -> None:
    grid = select.grid(study.headline)
    assert set(zip(grid.n, grid.sigma, strict=True)) == {(n, s) for n in (16, 64, 256) for s in (0.01, 0.1, 1.0)}
    cross = study.headline[~study.headline.sweep.str.contains("grid")]
    assert cross.n.nunique() > 2 and cross.sigma.nunique() > 2
    assert select.grid(cross).empty


def test_ladders_stand_on_the_instances_where_a_knob_is_swept(study: Study) -> None:
    rows = select.ladders(study)
    assert set(rows.operator) == {"tv", "dct"}
    assert rows[rows.line == "unrolled-fista-torch"].knob_value.nunique() == 8
    tight = rows[rows.label == "cvxpylayers-torch(tolerance=1e-10)"]
    assert set(tight.line) == {"cvxpylayers-torch"}


def test_errors_stop_at_the_floor_and_exist_only_where_they_mean_something(study: Study) -> None:
    frame = study.frame
    assert frame.error.min() >= 1e-15
    assert frame.error[frame.reference_status.isin(["kink", "zero"])].isna().all()
    assert frame.error[frame.status == "timeout"].isna().all()
    assert (frame.reference_status == "kink").any()


# Tables


def test_every_headline_label_has_a_row_even_without_an_answer(study: Study) -> None:
    table = tables.headline(study)
    assert {row[0].order for row in table.rows} == set(_runs.HEADLINE)
    assert column(table, "total ms [95 % CI]")["moreau"].text == text.ABSENT
    assert column(table, "ok")["moreau"].text == "0/12"
    assert table.rows[0][0].order == "blorc-warm"


def test_headline_numbers_are_those_of_the_synthetic_methods(study: Study) -> None:
    times = column(tables.headline(study), "total ms [95 % CI]")
    assert times["diffcp-dense"].order == pytest.approx(2e-5 * 64**2.2, rel=0.05)
    peaks = column(tables.headline(study), "peak MiB")
    assert peaks["blorc"].text == "< floor"
    assert peaks["unrolled-fista-jax"].text == "0.156"
    peer = study.main[(study.main.label == "cvxpylayers-torch") & study.main.judged]
    right = int((peer.error_rel <= 1.2e-5).sum())
    assert 0 < right < len(peer) == 10
    assert column(tables.headline(study), "verified")["cvxpylayers-torch"].text == f"{right}/10"


def test_the_phases_of_a_call_stand_under_their_own_headings(study: Study) -> None:
    table = tables.headline(study)
    for heading, multiple in {"forward ms": 0.6, "backward ms": 0.4, "first call ms": 5.0, "setup ms": 2.0}.items():
        assert column(table, heading)["diffcp-dense"].order == pytest.approx(multiple * 2e-5 * 64**2.2 * 1e3, rel=0.05)


def test_errors_by_operator_are_those_of_the_synthetic_methods(study: Study) -> None:
    errors, misread = operators.by_operator(study)
    assert set(errors.columns) == {"method", "identity", "tv", "dct", "random"}
    judged = study.headline[(study.headline.label == "diffcp-lsqr") & (study.headline.operator == "dct")].error_rel
    cell = column(errors, "dct")["diffcp-lsqr"]
    assert cell.text == f"{judged.median():.1e}, {judged.max():.1e} (3)"
    assert column(errors, "random")["diffcp-lsqr"].text.endswith("(1)")  # the others are a kink and a zero
    assert "moreau" not in column(errors, "tv")
    assert {row[1].text for row in misread.rows} == {"blorc-paper"}
    shares = column(misread, "patterns misread")
    assert (shares["dct"].text, shares["random"].text) == ("2/3", "0/1")
    assert set(shares) == {"identity", "tv", "dct", "random", "all"}
    rows = study.headline[(study.headline.label == "blorc-paper") & (study.headline.operator == "dct")]
    assert column(misread, "error when misread")["dct"].text == f"{rows[rows.seed > 0].error.max():.1e}"
    assert column(misread, "error when right")["dct"].text == f"{rows[rows.seed == 0].error.max():.1e}"


def test_several_problems_have_a_table_of_their_own(study: Study) -> None:
    frame = study.frame.copy()
    dct = frame.operator == "dct"
    frame.loc[dct, "problem"], frame.loc[dct, "operator"] = "lasso", ""
    by_problem, by_operator, _ = operators.by_operator(Study(frame, study.methods))
    assert by_problem.title == "Errors by problem" and set(by_problem.columns) == {"method", "lasso", *set(study.frame.problem)}
    assert "" not in by_operator.columns
    judged = study.headline[(study.headline.label == "diffcp-lsqr") & (study.headline.operator == "dct")].error_rel
    assert column(by_problem, "lasso")["diffcp-lsqr"].text == f"{judged.median():.1e}, {judged.max():.1e} (3)"


def test_one_operator_has_no_table_of_operators(study: Study) -> None:
    one = Study(study.frame[study.frame.operator == "tv"], study.methods)
    assert operators.by_operator(one) == ()


def test_fitted_exponents(study: Study) -> None:
    table = laws.exponents(study)
    for kind in _runs.KINDS:
        if kind.status == "ok":
            assert column(table, "time [95 % CI]")[kind.label].order == pytest.approx(kind.power, abs=0.05)
    assert column(table, "memory [95 % CI]")["unrolled-fista-jax"].order == pytest.approx(2.0)
    assert column(table, "n of the fit")["fd-entrywise"].text == "16 to 64"
    assert column(table, "ends")["fd-entrywise"].text == "n = 128: timeout"
    assert column(table, "ends")["blorc"].text == text.ABSENT


def test_every_kind_of_theta_that_was_swept_in_n_has_its_exponents(tmp_path: Path) -> None:
    (blorc,) = (kind for kind in _runs.KINDS if kind.label == "blorc")
    pairs = [(blorc, _runs.planned(blorc, n=n)) for n in (16, 32, 64, 128)]
    pairs += [(blorc, replace(_runs.planned(blorc, n=n), theta="sparse")) for n in (100, 1000, 10_000)]
    pairs += [(blorc, replace(_runs.planned(blorc, n=n), theta="weight")) for n in (100, 1000)]  # too few for a fit

    def known(cell: Planned, result: Measured) -> Measured:
        if cell.theta == "sparse" and cell.n == 10_000:
            return Measured(status="timeout", reason="a call took more than 10 s", reference_status="proven")
        return replace(result, total_s=1e-9 * cell.n ** (1.0 if cell.theta == "sparse" else 3.0))

    dense, sparse = laws.tables(load([_runs.build(tmp_path / "run", known, pairs)]))
    assert dense.title == "Scaling exponents in n" and sparse.title == "Scaling exponents in n, sparse theta"
    assert column(dense, "time [95 % CI]")["blorc"].order == pytest.approx(3.0)
    assert column(sparse, "n of the fit")["blorc"].text == "100 to 1000"
    assert column(sparse, "ends")["blorc"].text == "n = 10000: timeout"


def test_growth_with_the_batch_and_with_a_knob(tmp_path: Path) -> None:
    blorc, fista = (next(kind for kind in _runs.KINDS if kind.label == label) for label in ("blorc", "unrolled-fista-jax"))
    pairs = [(blorc, replace(_runs.planned(blorc), batch=batch)) for batch in (1, 10, 100)]
    rungs = [fista, *_runs.steps(fista)]
    pairs += [(rung, _runs.planned(rung, "memory", n=256)) for rung in rungs]

    def grown(cell: Planned, result: Measured) -> Measured:
        if cell.measure == "memory":
            return replace(result, peak_bytes=1e6 * cell.knob_value)
        times = [1e-5 * cell.batch**0.5] * 3
        return replace(result, total_s=times[0], samples_s=times)

    batch, knob = laws.tables(load([_runs.build(tmp_path / "run", grown, pairs)]))[1:]
    assert column(batch, "time [95 % CI]")["blorc"].order == pytest.approx(0.5)
    assert column(batch, "batch of the fit")["blorc"].text == "1 to 100"
    assert column(knob, "memory [95 % CI]")["unrolled-fista-jax"].order == pytest.approx(1.0)
    assert column(knob, "values")["unrolled-fista-jax"].text == "10 to 10000"


def test_cost_to_reach_is_the_cheapest_rung(study: Study) -> None:
    rows = {(row[0].text, row[1].text): row for row in tables.reach(study).rows}
    fista = rows["tv", "unrolled-fista-jax"]
    assert fista[2].order == pytest.approx(3e-6 * 64**1.2 / 500 * 300 * 1e3, rel=0.05)  # 1e-2 is reached at 300 iterations
    assert fista[-1].text == "not reached"
    assert rows["tv", "moreau"][2].text == "not reached"


def test_a_setting_that_failed_on_a_seed_reaches_no_error(tmp_path: Path) -> None:
    kind = next(kind for kind in _runs.KINDS if kind.label == "unrolled-fista-jax")
    pairs = [(rung, _runs.planned(rung, seed=seed)) for rung in (kind, *_runs.steps(kind)) for seed in range(2)]

    def failing(cell: Planned, result: Measured) -> Measured:
        if (cell.knob_value, cell.seed) == (300, 1):
            return Measured(status="timeout", reason="a call took more than 60 s", reference_status="proven")
        return result

    whole, torn = (
        tables.reach(load([_runs.build(tmp_path / name, edit, pairs)])) for name, edit in (("a", None), ("b", failing))
    )
    at_300, at_500 = (whole.rows[0][2].order, torn.rows[0][2].order)  # milliseconds to 1e-2
    assert at_300 == pytest.approx(3e-6 * 64**1.2 * 300 / 500 * 1e3, rel=0.05)
    assert at_500 == pytest.approx(3e-6 * 64**1.2 * 1e3, rel=0.05)


def test_ratios_are_against_blorc_and_keep_failures(study: Study) -> None:
    table = tables.ratios(study)
    ratio = column(table, "time / blorc [95 % CI]")
    assert ratio["cvxpylayers-torch"].order == pytest.approx(3e-5 * 64**1.6 / (1e-7 * 64**1.5), rel=0.05)
    assert ratio["qp-layer"].text == text.ABSENT
    assert column(table, "slower")["cvxpylayers-torch"].text == "12"
    assert column(table, "faster")["blorc-warm"].text == "12"


def test_a_step_beyond_rho_is_marked(tmp_path: Path) -> None:
    pairs = [(kind._replace(value=0.1), replace(cell, knob_value=0.1)) for kind, cell in _runs.small(("fd-entrywise",))]
    marked = tables.headline(load([_runs.build(tmp_path / "run", pairs=pairs)]))
    assert marked.rows[0][0].text == "fd-entrywise †"


def test_at_floor_is_said_and_not_a_number(tmp_path: Path) -> None:
    run = _runs.build(tmp_path / "run", _runs.edited(error_rel=3e-17), _runs.small(("blorc",)))
    assert column(tables.headline(load([run])), "error, median")["blorc"].text == "at floor"


def test_nothing_planned_disappears(study: Study) -> None:
    counted = statuses(study)
    cells = sum(int(cell.order) for row in counted.rows for cell in row[1:])
    assert cells == len(study.frame)
    assert {row[0].text for row in counted.rows} >= set(_runs.HEADLINE)
    failed = sum(int(row[2].order) for row in reasons(study).rows)
    assert failed == (study.frame.status != "ok").sum() > 0


def test_kinks_and_zero_gradients_have_a_table_of_their_own(study: Study) -> None:
    rows = unjudged(study).rows
    kinks = [row for row in rows if row[0].text == "kink"]
    assert all(row[4].text == text.ABSENT and row[5].text == "two signs are possible" for row in kinks)
    assert {row[4].text for row in rows if row[0].text == "zero"} == {"1.0e-13"}
    assert {row[1].text for row in kinks} == {kind.label for kind in _runs.KINDS if kind.status == "ok"}


def test_findings_are_computed(study: Study) -> None:
    said = " ".join(findings(study))
    assert "blorc-warm is the fastest" in said
    assert re.search(r"cvxpylayers-torch at its default settings takes [\d.,]+ \[[\d.,]+, [\d.,]+\] times as long", said)
    assert "Silently wrong:" in said and "cvxpylayers-torch (" in said
    assert "moreau, qp-layer" in said


def test_differences_are_not_named_the_fastest_exact_method(tmp_path: Path) -> None:
    def lucky(cell: Planned, result: Measured) -> Measured:
        return replace(result, error_rel=1e-12, total_s=1e-9) if cell.label == "fd-directional" else result

    said = " ".join(findings(load([_runs.build(tmp_path / "run", lucky, _runs.small(("blorc", "fd-directional")))])))
    assert "Of 1 method with" in said and "blorc is the fastest" in said


def test_a_claim_without_a_promise_is_silently_wrong_above_a_hundredth(tmp_path: Path) -> None:
    said = []
    for error in (0.009, 0.011):
        edit = _runs.edited(converged=True, verified=None, error_rel=error)
        said.append(" ".join(findings(load([_runs.build(tmp_path / str(error), edit, _runs.small(("blorc",)))]))))
    assert "Silently wrong" not in said[0] and "No claim of convergence came with" in said[0]
    assert "Silently wrong: 4 of 4 cells" in said[1] and "blorc (4)" in said[1]


def test_who_is_biased_by_design_is_not_called_silently_wrong(tmp_path: Path) -> None:
    run = _runs.build(tmp_path / "run", _runs.edited(converged=True, verified=None, error_rel=0.5), _runs.small(("blorc",)))
    plain = load([run])
    biased = Study(plain.frame, {"blorc": plain.methods["blorc"] | {"biased": "the bias vanishes with eps"}})
    assert "Silently wrong: 4 of 4" in " ".join(findings(plain)) and "Biased" not in " ".join(findings(plain))
    said = " ".join(findings(biased))
    assert "Silently wrong" not in said
    assert "Biased by design, with errors above 0.01 in 4 cells: blorc (up to 5.0e-01)" in said
    promising = Study(biased.frame.assign(verified=pd.array([False] * len(biased.frame), "boolean")), biased.methods)
    assert "Silently wrong: 4 of 4" in " ".join(findings(promising))


# Pages


def test_the_report_names_every_label_and_draws_every_figure(page: Path) -> None:
    html, markdown = page.read_text(), (page.parent / "report.md").read_text()
    for kind in _runs.KINDS:
        assert kind.label in html and kind.label in markdown
    pictures = re.findall(r"!\[.*?\]\((figures/.*?\.png)\)", markdown)
    assert len(pictures) == 11  # all but memory-precision, whose knobs were not swept
    assert all((page.parent / name).stat().st_size > 10_000 for name in pictures)
    assert html.count("data:image/svg+xml;base64,") == 11
    assert "Not drawn: Work-precision diagram (memory)" in html


def test_the_page_loads_nothing(page: Path) -> None:
    html = page.read_text()
    body = re.sub(r"<style>.*?</style>", "", html, flags=re.S)
    links = re.findall(r"""\b(?:src|href)\s*=\s*["']?([^"'\s>]{1,40})""", body)
    assert len(links) > 20
    assert [link for link in links if not link.startswith(("#", "data:"))] == []
    assert not re.search(r"@import|url\(\s*[\"']?(?!data:|#)", html)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    executable = shutil.which("chromium")
    if not executable:
        assert "DARGMIN_NEEDS_BROWSER" not in os.environ, "chromium is not installed, and this machine should have it"
        pytest.skip("chromium is not installed")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


def test_tables_sort_by_number_in_a_browser_without_network(page: Path, chromium: Browser) -> None:
    context = chromium.new_context(offline=True)
    tab = context.new_page()
    requests: list[str] = []
    complaints: list[str] = []
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    tab.goto(page.as_uri())
    headline = tab.locator("table.data").first
    tab.wait_for_selector("table.data.dataTable")
    headline.locator("th").nth(2).click()
    headline.locator("th[aria-sort=ascending]").wait_for()  # the script sorts in its own time
    first = headline.locator("tbody tr td").first.inner_text()
    headline.locator("th").nth(2).click()
    headline.locator("th[aria-sort=descending]").wait_for()
    last = [row.inner_text() for row in headline.locator("tbody tr td:first-child").all()]
    context.close()
    assert first == "blorc-warm"
    assert set(last[:2]) == {"moreau", "qp-layer"} and last[2] == "fd-entrywise" and last[-1] == "blorc-warm"
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []


def test_vector_figures_contain_the_names_of_no_remote_resource(page: Path) -> None:
    svgs = sorted((page.parent / "figures").glob("*.svg"))
    assert len(svgs) == 11
    for svg in svgs:
        assert re.findall(r'(?:xlink:)?href="(?!#|data:)', svg.read_text()) == []


def test_the_same_table_gives_the_same_bytes(tmp_path: Path) -> None:
    run = _runs.build(tmp_path / "run", pairs=_runs.small())
    pages = [write_report([run], tmp_path / name) for name in ("one", "two")]
    for name in ("index.html", "report.md"):
        assert pages[0].with_name(name).read_bytes() == pages[1].with_name(name).read_bytes()


def failed(tmp_path: Path) -> Run:
    return _runs.build(tmp_path / "run", lambda *_: Measured(status="crash", reason="signal 11"), _runs.small())


def interrupted(tmp_path: Path) -> Run:
    return _runs.build(tmp_path / "run", lambda *_: None, _runs.small())


def single(tmp_path: Path) -> Run:
    return _runs.build(tmp_path / "run", pairs=_runs.small(("blorc",))[:1])


def memory_only(tmp_path: Path) -> Run:
    return _runs.build(tmp_path / "run", pairs=_runs.small(("blorc",))[-1:])


def kinks_only(tmp_path: Path) -> Run:
    pairs = [(kind, replace(cell, operator="random", seed=1)) for kind, cell in _runs.small()[:1]]
    return _runs.build(tmp_path / "run", pairs=pairs)


@pytest.mark.parametrize("build", [failed, interrupted, single, memory_only, kinks_only])
def test_poor_runs_are_reported_too(tmp_path: Path, build: object) -> None:
    poor = build(tmp_path)  # type: ignore[operator]
    html = write_report([poor], tmp_path / "report").read_text()
    assert "blorc" in html
    assert "Not drawn: " in html
    for status in set(poor.frame().status):
        assert f" {status}" in html
    assert "blorc" in shown(terminal_table(poor))


def test_a_plan_without_cells_is_reported(tmp_path: Path) -> None:
    html = write_report([_runs.build(tmp_path / "run", pairs=[])], tmp_path / "report").read_text()
    assert "0 planned cells" in html


def test_two_runs_stand_in_one_report(tmp_path: Path) -> None:
    pair = [_runs.build(tmp_path / name, pairs=_runs.small((label,))) for name, label in (("a", "blorc"), ("b", "mine"))]
    html = write_report(pair, tmp_path / "report").read_text()
    assert "dargmin: a, b" in html and "mine" in html


def test_runs_of_one_name_are_not_paired_with_each_other(tmp_path: Path) -> None:
    pair = [_runs.build(tmp_path / name / "run", pairs=_runs.small()) for name in ("a", "b")]
    both = load(pair)
    assert both.frame.run.nunique() == 2
    assert tables.ratio(both.main, "cvxpylayers-torch", "blorc").blocks == 8


@pytest.mark.parametrize("draw", [fronts.overview, fronts.profiles])
def test_a_legend_shows_every_family_to_the_last(study: Study, draw: object) -> None:
    with style.theme():
        figure = draw(study)  # type: ignore[operator]
        figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert box.y0 >= 0 and box.y1 <= figure.bbox.height
    names = [re.sub(r"\\bf|[\\${}]", "", entry.get_text()) for entry in figure.legends[0].get_texts()]
    answered = {kind.family for kind in _runs.KINDS if kind.status == "ok"}
    assert answered <= set(names)


def test_the_head_figure_has_one_front_a_family_and_says_who_is_best_on_it(study: Study) -> None:
    figure = fronts.overview(study)
    assert not isinstance(figure, str)
    axis = figure.axes[0]
    colors = {style.hue(study, family) for family in style.families(study)}
    lines = [line for line in axis.lines if line.get_linestyle() == "-" and line.get_color() in colors]
    points = fronts.settings(study)
    here = points[points["where"] == axis.get_title()]
    assert len(lines) == here.line.map(study.family).nunique() < here.line.nunique()
    for line in lines:
        error, cost = line.get_xdata(), line.get_ydata()
        assert (np.diff(error) > 0).all() and (np.diff(cost) < 0).all()  # type: ignore[arg-type]
    names = {entry.get_text() for entry in figure.legends[0].get_texts()}
    assert "blorc-warm" in names and "blorc-paper" not in names  # as exact as another and slower: on no front


def test_forty_five_methods_in_twelve_families_have_a_colour_each(study: Study) -> None:
    methods = {f"m{i}": {"family": f"family {i % 12}"} for i in range(45)}
    frame = pd.DataFrame({"label": list(methods), "method": list(methods), "family": "", "headline": True})
    many = Study(frame, methods)
    assert len({style.hue(many, family) for family in style.families(many)}) == 12 == len(style.families(many))
    looks = style.styles(many)
    assert len({look[1:] + (tuple(look.color),) for look in looks.values()}) == 45


def test_in_a_profile_a_family_is_as_good_as_its_best_member(study: Study) -> None:
    rows = fronts.common(study).assign(family=lambda frame: frame.label.map(study.family))
    families, labels = (fronts._curves(rows, 1e-10, by) for by in ("family", "label"))
    best = families["closed form"]
    for label in (kind.label for kind in _runs.KINDS if kind.family == "closed form"):
        assert best[1][-1] >= labels[label][1][-1]
    assert families["unrolling"][1][-1] == 0.0


def test_a_figure_says_what_it_was_measured_on(study: Study) -> None:
    from reports.fronts import overview
    from reports.sweeps import heat, over

    for figure in (overview(study), over(study, "n", "seconds"), heat(study, "error")):
        assert not isinstance(figure, str)
        assert "signal piecewise-constant" in figure.get_suptitle()
    assert "sigma" in over(study, "n", "seconds").get_suptitle()  # type: ignore[union-attr]
    assert "sigma" not in heat(study, "error").get_suptitle()  # type: ignore[union-attr]


def test_a_default_without_a_value_is_a_lone_marker() -> None:
    from matplotlib.figure import Figure

    from reports.fronts import _line

    axis = Figure().subplots()
    rows = pd.DataFrame({"knob_value": [1e-4, math.nan, 1e-8], "error": [1e-2, 1e-3, 1e-6], "cost": [1.0, 2.0, 3.0]})
    _line(axis, rows, "black", "o", "-")
    curve, lone = axis.lines
    assert list(curve.get_xdata()) == [1e-6, 1e-2] and curve.get_linestyle() == "-"
    assert list(lone.get_xdata()) == [1e-3] and lone.get_linestyle() == "None"


def test_a_single_block_has_the_interval_of_its_samples(tmp_path: Path) -> None:
    pairs = [pair for pair in _runs.small(("blorc",)) if pair[1].operator == "tv" and pair[1].seed == 0][:1]
    edit = _runs.edited(total_s=2e-3, total_low_s=1.5e-3, total_high_s=3e-3)
    table = tables.headline(load([_runs.build(tmp_path / "run", edit, pairs)]))
    assert column(table, "total ms [95 % CI]")["blorc"].text == "2 [1.5, 3]"


def test_a_method_looks_the_same_whatever_else_is_drawn_and_no_two_look_alike(study: Study) -> None:
    from reports.style import styles

    looks = styles(study)
    assert len({looks[label] for label in _runs.HEADLINE}) == len(_runs.HEADLINE)
    rung, method = looks["unrolled-fista-torch(iterations=10)"], looks["unrolled-fista-torch"]
    assert rung[:2] == method[:2] and rung.dash != method.dash
    assert styles(Study(study.frame[study.frame.n == 64], study.methods)) == looks


def test_markup_in_a_reason_stays_text(tmp_path: Path) -> None:
    edit = _runs.edited(status="error", reason="<script>alert(1)</script> | [bold]")
    run = _runs.build(tmp_path / "run", edit, _runs.small())
    html = write_report([run], tmp_path / "report").read_text()
    assert "<script>alert" not in html and "&lt;script&gt;alert(1)" in html
    assert (
        "&#124;" in (tmp_path / "report" / "report.md").read_text() or "\\|" in (tmp_path / "report" / "report.md").read_text()
    )


def test_a_report_of_no_runs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one run"):
        write_report([], tmp_path / "report")
    assert not (tmp_path / "report").exists()


def shown(what: object) -> str:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(what)
    return console.export_text()


def test_the_terminal_has_every_headline_label(run: Run) -> None:
    printed = shown(terminal_table(run))
    assert all(kind.label in printed for kind in _runs.KINDS)
    assert "blorc-warm is the fastest" in printed


# Imports


def test_import_is_light() -> None:
    code = "import sys, reports; print([m for m in ('pandas', 'matplotlib', 'seaborn', 'jinja2') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT.parent, check=True)
    assert found.stdout.strip() == "[]"


def test_comparison_and_terminal_draw_nothing(run: Run) -> None:
    code = "import sys, reports.compare; print([m for m in ('matplotlib', 'seaborn') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT.parent, check=True)
    assert found.stdout.strip() == "[]"


def test_reports_reads_the_table_and_nothing_else_of_ours() -> None:
    imported = set()
    for path in ROOT.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").split(".")[0])
    ours = {"problems", "methods", "harness", "results", "torch", "jax", "cvxpy", "scipy"}
    assert imported & ours == {"results"}


def test_the_speed_table_divides_by_the_backward_phase_of_the_limit(tmp_path: Path) -> None:
    limit = _runs.Kind("lapack-limit", "limit", 1e-6, 1.0, 1e-14)
    pairs = [pair for pair in _runs.small() if pair[1].operator == "tv"]
    pairs += [(limit, _runs.planned(limit, operator="tv", seed=seed)) for seed in range(2)]
    cone = next(kind for kind, _ in pairs if kind.label == "cvxpylayers-torch")
    pairs += [(rung, _runs.planned(rung, operator="tv")) for rung in _runs.steps(cone)]
    study = load([_runs.build(tmp_path / "run", pairs=pairs)])
    (found,) = speed.sections(study)[0]
    blorc = next(row for row in found.rows if row[1].text == "blorc")
    # blorc takes 1e-7 n^1.5, the limit 0.4 of 1e-6 n, the peer 3e-5 n^1.6; 3 % of noise a sample.
    assert blorc[2].order == pytest.approx(1e6 * 1e-7 * 64**1.5, rel=0.05)
    assert blorc[3].order == pytest.approx(3e-5 * 64**1.6 / (1e-7 * 64**1.5), rel=0.05)
    assert blorc[4].order == pytest.approx(1e-7 * 64**1.5 / (0.4e-6 * 64), rel=0.05)
    shown = dict(zip(found.columns, blorc, strict=True))
    assert shown["|Z|"].text == "37.8 of 63 (60%)" and shown["solver"].text == "60%"  # 0.6 each in _runs
    assert not any(row[1].text == "lapack-limit" for row in found.rows)
    drawn = set(fronts.settings(study).label)  # nor is it a point or a front of any figure
    assert {"blorc", "cvxpylayers-torch"} < drawn and "lapack-limit" not in drawn
    assert "lapack-limit" not in study.labels


def test_without_a_limit_there_is_no_speed_table(study: Study) -> None:
    assert speed.sections(study) == []


def test_large_instances_have_their_time_memory_and_reference(tmp_path: Path) -> None:
    kind = next(pair[0] for pair in _runs.small() if pair[0].label == "blorc")
    cells = [_runs.planned(kind, measure, n=4096, operator="tv-2d") for measure in ("time", "memory")]
    pairs = [(kind, replace(cell, theta="weight")) for cell in cells]
    study = load([_runs.build(tmp_path / "run", pairs=[*pairs, *_runs.small()])])
    (found,) = large.sections(study)[0]
    (line,) = found.rows  # one line for both passes, and none for the dense ones
    shown = dict(zip(found.columns, line, strict=True))
    assert shown["instance"].text.startswith("tv-2d, weight") and shown["method"].text == "blorc"
    assert shown["seconds [95 % CI]"].order == pytest.approx(1e-7 * 4096**1.5, rel=0.05)  # what _runs gives blorc
    assert shown["peak MiB"].text != text.ABSENT and shown["reference"].text == "proven"


def test_without_large_instances_there_is_no_table_of_them(study: Study) -> None:
    assert large.sections(study) == []


def test_a_figure_belongs_to_a_chapter_of_the_page(study: Study) -> None:
    chapters = [section.name for section in sections(study, ())]
    assert set(CHAPTERS) <= set(chapters) and {drawing.section for drawing in DRAWINGS} == set(CHAPTERS)
    with pytest.raises(ValueError, match=r"the section of figure 'mine' must be one of front, .* got 'frnt'"):
        Drawing("mine", "frnt", "Mine", "", lambda study: "")
