"""The harness: planning, every status, isolation, timing, memory, interruption and resumption."""

from __future__ import annotations

import itertools
import json
import math
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import _runs
import numpy as np
import pytest

from harness.measure import timing
from harness.measure.runner import Options, Runner, unfinished
from harness.measure.worker import First, Sampled, Worker
from harness.plan.catalogue import entries, select
from harness.plan.presets import DEFAULT, PRESETS, SMOKE
from harness.plan.sweeps import Sweep, instance, plan
from methods import CORE, METHODS, PEERS, Chained, Gradient
from methods.blorc import Blorc
from methods.blorc.warm import BlorcWarm
from problems import AnalysisL1
from results import Measured, Planned, Run
from results.record import Ending, Judgement, SetUp
from results.statistics import median_interval

HERE = Path(__file__).parent
MISBEHAVING = f"{HERE / '_methods.py'}:ALL"


def dargmin(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("dargmin")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, **options)  # type: ignore[call-overload]


# Planning


def test_a_plan_has_each_cell_once_small_n_first_and_memory_last() -> None:
    cells = plan((Sweep(n=(36, 16)), Sweep(n=(16,)), Sweep(n=(16,), measure="memory")), (Blorc(),))
    assert [(cell.measure, cell.n) for cell in cells] == [("time", 16), ("time", 36), ("memory", 16)]


def test_knobs_all_adds_the_ladder() -> None:
    fista = select(["unrolled-fista-torch"])
    both = plan((Sweep(n=(16, 36), name="growth"), Sweep(n=(16,), sigma=(0.1, 0.2), name="noise")), (Blorc(),))
    sweeps = {(cell.n, cell.sigma): cell.sweep for cell in both}
    assert sweeps == {(16, 0.1): "growth(n); noise(sigma)", (36, 0.1): "growth(n)", (16, 0.2): "noise(sigma)"}
    labels = [cell.label for cell in plan((Sweep(knobs="all"),), fista)]
    assert len(labels) == len(set(labels)) == len({fista[0], *fista[0].ladder()})


def test_a_limit_comes_with_a_sweep_that_names_it_and_with_no_other() -> None:
    named = plan((Sweep(methods=("blorc", "lapack-limit")),), (Blorc(),))
    assert [cell.label for cell in named] == ["blorc", "lapack-limit"]
    assert [cell.label for cell in plan((Sweep(),), METHODS) if cell.family == "limit"] == []
    assert [cell.label for cell in plan((Sweep(),), select(["lapack-limit"]))] == ["lapack-limit"]


def test_a_setting_comes_with_a_sweep_of_its_method_that_names_it_and_with_no_other() -> None:
    dense = "cvxpylayers-torch(adjoint=dense)"
    sweep = Sweep(methods=("blorc", dense))
    assert [cell.label for cell in plan((sweep,), METHODS)] == ["blorc", dense]
    assert [cell.label for cell in plan((sweep,), (Blorc(),))] == ["blorc"]
    assert dense not in {cell.label for cell in plan((Sweep(),), METHODS)}
    assert [cell.label for cell in plan((Sweep(),), select([dense]))] == [dense]


def test_a_sweep_names_settings_and_a_user_may_bring_others() -> None:
    tight = "diffcp-dense(tolerance=1e-10)"
    sweep = Sweep(methods=("diffcp-dense",))
    assert [cell.label for cell in plan((sweep,))] == ["diffcp-dense"]
    assert [cell.label for cell in plan((Sweep(methods=("diffcp-dense", tight)),))] == ["diffcp-dense", tight]
    assert [cell.label for cell in plan((sweep,), select([tight]))] == [tight]


def test_both_cores_can_be_asked_for_by_name() -> None:
    (cell,) = plan((Sweep(batch=(100,)),), select(["blorc(threads=2)"]), threads=2)
    assert cell.label == "blorc(threads=2)" and cell.threads == 2 and json.loads(cell.knobs) == {"threads": 2}


def test_the_names_in_a_preset_are_those_of_methods() -> None:
    entered = entries()
    for sweep in (sweep for sweeps in PRESETS.values() for sweep in sweeps):
        assert set(sweep.methods) <= {method.label for method in entered}
        assert set(sweep.without) <= {method.name for method in entered}


def test_the_speed_preset_measures_the_limit_and_the_peer_in_every_dense_block_and_images_to_their_full_size() -> None:
    cells = plan(PRESETS["speed"])
    blocks: dict[str, set[str]] = {}
    for cell in cells:
        if cell.theta == "dense":
            blocks.setdefault(cell.block(), set()).add(cell.label)
    assert all({"blorc", "lapack-limit", "cvxpylayers-torch"} <= labels for labels in blocks.values())
    largest = {("tv-2d", "weight", 512**2), ("tv-2d", "row-weights", 512**2), ("dct-filters", "taps", 256**2)}
    largest |= {("tv", "sparse", 10**6), ("tv", "sparse-weight", 10**6)}
    for measure in ("time", "memory"):
        assert largest <= {(c.operator, c.theta, c.n) for c in cells if c.label == "blorc" and c.measure == measure}
        assert any(c.label == "blorc-factors" and c.n == 10**6 and c.measure == measure for c in cells)


def test_the_scaling_preset_goes_up_to_a_million_unknowns() -> None:
    cells = [cell for cell in plan(PRESETS["scaling"]) if cell.batch == 0]
    largest = {theta: max(cell.n for cell in cells if cell.theta == theta) for theta in ("dense", "sparse")}
    assert largest == {"dense": 2048, "sparse": 10**6}
    assert {cell.measure for cell in cells if cell.n == 10**6} == {"time", "memory"}


def test_the_speed_preset_has_the_peers_at_their_best_with_and_without_a_batch() -> None:
    peers = {
        *("cvxpylayers-torch", "cvxpylayers-torch-clarabel", "cvxpylayers-torch(adjoint=dense)", "closed-form-jax"),
        *("closed-form-torch", "blorc-daqp", "optimistix(tolerance=1e-13)"),
    }
    blocks: dict[str, set[str]] = {}
    for cell in plan(PRESETS["speed"]):
        if cell.theta == "dense" and cell.n == 64:
            blocks.setdefault(cell.block(), set()).add(cell.label)
    assert blocks and all(peers <= labels for labels in blocks.values())


NAMING = ("speed", "device", "peers")  # the presets that name what they measure


def test_the_preset_for_a_gpu_has_what_works_there_beside_the_cpu() -> None:
    planned = plan(PRESETS["device"], device="cuda")
    labels = {cell.label for cell in planned}
    assert labels == {"blorc", "blorc-batched-torch", "unrolled-fista-torch"}
    placed = {method.label for method in METHODS if method.label in labels and method.on("cuda") is not None}
    assert placed == labels - {"blorc"}
    assert {cell.n for cell in planned} == {64, 256, 1024} and {cell.batch for cell in planned} >= {1, 10_000}


@pytest.mark.parametrize("preset", [name for name in PRESETS if name not in NAMING])
def test_every_preset_plans_every_method_of_the_core(preset: str) -> None:
    planned = {cell.label for cell in plan(PRESETS[preset], CORE)}
    assert {method.label for method in CORE} <= planned


def test_headline_instances_of_the_default_preset_have_30_to_80_percent_zero_rows() -> None:
    cells = {cell.block(): cell for cell in plan(DEFAULT, (Blorc(),)) if cell.n == 64 and cell.measure == "time"}
    shares = {block: instance(cell).reference().zero_rows for block, cell in cells.items()}
    assert {cell.operator for cell in cells.values()} == {"identity", "tv", "dct", "random"}
    assert all(0.3 <= share <= 0.8 for share in shares.values()), shares


def test_the_key_depends_on_versions_and_inputs() -> None:
    first, second = plan((Sweep(seeds=(1, 2)),), (Blorc(),))
    keys = {first.key({"numpy": "1"}), first.key({"numpy": "2"}), second.key({"numpy": "1"})}
    assert len(keys) == 3
    assert first.key({"numpy": "1"}) == first.key({"numpy": "1"})


# Statuses: one run with every way to fail, beside a method that works


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("runs") / "failures"
    done = dargmin(
        "run", "--n", "16,36", "--operator", "tv", "--seeds", "1", "--method", MISBEHAVING, "--method", "blorc",
        "--timeout", "3", "--memory-limit", "4", "--budget", "0.1", "--no-report", "--out", str(out),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Run.open(out)


EXPECTED = {
    "sleeps(later=600)": ("timeout", "not-run"),
    "crashes": ("crash", "crash"),
    "devours": ("oom", "not-run"),
    "raises": ("error", "error"),
    "tires": ("error", "error"),
    "returns-nan": ("nan", "nan"),
    "wrong-shape": ("error", "error"),
    "promises": ("inaccurate", "inaccurate"),
    "absent": ("not-installed", "not-installed"),
    "refuses": ("unsupported", "unsupported"),
    "blorc": ("ok", "ok"),
}


@pytest.mark.parametrize("label", EXPECTED)
def test_status(failures: Run, label: str) -> None:
    frame = failures.frame().sort_values("n")
    rows = frame[frame["label"] == label]
    assert tuple(rows["status"]) == EXPECTED[label]
    assert all(rows["reason"].astype(bool) | (rows["status"] == "ok"))


def test_a_setting_that_costs_its_method_the_worker_costs_no_other_setting_its_row(tmp_path: Path) -> None:
    source = f"{HERE / '_methods.py'}:TWO_SETTINGS"
    done = dargmin("run", "--n", "16", "--method", source, "--timeout", "2", "--no-report", "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    rows = Run.open(tmp_path / "run").frame().set_index("label")
    assert rows.status.to_dict() == {"sleeps": "ok", "sleeps(later=600)": "timeout"}
    assert rows.total_s["sleeps"] > 0


def test_every_planned_cell_has_one_row(failures: Run) -> None:
    frame = failures.frame()
    assert len(frame) == len(failures.cells) == 2 * len(EXPECTED)
    assert set(frame["key"]) == set(failures.cells)


def test_a_crash_leaves_the_end_of_its_stderr(failures: Run) -> None:
    frame = failures.frame()
    crashed = frame[frame["label"] == "crashes"]
    assert all("about to crash" in text for text in crashed["stderr"])
    assert all("SIGSEGV" in text for text in crashed["reason"])


def test_what_was_not_measured_is_nan(failures: Run) -> None:
    frame = failures.frame().set_index("label")
    assert frame.loc[["sleeps(later=600)", "absent", "refuses"], "total_s"].isna().all()
    assert frame.loc[["blorc"], "total_s"].gt(0).all()


def test_a_method_that_raises_in_a_timed_call_is_an_error_with_its_reason_and_without_a_time(failures: Run) -> None:
    rows = failures.frame().set_index("label").loc[["tires"]]
    assert list(rows.status) == ["error"] * 2
    assert list(rows.reason) == ["ValueError: broken from the third call on"] * 2
    assert rows.total_s.isna().all() and rows.first_call_s.gt(0).all()


def test_every_round_samples_all_cells_of_a_block_once_in_an_order_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    sampled: list[str] = []

    def answer(runner: Runner, name: str, handle: object, request: object, *arguments: Any) -> object:
        if request == Worker.sample:
            sampled.append(arguments[0])
            return Sampled([timing.Sample(math.nan, math.nan, 1e-3)], 1e-3, 1e-3)
        first = First(SetUp(), Ending("ok"), Judgement(), None)
        return (problem, problem.reference()) if request == Worker.reference else first

    monkeypatch.setattr(Runner, "_request", answer)
    problem = AnalysisL1.draw(n=8)
    members = [(cell.label, cell) for cell in plan((Sweep(n=(8,)),), METHODS) if cell.family == "closed form"][:6]
    with Runner((), Options(rounds=3)) as runner:
        runner.block(members)
    keys = [key for key, _ in members]
    rounds = [sampled[start : start + 6] for start in range(0, len(sampled), 6)]
    assert len(rounds) == 3 and all(sorted(one) == sorted(keys) for one in rounds)
    assert len({*map(tuple, rounds), tuple(keys)}) == 4  # six cells have 720 orders; the generator has a fixed seed


def test_samples_are_interleaved_and_kept(failures: Run) -> None:
    row = failures.frame().set_index("label").loc["blorc"].iloc[0]
    assert len(row["samples_s"]) == len(row["samples_order"]) >= 2
    interval = row["total_s"], row["total_low_s"], row["total_high_s"]
    assert interval == median_interval(row["samples_s"])[:3] and interval[0] == np.median(row["samples_s"])
    assert row["total_mad_s"] == np.median(np.abs(np.array(row["samples_s"]) - row["total_s"]))
    # Blocks run in rounds, so the samples of one cell are not all neighbours when others are timed too.
    assert row["samples_order"] == sorted(row["samples_order"])


def test_the_run_holds_what_a_report_needs(failures: Run) -> None:
    assert failures.methods["blorc"]["family"] == "closed form"
    assert failures.environment["versions"]["numpy"] == np.__version__
    assert (failures.path / "records.parquet").is_file()
    assert (failures.path / "records.csv").is_file()


# Interruption and resumption


def _start(out: Path) -> subprocess.Popen[bytes]:
    command = [str(Path(sys.executable).with_name("dargmin")), "run", "--no-report", "--out", str(out), "--method", "blorc"]
    command += ["--method", "blorc-paper", "--n", "16", "--seeds", "0:30", "--budget", "0.3"]
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background would pass it on ignored
    try:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    finally:
        signal.signal(signal.SIGINT, inherited)


def _wait_for_a_block(out: Path) -> None:
    """Its rows and, after them, what it cost."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        path = out / "costs.jsonl"
        if path.is_file() and b'"block": "time' in path.read_bytes():
            return
        time.sleep(0.1)
    raise AssertionError("no block was finished")


@pytest.mark.parametrize("how", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.long)])
def test_an_ended_run_is_usable_and_resumes(tmp_path: Path, how: signal.Signals) -> None:
    out = tmp_path / "run"
    process = _start(out)
    _wait_for_a_block(out)
    process.send_signal(how)
    code = process.wait(60)
    assert code == (130 if how == signal.SIGINT else -signal.SIGKILL)
    before = Run.open(out)
    frame = before.frame()
    assert len(frame) == 60
    assert {"ok", "interrupted"} == set(frame["status"])
    finished, spent = before.rows(), before.costs
    assert {line["block"] for line in spent} >= {before.cells[key].block() for key in finished}

    done = dargmin("run", "--resume", str(out), "--no-report")
    assert done.returncode == 0, done.stderr
    after = Run.open(out).rows()
    assert len(after) == 60
    assert all(after[key]["samples_s"] == row["samples_s"] for key, row in finished.items())
    again = Run.open(out).costs
    assert again[: len(spent)] == spent  # the second session adds its own
    assert sum(line["block"] != "" for line in again) == 30
    for line in again:
        assert math.fsum(line["phases"].values()) == pytest.approx(line["wall_s"], abs=0.02)
        assert line["own_s"] <= line["wall_s"]


def test_a_block_of_which_a_cell_is_missing_is_measured_again_as_a_whole(tmp_path: Path) -> None:
    def torn(cell: Planned, result: Measured) -> Measured | None:
        return None if (cell.measure, cell.label, cell.operator, cell.seed) == ("time", "blorc", "dct", 1) else result

    (members,) = unfinished(_runs.build(tmp_path / "torn", torn, _runs.small()))
    assert [cell.label for _, cell in members] == ["blorc", "cvxpylayers-torch"]
    assert {(cell.measure, cell.operator, cell.seed) for _, cell in members} == {("time", "dct", 1)}
    assert unfinished(_runs.build(tmp_path / "whole", pairs=_runs.small())) == []


def test_no_worker_outlives_a_killed_harness(tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = _start(out)
    _wait_for_a_block(out)
    workers = _children(process.pid)
    assert workers
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while any(map(_lives, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(_lives, workers))


def _children(pid: int) -> set[int]:
    import psutil

    return {child.pid for child in psutil.Process(pid).children(recursive=True)}


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_run_of_other_versions_is_not_resumed(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert dargmin("run", "--n", "16", "--method", "blorc", "--no-report", "--out", str(out)).returncode == 0
    plan_file = out / "plan.json"
    content = json.loads(plan_file.read_text())
    content["cells"] = {f"{index:016x}": cell for index, cell in enumerate(content["cells"].values())}
    plan_file.write_text(json.dumps(content))
    done = dargmin("run", "--resume", str(out))
    assert done.returncode == 2
    assert "other code or library versions" in done.stderr


def test_a_run_of_another_user_file_is_not_resumed(tmp_path: Path) -> None:
    file, out = tmp_path / "mine.py", tmp_path / "run"
    file.write_text("from methods.blorc import Blorc\nclass Mine(Blorc):\n    name = 'mine'\n")
    done = dargmin("run", "--n", "16", "--method", f"{file}:Mine", "--no-report", "--out", str(out))
    assert done.returncode == 0, done.stderr
    file.write_text(file.read_text() + "# another\n")
    done = dargmin("run", "--resume", str(out))
    assert done.returncode == 2
    assert "other code or library versions" in done.stderr


def test_a_run_of_another_neighbour_of_a_user_file_is_not_resumed(tmp_path: Path) -> None:
    file, out = tmp_path / "mine.py", tmp_path / "run"
    neighbour = tmp_path / "beside.py"
    neighbour.write_text("from methods.blorc import Blorc as Base\n")
    file.write_text("import beside\nclass Mine(beside.Base):\n    name = 'mine'\n")
    done = dargmin("run", "--n", "16", "--method", f"{file}:Mine", "--no-report", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert dargmin("run", "--resume", str(out), "--no-report").returncode == 0
    neighbour.write_text(neighbour.read_text() + "# another\n")
    done = dargmin("run", "--resume", str(out))
    assert done.returncode == 2
    assert "other code or library versions" in done.stderr


# Meters


def test_a_sample_averages_its_loop_over_cycling_thetas() -> None:
    seen: list[float] = []

    def prepared(theta: np.ndarray):  # type: ignore[no-untyped-def]
        seen.append(float(theta[0]))
        time.sleep(0.001)
        return Gradient(0.0, theta, theta)

    taken = timing.sample(prepared, [np.array([float(i)]) for i in range(3)], lambda result: result, loops=5, offset=2)
    assert seen == [2, 0, 1, 2, 0]
    assert 0.001 <= taken.total < 0.1
    assert np.isnan(taken.forward)


def test_a_chained_call_is_timed_to_and_fro_along_its_path() -> None:
    seen: list[tuple[float, float | None]] = []

    def step(theta: np.ndarray, state: float | None):  # type: ignore[no-untyped-def]
        seen.append((float(theta[0]), state))
        time.sleep(0.001)
        return Gradient(0.0, theta, np.ones(1)), float(theta[0])

    path = [np.array([float(i)]) for i in range(3)]
    taken = timing.sample(Chained(step), path, lambda result: result, loops=5, offset=1)
    assert seen == [(1, None), (2, 1), (1, 2), (0, 1), (1, 0), (2, 1)]
    assert 0.001 <= taken.total < 0.1


def test_a_training_path_moves_by_a_thousandth_along_the_negative_gradient() -> None:
    problem = AnalysisL1.draw(n=16)
    prepared = BlorcWarm().prepare(problem)
    assert isinstance(prepared, Chained)
    path = timing.training_path(prepared, np.array(problem.theta), 3)
    for theta, after in itertools.pairwise(path):
        assert np.linalg.norm(after - theta) == pytest.approx(1e-3 * np.linalg.norm(problem.theta))
        grad = replace(problem, theta=theta).reference().grad
        assert grad is not None
        assert np.vdot(after - theta, grad) == pytest.approx(-np.linalg.norm(after - theta) * np.linalg.norm(grad))


def test_phases_add_up_to_the_total() -> None:
    problem = AnalysisL1.draw(n=16)
    prepared = Blorc().prepare(problem)
    taken = timing.sample(prepared, [np.array(problem.theta)], lambda result: result, loops=3, offset=0)
    assert taken.forward > 0
    assert taken.backward > 0
    assert taken.total == pytest.approx(taken.forward + taken.backward)


_METER = """
from harness.measure import memory
import numpy as np
memory.return_freed_blocks()
print(memory.floor())
for size in (64, 8, 1):
    for _ in range(2):
        print(memory.peak(lambda: np.ones(size * 2**17).sum()))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the memory meter needs Linux")
def test_the_memory_meter_reads_what_is_allocated_again_and_again() -> None:
    """On one core from its start: there Linux may leave out less than a batch of pages, of memory and of files each."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        done = subprocess.run([sys.executable, "-c", _METER], capture_output=True, text=True, check=True)
    finally:
        os.sched_setaffinity(0, cores)
    floor, *peaks = map(float, done.stdout.split())
    count, page = os.cpu_count() or 1, resource.getpagesize()
    unseen = 2 * max(32, 2 * count) * page
    assert peaks == pytest.approx([size * 2**20 for size in (64, 64, 8, 8, 1, 1)], rel=0.1, abs=unseen)
    assert 32 * count * page <= floor <= max(32 * count * page, unseen)


def test_smoke_is_small() -> None:
    assert len(plan(SMOKE, CORE)) < 60


def test_a_run_that_names_no_method_takes_the_core_and_all_means_all() -> None:
    assert set(CORE) <= set(METHODS) and not set(CORE) & set(PEERS)
    assert select([]) == CORE
    assert select(["all"]) == METHODS


def test_workers_are_pinned_and_single_threaded(tmp_path: Path) -> None:
    method = tmp_path / "tells.py"
    method.write_text(_TELLS)
    out = tmp_path / "run"
    done = dargmin("run", "--n", "16", "--method", f"{method}:Tells", "--no-report", "--out", str(out))
    assert done.returncode == 0, done.stderr
    (row,) = Run.open(out).rows().values()
    assert row["note"] == "cores=1 torch=1", row["reason"]


_TELLS = """
import os
from dataclasses import dataclass
from typing import ClassVar
import numpy as np
from methods import Gradient, GradientMethod

@dataclass(frozen=True)
class Tells(GradientMethod):
    name: ClassVar[str] = "tells"
    def unsupported(self, problem): return None
    def prepare(self, problem):
        import torch
        note = f"cores={len(os.sched_getaffinity(0))} torch={torch.get_num_threads()}"
        return lambda theta: Gradient(0.0, np.zeros_like(problem.y), np.zeros_like(theta), note=note)
    def promise(self, problem, reference): return None
"""
