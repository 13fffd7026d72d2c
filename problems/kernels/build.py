"""One shared library of the C files of a folder, in the user's cache under a name that hashes all it depends on."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from problems import storage

HERE = Path(__file__).parent
NATIVE = "-mcpu=native" if platform.machine().lower() in ("arm64", "aarch64") else "-march=native"
# None of them changes the process that loads the library, as -ffast-math would by flushing subnormal numbers to zero.
FLAGS = ("-std=gnu11", "-O3", NATIVE, "-fno-math-errno", "-fPIC", "-shared")
FEATURES = ("model name", "flags", "Features", "CPU implementer", "CPU part")  # lines of /proc/cpuinfo
REMEDY = "install a C compiler, set CC to one, or pip install ziglang"


class BuildError(RuntimeError):
    """The kernels cannot be built; one line that says why and what helps."""


def compiler() -> tuple[list[str], str]:
    """The command, $CC, cc, gcc, clang or that of the ziglang wheel, and the first line of its --version."""
    given = os.environ.get("CC", "")
    try:
        command = shlex.split(given)
    except ValueError as error:
        raise BuildError(f"CC={given!r} cannot be read as a command: {error}; {REMEDY}") from None
    command = command or [name for name in ("cc", "gcc", "clang") if shutil.which(name)][:1]
    if command:
        return command, _version(tuple(command))
    if not find_spec("ziglang"):
        raise BuildError(f"no C compiler is found for the exact solvers: {REMEDY}")
    return [sys.executable, "-m", "ziglang", "cc"], f"ziglang {importlib.metadata.version('ziglang')}"  # its own start is slow


@cache
def _version(command: tuple[str, ...]) -> str:
    return next(iter(_run([*command, "--version"]).splitlines()), "")


def library_path(folder: Path, flags: tuple[str, ...]) -> Path | None:
    """Where the library of a folder is kept; None where there is to be no cache."""
    root = storage.folder("kernels")
    command, version = compiler()
    used = hashlib.sha256(repr((command, version, FLAGS, flags, _processor())).encode())
    libraries = [path for flag in flags if flag.startswith("-I") for path in _files(Path(flag[2:]), "**/*.h")]
    for path in _files(folder, "*.[ch]") + _files(HERE, "*.h") + libraries:
        used.update(f"\0{path.name}\0".encode() + path.read_bytes())
    return root / f"{folder.parent.name}-{used.hexdigest()[:16]}.so" if root else None


@contextmanager
def library(folder: Path, flags: tuple[str, ...]) -> Iterator[Path]:
    """The library of a folder, to be loaded before the context ends: where the cache cannot be used, it is gone then.

    Under its name in the cache it is never seen before it is complete, whoever else builds it and whenever that is stopped.
    """
    kept = library_path(folder, flags)
    if kept and os.path.exists(kept):  # noqa: PTH110 (False, too, where the folder may not be read)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="dargmin-") as work:
        made = Path(work, "kernels.so")
        build(folder, flags, made)
        yield made if kept is None or not _store(made, kept) else kept


def build(folder: Path, flags: tuple[str, ...], target: Path) -> None:
    """Compile the C files of a folder into the library `target`; a folder for zig's own files goes beside it."""
    sources = [str(path) for path in _files(folder, "*.c")]
    zig = {name: str(target.with_suffix(".zig")) for name in ("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR")}
    _run([*compiler()[0], *FLAGS, *flags, f"-I{HERE}", "-o", str(target), *sources, "-lm"], zig | os.environ)


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern))


def _store(made: Path, kept: Path) -> bool:
    """Copy a library into the cache; False where that takes no files, or no more of them."""
    draft = kept.with_name(f"{kept.name}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("xb") as file:
            file.write(made.read_bytes())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(kept)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        return False
    return True


def _run(command: list[str], environment: dict[str, str] | None = None) -> str:
    """What a compiler prints; BuildError with the end of it where it fails."""
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = " ".join(str(getattr(error, "stderr", None) or error).split())
        name = f"CC={os.environ['CC']!r}" if os.environ.get("CC") else f"the C compiler {command[0]}"
        raise BuildError(f"{name} does not build the exact solvers: {said[-200:]}; {REMEDY}") from None
    return done.stdout


@cache
def _processor() -> str:
    """What -march=native depends on, for a home folder may be shared by unlike machines."""
    lines = []
    with suppress(OSError), Path("/proc/cpuinfo").open() as file:
        for line in file:
            if not line.strip():  # the other cores are alike
                break
            lines.append(line)
    return "".join(line for line in lines if line.startswith(FEATURES)) or f"{platform.machine()} {platform.processor()}"
