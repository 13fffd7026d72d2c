"""What a user's file holds: path/to/file.py:NAME, loaded once in a process as long as the file stays as it is."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.answers import told
from problems.proofs.sources import beside

_FORM = re.compile(r"(?P<path>.*\.py):(?P<name>\w+)(?P<knobs>\(.*\))?", re.DOTALL)


class NamingError(ValueError):
    """What a user names cannot be found or used; the message is one line with the remedy."""


@dataclass(frozen=True)
class Place:
    """path/to/file.py:NAME, with the (knob=value) behind it."""

    path: Path
    name: str
    knobs: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.name}{self.knobs}"

    @property
    def bare(self) -> str:
        return f"{self.path}:{self.name}"


def is_source(text: str) -> bool:
    """Whether a text names a file rather than what is ours."""
    return bool(re.match(r".*\.py($|:)", text, re.DOTALL))


def place(text: str, option: str) -> Place:
    """The parts of the text; NamingError where it lacks one."""
    if not (found := _FORM.fullmatch(text)) or not found["name"].isidentifier():
        raise NamingError(f"{option} must look like path/to/file.py:NAME, got {text!r}")
    return Place(Path(found["path"]), found["name"], found["knobs"] or "")


def absolute(text: str) -> str:
    """The same thing whatever the folder of the process."""
    found = _FORM.fullmatch(text)
    return text if found is None else str(Place(Path(found["path"]).resolve(), found["name"], found["knobs"] or ""))


def held(where: Place, option: str) -> Any:
    """What the file calls by that name."""
    if not where.path.is_file():
        raise NamingError(f"{option} names the file {where.path}, which does not exist")
    try:
        content = where.path.read_bytes()
    except OSError as error:
        raise NamingError(f"{option} names the file {where.path}, which cannot be read: {error.strerror}") from None
    module = _module(where.path.resolve(), hashlib.sha256(content).hexdigest())
    if (found := getattr(module, where.name, None)) is None:
        raise NamingError(f"{where.path} has no {where.name!r}; give a name that is defined in that file")
    return found


@cache
def _module(path: Path, digest: str) -> ModuleType:
    """The module, under a name that no other file has, so that what it draws finds its way through a pipe."""
    if (folder := str(path.parent)) not in sys.path:
        sys.path.append(folder)  # for what the file imports from beside it; ours and what is installed go first
    name = f"_user_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise NamingError(f"{path} cannot be imported: {told(error)}; mend the file") from error
    return module


def contents(texts: tuple[str, ...]) -> dict[str, str]:
    """What the files and their neighbours say, by place in the list: where one lies does not matter."""
    files = dict.fromkeys(Path(found["path"]) for text in texts if (found := _FORM.fullmatch(text)))
    return {f"{file.name} {number}": _content(file) if file.is_file() else "absent" for number, file in enumerate(files)}


def _content(file: Path) -> str:
    """A hash of the file and of what it imports from beside it."""
    digest, folder = hashlib.sha256(), file.resolve().parent
    for path in beside(file):
        digest.update(f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def written(text: object) -> bool:
    """Whether it can be written to a file as it is."""
    return isinstance(text, str) and text == text.encode(errors="replace").decode()
