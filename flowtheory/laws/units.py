r"""Declared units: both sides of a statement must scale alike.

Every base unit is made $\lambda$ times smaller: the symbols' values change by powers of $\lambda$
according to their units, and a statement is kept only if its two sides change by the same factor.
Nothing is simplified: the test is numerical, at a few points.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

import sympy as sp
from sympy.parsing.sympy_parser import parse_expr

from flowtheory.errors import LawError
from flowtheory.laws.record import Statement

_POINTS = 3
_TRIES = 60
_SCALE = sp.Float(1.3, 30)
_AGREE = 1e-9


def parse_unit(text: str, symbols: Sequence[sp.Symbol] = ()) -> sp.Basic:
    """A unit, as a product of powers of base units; what is in parentheses after a space is prose.

    Args:
        text: as in "1/input", "output*input**2", "gain**(2*L - 2)"; "1" and "rad" have none.
        symbols: those of the law, which may stand in exponents.

    Raises:
        LawError: It cannot be read.
    """
    names: dict[str, Any] = {str(symbol): symbol for symbol in symbols} | {"rad": sp.Integer(1)}
    plain = re.sub(r"\s+\(.*\)$", "", text.strip()).replace("^", "**")
    words = set(re.findall(r"[A-Za-z_]\w*", plain)) - set(names)
    names |= {word: sp.Symbol(word, positive=True) for word in words}
    try:
        found = parse_expr(plain, local_dict=names)
    except (sp.SympifyError, SyntaxError, TypeError, AttributeError) as error:
        raise LawError(
            f"the unit {text!r} cannot be read",
            expected="a product of powers of base units, as in 1/input or output*input**2",
            fix="1 for a number without unit",
        ) from error
    return found


def check_units(statement: Statement, units: Mapping[sp.Symbol, str]) -> None:
    """Refuse a statement whose sides do not have one unit.

    A statement that is not a relation, or has a symbol without a described unit, is left alone.

    Raises:
        LawError: They scale differently, or a unit cannot be read.
    """
    relation = statement.expression
    if not isinstance(relation, sp.core.relational.Relational):
        return
    symbols = sorted(relation.atoms(sp.Symbol), key=str)
    if not set(symbols) <= set(units):
        return
    known = list(units)
    exact = {symbol: sp.Integer(value) for symbol, value in statement.at.items()}
    parsed = {s: parse_unit(units[s], known).xreplace(exact) for s in symbols}
    bases = set().union(*(unit.free_symbols for unit in parsed.values())) - set(known)
    for base in sorted(bases, key=str):
        if found := _clashes(relation, parsed, known, base):
            raise LawError(
                f"the statement {statement.name!r} is not homogeneous in {base}: {found}",
                expected="both sides of one unit: "
                + ", ".join(f"{symbol} [{units[symbol]}]" for symbol in symbols),
                fix="correct the formula, or the unit of a symbol in `symbols`",
            )


def _clashes(
    relation: sp.Basic,
    units: Mapping[sp.Symbol, sp.Basic],
    known: Sequence[sp.Symbol],
    base: sp.Basic,
) -> str:
    """What is said of the two sides where they scale differently; empty if they do not."""
    chance = random.Random(0)
    seen = 0
    for _ in range(_TRIES):
        values = {symbol: _value(symbol, chance) for symbol in known}
        scaled = {
            symbol: values[symbol] * _factor(unit.xreplace(values), base)
            for symbol, unit in units.items()
        }
        factors = [_change(side, values, scaled) for side in relation.args]
        if not all(math.isfinite(factor) for factor in factors):
            continue  # outside the domain of the formula
        left, right = factors
        if abs(left - right) > _AGREE * max(abs(left), abs(right)):
            return (
                f"a unit {1 / _SCALE:.3g} times as large changes them by {left:.4g} and {right:.4g}"
            )
        seen += 1
        if seen == _POINTS:
            break
    return ""


def _value(symbol: sp.Symbol, chance: random.Random) -> Any:
    """An integer for a symbol that is one, else a number below 1."""
    if symbol.is_integer:
        return sp.Integer(chance.randint(3, 6))
    return sp.Float(chance.uniform(0.1, 0.9), 30)


def _factor(unit: sp.Basic, base: sp.Basic) -> Any:
    """What a number of this unit is multiplied by when the base unit shrinks."""
    return unit.xreplace({s: _SCALE if s == base else sp.Integer(1) for s in unit.free_symbols})


def _change(
    side: sp.Basic, before: Mapping[sp.Symbol, sp.Basic], after: Mapping[sp.Symbol, sp.Expr]
) -> float:
    """The ratio of a side's values; NaN where one of them is no real number."""
    try:
        first, second = (complex(sp.N(side.xreplace(dict(at)), 30)) for at in (before, after))
    except (TypeError, ValueError, ZeroDivisionError):
        return math.nan
    if first == 0 or abs(first.imag) > _AGREE * abs(first):
        return math.nan
    return (second / first).real
