"""Settings of the whole test suite: one thread for every library, and the same hypothesis examples on every run."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

# Before any framework is imported: the libraries read these when they load.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

# Proofs are cached for the run of the tests alone, not in the user's cache folder.
if "DARGMIN_CACHE" not in os.environ:
    os.environ["DARGMIN_CACHE"] = tempfile.mkdtemp(prefix="dargmin-proofs-")
    atexit.register(shutil.rmtree, os.environ["DARGMIN_CACHE"], ignore_errors=True)

from hypothesis import settings  # noqa: E402

# No deadline: first calls import solvers. Derandomised: a red run can be repeated.
settings.register_profile("dargmin", deadline=None, derandomize=True, database=None, max_examples=50)
settings.load_profile("dargmin")
