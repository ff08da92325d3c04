r"""The regimes of deep networks in the plane of $\gamma$ and $\gamma_2$, layer by layer.

$f = \kappa\,v^T\sigma(W_H\cdots\sigma(W_1 x))$, $L = H + 1$ layers of one mobility, standard
deviations $\rho_l$ with $\rho_1\cdots\rho_L = 1$, $\rho_2 = \dots = \rho_L = \kappa_2\rho_1$,
$\kappa = m^{-\gamma}$, $\kappa_2 = m^{-\gamma_2}$. A sum of $m$ independent terms is $\sqrt m$
times one of them; forward this gives the signals, backward the sensitivities, and with them the
gradients: $\kappa m^{H/2}/\rho_l$ for layer $l$. The layers with the smallest $\rho_l$ are the fast
ones: the $k$ of them are all but the first for $\gamma_2 > 0$, and the first alone for
$\gamma_2 < 0$.

- Lazy: a layer moves by its gradient times $\int e \sim 1/K$ with the tangent kernel $K$, that of
  the fast layers.
- Fast layers grow: $\kappa|W_1|\cdots|v| = 1$ with the others at their start. These follow by
  conservation of $|W_l|^2 - |W_{l'}|^2$.
- Balanced: all layers have one size $g$ in the end, $\kappa g^L = 1$.

An edge is where the change of the fast layers, and then that of the others, is of the order of the
start. Gradients for a fixed number of samples have a fixed rank, and so has the change of a layer:
its Frobenius and its operator norm are of one order. At the start they are not: a hidden matrix
has $m\rho_l$ in the one and $\sqrt m\rho_l$ in the other. Which layers are condensed depends on the
norm.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Generic, NamedTuple, TypeVar

from sympy import (
    Ge,
    Integer,
    Le,
    Piecewise,
    S,
    Symbol,
    cancel,
    collect,
    expand,
    log,
    oo,
    solve,
    sqrt,
)

from flowtheory.errors import ParameterError
from flowtheory.symbolic.asymptotic import Formula
from flowtheory.symbolic.exponent import width_exponent
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.phase import GAMMA, KAPPA, WIDTH

T = TypeVar("T")
GAMMA_2, KAPPA_2 = Symbol("gamma_2", real=True), Symbol("kappa_2", positive=True)
HIDDEN_LAYERS = Symbol("H", integer=True, positive=True)
_PLANE = {WIDTH: Integer(1), KAPPA: -GAMMA, KAPPA_2: -GAMMA_2}
_MEANINGS = {
    GAMMA: "minus the exponent of kappa in the width",
    GAMMA_2: "minus the exponent of the ratio of the other layers' scale to that of the first",
    HIDDEN_LAYERS: "number of hidden layers",
    WIDTH: "number of neurons of a hidden layer",
}


class OfLayers(NamedTuple, Generic[T]):
    """One quantity for every kind of layer.

    Attributes:
        input: of the input weights $W_1$.
        hidden: of the hidden matrices $W_2, ..., W_H$ in the Frobenius norm.
        operator: of the same in the operator norm.
        output: of the output weights $v$.
    """

    input: T
    hidden: T
    operator: T
    output: T


@dataclass(frozen=True)
class DepthRegime:
    r"""One region of the $(\gamma, \gamma_2)$ plane, with the exponents of relative change in $m$.

    Attributes:
        name: The mechanism, and which layers are the fast ones.
        slopes: $S$ of every kind of layer: $|W_l(t) - W_l(0)|/|W_l(0)| \sim m^S$ at the end.
        end: $\gamma$ at which the next one begins; infinite for the last.
    """

    name: str
    slopes: OfLayers[Formula]
    end: Expr

    @property
    def domain(self) -> tuple[Expr, ...]:
        """The region."""
        return self.slopes.input.domain


@dataclass(frozen=True)
class _Start:
    """The sizes of a start with H hidden layers: monomials in the width and the scales."""

    H: Expr

    @property
    def first(self) -> Expr:
        """Standard deviation of the input weights, so that the product over all layers is 1."""
        return KAPPA_2 ** (-self.H / (self.H + 1))

    @property
    def other(self) -> Expr:
        """Standard deviation of the weights of every other layer."""
        return KAPPA_2 * self.first

    def signal(self, layer: Expr) -> Expr:
        """An entry of what enters a layer, for inputs of a fixed size."""
        passed = self.first * (sqrt(WIDTH) * self.other) ** (layer - 2)
        return S.One if layer == 1 else passed

    def behind(self, layer: Expr) -> Expr:
        """An entry of the derivative of f by what leaves a layer."""
        passed = KAPPA * self.other * (sqrt(WIDTH) * self.other) ** (self.H - layer)
        return KAPPA if layer == self.H + 1 else passed

    def gradient(self, layer: Expr) -> Expr:
        """Norm of a layer's gradient, a matrix of rank 1 for one sample."""
        rows = S.One if layer == self.H + 1 else WIDTH
        columns = S.One if layer == 1 else WIDTH
        return sqrt(rows) * self.behind(layer) * sqrt(columns) * self.signal(layer)

    def of_layers(self) -> OfLayers[tuple[Expr, Expr]]:
        """Gradient and norm at the start; the hidden layer l is any one."""
        l, m = Symbol("l", integer=True, positive=True), WIDTH  # noqa: E741
        hidden = self.gradient(l)
        return OfLayers(
            (self.gradient(S.One), sqrt(m) * self.first),
            (hidden, m * self.other),
            (hidden, sqrt(m) * self.other),
            (self.gradient(self.H + 1), sqrt(m) * self.other),
        )


def depth_regimes(hidden_layers: int | Symbol = HIDDEN_LAYERS) -> tuple[DepthRegime, ...]:
    r"""The six regimes, which cover the plane; formulas agree on the edges of their closed regions.

    For $H = 1$ these are the regimes of `slope_table` with $\gamma_2 = \gamma'$.

    Args:
        hidden_layers: $H$, an integer $\ge 1$, or `HIDDEN_LAYERS` for any.

    Raises:
        ParameterError: `hidden_layers` is neither.
    """
    return _regimes(depth(hidden_layers))


def start_exponents(hidden_layers: int | Symbol = HIDDEN_LAYERS) -> tuple[Expr, Expr]:
    r"""Exponents of the output and of the tangent kernel at the start, where $\gamma_2 = 0$."""
    start = _Start(depth(hidden_layers))
    last = start.H + 1
    output = KAPPA * sqrt(WIDTH) * start.other * start.signal(last)
    even = {GAMMA_2: S.Zero}
    found = (_exponent(size) for size in (output, start.gradient(last) ** 2))
    one, two = (expand(e.subs(even)) for e in found)
    return one, two


def condensation_edge(hidden_layers: int | Symbol = HIDDEN_LAYERS) -> Expr:
    r"""$\gamma$ at which the input weights begin to condense, for each $\gamma_2$."""
    edges = []
    for regime in depth_regimes(hidden_layers)[1::3]:  # where the fast layers grow
        edges += solve(regime.slopes.input.expression, GAMMA)
    return Piecewise((edges[0], Ge(GAMMA_2, 0)), (edges[1], True))


def depth(hidden_layers: object) -> Expr:
    """H as an expression.

    Raises:
        ParameterError: It is neither a positive integer nor `HIDDEN_LAYERS`.
    """
    if hidden_layers == HIDDEN_LAYERS:
        return HIDDEN_LAYERS
    if isinstance(hidden_layers, bool) or not isinstance(hidden_layers, int) or hidden_layers < 1:
        raise ParameterError(
            f"hidden_layers is {hidden_layers!r}",
            expected="an integer >= 1",
            fix="hidden_layers=2 for three layers of weights",
        )
    return Integer(hidden_layers)


@cache
def _regimes(H: Expr) -> tuple[DepthRegime, ...]:
    return (*_side(H, first=False), *_side(H, first=True))


def _side(H: Expr, first: bool) -> tuple[DepthRegime, ...]:
    """The regimes of one sign of gamma_2: the first layer is the fast one, or all others are."""
    start = _Start(H)
    layers = start.of_layers()
    leader, number = (layers.input, Integer(1)) if first else (layers.output, H)
    quick = (first, *[not first] * 3)
    sizes = sqrt(WIDTH) * start.first, *[sqrt(WIDTH) * start.other] * 3  # in the operator norm
    slow = sizes[-1] if first else sizes[0]
    grown = (KAPPA * slow ** (H + 1 - number)) ** (-1 / number)
    changes = {
        "lazy": [gradient / leader[0] ** 2 for gradient, _ in layers],
        "growing": [
            grown if ahead else grown**2 / size for ahead, size in zip(quick, sizes, strict=True)
        ],
        "balanced": [KAPPA ** (-1 / (H + 1))] * 4,
    }
    (begin,) = solve(_exponent(1 / (leader[0] * leader[1])), GAMMA)
    (share,) = solve(_exponent(grown / slow), GAMMA)
    side = Le(GAMMA_2, 0) if first else Ge(GAMMA_2, 0)
    conditions = (Le(GAMMA, begin),), (Ge(GAMMA, begin), Le(GAMMA, share)), (Ge(GAMMA, share),)
    fast, regimes = "W1" if first else "all but W1", []
    for (what, moved), where, end in zip(
        changes.items(), conditions, (begin, share, oo), strict=True
    ):
        name, domain = f"{what}, {fast} fast", (side, *where)
        relative = [by / size for by, (_, size) in zip(moved, layers, strict=True)]
        formulas = (
            formula(f"S of {kind}, {name}", _exponent(size), domain)
            for kind, size in zip(OfLayers._fields, relative, strict=True)
        )
        regimes.append(DepthRegime(name, OfLayers(*formulas), end))
    return tuple(regimes)


def formula(name: str, exponent: Expr, domain: tuple[Expr, ...] = ()) -> Formula:
    """An exponent of the width as a formula; constants of sizes are left out."""
    return Formula(name, exponent, _MEANINGS, domain, 1 / log(WIDTH), "derived here")


def _exponent(size: Expr) -> Expr:
    return collect(expand(width_exponent(size, _PLANE)), (GAMMA, GAMMA_2), func=cancel)
