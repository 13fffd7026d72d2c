"""Settings of the whole test suite: one thread for every library, and the same hypothesis examples on every run."""

from __future__ import annotations

import atexit
import ctypes
import functools
import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

# Before any framework is imported: the libraries read these when they load.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

# Proofs and kernels are cached for the run of the tests alone, not in the user's cache folder. The processes that run the tests
# inherit the variable from the one that hands them out, and share the folder.
if "DARGMIN_CACHE" not in os.environ:
    os.environ["DARGMIN_CACHE"] = tempfile.mkdtemp(prefix="dargmin-tests-")
    atexit.register(shutil.rmtree, os.environ["DARGMIN_CACHE"], ignore_errors=True)
    # In the user's cache there may be what torch compiled for operators of ours as another checkout declares them.
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = f"{os.environ['DARGMIN_CACHE']}/torchinductor"

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

# No deadline: first calls import solvers. Derandomised: a red run can be repeated.
settings.register_profile("dargmin", deadline=None, derandomize=True, database=None, max_examples=50)
settings.load_profile("dargmin")


@pytest.fixture(scope="module", autouse=True)
def memory_is_given_back(request: pytest.FixtureRequest) -> Iterator[None]:
    """At the end of every file: what it has compiled, and the instances and calls that it has kept."""
    yield
    for module in [request.module, *_helpers()]:
        for kept in vars(module).values():
            if isinstance(kept, functools._lru_cache_wrapper):
                kept.cache_clear()
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
    if "torch._dynamo" in sys.modules:
        sys.modules["torch"].compiler.reset()
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)


def _helpers() -> list[ModuleType]:
    """The modules of this folder that hold no tests."""
    folder = Path(__file__).parent
    named = [(Path(module.__file__), module) for module in list(sys.modules.values()) if getattr(module, "__file__", None)]
    return [module for path, module in named if path.parent == folder and path.name.startswith("_")]
