"""Methods that misbehave in every way that was thought of; loaded by path as a user's file."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from methods import Gradient, GradientMethod, Prepared
from methods.blorc import Blorc
from problems import Problem
from problems.base import Array

KEPT: list[Any] = []


@dataclass(frozen=True)
class Misbehaves(GradientMethod):
    """Exact after something was done at set-up and at every call; `spoil` changes the answer."""

    what: str = "nothing"
    setup: Callable[[], Any] = field(default=lambda: None, compare=False)
    act: Callable[[], Any] = field(default=lambda: None, compare=False)
    spoil: Callable[[Gradient], Any] = field(default=lambda found: found, compare=False)

    @property
    def name(self) -> str:
        return self.what

    @property
    def label(self) -> str:
        return self.what

    def unsupported(self, problem: Problem) -> str | None:
        return Blorc().unsupported(problem)

    def prepare(self, problem: Problem) -> Prepared:
        self.setup()
        exact = Blorc().prepare(problem)

        def call(theta: Array) -> Gradient:
            self.act()
            return self.spoil(exact(theta))

        return call


def spin() -> None:
    while True:
        pass


def hang_in_c() -> None:
    ctypes.PyDLL(None).sleep(600)  # holds the interpreter


def segfault() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def throw(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


class Unpicklable(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__("needs two")
        self.lock = threading.Lock()


def recurse() -> None:
    recurse()


def allocate() -> None:
    """Pages that are written to, faster than any limit of time."""
    hoard = []
    while True:
        hoard.append(np.ones(2**20))


def grow() -> None:
    """Small objects: the interpreter's own allocator meets the limit."""
    hoard: list[Any] = []
    while True:
        hoard.append([hoard])


def swallow() -> None:
    """Takes every refusal as a reason to try again."""
    hoard = []
    while True:
        try:
            hoard.append(np.ones(2**17))
        except MemoryError:
            continue


def leak() -> None:
    KEPT.append(np.ones(2**10))


def shout() -> None:
    os.write(1, b"\xff" * 2**21)
    sys.stderr.write("\u2603" * 2**20)


def fork() -> None:
    if os.fork() == 0:
        time.sleep(600)


def start_child() -> None:
    KEPT.append(subprocess.Popen(["sleep", "601"]))


def start_thread() -> None:
    threading.Thread(target=time.sleep, args=(600,)).start()


def close_descriptors() -> None:
    os.closerange(0, 256)


def diverge(found: Gradient) -> Gradient:
    return Gradient(found.value, 1e12 * (1 + np.abs(found.solution)), found.grad)


def changed(**fields: Any) -> Callable[[Gradient], Gradient]:
    def spoil(found: Gradient) -> Gradient:
        for name, change in fields.items():
            setattr(found, name, change(getattr(found, name)))
        return found

    return spoil


ENDLESS = (
    Misbehaves("hangs", act=lambda: time.sleep(600)),
    Misbehaves("spins", act=spin),
    Misbehaves("hangs-in-c", act=hang_in_c),
    Misbehaves("stops-itself", act=stop),
    Misbehaves("hangs-in-set-up", setup=lambda: time.sleep(600)),
)
MEMORY = (
    Misbehaves("allocates", act=allocate),
    Misbehaves("grows", act=grow),
    Misbehaves("swallows", act=swallow),
)
QUICK = (
    Misbehaves("segfaults", act=segfault),
    Misbehaves("aborts", act=os.abort),
    Misbehaves("exits-0", act=lambda: os._exit(0)),
    Misbehaves("exits-3", act=lambda: sys.exit(3)),
    Misbehaves("interrupts", act=throw(KeyboardInterrupt())),
    Misbehaves("raises-base", act=throw(BaseException("base"))),
    Misbehaves("raises-unpicklable", act=throw(Unpicklable(1, 2))),
    Misbehaves("raises-10-mb", act=throw(ValueError("x" * 10**7))),
    Misbehaves("raises-no-utf8", act=throw(ValueError(b"\xff\xfe".decode(errors="surrogateescape")))),
    Misbehaves("returns-nan", spoil=changed(grad=lambda grad: grad * np.nan)),
    Misbehaves("off", spoil=changed(grad=lambda grad: 1.001 * grad)),
    Misbehaves("wrong-shape", spoil=changed(grad=lambda grad: grad.T)),
    Misbehaves("returns-none", spoil=lambda found: None),
    Misbehaves("shouts", act=shout),
    Misbehaves("forks", act=fork),
    Misbehaves("starts-a-child", act=start_child),
    Misbehaves("leaves-a-thread", act=start_thread),
    Misbehaves("diverges", spoil=diverge),
    Misbehaves("closes-descriptors", act=close_descriptors),
    Misbehaves("recurses", act=recurse),
    Misbehaves("segfaults-in-set-up", setup=segfault),
    Misbehaves("fails-in-set-up", setup=lambda: __import__("no_such_module")),
    Misbehaves("leaks", act=leak),
)


def start_one_thread() -> None:
    if not KEPT:
        KEPT.append(threading.Thread(target=time.sleep, args=(600,)))
        KEPT[0].start()


def start_one_child() -> None:
    if not KEPT:
        KEPT.append(subprocess.Popen(["sleep", "602"]))


LEAVES = Misbehaves("leaves", act=start_one_thread)
CHILD = Misbehaves("child", act=start_one_child)
DOZES = Misbehaves("dozes", act=lambda: time.sleep(0.02))
