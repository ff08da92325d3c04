r"""One threshold per degree: smooth activations at a small scale of the input weights.

With $a \sim \nu$, $w \sim \varepsilon \ll 1$ the degree-$k$ part of the output is that of a network
with the activation $c_k z^k$, whose scale is $\kappa_k = \nu\varepsilon^k/\alpha = m^{-\gamma_k}$.
With all weights near their start it expresses labels of order $m\kappa_k$, so that what they have
in degree $k$ is fitted there iff $\gamma_k < 1$. The plane $(\gamma, \gamma')$ has the lowest
degree, $\gamma = \gamma_p$, alone: a network may be lazy there, and leave its start when it fits
what is left in degree $q$.
"""

from __future__ import annotations

from dataclasses import dataclass

from sympy import Eq, Integer, S, Symbol, expand, solve

from flowtheory.errors import ParameterError
from flowtheory.symbolic.activation import Activation, find_activation
from flowtheory.symbolic.asymptotic import Formula
from flowtheory.symbolic.exponent import width_exponent
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.phase import ALPHA, EPSILON, GAMMA, GAMMA_PRIME, NU

GAMMA_A, GAMMA_W = Symbol("gamma_a", real=True), Symbol("gamma_w", real=True)
GAMMA_ALPHA = Symbol("gamma_alpha", real=True)
_SCALES = {NU: -GAMMA_A, EPSILON: -GAMMA_W, ALPHA: GAMMA_ALPHA}
_MEANINGS = {
    ALPHA: "output scale",
    NU: "standard deviation of a",
    EPSILON: "standard deviation of every entry of w",
    GAMMA: "minus the exponent of kappa in the width, for the lowest degree",
    GAMMA_PRIME: "minus the exponent of kappa' in the width",
    GAMMA_A: "minus the exponent of the standard deviation of a",
    GAMMA_W: "minus the exponent of the standard deviation of w",
    GAMMA_ALPHA: "exponent of the output scale; 0 where nothing divides the output",
}


@dataclass(frozen=True)
class Threshold:
    r"""The condensation threshold of one degree.

    Attributes:
        degree: $k$.
        coefficient: $c_k$ of the activation.
        kappa: $\kappa_k = \nu\varepsilon^k/\alpha$.
        gamma: $\gamma_k$ in the exponents of $\nu$, $\varepsilon$ and $\alpha$.
        gamma_in_diagram: $\gamma_k$ in $\gamma$, $\gamma'$ and the exponent of $\alpha$.
    """

    degree: int
    coefficient: Expr
    kappa: Formula
    gamma: Formula
    gamma_in_diagram: Formula

    @property
    def boundary(self) -> Expr:
        r"""$\gamma_k = 1$ in the plane $(\gamma, \gamma')$."""
        return Eq(self.gamma_in_diagram.expression, 1)


def degree_thresholds(
    activation: str | Expr | Activation, highest: int = 7
) -> tuple[Threshold, ...]:
    r"""The thresholds of all degrees that an activation has, from its form at 0.

    Args:
        activation: A kinked one is positively homogeneous, and has its degree only.
        highest: The largest degree.

    Raises:
        ParameterError: `highest` is below the multiplicity, or what `Activation.local` refuses.
    """
    sigma = find_activation(activation)
    form = sigma.local
    p = form.multiplicity
    if not isinstance(highest, int) or highest < p:
        raise ParameterError(
            f"the highest degree is {highest!r}",
            expected=f"an integer of at least the multiplicity, {p}",
            fix=f"highest={p + 6}",
        )
    coefficients = dict(enumerate(sigma.taylor(highest))) if form.analytic else {p: form.leading}
    lowest = _gamma(p)
    ratio = width_exponent(NU / EPSILON, _SCALES)
    places = solve([GAMMA - lowest, GAMMA_PRIME + ratio], [GAMMA_A, GAMMA_W])
    return tuple(
        Threshold(
            k, c,
            _formula(f"scale of degree {k}", NU * EPSILON**k / ALPHA),
            _formula(f"gamma of degree {k}", _gamma(k)),
            _formula(f"gamma of degree {k} in the diagram", expand(_gamma(k).subs(places))),
        )
        for k, c in coefficients.items()
        if k > 0 and c != 0
    )  # fmt: skip


def _gamma(degree: int) -> Expr:
    return -width_exponent(NU * EPSILON ** Integer(degree) / ALPHA, _SCALES)


def _formula(name: str, expression: Expr) -> Formula:
    return Formula(name, expression, _MEANINGS, (), S.Zero, "derived here")
