"""How instances of a lower level are drawn: an Ensemble has a name, and says which axes a sweep can vary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from problems.base import Problem


@dataclass(frozen=True)
class Ensemble:
    """Random instances of one lower level: `draw(n=..., seed=..., ...)` with those of the axes below that it has.

    thetas: what can be differentiated, the default first. operators, signals: names that may be given, the default first;
    empty where the axis does not exist. partners: other defaults of these for a theta that asks for them. noise: whether
    sigma is an axis. batches: whether batch is one. n: the default size; small: one at which every method answers within a
    second; fixed_n: no other than `n` exists; least: the smallest n. Raises ValueError where an axis has no such value.
    """

    name: str
    draw: Callable[..., Problem]
    citation: str
    formula: str
    thetas: tuple[str, ...]
    n: int = 64
    small: int = 16
    fixed_n: bool = False
    least: int = 1
    operators: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()
    partners: Mapping[str, Mapping[str, str]] = field(default_factory=dict, hash=False)
    noise: bool = False
    batches: bool = False

    def small_instance(self, theta: str, seed: int = 1) -> Problem:
        """The small instance with the default of every other axis."""
        n = self.n if self.fixed_n else self.small
        return self.instance(n, seed, theta)

    def instance(
        self,
        n: int,
        seed: int,
        theta: str,
        operator: str = "",
        signal: str = "",
        sigma: float = 0.1,
        batch: int = 0,
    ) -> Problem:
        """The instance of that seed; axes that the ensemble lacks are left out, empty names are the default."""
        if self.fixed_n and n != self.n:
            raise ValueError(f"{self.name} has n = {self.n} alone, got n = {n}")
        if n < self.least:
            raise ValueError(f"{self.name} needs n of at least {self.least}, got n = {n}")
        if theta not in self.thetas:
            raise ValueError(f"theta of {self.name} must be one of {', '.join(self.thetas)}, got {theta!r}")
        axes: dict[str, Any] = {"n": n, "seed": seed, "theta": theta}
        partners = self.partners.get(theta, {})
        axes |= {"operator": operator or partners.get("operator", self.operators[0])} if self.operators else {}
        axes |= {"signal": signal or partners.get("signal", self.signals[0])} if self.signals else {}
        axes |= {"sigma": sigma} if self.noise else {}
        axes |= {"batch": batch or None} if self.batches else {}
        return self.draw(**axes)
