r"""The phase diagram of two-layer networks: escape time, and the exponents of relative change.

$f = \frac1\alpha\sum_{k=1}^m a_k\sigma(w_k\cdot x)$ with standard deviations $\nu$ of $a$ and
$\varepsilon$ of $w$; $\kappa = \nu\varepsilon^p/\alpha = m^{-\gamma}$ and
$\kappa' = \nu/\varepsilon = m^{-\gamma'}$. Below, $a$ and $w$ are in units of their start.
"""

from __future__ import annotations

from dataclasses import dataclass

from sympy import (
    Integer,
    Rational,
    Symbol,
    asinh,
    cosh,
    expand,
    log,
    sinh,
    solve,
)

from flowtheory.errors import ParameterError
from flowtheory.symbolic.asymptotic import Formula
from flowtheory.symbolic.exponent import width_exponent
from flowtheory.symbolic.expression import Expr

GAMMA, GAMMA_PRIME = Symbol("gamma", real=True), Symbol("gamma'", real=True)
WIDTH, KAPPA, KAPPA_PRIME = (Symbol(s, positive=True) for s in ("m", "kappa", "kappa'"))
ALPHA, NU, EPSILON = (Symbol(s, positive=True) for s in ("alpha", "nu", "epsilon"))
MOMENT, CURVATURE, COEFFICIENT = (Symbol(s, positive=True) for s in ("z", "S", "c_1"))
FRACTION = Symbol("q", positive=True)
DIAGRAM = {WIDTH: Integer(1), KAPPA: -GAMMA, KAPPA_PRIME: -GAMMA_PRIME}
"""The exponents of the width in the coordinates of a two-layer network."""
_OURS = "derived here"


def escape_time() -> Formula:
    r"""Multiplicity 1: the time at which the output along $z$ is the fraction $q$ of its limit.

    In $s = \lambda t$, $\lambda = c_1|z|/\alpha$, each neuron has
    $a = a_0\cosh s + w_0\sinh s$ and $w = w_0\cosh s + a_0\sinh s$ along $z$; hence
    $f_z = \frac{m c_1}{\alpha}\langle a w\rangle$, and logistic feedback
    $f_z S = |z|\,q/(1 - q)$ gives the time.
    """
    a0, w0, s, x, odds = (Symbol(name) for name in ("a_0", "w_0", "s", "x", "o"))
    product = expand((a0 * cosh(s) + w0 * sinh(s)) * (w0 * cosh(s) + a0 * sinh(s)))
    # The averages over the start: <a0^2> = nu^2, <w0^2> = eps^2, <a0 w0> = 0.
    average = product.coeff(a0, 2) * NU**2 + product.coeff(w0, 2) * EPSILON**2
    output = WIDTH * COEFFICIENT / ALPHA * average.subs(sinh(s) * cosh(s), x / 2)
    (needed,) = solve(output * CURVATURE - MOMENT * odds, x)
    needed = needed.subs(odds, FRACTION / (1 - FRACTION))
    rate = COEFFICIENT * MOMENT / ALPHA
    meanings = {
        ALPHA: "output scale",
        NU: "standard deviation of a",
        EPSILON: "standard deviation of every entry of w",
        WIDTH: "number of neurons",
        COEFFICIENT: "derivative of the activation at 0",
        MOMENT: "norm of the moment z of residuals and inputs",
        CURVATURE: "second moment of the inputs along z",
        FRACTION: "fraction of the final output along z",
    }
    # The fluctuation of the average over m neurons.
    rest = 1 / (rate * WIDTH ** Rational(1, 2))
    domain = (FRACTION < 1,)
    return Formula("escape time", asinh(needed) / (2 * rate), meanings, domain, rest, _OURS)


@dataclass(frozen=True)
class Regime:
    r"""One region of the $(\gamma, \gamma')$ plane, with the exponents of relative change in $m$.

    Attributes:
        name: The mechanism.
        output: $S_a$: $|a(t) - a(0)|/|a(0)| \sim m^{S_a}$ at the end.
        hidden: $S_w$, the same for the input weights.
        domain: The region, in `GAMMA` and `GAMMA_PRIME`.
    """

    name: str
    hidden: Formula
    output: Formula

    @property
    def domain(self) -> tuple[Expr, ...]:
        """The region."""
        return self.hidden.domain


def slope_table(multiplicity: int = 1) -> tuple[Regime, ...]:
    r"""The regimes of gradient flow when all neurons carry the fit, for multiplicity $p$.

    Lazy: $\Delta w = \kappa\kappa' a\int e$ and $\Delta a = (\kappa/\kappa')w^p\int e$ with
    $\int e \sim 1/(m\kappa^2\max(\kappa', 1/\kappa'))$. Condensed: the fit is
    $m\kappa a w^p = 1$, with $a$ frozen or balanced, $w = \kappa' a$ up to constants.

    Args:
        multiplicity: $p$; for $p \ge 2$ gradient flow selects leaders, see `leader_slopes`.
    """
    p = _multiplicity(multiplicity, 1)
    m, kappa, ratio = WIDTH, KAPPA, KAPPA_PRIME
    g, gp = GAMMA, GAMMA_PRIME

    def lazy(kernel: Expr) -> tuple[Expr, Expr]:
        residual = 1 / (m * kappa**2 * kernel)
        return kappa * ratio * residual, kappa / ratio * residual

    grown = 1 / (m * kappa)  # the a that fits with w unmoved
    level = (ratio / (m * kappa)) ** (1 / (p + 1))  # the w that fits with a = w/kappa'
    alone = grown ** (1 / p)  # the w that fits with a unmoved
    edge = -(g - 1) / p
    rows = (
        ("lazy, input kernel", *lazy(ratio), (g <= 1, gp <= 0)),
        ("lazy, output kernel", *lazy(1 / ratio), (g <= 1, gp >= 0)),
        # The conserved w^2 - p (kappa' a)^2 turns the change of one layer into that of the other.
        ("input lazy, output grows", (ratio * grown) ** 2, grown, (g >= 1, gp >= g - 1)),
        ("condensed, balanced", level, level / ratio, (g > 1, gp <= g - 1, gp >= edge)),
        ("condensed, output frozen", alone, (alone / ratio) ** 2, (g > 1, gp <= edge)),
    )
    return tuple(
        Regime(name, slope(f"S_w, {name}", hidden, where), slope(f"S_a, {name}", output, where))
        for name, hidden, output, where in rows
    )


def leader_slopes(multiplicity: int) -> tuple[Regime, ...]:
    r"""Gradient flow for $p \ge 2$, where the first neurons to blow up carry the fit.

    $O(1)$ neurons with $\kappa a w^p = 1$; the root mean square over all $m$ divides by $\sqrt m$.
    The lazy regimes are those of `slope_table`.
    """
    p = _multiplicity(multiplicity, 2)
    m, kappa, ratio = WIDTH, KAPPA, KAPPA_PRIME
    g, gp = GAMMA, GAMMA_PRIME
    share = m ** Rational(-1, 2)
    balanced, alone = (ratio / kappa) ** (1 / (p + 1)), kappa ** (-1 / p)
    common = (g > 1, gp < g - 1)
    # As in `slope_table`: a = w/kappa' where both have grown, a quadratic change where a has not.
    rows = (
        ("leader, balanced", balanced, balanced / ratio, (*common, gp >= -g / p)),
        ("leader, output frozen", alone, (alone / ratio) ** 2, (*common, gp <= -g / p)),
    )
    return tuple(
        Regime(
            name,
            slope(f"S_w, {name}", share * hidden, where),
            slope(f"S_a, {name}", share * output, where),
        )
        for name, hidden, output, where in rows
    )


def regime_at(regimes: tuple[Regime, ...], gamma: Expr, gamma_prime: Expr) -> Regime:
    r"""The first of `regimes` whose region contains the point.

    Raises:
        ParameterError: None does.
    """
    values = {GAMMA: gamma, GAMMA_PRIME: gamma_prime}
    for regime in regimes:
        if regime.hidden.holds(values):
            return regime
    raise ParameterError(
        f"({gamma}, {gamma_prime}) is in none of the regimes",
        expected="a point of their regions",
        fix="use `slope_table`, which covers the plane",
    )


def slope(name: str, size: Expr, where: tuple[Expr, ...], source: str = _OURS) -> Formula:
    r"""The exponent of the width in a size made of $m$, $\kappa$ and $\kappa'$."""
    meanings = {
        GAMMA: "minus the exponent of kappa in the width",
        GAMMA_PRIME: "minus the exponent of kappa' in the width",
        WIDTH: "number of neurons",
    }
    exponent = width_exponent(size, DIAGRAM)
    return Formula(name, exponent, meanings, where, 1 / log(WIDTH), source)


def _multiplicity(value: int, least: int) -> Expr:
    if not isinstance(value, int) or value < least:
        raise ParameterError(
            f"multiplicity is {value!r}",
            expected=f"an integer >= {least}",
            fix=f"multiplicity={least}",
        )
    return Integer(value)
