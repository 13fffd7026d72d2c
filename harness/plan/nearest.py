"""An unknown name is answered with what is expected, what was got, and the names nearest to it."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

FEW = 100  # characters up to which all names are told
NEAREST = 3
ALIKE, NEAR = 0.6, 0.52  # of difflib's ratio: what the best and the others must have to be suggested


def require(option: str, value: str, known: Iterable[str], what: str = "", where: str = "") -> None:
    """ValueError where the value is none of the known names; `what` they name and `where` all are told are said of many."""
    if value not in (names := tuple(known)):
        raise ValueError(unknown(option, value, names, what, where))


def unknown(option: str, value: str, known: Iterable[str], what: str = "a name", where: str = "") -> str:
    """--method must name a method, got 'blrc'; did you mean blorc or blorc-jax? dargmin list shows all."""
    names = tuple(dict.fromkeys(known))
    all_ = ", ".join(names)
    meant = nearest(value, names)
    question = f"; did you mean {either(meant)}?" if meant else ""
    if len(all_) <= FEW:
        return f"{option} must be one of {all_}, got {value!r}{question}"
    remedy = f" {where}" if question else f"; {where}"
    return f"{option} must name {what}, got {value!r}{question}{remedy if where else ''}"


def nearest(value: str, known: Iterable[str]) -> list[str]:
    """At most three names like the value: those it is a part of first, the shortest of them at the front."""
    names = list(dict.fromkeys(known))
    wanted = value.lower()
    holding = sorted((name for name in names if len(wanted) > 2 and wanted in name.lower()), key=len)
    close = get_close_matches(wanted, names, NEAREST, NEAR) if get_close_matches(wanted, names, 1, ALIKE) else []
    return list(dict.fromkeys([*holding, *close]))[:NEAREST]


def either(names: list[str]) -> str:
    """a, b or c."""
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))
