"""What the figures depend on: versions, processor, threads, commit."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import socket
import subprocess
from pathlib import Path
from typing import Any

DISTRIBUTIONS = (
    "numpy", "scipy", "torch", "jax", "jaxlib", "cvxpy", "cvxpylayers", "diffcp", "scs", "clarabel", "daqp", "cffi",
    "osqp", "proxsuite", "moreau", "torchopt", "jaxopt", "optimistix", "lineax", "equinox", "qpax",
    "array-api-compat", "pandas", "pyarrow", "seaborn", "scikit-image", "scikit-learn", "python-flint",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Of every library a figure may depend on; "absent" where it is not installed."""

    def version(name: str) -> str:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return "absent"

    return {name: version(name) for name in DISTRIBUTIONS}


def release() -> str:
    """Our own version; "unknown" where the package is not installed."""
    try:
        return importlib.metadata.version("dargmin")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def commit() -> str:
    """The commit of the checkout, with "+" where tracked files differ from it; empty outside a checkout."""
    root = Path(__file__).parent

    def git(*arguments: str) -> str:
        try:
            done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout.strip() if done.returncode == 0 else ""

    head = git("rev-parse", "--short=12", "HEAD")
    return head + "+" if head and git("status", "--porcelain", "--untracked-files=no") else head


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def compiler() -> str:
    """The first line of the version of the C compiler that builds the exact solvers; empty where there is none."""
    from problems.kernels import BuildError, build

    try:
        return build.compiler()[1]
    except BuildError:
        return ""


def cores() -> tuple[int, ...]:
    """The cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def gpu() -> str:
    """The name of the GPU that torch can use; empty where there is none. Loads torch."""
    try:
        import torch
    except ImportError:
        return ""
    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else ""


def snapshot(threads: int, device: str = "cpu") -> dict[str, Any]:
    """All of it, once a run."""
    import psutil

    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": processor(),
        "compiler": compiler(),
        "cores": len(cores()),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "threads": threads,
        "gpu": gpu() if device == "cuda" else "",
        "host": socket.gethostname(),
        "commit": commit(),
        "versions": versions(),
    }
