"""Compiled coordinate descent on the box dual of a convolutional filter bank, patch by patch."""

from __future__ import annotations

import numpy as np

from problems._compiling import compiled
from problems.base import Array


@compiled
def sweep(taps: Array, patches: Array, beta: float, relaxation: float, x: Array, z: Array) -> int:
    """One pass over all duals z (n, filters), x = y - K^T z kept (n); returns how many came to a bound or left one.

    taps: (filters, size^2); patches: (n, size^2), the pixels under each filter. A patch is read once for all its filters.
    """
    filters, size = taps.shape
    lengths, patch, changed = np.empty(filters), np.empty(size), 0
    for f in range(filters):
        lengths[f] = max(np.dot(taps[f], taps[f]), 1e-300)
    for p in range(len(z)):
        for t in range(size):
            patch[t] = x[patches[p, t]]
        moved = False
        for f in range(filters):
            slope = 0.0
            for t in range(size):
                slope += taps[f, t] * patch[t]
            old = z[p, f]
            new = min(max(old + relaxation * slope / lengths[f], -beta), beta)
            if new != old:
                z[p, f], moved = new, True
                changed += (abs(new) == beta) != (abs(old) == beta)
                for t in range(size):
                    patch[t] -= (new - old) * taps[f, t]
        if moved:
            for t in range(size):
                x[patches[p, t]] = patch[t]
    return changed
