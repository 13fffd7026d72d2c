"""The functions of methods/blorc/kernels/layer.h on NumPy arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from methods.blorc.kernels import KERNELS
from methods.layers.open_signals import raise_it, routes
from problems.base import Array


@dataclass(frozen=True)
class LayerKernel:
    """W (operators, k, n), y (operators, groups, signals, n), beta (operators,)."""

    w: Array
    y: Array
    beta: Array

    @property
    def size(self) -> tuple[int, ...]:
        return (*self.y.shape[:3], *self.w.shape[1:])

    def room(self, offset: int = 0) -> Array:
        """Work arrays for one operator, so many numbers behind a whole register."""
        count = KERNELS.lib.layer_room(*self.size[3:], self.size[1] * self.size[2])
        room = np.empty(count + 16)
        start = -room.ctypes.data // 8 % 8 + offset
        return room[start : start + count]

    def solve(self, work: Array | None = None) -> tuple[Array, Array]:
        """(x*, duals)."""
        x, duals = np.empty(self.y.shape), np.empty((*self.y.shape[:3], self.size[3] + 1))
        self._call("solve", work, x, duals)
        return x, duals

    def pull(self, duals: Array, g: Array, work: Array | None = None) -> tuple[Array, Array, Array]:
        """Slopes in W, y and beta."""
        groups = self.y.shape[:2]
        slopes = np.empty((*groups, *self.size[3:])), np.empty(self.y.shape), np.empty(groups)
        self._call("pull", work, duals, g, *slopes)
        return slopes

    def push(self, duals: Array, dw: Array | None, dy: Array | None, dbeta: Array | None) -> Array:
        """dx*."""
        dx = np.empty(self.y.shape)
        self._call("push", duals, dw, dy, dbeta, dx)
        return dx

    def _call(self, name: str, *arrays: Array | None) -> None:
        ffi, lib = KERNELS.ffi, KERNELS.lib

        def at(a: Array | None) -> Any:
            return ffi.NULL if a is None else ffi.cast("double *", ffi.from_buffer("double[]", a))

        layer, said = ffi.new("layer *", (*self.size, at(self.w), at(self.y), at(self.beta))), ffi.new("char[]", lib.SAID)
        if failed := getattr(lib, f"layer_{name}")(layer, routes()[name != "solve"], *map(at, arrays), said):
            raise_it(failed, said)
