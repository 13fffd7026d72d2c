"""Which methods there are: the tuple METHODS, their ladders, and a user's own file."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType

from harness.answers import told
from methods import CORE, METHODS, SETTINGS, YARDSTICKS, GradientMethod
from methods.unrolled import Unrolled

# Checked beside METHODS and never measured: a second penalty of ADMM, for the answers differ where no gradient exists.
CHECKED: tuple[GradientMethod, ...] = (Unrolled("admm-stiff"),)
TEXTS = ("name", "family", "knob", "batching", "biased", "citation", "formula")


class MethodError(ValueError):
    """A method that cannot be found or loaded; the message is one line with the remedy."""


def entries(sources: Iterable[str] = ()) -> tuple[GradientMethod, ...]:
    """The methods of the suite, further settings and yardsticks, then the methods of the users' files."""
    ours = METHODS + SETTINGS + YARDSTICKS
    return _distinct(ours + tuple(method for source in dict.fromkeys(sources) for method in load(source)))


def with_ladders(methods: Iterable[GradientMethod]) -> dict[str, GradientMethod]:
    """Every method and every rung of its ladder by label."""
    found: dict[str, GradientMethod] = {}
    for method in methods:
        for variant in (method, *method.ladder()):
            found.setdefault(variant.label, variant)
    return found


def is_source(name: str) -> bool:
    """Whether a --method argument names a file rather than a method of the suite."""
    return ".py" in name


def absolute(source: str) -> str:
    """The same method whatever the folder of the process."""
    path, colon, name = source.rpartition(":")
    return f"{Path(path).resolve()}{colon}{name}" if path else source


def select(names: Iterable[str]) -> tuple[GradientMethod, ...]:
    """Methods by name, by label (ladder rungs too) or by path/to/file.py:Class; METHODS for "all", CORE for no name."""
    names = tuple(dict.fromkeys(names))
    if not names:
        return CORE
    known = with_ladders(METHODS + SETTINGS + YARDSTICKS)
    chosen: list[GradientMethod] = []
    for name in names:
        if name == "all":
            chosen += METHODS
        elif is_source(name):
            chosen += load(name)
        elif name in known:
            chosen.append(known[name])
        elif matches := [method for method in METHODS if method.name == name]:
            chosen += matches
        else:
            raise MethodError(_unknown(name))
    return _distinct((*METHODS, *dict.fromkeys(chosen)))[len(METHODS) :]


def _unknown(name: str) -> str:
    names = ", ".join(dict.fromkeys(method.name for method in METHODS))
    return f"--method must be all, one of {names}, or path/to/file.py:Class, got {name!r}"


def load(source: str) -> tuple[GradientMethod, ...]:
    """The method that `path/to/file.py:Name` names: a class with defaults for all fields, an instance, or a tuple of them."""
    path, _, name = source.rpartition(":")
    if not path or not name.isidentifier():
        raise MethodError(f"--method must look like path/to/file.py:MyMethod, got {source!r}")
    found = getattr(_module(Path(path)), name, None)
    if found is None:
        raise MethodError(f"{path} has no {name!r}; give the name of a GradientMethod in that file")
    items = found if isinstance(found, tuple) else (found,)
    methods = tuple(_instance(item, source) for item in items)
    _check(methods, source)
    return methods


def _check(methods: tuple[GradientMethod, ...], source: str) -> None:
    """MethodError where a method cannot say what it is."""
    try:
        variants = with_ladders(methods).values()
        odd = [name for variant in variants for name in TEXTS if not _written(getattr(variant, name))]
        strays = [variant.knob for variant in variants if variant.knob and variant.knob not in variant.knobs]
    except Exception as error:
        raise MethodError(f"{source} cannot be described: {told(error)}; mend its name, fields or ladder") from error
    if odd:
        raise MethodError(f"{source}: {odd[0]} must be a str of valid text; mend it")
    for method in methods:
        if not _takes(method.promise, 2):
            raise MethodError(
                f"{source}: promise must take (problem, reference), which is problem.reference(); add the argument"
            )
    if strays:
        raise MethodError(f"{source}: knob must be the name of a field, got {strays[0]!r}")


def _takes(function: Callable[..., object], count: int) -> bool:
    """Whether it can be called with so many arguments."""
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    return True


def _written(text: object) -> bool:
    """Whether it can be written to a file as it is."""
    return isinstance(text, str) and text == text.encode(errors="replace").decode()


def _distinct(methods: tuple[GradientMethod, ...]) -> tuple[GradientMethod, ...]:
    """The methods; MethodError where two share a label: rows are told apart by it, and one would be measured as the other."""
    known: dict[str, GradientMethod] = {}
    for method in methods:
        for label, variant in with_ladders((method,)).items():
            if known.setdefault(label, variant) != variant:
                raise MethodError(f"two methods have the name {label!r}; give yours a name that no other method has")
    return methods


def _module(path: Path) -> ModuleType:
    if not path.is_file():
        raise MethodError(f"--method names the file {path}, which does not exist")
    if (folder := str(path.resolve().parent)) not in sys.path:
        sys.path.append(folder)  # for what the file imports from beside it; ours and what is installed go first
    name = f"_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise MethodError(f"{path} cannot be imported: {told(error)}; mend the file") from error
    return module


def _instance(item: object, source: str) -> GradientMethod:
    if isinstance(item, type) and issubclass(item, GradientMethod):
        if missing := sorted(item.__abstractmethods__):
            raise MethodError(f"{source} lacks {', '.join(missing)}; a GradientMethod must define them")
        try:
            inspect.signature(item).bind()
        except TypeError as error:
            raise MethodError(f"{source} cannot be made without arguments: {error}; give every field a default") from None
        item = item()
    if not isinstance(item, GradientMethod):
        got = f"the class {item.__name__}" if isinstance(item, type) else type(item).__name__
        raise MethodError(f"{source} must be a GradientMethod, got {got}; derive from dargmin.GradientMethod")
    return item
