"""Certificates on disk, in the user's cache folder, so that a sweep proves each instance once."""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import flint
import numpy as np

from problems import storage
from problems.arrays import Array
from problems.operators.parametrisations import Parametrisation, Sparse, Weighted
from problems.proofs import certificate, choice
from problems.proofs.certificate import Certificate
from problems.proofs.graph_proof import undecided
from problems.proofs.instance import Instance
from problems.proofs.sources import sources

LARGEST = 2**16  # entries of K(theta): a larger sparse or matrix-free one is not proven by dense algebra


def certified(problem: Instance) -> Certificate:
    """The certificate of an instance, from the cache where it holds one; a folder that cannot be used is no error."""
    path = _path(problem)
    stored = _read(path) if path else None
    if stored is not None:
        return stored
    prover = choice.prover(problem, problem.theta, LARGEST)
    if prover is None and (reason := choice.too_long(*np.atleast_2d(problem.y).shape)):
        return undecided(problem, reason)
    found = (prover or certificate).certify(problem)
    if path:
        _write(path, found)
    return found


def _path(problem: Instance) -> Path | None:
    folder = storage.folder("proofs")
    return folder / f"{_key(problem)}.npz" if folder else None


def _key(problem: Instance) -> str:
    """A hash of all that the certificate depends on: the instance, the prover and flint."""
    digest = hashlib.sha256(_prover())
    numbers = np.array([problem.beta, problem.loss_scale], dtype=np.float64)
    for array in (problem.theta, problem.y, problem.target, numbers, *_fixed(problem.parametrisation)):
        digest.update(f"{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    digest.update(type(problem.parametrisation).__name__.encode())
    return digest.hexdigest()


def _fixed(parametrisation: Parametrisation) -> tuple[Array, ...]:
    """The arrays that the parametrisation holds."""
    w = parametrisation.w if isinstance(parametrisation, (Weighted, Sparse)) else np.zeros(0)
    return (w,) if isinstance(w, np.ndarray) else (w.data, w.indices, w.indptr, np.array(w.shape))


@cache
def _prover() -> bytes:
    """Every source that this module rests on, and the versions of the libraries that compute."""
    versions = f"{flint.__version__} {flint.__FLINT_VERSION__} {np.__version__}"
    return b"".join([*(path.read_bytes() for path in sources(__name__)), versions.encode()])


def _read(path: Path) -> Certificate | None:
    """None where there is no entry or it cannot be read; zip checks the sum of every array."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            entries: dict[str, Any] = {name: stored[name] for name in stored.files}
            for name, kind in (("status", str), ("reason", str), ("radius", float), ("value", float)):
                entries[name] = kind(entries[name])
            return Certificate(**{"grad": None, **entries})
    except (OSError, ValueError, TypeError, EOFError, KeyError, zipfile.BadZipFile):
        return None


def _write(path: Path, found: Certificate) -> None:
    """Written beside and renamed, so that no reader meets half an entry."""
    entries = {name: value for name, value in asdict(found).items() if value is not None}
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            temporary = Path(file.name)
            np.savez(file, **entries)
        temporary.replace(path)
    except OSError:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
