"""The box dual for all signals of a batch at once, in torch on the device of the signals.

Rows have unit length inside, u_i = w_i / |w_i|, and each its own bound b_i = beta |w_i|. G = U U^T. Duals Z are (batch, k).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from methods.blorc.bounded import Bounded, counted
from problems.base import Array
from problems.solvers import box_dual
from problems.solvers.box_dual import HIDDEN
from problems.solvers.inside import TOUCH

Tensor = Any  # torch is loaded when a method is prepared

START = 40  # ADMM iterations in float32: then the pattern of most signals is right
PENALTY = 0.25  # of ADMM, by share of the diagonal of G
RELAX = 1.8
ROUNDS = 8  # of Newton steps: one or two verify most signals, and none was verified after six
LENGTHS = 8  # step lengths 1, 1/2, ... tried at once
ENTRIES = 2**28  # of the systems that are factored at a time: 2 GiB of them, and a few times that while they are made
PIVOT = 1e-8  # least squared pivot of a factor: below it, unrefined rounding exceeds 1e-8
ROUNDING = 2e-16  # residual of a free row, by share of |y|, that may be there unseen
SAFE = 10.0  # how many times what a residual moves z and x has to stay clear of a kink
ILL = 1e-9  # by that share of |y| rounding may move z and the adjoint; beyond, rows are too ill-conditioned
DAMPING = 1e-12  # of G_FF, so that dependent rows have a step too; refining takes its bias away from a solution
HANDED = "left open by the batched steps: the pattern is verified by a bounded active set"


@dataclass(frozen=True)
class Faces:
    """G on the free rows of some signals: `rows` (some, m) names them first, `used` tells them from the filling, identity."""

    signals: Tensor  # (some,) places in the batch
    rows: Tensor
    used: Tensor
    factor: Tensor  # (some, m, m), Cholesky

    @classmethod
    def of(cls, signals: Tensor, gram: Tensor, free: Tensor) -> tuple[Faces, Tensor]:
        """The faces, and which of them are well conditioned."""
        import torch

        m = int(free.sum(1).max())
        used, rows = free.to(torch.uint8).sort(dim=1, descending=True, stable=True)
        used, rows = used[:, :m].bool(), rows[:, :m]
        blocks = gram[rows[:, :, None], rows[:, None, :]] * (used[:, :, None] & used[:, None, :])
        blocks += torch.diag_embed(DAMPING + (~used).to(gram.dtype))
        factor, failed = torch.linalg.cholesky_ex(blocks)
        pivots = factor.diagonal(dim1=1, dim2=2)
        sound = (failed == 0) & ((pivots**2 > PIVOT) & pivots.isfinite()).all(1)
        return cls(signals, rows, used, factor), sound

    def __getitem__(self, chosen: Tensor) -> Faces:
        return Faces(self.signals[chosen], self.rows[chosen], self.used[chosen], self.factor[chosen])

    def solve(self, r: Tensor) -> Tensor:
        """G_FF^-1 r_F on the free rows, 0 elsewhere; r (some, k)."""
        right = r.gather(1, self.rows) * self.used
        return r.new_zeros(r.shape).scatter_(1, self.rows, right[:, :, None].cholesky_solve(self.factor)[:, :, 0] * self.used)


@dataclass(frozen=True)
class BatchedSolver:
    """W (k, n) -> Solutions for signals y, (n,) or (batch, n), on their device."""

    y: Tensor
    beta: float

    def solve(self, w: Tensor) -> Solutions:
        """ValueError names a wrong shape of W; SolveError where no pattern verifies."""
        import torch

        dual = self.dual(w)
        z, left, faces = dual.start(), torch.arange(len(dual.y), device=w.device), []
        rounds, share = 0, max(1, ENTRIES // len(w) ** 2)
        while len(left) and rounds < ROUNDS:
            rounds += 1
            still = []
            for part in left.split(share):
                z[part], face, done = dual.newton(part, z[part])
                if done.any():
                    faces.append(face if done.all() else face[done])
                still.append(part[~done])
            left = torch.cat(still)
        return Solutions(self, w, dual, z, faces, left.tolist(), START + rounds)

    def dual(self, w: Tensor) -> _Dual:
        """The box dual of W, its rows scaled to unit length."""
        if w.ndim != 2 or w.shape[1] != self.y.shape[-1] or not len(w):
            wanted = f"(k, n) with k > 0 and n = {self.y.shape[-1]} as y has"
            raise ValueError(f"theta must have shape {wanted}, got {tuple(w.shape)}")
        lengths = w.norm(dim=1)
        lengths = lengths.where(lengths > 0, 1.0)
        u = w / lengths[:, None]
        return _Dual(u, lengths, self.y.reshape(-1, w.shape[1]), self.beta * lengths, u @ u.T)


@dataclass(frozen=True)
class _Dual:
    """min over |z_i| <= b_i of 1/2 |y - U^T z|^2 for every row y of (batch, n)."""

    u: Tensor
    lengths: Tensor  # of the rows of W
    y: Tensor
    b: Tensor
    gram: Tensor

    def start(self) -> Tensor:
        """Duals after START steps of over-relaxed ADMM in float32, those at a bound exactly there."""
        import torch

        size = self.y.abs().max().clamp(min=torch.finfo(self.y.dtype).tiny)  # float32 has a small range
        b = (self.b / size).float()
        shifted = self.gram + PENALTY * torch.eye(len(b), dtype=self.b.dtype, device=b.device)
        inverse = torch.linalg.inv_ex(shifted)[0].float()
        fixed = (self.y / size @ self.u.T).float() @ inverse
        z, multiplier = torch.zeros_like(fixed), torch.zeros_like(fixed)
        for _ in range(START):
            solved = torch.addmm(fixed, z - multiplier, inverse, alpha=PENALTY)
            moved = multiplier.add_(torch.lerp(z, solved, RELAX))
            z = moved.clamp(-b, b)
            multiplier = moved.sub_(z)
        return (size * z.double()).where(z.abs() < b, self.b * z.sign())

    def newton(self, signals: Tensor, z: Tensor) -> tuple[Tensor, Faces, Tensor]:
        """One projected Newton step from z (some, k): the new z, the faces stepped on, and which are verified as optimal there.

        Free are rows inside their bounds and those at one that the gradient pushes inwards (Bertsekas, 1982); of the lengths
        1, 1/2, ... along the projected step the one of least objective is taken.
        """
        y = self.y[signals]
        slope = (y - z @ self.u) @ self.u.T
        at_bound = z.abs() >= self.b
        free = ~at_bound | (slope * z.sign() < 0)
        faces, sound = Faces.of(signals, self.gram, free)
        step = faces.solve(slope)
        full = z + step
        full = full + faces.solve((y - full @ self.u) @ self.u.T)
        done = sound & self._optimal(y, full, free, faces)
        return full if done.all() else full.where(done[:, None], self._shortened(y, z, step)), faces, done

    def _optimal(self, y: Tensor, z: Tensor, free: Tensor, faces: Faces) -> Tensor:
        """Whether z is the strict solution: inside its box on the free rows, where w_i x = 0, and sign(w_i x) b_i elsewhere."""
        slope, size = (y - z @ self.u) @ self.u.T, y.norm(dim=1, keepdim=True)
        of_z, of_x = self._moved_by_rounding(slope, size, faces)
        inside = (self.b * (1 - TOUCH) - z.abs() > SAFE * of_z) & (slope.abs() <= HIDDEN * size)
        outside = slope * z.sign() > HIDDEN * size + SAFE * of_x
        return (of_z <= ILL * size)[:, 0] & inside.where(free, outside).all(1)

    def _moved_by_rounding(self, slope: Tensor, size: Tensor, faces: Faces) -> tuple[Tensor, Tensor]:
        """How far the residual of the free rows, or rounding where that is more, moves z and x, (some, 1): as in signal.c."""
        residual = slope.abs().maximum(ROUNDING * size)
        step = slope
        for _ in range(2):  # the second time by about the worst of all signs
            step = faces.solve(residual.copysign(step))
        return step.abs().amax(1, keepdim=True), (step.abs() * residual).sum(1, keepdim=True).sqrt()

    def _shortened(self, y: Tensor, z: Tensor, step: Tensor) -> Tensor:
        import torch

        lengths = 0.5 ** torch.arange(LENGTHS, dtype=z.dtype, device=z.device)
        moved = (z + lengths[:, None, None] * step.nan_to_num()).clamp(-self.b, self.b)
        best = (y - moved @ self.u).square().sum(2).argmin(0)
        return moved[best, torch.arange(len(z), device=z.device)]


class Solutions:
    """x* = y - W^T z of every signal, on the device; what was left open comes from the route that never fails."""

    def __init__(
        self, solver: BatchedSolver, w: Tensor, dual: _Dual, z: Tensor, faces: list[Faces], left: list[int], iterations: int
    ) -> None:
        self._w, self._dual, self._faces, self._shape = w, dual, faces, solver.y.shape
        self._z, self._x = z / dual.lengths, dual.y - z @ dual.u
        self.iterations = iterations
        self._handed: dict[int, Bounded] = {}
        for index in left:
            found = self._hand_over(solver.beta, index)
            self._handed[index] = found
            self._x[index], self._z[index] = self._tensor(found.x), self._tensor(found.z)

    @property
    def x(self) -> Tensor:
        return self._x.reshape(self._shape)

    @property
    def note(self) -> str:
        """The doubts and remarks, each with the number of signals it concerns."""
        notes = (found.note for found in self._handed.values())
        return counted(notes, len(self._x)) if len(self._shape) > 1 else "".join(notes)

    def gradient(self, g: Tensor) -> Tensor:
        """-(Z^T V + H^T X), shape (k, n), with H = W0^{+T} g on the zero rows and V = G - H W; g in the shape of x."""
        g = g.reshape(self._x.shape)
        h = self._adjoint(g)
        v = g - h @ self._w
        return -(self._z.T @ v + h.T @ self._x)

    def _adjoint(self, g: Tensor) -> Tensor:
        """H (batch, k), refined once."""
        h, u = self._dual.u.new_zeros(self._z.shape), self._dual.u
        for faces in self._faces:
            part = g[faces.signals]
            first = faces.solve(part @ u.T)
            h[faces.signals] = (first + faces.solve((part - first @ u) @ u.T)) / self._dual.lengths
        for index, found in self._handed.items():
            h[index] = self._tensor(found.adjoint(_numpy(g[index]))[0])
        return h

    def _hand_over(self, beta: float, index: int) -> Bounded:
        w = _numpy(self._w)
        start = np.nan_to_num(_numpy(self._z[index]))
        return Bounded(w, box_dual.solve(w, _numpy(self._dual.y[index]), beta, start), False, HANDED)

    def _tensor(self, value: Array) -> Tensor:
        return self._z.new_tensor(value)


def _numpy(tensor: Tensor) -> Array:
    return tensor.cpu().numpy()
