"""One shared library of the C files of a folder, in the user's cache under a name that hashes all it depends on."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from problems import _cache

HERE = Path(__file__).parent
FLAGS = ("-std=gnu99", "-O3", "-march=native", "-fno-math-errno", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror")


def compiler() -> list[str]:
    if os.environ.get("CC"):
        return shlex.split(os.environ["CC"])
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return [name]
    return [sys.executable, "-m", "ziglang", "cc"]


def library(folder: Path, flags: tuple[str, ...]) -> Path:
    sources = sorted(folder.glob("*.c"))
    text = b"".join(path.read_bytes() for path in (*sources, *sorted(folder.glob("*.h")), *sorted(HERE.glob("*.h"))))
    command = [*compiler(), *FLAGS, *flags, f"-I{HERE}"]
    name = hashlib.sha256(text + repr(command).encode()).hexdigest()[:16]
    root = _cache.folder("kernels") or Path("/tmp/kernels")
    root.mkdir(parents=True, exist_ok=True)
    path = root / f"{folder.parent.name}-{name}.so"
    if not path.exists():
        draft = path.with_suffix(f".{os.getpid()}")
        subprocess.run([*command, "-o", str(draft), *map(str, sources), "-lm"], check=True)
        draft.replace(path)
    return path
