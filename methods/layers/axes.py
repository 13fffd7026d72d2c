"""How an axis of vmap is laid to those that the kernel knows: operators, and groups of the signals of one.

Of an operator are W (operators, k, n) and beta (operators,). Of signals are y, x*, duals and their derivatives: (operators,
signals, ...) for a solution, (operators, groups, signals, ...) for a derivative. Of a group are slopes and directions in W and
beta, (operators, groups, ...). An axis that W and beta do not have becomes one of signals or groups, which share the work on W;
any other becomes one of operators. `xp` is the array namespace.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

OPERATOR, GROUP, SIGNAL = "operator", "group", "signal"


@dataclass
class Axis:
    """An axis of vmap of that size; `shared`: W and beta do not have it; `other`: the size of the one that it is laid to."""

    xp: Any
    size: int
    shared: bool
    other: int = 0

    @classmethod
    def of(cls, xp: Any, size: int, kinds: Sequence[str], dims: Sequence[int | None]) -> Axis:
        return cls(xp, size, all(dim is None for kind, dim in zip(kinds, dims, strict=True) if kind == OPERATOR))

    def fold(self, kinds: Sequence[str], arrays: Sequence[Any], dims: Sequence[int | None]) -> list[Any]:
        """The arrays without that axis; those that do not have it are repeated where they must."""
        return [self._folded(*each) for each in zip(kinds, arrays, dims, strict=True)]

    def _folded(self, kind: str, a: Any, dim: int | None) -> Any:
        if a is None or (self.shared and kind == OPERATOR):
            return a
        if dim is None:
            a, dim = self.xp.broadcast_to(a[None], (self.size, *a.shape)), 0
        order = [axis for axis in range(a.ndim) if axis != dim]
        order.insert(self.place, dim)
        a, place = self.xp.permute_dims(a, tuple(order)), self.place
        self.other = a.shape[place + 1]
        return self.xp.reshape(a, (*a.shape[:place], a.shape[place] * a.shape[place + 1], *a.shape[place + 2 :]))

    def unfold(self, arrays: Iterable[Any]) -> list[Any]:
        """Results with that axis in its place, `self.place`."""
        place = self.place
        return [self.xp.reshape(a, (*a.shape[:place], self.size, self.other, *a.shape[place + 1 :])) for a in arrays]

    @property
    def place(self) -> int:
        return int(self.shared)
