"""name(knob=value, ...): any knob of any method, its value a Python literal, or bare text where it is no number."""

from __future__ import annotations

import ast
from dataclasses import MISSING, Field, fields, replace
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from harness.answers import told
from harness.plan.nearest import either, nearest
from harness.plan.userfiles import NamingError
from methods import GradientMethod


def parse(text: str, option: str) -> tuple[str, dict[str, Any]]:
    """The name and the knobs of name(knob=value, ...)."""
    name, bracket, rest = text.partition("(")
    call = _call(f"_({rest}") if bracket and name else None
    knobs = [str(entry.arg or "") for entry in call.keywords] if call and not call.args else []
    if call is None or not knobs or not all(knobs) or len(set(knobs)) < len(knobs):
        raise NamingError(f"{option} must look like name(knob=value, ...), such as blorc(threads=2), got {text!r}")
    return name, {knob: _value(entry.value) for knob, entry in zip(knobs, call.keywords, strict=True)}


def _call(source: str) -> ast.Call | None:
    try:
        found = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError):
        return None
    return found if isinstance(found, ast.Call) and isinstance(found.func, ast.Name) else None


def _value(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)  # adjoint=dense


def turned(method: GradientMethod, knobs: dict[str, Any], option: str) -> GradientMethod:
    """The method at its defaults but for these knobs; NamingError where one does not exist, or cannot have the value."""
    known = {entry.name: entry for entry in fields(method) if entry.name not in method.identity}
    for knob in knobs:
        if knob not in known:
            raise NamingError(_no_knob(method.name, knob, list(known), option))
    types = _types(method)
    values = {name: _checked(method.name, name, value, types.get(name), option) for name, value in knobs.items()}
    try:
        found = replace(method, **_defaults(method, known) | values)
        found.label  # noqa: B018  what it is called is its own code, too
    except Exception as error:
        raise NamingError(f"{option}: {method.name} does not take {_shown(knobs)}: {told(error)}") from None
    return found


def _no_knob(name: str, knob: str, known: list[str], option: str) -> str:
    if not known:
        return f"{option}: {name} has no knob {knob!r}, nor any other; leave it out"
    meant = nearest(knob, known)
    question = f"; did you mean {either(meant)}?" if meant else ""
    return f"{option}: {name} has no knob {knob!r}, but {', '.join(known)}{question}"


def _defaults(method: GradientMethod, known: dict[str, Field[Any]]) -> dict[str, Any]:
    """Of the knobs; one without a default stays as it is."""
    return {name: _default(entry, getattr(method, name)) for name, entry in known.items()}


def _default(entry: Field[Any], value: Any) -> Any:
    if entry.default is not MISSING:
        return entry.default
    return value if entry.default_factory is MISSING else entry.default_factory()


def _types(method: GradientMethod) -> dict[str, Any]:
    """The annotations of the knobs; where they cannot be read, the types of the values that they have."""
    try:
        return get_type_hints(type(method))
    except Exception:  # a user's file may name a type that it has not imported
        return {entry.name: type(getattr(method, entry.name)) for entry in fields(method)}


def _checked(name: str, knob: str, value: Any, kind: Any, option: str) -> Any:
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    for one in kinds:
        if _fits(value, one):
            return float(value) if one is float else value
    raise NamingError(f"{option}: {knob} of {name} must be {either([_called(one) for one in kinds])}, got {value!r}")


def _fits(value: Any, kind: Any) -> bool:
    if kind is Any:
        return True
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, get_origin(kind) or kind) if isinstance(get_origin(kind) or kind, type) else False


def _called(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return either([repr(value) for value in get_args(kind)])
    names = {float: "a number", int: "a whole number", str: "text", bool: "True or False", NoneType: "None"}
    return names.get(kind) or f"a {getattr(kind, '__name__', kind)}, which a file of yours can give"


def _shown(knobs: dict[str, Any]) -> str:
    return ", ".join(f"{knob}={value!r}" for knob, value in knobs.items())
