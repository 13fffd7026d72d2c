"""The only framework-specific code: torch and JAX behind one small interface, in float64."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from problems.base import Array

Function = Callable[..., Any]


class Framework(ABC):
    """Automatic differentiation of functions written in the array API."""

    name: ClassVar[str]
    devices: ClassVar[tuple[str, ...]] = ("cpu",)  # its arrays can live on

    @abstractmethod
    def active(self) -> contextlib.AbstractContextManager[Any]:
        """The context in which all of the framework's work runs (float64)."""

    @abstractmethod
    def array(self, value: Any) -> Any:
        """A NumPy array, or a tuple of them, as the framework's arrays."""

    @abstractmethod
    def compile(self, f: Function) -> Function:
        """f compiled where the framework compiles, else f."""

    @abstractmethod
    def iterate(self, step: Function, v: Any, count: int) -> Any:
        """v after `count` applications of step."""

    @abstractmethod
    def reverse(self, f: Function) -> tuple[Function, Function]:
        """(forward, backward) of f(theta, constants) -> (scalar, named tuple), compiled where the framework compiles.

        forward(theta, constants) -> ((scalar, named tuple), residuals); backward(residuals) -> gradient of the scalar in theta.
        """

    @abstractmethod
    def grad(self, f: Function) -> Function:
        """The gradient of a scalar function with respect to its first argument, itself differentiable."""

    @abstractmethod
    def map(self, f: Function, xs: Any) -> Any:
        """f over the first axis of xs, vectorised."""


@dataclass(frozen=True)
class Torch(Framework):
    """PyTorch, eager, its arrays on one device."""

    name = "torch"
    devices = ("cpu", "cuda")

    device: str = "cpu"

    def active(self) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext()

    def array(self, value: Any) -> Any:
        import torch

        if isinstance(value, tuple):
            return tuple(map(self.array, value))
        tensor = torch.from_numpy(np.array(value, dtype=np.float64))
        return tensor if self.device == "cpu" else tensor.to(self.device)

    def compile(self, f: Function) -> Function:
        return f

    def iterate(self, step: Function, v: Any, count: int) -> Any:
        for _ in range(count):
            v = step(v)
        return v

    def reverse(self, f: Function) -> tuple[Function, Function]:
        import torch

        def forward(theta: Any, constants: Any) -> Any:
            leaf = theta.detach().requires_grad_()
            value, auxiliary = f(leaf, constants)
            return (value.detach(), _detached(auxiliary)), (value, leaf)

        return forward, lambda residuals: torch.autograd.grad(*residuals)[0]

    def grad(self, f: Function) -> Function:
        import torch

        return torch.func.grad(f)

    def map(self, f: Function, xs: Any) -> Any:
        import torch

        return torch.func.vmap(f)(xs)


def _detached(values: Any) -> Any:
    """A named tuple with its tensors cut from the graph."""
    import torch

    return type(values)(*(value.detach() if isinstance(value, torch.Tensor) else value for value in values))


class Jax(Framework):
    """JAX with 64-bit types, compiled; loops are lax.scan."""

    name = "jax"

    def active(self) -> contextlib.AbstractContextManager[Any]:
        return _x64()

    def array(self, value: Any) -> Any:
        import jax.numpy as jnp

        if isinstance(value, tuple):
            return tuple(map(self.array, value))
        return jnp.asarray(value)

    def compile(self, f: Function) -> Function:
        import jax

        return jax.jit(f)

    def iterate(self, step: Function, v: Any, count: int) -> Any:
        import jax

        return jax.lax.scan(lambda carry, _: (step(carry), None), v, length=count)[0]

    def reverse(self, f: Function) -> tuple[Function, Function]:
        import jax
        import jax.numpy as jnp

        def forward(theta: Any, constants: Any) -> Any:
            value, pullback, auxiliary = jax.vjp(lambda t: f(t, constants), theta, has_aux=True)
            return (value, auxiliary), pullback

        # The pullback is a pytree of residuals, so each phase compiles by itself.
        return jax.jit(forward), jax.jit(lambda pullback: pullback(jnp.ones(()))[0])

    def grad(self, f: Function) -> Function:
        import jax

        return jax.grad(f)

    def map(self, f: Function, xs: Any) -> Any:
        import jax

        return jax.vmap(f)(xs)


@contextlib.contextmanager
def _x64() -> Iterator[None]:
    import jax

    with jax.enable_x64(True):
        yield


FRAMEWORKS: dict[str, Framework] = {"torch": Torch(), "jax": Jax()}


def framework(name: str, device: str = "cpu") -> Framework:
    """The framework with its arrays on a device, one of its `devices`."""
    return Torch(device) if name == "torch" else FRAMEWORKS[name]


def synchronise(value: Any) -> Any:
    """Wait until an asynchronous array has been computed."""
    wait = getattr(value, "block_until_ready", None)
    if wait is not None:
        wait()
    elif getattr(value, "is_cuda", False):
        import torch

        torch.cuda.synchronize(value.device)
    return value


def to_numpy(value: Any) -> Array:
    """The values of any framework's array; its dtype is kept, so that a float32 result shows."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    return np.asarray(value)
