r"""Blow-up times of a neuron whose two layers have different scales, by limits of the integral.

An aligned neuron $H = h\,w^p a$ with $a = \nu$ and $|w| = \varepsilon$ at the start blows up at

$$T = \frac1{2h}\int_0^\infty (\varepsilon^2 + p\tau)^{-p/2}(\nu^2 + \tau)^{-1/2}d\tau.$$

Where one scale is much smaller, an integral of $(\tau + x)^{-b}(\tau + y)^{-c}$, $x \ll y$, comes
from $\tau \sim y$ for $b < 1$, from $\tau \sim x$ for $b > 1$, and for $b = 1$ from all that is
between, which gives a logarithm.
"""

from __future__ import annotations

from dataclasses import dataclass

from sympy import EulerGamma, Integer, S, Symbol, cancel, digamma, expand_func, gamma, log

from flowtheory.errors import ParameterError
from flowtheory.symbolic.asymptotic import Formula
from flowtheory.symbolic.blowup import AlignedFlow, aligned_neuron
from flowtheory.symbolic.carlson import CarlsonR
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.phase import EPSILON, KAPPA_PRIME, NU


@dataclass(frozen=True)
class NeuronScales:
    r"""Blow-up times of one neuron in terms of `EPSILON` $= |w_0|$ and `NU` $= a_0$, positive.

    Attributes:
        equal: $\nu = \kappa'\varepsilon$: exactly $\varepsilon^{1-p}$ times a function of
            $\kappa'$.
        output_large: $\nu \gg \varepsilon$: $a$ stays, and $w$ blows up alone.
        output_small: $\nu \ll \varepsilon$: the start of $a$ does not count.
    """

    equal: Formula
    output_large: Formula
    output_small: Formula


def neuron_scales(multiplicity: int) -> NeuronScales:
    r"""The three limits for $p$ = `multiplicity` $\ge 2$; for $p = 1$ growth is exponential."""
    if not isinstance(multiplicity, int) or multiplicity < 2:
        raise ParameterError(
            f"multiplicity is {multiplicity!r}",
            expected="an integer >= 2",
            fix="for multiplicity 1 nothing blows up: use `escape_time`",
        )
    flow = aligned_neuron(multiplicity)
    w, a = flow.gains
    p, h = Integer(multiplicity), flow.strength
    # T is homogeneous of degree -(k - 2) in the gains.
    equal = EPSILON ** (2 - flow.degree) * flow.blow_up_time.subs({w: 1, a: KAPPA_PRIME})
    far = NU ** (1 - p) / h  # what tau ~ nu^2 adds
    near = EPSILON ** (4 - p) / (h * NU**3)  # the slope of (nu^2 + tau)^(-1/2) at tau ~ epsilon^2
    rest = {2: near, 3: far}.get(multiplicity, near)
    if multiplicity in (2, 4):
        rest = rest * log(NU / EPSILON)
    name = f"blow-up of a neuron, multiplicity {p}"
    return NeuronScales(
        _formula(f"{name}, equal scales", flow, equal, S.Zero),
        _formula(f"{name}, large output weight", flow, _limit(flow, w), rest, EPSILON < NU),
        _formula(
            f"{name}, small output weight",
            flow,
            _limit(flow, a),
            NU * EPSILON**-p / h,
            NU < EPSILON,
        ),
    )


def _limit(flow: AlignedFlow, small: Symbol) -> Expr:
    """The blow-up time where one gain is much smaller than the other one."""
    (integral,) = flow.blow_up_time.atoms(CarlsonR)
    pairs = sorted(integral.pairs, key=lambda pair: not pair[1].has(small))
    factor = cancel(flow.blow_up_time / integral)
    w, a = flow.gains
    return (factor * _small_argument(*pairs[0], *pairs[1])).subs({w: EPSILON, a: NU})


def _small_argument(b: Expr, x: Expr, c: Expr, y: Expr) -> Expr:
    r"""$R_{-a}(b, c; x, y)$ to leading order as $x \to 0$, $a = b + c - 1$."""
    a = b + c - 1
    if b > 1:
        return a * y**-c * x ** (1 - b) / (b - 1)
    if b == 1:
        return a * y**-c * (log(y / x) - expand_func(digamma(c)) - EulerGamma)
    # The integral at x = 0 is a beta function.
    return a * y**-a * gamma(1 - b) * gamma(a) / gamma(c)


def _formula(name: str, flow: AlignedFlow, time: Expr, remainder: Expr, *domain: Expr) -> Formula:
    meanings = {
        flow.strength: "the homogeneous part H of the neuron on its direction, over alpha",
        EPSILON: "norm of the input weights at the start",
        NU: "output weight at the start",
        KAPPA_PRIME: "output weight over the norm of the input weights, at the start",
    }
    return Formula(name, time, meanings, domain, remainder, "derived here")
