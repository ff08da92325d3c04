"""What a law must have before it is run."""

from __future__ import annotations

import re
from collections import Counter

import sympy as sp

from flowtheory.errors import LawError
from flowtheory.laws.record import Law
from flowtheory.laws.units import check_units

_NEEDED = ("title", "statements", "symbols", "experiments", "not_shown", "references")


def check_law(law: object) -> Law:
    """The law, if its record is complete and its statements are homogeneous in their units.

    Raises:
        LawError: What is missing or clashes, and the usual mend.
    """
    if not isinstance(law, Law):
        raise LawError(
            f"LAW is {type(law).__name__!r}, not a law",
            expected="an object of flowtheory.laws.Law",
            fix="flowtheory new-law NAME writes a template that runs",
        )
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", law.name):
        raise _incomplete(law, f"its name is {law.name!r}", "lower-case words joined by hyphens")
    for field in _NEEDED:
        if not getattr(law, field):
            raise _incomplete(
                law, f"its field {field!r} is empty", f"at least one entry in {field}"
            )
    _check_symbols(law)
    _check_claims(law)
    return law


def _check_symbols(law: Law) -> None:
    units = {info.symbol: info.unit for info in law.symbols}
    for statement in law.statements:
        if not isinstance(statement.expression, sp.Basic):
            raise _incomplete(
                law, f"the statement {statement.name!r} is no SymPy expression", "as in sp.Eq(T, A)"
            )
        strange = statement.expression.free_symbols - set(units)
        if strange:
            raise _incomplete(
                law,
                f"the statement {statement.name!r} has symbols that are not described: "
                + ", ".join(sorted(map(str, strange))),
                "a SymbolInfo (symbol, meaning, unit) for each",
            )
        check_units(statement, units)


def _check_claims(law: Law) -> None:
    experiments = [experiment.name for experiment in law.experiments]
    names = Counter([*experiments, *(claim.name for claim in law.claims)])
    if twice := [name for name, count in names.items() if count > 1]:
        raise _incomplete(law, f"the name {twice[0]!r} occurs twice", "names that tell them apart")
    for claim in law.claims:
        if claim.experiment not in experiments:
            raise _incomplete(
                law,
                f"the claim {claim.name!r} is about the experiment {claim.experiment!r}",
                f"one of: {', '.join(experiments)}",
            )
    if law.claims and not (law.controls or any(claim.alternatives for claim in law.claims)):
        raise _incomplete(
            law,
            "none of its claims has a wrong alternative",
            "a neighbouring exponent, a dropped logarithm, a factor 2: what the same rows reject",
        )


def _incomplete(law: Law, wrong: str, expected: str) -> LawError:
    return LawError(
        f"the law {law.name!r}: {wrong}",
        expected=expected,
        fix="compare with the template that `flowtheory new-law NAME` writes",
        more="docs/adding-a-law.md",
    )
