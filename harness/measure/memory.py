"""Memory of one call: resident peak above a baseline, and a second channel by framework (Linux; elsewhere NaN)."""

from __future__ import annotations

import ctypes
import gc
import math
import os
import resource
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from methods import Prepared, Split
from problems.base import Array

MMAP_THRESHOLD = 65536
_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


def return_freed_blocks() -> None:
    """Freed blocks from 64 KiB up return to the system; without this a later call reuses them and reads 0."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).mallopt(-3, MMAP_THRESHOLD)  # M_MMAP_THRESHOLD


def peak(call: Callable[[], Any]) -> float:
    """Bytes by which resident memory rises during one call; NaN where the platform cannot tell."""
    if not _CLEAR_REFS.exists():
        return math.nan
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    try:
        _CLEAR_REFS.write_text("5")
    except OSError:
        return math.nan
    baseline = _kilobytes("VmRSS")
    result = call()
    high = _kilobytes("VmHWM")
    del result
    return max(high - baseline, 0) * 1024.0


def data() -> int:
    """Bytes of this process that its limit counts; 0 where the platform cannot tell."""
    return _kilobytes("VmData") * 1024 if _STATUS.exists() else 0


def floor() -> float:
    """The largest rise that doing nothing shows, and never less than what the kernel may be off by.

    Linux counts resident pages on every core by itself and adds them up in batches of 32.
    """
    unseen = 32.0 * resource.getpagesize() * (os.cpu_count() or 1)
    return max(unseen, *(peak(lambda: None) for _ in range(5)))


def allocated(prepared: Prepared, theta: Array, library: str) -> float:
    """Bytes the call holds by its framework's own count.

    torch: tensors saved for backward. CUDA: peak of its allocator. JAX: arrays alive between forward and backward. NumPy:
    peak of tracemalloc.
    """
    if library == "cuda":
        return _on_gpu(prepared, theta)
    if library == "torch":
        return _saved_tensors(prepared, theta)
    if library == "jax":
        return _residuals(prepared, theta)
    return _traced(prepared, theta)


def _saved_tensors(prepared: Prepared, theta: Array) -> float:
    import torch

    sizes: dict[int, int] = {}

    def pack(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        prepared(theta)
    return float(sum(sizes.values())) if sizes else math.nan


def _on_gpu(prepared: Prepared, theta: Array) -> float:
    import torch

    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    baseline = torch.cuda.memory_allocated()
    prepared(theta)
    torch.cuda.synchronize()
    return float(torch.cuda.max_memory_allocated() - baseline)


def release() -> None:
    """Give a GPU's free blocks back: the workers share its memory, and torch keeps what it once had."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def _residuals(prepared: Prepared, theta: Array) -> float:
    if not isinstance(prepared, Split):
        return math.nan
    import jax

    leaves = jax.tree_util.tree_leaves(prepared.forward(theta))
    return float(sum(leaf.nbytes for leaf in leaves if isinstance(leaf, jax.Array)))


def _traced(prepared: Prepared, theta: Array) -> float:
    tracemalloc.start()
    try:
        prepared(theta)
        return float(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


def _kilobytes(field: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise LookupError(field)
