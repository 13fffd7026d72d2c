"""The threshold that projections onto a simplex and prox operators of the maximum norm share."""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace, device


def threshold(z: Any, total: Any) -> Any:
    """t with sum_i max(z_i - t, 0) = total > 0: t = max over k of (sum of the k largest z_i - total) / k, shape (..., 1).

    Source: Held, Wolfe and Crowder (1974). The maximum is attained once unless some z_i = t: differentiable.
    """
    xp = array_namespace(z)
    sums = xp.cumulative_sum(xp.sort(z, axis=-1, descending=True), axis=-1)
    counts = xp.arange(1, z.shape[-1] + 1, dtype=z.dtype, device=device(z))
    return xp.max((sums - total) / counts, axis=-1, keepdims=True)
