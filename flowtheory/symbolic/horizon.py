r"""Until when the leading flow describes the full one.

The relative error of the field is $(\varepsilon r)^q$ at the norm $\varepsilon r$ of the
parameters, $r$ that in units of the start. On its last direction $\dot r = k h_k r^{k-1}$; the
horizon is the time at which the error reaches a tolerance.
"""

from __future__ import annotations

from sympy import Integer, S, Symbol, expand, expand_log, log, powdenest, solve

from flowtheory.errors import ParameterError
from flowtheory.symbolic.asymptotic import Formula
from flowtheory.symbolic.brackets import time_to_infinity
from flowtheory.symbolic.expand import SCALE
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.plateau import BLOW_UP, LEADING, OVERLAP, RATE

TOLERANCE = Symbol("delta", positive=True)
_R, _TIME = Symbol("r", positive=True), Symbol("t", positive=True)


def validity_horizon(degree: int, gap: int) -> Formula:
    r"""The time of the full flow at which $(\varepsilon r)^q = \delta$ on the leading flow.

    For $k = 2$, with $r = \sqrt P e^{\lambda t}$,

    $$t = \frac1\lambda\ln\frac1{\varepsilon\sqrt P} + \frac{\ln\delta}{q\lambda};$$

    for $k > 2$ the time $t = \varepsilon^{-(k-2)}\tau$ lacks what $r$ takes from
    $\delta^{1/q}/\varepsilon$ to infinity,

    $$t = T^*\varepsilon^{-(k-2)} - \frac{\delta^{-(k-2)/q}}{k(k-2)h_k}.$$

    Both are exact once the leading flow moves along its last direction ($k > 2$), or in the growing
    directions alone ($k = 2$).

    Args:
        degree: $k \ge 2$, as `LeadingFlow.degree`; all layers have the scale $\varepsilon$.
        gap: $q \ge 1$, as `LeadingFlow.gap`.
    """
    for name, value, least in (("degree", degree, 2), ("gap", gap, 1)):
        if not isinstance(value, int) or value < least:
            raise ParameterError(
                f"{name} is {value!r}", expected=f"an integer >= {least}", fix=f"{name}={least}"
            )
    k, q = Integer(degree), Integer(gap)
    (reach,) = solve((SCALE * _R) ** q - TOLERANCE, _R)  # the norm at the horizon
    meanings = {
        SCALE: "scale of the initialization",
        TOLERANCE: "relative error of the field that is tolerated",
    }
    if degree == 2:
        growth = Symbol("g", positive=True)  # exp(lambda t)
        (needed,) = solve(OVERLAP ** (S.One / 2) * growth - reach, growth)
        time = expand(expand_log(log(needed), force=True) / RATE)
        meanings |= {
            RATE: "growth rate: the largest eigenvalue of the Hessian of H",
            OVERLAP: "squared length of the unit-scale start in the growing directions",
        }
    else:
        rest = time_to_infinity(k * LEADING * _R ** (k - 1), _R).subs(_R, reach)
        time = expand((BLOW_UP - rest) * SCALE ** (2 - k))
        meanings |= {
            BLOW_UP: "blow-up time of the leading flow from the unit-scale start",
            LEADING: "the leading part on the unit sphere, at the direction of escape",
        }
    return Formula(
        f"validity, degree {k}, gap {q}", _tidied(time), meanings, (), S.Zero, "derived here"
    )


def _tidied(time: Expr) -> Expr:
    """Powers of products of positive symbols written as products of powers."""
    return expand(powdenest(time, force=True))
