"""What a user names, found in one place: methods by name, label, name(knob=value) or file, problems by name or file."""

from __future__ import annotations

import inspect
import itertools
import pickle
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from harness.answers import told
from harness.plan.knobs import parse, turned
from harness.plan.nearest import unknown
from harness.plan.userfiles import NamingError, Place, absolute, held, is_source, place, written
from methods import CORE, LIMITS, METHODS, SETTINGS, GradientMethod
from methods.unrolled import Unrolled
from problems import PROBLEMS, Ensemble, Problem

# Checked beside METHODS and never measured: a second penalty of ADMM, for the answers differ where no gradient exists.
CHECKED: tuple[GradientMethod, ...] = (Unrolled("admm-stiff"),)
OURS: tuple[GradientMethod, ...] = METHODS + SETTINGS + LIMITS
TEXTS = ("name", "family", "knob", "batching", "biased", "citation", "formula")
ALL = "dargmin list shows all"


def sources(methods: Iterable[str] = (), problems: Iterable[str] = ()) -> tuple[str, ...]:
    """Of the names that a user gave those that are not ours alone: what another process needs to find the same things."""
    known = with_ladders(OURS)
    beyond = [name for name in methods if name not in known and (is_source(name) or "(" in name)]
    return tuple(dict.fromkeys(absolute(name) for name in (*beyond, *filter(is_source, problems))))


def with_ladders(methods: Iterable[GradientMethod]) -> dict[str, GradientMethod]:
    """Every method and every rung of its ladder by label."""
    found: dict[str, GradientMethod] = {}
    for method in methods:
        for variant in (method, *method.ladder()):
            found.setdefault(variant.label, variant)
    return found


# Methods


def entries(named: Iterable[str] = ()) -> tuple[GradientMethod, ...]:
    """The methods of the suite, further settings and limits, then those that the sources name."""
    theirs = [source for source in dict.fromkeys(named) if not _holds_a_problem(source)]
    return _distinct(OURS + tuple(method for source in theirs for method in _methods(source, "--method")))


def select(names: Iterable[str], option: str = "--method") -> tuple[GradientMethod, ...]:
    """Methods by whatever names them; METHODS for "all", CORE for no name; NamingError where one is unknown."""
    names = tuple(dict.fromkeys(names))
    if not names:
        return CORE
    known = with_ladders(OURS)
    chosen: list[GradientMethod] = []
    for name in names:
        if name == "all":
            chosen += METHODS
        elif name in known:
            chosen.append(known[name])
        else:
            chosen += _methods(name, option)
    return _distinct((*METHODS, *dict.fromkeys(chosen)))[len(METHODS) :]


def _methods(text: str, option: str) -> tuple[GradientMethod, ...]:
    """Those of a file, or one of ours with other knobs."""
    if is_source(text):
        return _loaded(place(text, option), option)
    ours = {method.name: method for method in OURS}
    name = text.partition("(")[0]
    if "(" in text and name in ours:
        return (turned(ours[name], parse(text, option)[1], option),)
    raise NamingError(unknown(option, name, ("all", *ours), "a method", ALL))


def _loaded(where: Place, option: str) -> tuple[GradientMethod, ...]:
    """What a file names: a class with defaults for all fields, an instance, or a tuple of them; with the knobs behind it."""
    found = held(where, option)
    items = found if isinstance(found, tuple) else (found,)
    methods = tuple(_instance(item, where.bare) for item in items)
    if where.knobs:
        knobs = parse(f"{where.name}{where.knobs}", option)[1]
        methods = tuple(dict.fromkeys(turned(method, knobs, option) for method in methods))
    _check(methods, where.bare)
    return methods


def _instance(item: object, source: str) -> GradientMethod:
    if isinstance(item, type) and issubclass(item, GradientMethod):
        if missing := sorted(item.__abstractmethods__):
            raise NamingError(f"{source} lacks {', '.join(missing)}; a GradientMethod must define them")
        try:
            inspect.signature(item).bind()
        except TypeError as error:
            raise NamingError(f"{source} cannot be made without arguments: {error}; give every field a default") from None
        item = item()
    if not isinstance(item, GradientMethod):
        raise NamingError(f"{source} must be a GradientMethod, got {_kind(item)}; derive from dargmin.GradientMethod")
    return item


def _check(methods: tuple[GradientMethod, ...], source: str) -> None:
    """NamingError where a method cannot say what it is."""
    try:
        variants = with_ladders(methods).values()
        odd = [name for variant in variants for name in TEXTS if not written(getattr(variant, name))]
        strays = [variant.knob for variant in variants if variant.knob and variant.knob not in variant.knobs]
    except Exception as error:
        raise NamingError(f"{source} cannot be described: {told(error)}; mend its name, fields or ladder") from error
    if odd:
        raise NamingError(f"{source}: {odd[0]} must be a str of valid text; mend it")
    if not all(_takes(method.promise, 2) for method in methods):
        raise NamingError(f"{source}: promise must take (problem, reference), which is problem.reference(); add the argument")
    if strays:
        raise NamingError(f"{source}: knob must be the name of a field, got {strays[0]!r}")


def _takes(function: Callable[..., object], count: int) -> bool:
    """Whether it can be called with so many arguments."""
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    return True


def _distinct(methods: tuple[GradientMethod, ...]) -> tuple[GradientMethod, ...]:
    """The methods; NamingError where two share a label: rows are told apart by it, and one would be measured as the other."""
    known: dict[str, GradientMethod] = {}
    for method in methods:
        for label, variant in with_ladders((method,)).items():
            if known.setdefault(label, variant) != variant:
                raise NamingError(f"two methods have the name {label!r}; give yours a name that no other method has")
    return methods


# Problems


def ensemble(text: str, option: str = "--problem") -> Ensemble:
    """The problem of that name, or the one that path/to/file.py:NAME holds."""
    if is_source(text):
        return _ensemble(place(text, option), option)
    ours = {one.name: one for one in PROBLEMS}
    if text not in ours:
        raise NamingError(unknown(option, text, ours, "a problem", ALL))
    return ours[text]


def ensembles(named: Iterable[str], option: str = "--problem") -> dict[str, Ensemble]:
    """The problems by name; NamingError where two share one: rows are told apart by it."""
    found: dict[str, Ensemble] = {}
    ours = {one.name: one for one in PROBLEMS}
    for text in dict.fromkeys(named):
        one = ensemble(text, option)
        if (ours | found).get(one.name, one) != one:
            raise NamingError(f"two problems have the name {one.name!r}; give yours a name that no other problem has")
        found[one.name] = one
    return found


def problem_named(name: str, named: Iterable[str] = ()) -> Ensemble:
    """The problem that a cell names: one of the sources, or ours."""
    theirs = ensembles(filter(_holds_a_problem, named))
    return theirs[name] if name in theirs else ensemble(name)


def drawn(of: Ensemble, *axes: Any) -> Problem:
    """An instance of n, seed, theta, ...; what the code of a user raises or returns instead is one line."""
    if of in PROBLEMS:
        return of.instance(*axes)
    try:
        found = of.instance(*axes)
    except (ValueError, MemoryError):
        raise
    except Exception as error:
        raise NamingError(f"{of.name} cannot be drawn: {told(error)}; mend its draw") from error
    if not isinstance(found, Problem):
        raise NamingError(f"draw of {of.name} must return a Problem, got {_kind(found)}; derive from dargmin.Problem")
    theta = getattr(found, "theta", None)
    if not (isinstance(theta, np.ndarray) and theta.dtype == np.float64):
        got = f"{getattr(theta, 'dtype', '')} {_kind(theta)}".strip()
        raise NamingError(f"theta of {of.name} must be a float64 array, got {got}; mend its draw")
    try:
        pickle.dumps(found)
    except Exception as error:
        raise NamingError(
            f"{of.name} cannot be sent to a worker: {told(error)}; define its parts outside of functions"
        ) from error
    return found


def small_instance(of: Ensemble, theta: str) -> Problem:
    """The one at which every method answers soon."""
    return drawn(of, of.n if of.fixed_n else of.small, 1, theta)


def _holds_a_problem(source: str) -> bool:
    return is_source(source) and isinstance(held(place(source, "--problem"), "--problem"), Ensemble)


def _ensemble(where: Place, option: str) -> Ensemble:
    found = held(where, option)
    if where.knobs:
        raise NamingError(f"{option} takes no knobs, got {where}; leave {where.knobs} out")
    if not isinstance(found, Ensemble):
        raise NamingError(f"{where} must be an Ensemble, got {_kind(found)}; make one with dargmin.Ensemble")
    axes = found.thetas, found.operators, found.signals
    if not (all(isinstance(axis, tuple) for axis in axes) and all(map(written, itertools.chain((found.name,), *axes)))):
        raise NamingError(f"{where}: name must be a str, thetas, operators and signals tuples of str of valid text; mend them")
    if not found.thetas:
        raise NamingError(f"{where}: thetas must name one kind of theta at least, got none")
    return found


def _kind(item: object) -> str:
    return f"the class {item.__name__}" if isinstance(item, type) else type(item).__name__
