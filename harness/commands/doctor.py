"""`dargmin doctor`: what was found on this machine."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from rich.console import Console
from rich.table import Table

from harness import environment
from harness.measure import memory
from harness.measure.worker import missing
from harness.plan.catalogue import entries
from problems.kernels import BuildError, build, every


def show() -> bool:
    """Print what was found; False where a method cannot run for want of a library."""
    console = Console()
    console.print(f"python {environment.snapshot(1)['python']} on {environment.processor()}, {len(environment.cores())} cores")
    table = Table("library", "version")
    for name, version in environment.versions().items():
        table.add_row(name, version)
    console.print(table)
    lacking = {method.label: name for method in entries() if (name := missing(method))}
    for label, name in lacking.items():
        console.print(f"{label}: {name} is not installed; make install sets it up")
    buildable = _show_kernels(console)
    floor = memory.floor()
    console.print("memory meter: " + (f"works, floor {floor / 1024:.0f} KiB" if floor == floor else "not on this platform"))
    console.print(f"threads: {_thread_report()}")
    console.print(f"chromium (browser tests only): {shutil.which('chromium') or 'absent'}")
    console.print(f"GPU: {environment.gpu() or 'none that torch can use, so no --device cuda'}")
    return buildable and not lacking


def _show_kernels(console: Console) -> bool:
    """Which compiler builds the exact solvers, how long that takes, and where they lie; False where none does."""
    try:
        console.print(f"C compiler: {build.compiler()[1]}")
        for kernels in every():
            with TemporaryDirectory() as work:
                start = perf_counter()
                build.build(kernels.folder, kernels.flags, Path(work, "kernels.so"))
                seconds = perf_counter() - start
            where = kernels.ready() or "not kept, for no cache folder can be used"
            console.print(f"{kernels.folder.parent.name}/kernels: built in {seconds:.1f} s; {where}", soft_wrap=True)
    except BuildError as error:
        console.print(str(error), soft_wrap=True)
        return False
    return True


def _thread_report() -> str:
    import numpy as np
    from threadpoolctl import threadpool_info

    np.ones((2, 2)) @ np.ones((2, 2))
    pools = {f"{pool['internal_api']} {pool['num_threads']}" for pool in threadpool_info()}
    return f"{', '.join(sorted(pools)) or 'none found'} here; workers are held to --threads"
