"""`dargmin doctor`: what was found on this machine."""

from __future__ import annotations

import shutil

from rich.console import Console
from rich.table import Table

from harness import environment, memory
from harness.catalogue import entries
from harness.worker import missing


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
    floor = memory.floor()
    console.print("memory meter: " + (f"works, floor {floor / 1024:.0f} KiB" if floor == floor else "not on this platform"))
    console.print(f"threads: {_thread_report()}")
    console.print(f"chromium (browser tests only): {shutil.which('chromium') or 'absent'}")
    console.print(f"GPU: {environment.gpu() or 'none that torch can use, so no --device cuda'}")
    return not lacking


def _thread_report() -> str:
    import numpy as np
    from threadpoolctl import threadpool_info

    np.ones((2, 2)) @ np.ones((2, 2))
    pools = {f"{pool['internal_api']} {pool['num_threads']}" for pool in threadpool_info()}
    return f"{', '.join(sorted(pools)) or 'none found'} here; workers are held to --threads"
