r"""Sparse polynomials with integer coefficients, and vector fields made of them.

A monomial is the sorted tuple of its variables' numbers with repetition: $\theta_0^2\theta_3$ is
`(0, 0, 3)`, and 1 is `()`. Variables are numbered; names belong to `Family`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import gcd, lcm

from sympy import Add, Float, Mul, Poly, PolynomialError, Rational, Symbol, cancel

from flowtheory.errors import ParameterError
from flowtheory.symbolic.expression import Expr

Monomial = tuple[int, ...]
Polynomial = dict[Monomial, int]
Field = dict[int, Polynomial]
"""Component -> polynomial; a component that is absent is 0."""


class NotPolynomialError(ParameterError):
    """An expression that is no polynomial in parameters and data: its laws are not counted."""


def collect(terms: Iterable[tuple[Monomial, int]]) -> Polynomial:
    """The sum of terms."""
    out: Polynomial = {}
    for monomial, coefficient in terms:
        out[monomial] = out.get(monomial, 0) + coefficient
    return {monomial: c for monomial, c in out.items() if c}


def times(a: Polynomial, b: Polynomial) -> Polynomial:
    """The product."""
    return collect((tuple(sorted(m + n)), c * d) for m, c in a.items() for n, d in b.items())


def partial(polynomial: Polynomial, i: int) -> Polynomial:
    r"""$\partial_i$."""
    return {_without(m, i): c * m.count(i) for m, c in polynomial.items() if i in m}


def _without(monomial: Monomial, i: int) -> Monomial:
    at = monomial.index(i)
    return monomial[:at] + monomial[at + 1 :]


def variables(polynomial: Polynomial) -> set[int]:
    """The variables that occur."""
    return {i for monomial in polynomial for i in monomial}


def gradient_field(potential: Polynomial) -> Field:
    r"""$\nabla$ of a potential."""
    return {i: partial(potential, i) for i in sorted(variables(potential))}


def along(quantity: Polynomial, field: Field) -> Polynomial:
    r"""$\sum_i \partial_i h\, \chi_i$, the derivative of $h$ along $\chi$."""
    return collect(
        term
        for i in variables(quantity) & field.keys()
        for term in times(partial(quantity, i), field[i]).items()
    )


def primitive(field: Field) -> Field:
    """The field divided by the greatest common divisor of its coefficients."""
    divisor = gcd(*(c for component in field.values() for c in component.values()))
    return {i: {m: c // divisor for m, c in p.items()} for i, p in field.items() if p}


def read(expr: Expr, symbols: Sequence[Symbol]) -> Mapping[Monomial, Expr]:
    """The coefficients of `expr` as a polynomial in `symbols`; they may hold other symbols."""
    try:
        poly = Poly(expr, *symbols)
    except PolynomialError as error:
        raise NotPolynomialError(
            f"{expr} is not a polynomial in the parameters",
            expected="polynomials; conservation laws are counted for polynomial fields",
            fix="take the leading flow at small initialization, or give a polynomial factorization",
        ) from error
    return {
        tuple(i for i, power in enumerate(powers) for _ in range(power)): coefficient
        for powers, coefficient in poly.terms()
    }


def read_field(components: Mapping[int, Expr], symbols: Sequence[Symbol]) -> Field:
    """A field with the given components, scaled to integer coefficients without common divisor."""
    parts = {i: read(expr, symbols) for i, expr in components.items() if expr != 0}
    numbers = [c for part in parts.values() for c in part.values()]
    # A common factor, such as 2/sqrt(pi) of erf, changes the time along the field only.
    exact = (c for c in numbers if c.is_number and not c.is_Rational and not c.has(Float))
    unit = next(exact, None)
    if unit is not None:
        parts = {i: {m: cancel(c / unit) for m, c in part.items()} for i, part in parts.items()}
        numbers = [c for part in parts.values() for c in part.values()]
    for c in numbers:
        if not c.is_Rational:
            raise ParameterError(
                f"the coefficient {c} is not rational",
                expected="rational numbers, up to a common factor, once data and sizes are given",
                fix="write floats as Rational, and list every parameter",
            )
    scale = lcm(*(int(c.q) for c in numbers))
    return primitive({i: {m: int(c * scale) for m, c in part.items()} for i, part in parts.items()})


def show(polynomial: Polynomial, symbols: Sequence[Symbol]) -> Expr:
    """The polynomial as a SymPy expression."""
    return Add(
        *(Rational(c) * Mul(*(symbols[i] for i in m)) for m, c in sorted(polynomial.items()))
    )
