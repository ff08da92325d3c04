r"""Blow-up of aligned flows: one gain a layer, and the leading part a monomial of the gains.

Aligned layers reduce the leading flow to $H = C\prod_l x_l^{d_l}$, where $d_l$ is the degree in
layer $l$ ($d_l = p^{L-l}$ for multiplicity $p$). In the clock $\dot\tau = 2H$ every $x_l^2$ moves
at the constant rate $d_l$, whatever the other gains are; hence the time to blow-up is

$$T^* = \int_0^\infty \frac{d\tau}{2H(\tau)},\qquad x_l^2(\tau) = x_l^2 + d_l\tau,$$

a Carlson integral for every number of layers, $R_F$ for three layers with $d_l = 1$.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from itertools import pairwise
from typing import Any

from sympy import Add, Integer, Mul, S, Symbol, cancel, oo, sign, sqrt, sympify

from flowtheory.errors import ParameterError
from flowtheory.symbolic.asymptotic import Formula
from flowtheory.symbolic.carlson import integral_to_infinity
from flowtheory.symbolic.expression import Expr

CLOCK = Symbol("tau", real=True)


class Fate(Enum):
    """What becomes of an aligned flow."""

    BLOWS_UP = "blows_up"
    BLOWS_UP_AFTER_SIGN_CHANGE = "blows_up_after_sign_change"
    GROWS_EXPONENTIALLY = "grows_exponentially"
    NEVER_ESCAPES = "never_escapes"

    @property
    def ok(self) -> bool:
        """Whether the flow leaves the origin."""
        return self is not Fate.NEVER_ESCAPES


@dataclass(frozen=True)
class Escape:
    r"""The fate of one start.

    Attributes:
        fate: Which of the cases.
        time: The blow-up time $T^*$; infinite without blow-up.
        limit: For `Fate.NEVER_ESCAPES`, the moduli $|x_l|$ that are reached as $t \to \infty$.
    """

    fate: Fate
    time: Expr
    limit: Mapping[Symbol, Expr] | None = None


@dataclass(frozen=True)
class AlignedFlow:
    r"""The gradient flow of $H = C \prod_l x_l^{d_l}$.

    Attributes:
        strength: $C$, positive; for $p = 1$ and the top singular value $s$ of the moment it is $s$.
        gains: The $x_l > 0$.
        degrees: The $d_l$, positive integers.
    """

    strength: Expr
    gains: tuple[Symbol, ...]
    degrees: tuple[Expr, ...]

    def __post_init__(self) -> None:
        if len(self.gains) != len(self.degrees) or len(self.gains) < 2:
            raise ParameterError(
                f"{len(self.gains)} gains with {len(self.degrees)} degrees",
                expected="two or more gains with one degree each",
                fix="use `aligned_layers`",
            )
        signed = [x for x in (self.strength, *self.gains) if not x.is_positive]
        if signed or not all(d.is_integer and d.is_positive for d in self.degrees):
            raise ParameterError(
                f"strength {self.strength}, gains {self.gains}, degrees {self.degrees}",
                expected="a positive strength, positive gains and positive integer degrees",
                fix="give SymPy symbols positive=True; signs are arguments of `escape`",
            )

    @property
    def degree(self) -> Expr:
        r"""$k = \sum_l d_l$."""
        return Add(*self.degrees)

    @cached_property
    def potential(self) -> Expr:
        r"""$H$."""
        powers = (x**d for x, d in zip(self.gains, self.degrees, strict=True))
        return Mul(self.strength, *powers)

    @cached_property
    def rates(self) -> tuple[Expr, ...]:
        r"""$\dot x_l = \partial H/\partial x_l$."""
        return tuple(self.potential.diff(x) for x in self.gains)

    @cached_property
    def invariants(self) -> tuple[Expr, ...]:
        r"""$x_{l+1}^2/d_{l+1} - x_l^2/d_l$: constant, because both squares follow one clock."""
        scaled = [x**2 / v for x, v in zip(self.gains, self.clock_rates, strict=True)]
        return tuple(b - a for a, b in pairwise(scaled))

    @cached_property
    def clock_rates(self) -> tuple[Expr, ...]:
        r"""$dx_l^2/d\tau$ in the clock $\dot\tau = 2H$, from the field: the $d_l$."""
        pairs = zip(self.gains, self.rates, strict=True)
        return tuple(cancel(2 * x * rate / (2 * self.potential)) for x, rate in pairs)

    def squares(self, tau: Expr = CLOCK) -> tuple[Expr, ...]:
        r"""$x_l^2$ at the clock reading $\tau$."""
        return tuple(x**2 + v * tau for x, v in zip(self.gains, self.clock_rates, strict=True))

    @cached_property
    def time_rate(self) -> Expr:
        r"""$dt/d\tau = 1/(2H)$ as a function of `CLOCK`."""
        moved = zip(self.gains, self.squares(), strict=True)
        return 1 / (2 * self.potential.xreplace({x: sqrt(square) for x, square in moved}))

    @cached_property
    def blow_up_time(self) -> Expr:
        r"""$T^*$ for $H > 0$; infinite for $k = 2$, where growth is exponential."""
        return integral_to_infinity(self.time_rate, CLOCK)

    @property
    def formula(self) -> Formula:
        """The blow-up time as a law."""
        product = "the product of the gains, each to the power of its degree"
        meanings = {self.strength: f"H divided by {product}, for aligned layers"}
        for number, (gain, degree) in enumerate(zip(self.gains, self.degrees, strict=True), 1):
            meanings[gain] = f"gain of layer {number}, in which H has degree {degree}"
        name = "blow-up time of aligned layers"
        return Formula(name, self.blow_up_time, meanings, (), S.Zero, "derived here")

    def time_after_sign_change(self, first: Symbol) -> Expr:
        r"""$T^*$ for $H < 0$, when `first` is the gain whose $x_l^2/d_l$ is smallest.

        The clock runs backwards until $x_l = 0$, where $H$ changes its sign, and then forwards:
        $T^* = 2\int_{-x_l^2}^\infty - \int_0^\infty$ of $d\tau/2H$. It is finite only if $d_l = 1$
        and no other gain vanishes at the same time.
        """
        if first not in self.gains:
            raise ParameterError(
                f"{first} is not a gain", expected=f"one of {self.gains}", fix="check the symbol"
            )
        position = self.gains.index(first)
        lower = -(first**2) / self.clock_rates[position]
        if self.degrees[position] != 1:
            return oo
        return 2 * integral_to_infinity(self.time_rate, CLOCK, lower) - self.blow_up_time

    def escape(self, start: Sequence[Any]) -> Escape:
        r"""The fate from the signed gains `start`: real numbers in the order of `gains`.

        A start with $H = 0$ counts as $H < 0$ at the moment of its sign change: one vanishing gain
        of degree 1 leaves at once, a gain of higher degree or two gains stay.
        """
        values = [sympify(value) for value in start]
        if len(values) != len(self.gains) or not all(v.is_number and v.is_real for v in values):
            raise ParameterError(
                f"the start is {list(start)}",
                expected=f"real numbers for {', '.join(map(str, self.gains))}",
                fix="use `blow_up_time` or `time_after_sign_change` with symbols",
            )
        if not all(d.is_Integer for d in self.degrees):
            raise ParameterError(
                f"the degrees are {self.degrees}", expected="numbers", fix="substitute them"
            )
        sense = Mul(*(sign(v) ** d for v, d in zip(values, self.degrees, strict=True)))
        at = {x: abs(v) for x, v in zip(self.gains, values, strict=True)}
        if sense == 1:
            fate = Fate.GROWS_EXPONENTIALLY if self.degree == 2 else Fate.BLOWS_UP
            return Escape(fate, self.blow_up_time.subs(at))
        return self._from_negative(at)

    def _from_negative(self, at: Mapping[Symbol, Expr]) -> Escape:
        reach = {x: at[x] ** 2 / v for x, v in zip(self.gains, self.clock_rates, strict=True)}
        smallest = min(reach.values())
        vanishing = [x for x in self.gains if reach[x] == smallest]
        simple = self.degrees[self.gains.index(vanishing[0])] == 1
        if len(vanishing) > 1 or not simple:
            limit = zip(self.gains, self.squares(-smallest), strict=True)
            return Escape(Fate.NEVER_ESCAPES, oo, {x: sqrt(square.subs(at)) for x, square in limit})
        if self.degree == 2:
            return Escape(Fate.GROWS_EXPONENTIALLY, oo)
        time = self.time_after_sign_change(vanishing[0]).subs(at)
        return Escape(Fate.BLOWS_UP_AFTER_SIGN_CHANGE, time)


def aligned_layers(layers: int, multiplicity: int = 1, strength: Expr | None = None) -> AlignedFlow:
    r"""The aligned flow of a network of `layers` layers, with gains $x_1, \dots, x_L$.

    Args:
        layers: $L \ge 2$.
        multiplicity: $p$ of the activation, the same in every layer: $d_l = p^{L-l}$ and
            $k = (p^L - 1)/(p - 1)$, or $k = L$ for $p = 1$.
        strength: $C$, by default the symbol $s$.
    """
    for name, value, least in (("layers", layers, 2), ("multiplicity", multiplicity, 1)):
        if not isinstance(value, int) or value < least:
            raise ParameterError(
                f"{name} is {value!r}", expected=f"an integer >= {least}", fix=f"{name}={least}"
            )
    gains = tuple(Symbol(f"x_{m}", positive=True) for m in range(1, layers + 1))
    degrees = tuple(Integer(multiplicity) ** (layers - m) for m in range(1, layers + 1))
    return AlignedFlow(strength or Symbol("s", positive=True), gains, degrees)


def aligned_neuron(multiplicity: int) -> AlignedFlow:
    r"""One neuron of a two-layer network on its direction: $H = h\,w^p a$, gains $(w, a)$.

    Each neuron of such a network has a blow-up time of its own for $p \ge 2$; the plateau ends at
    the smallest one.
    """
    flow = aligned_layers(2, multiplicity, Symbol("h", positive=True))
    w, a = Symbol("w_0", positive=True), Symbol("a_0", positive=True)
    return AlignedFlow(flow.strength, (w, a), flow.degrees)


def balanced(flow: AlignedFlow, gain: Expr) -> dict[Symbol, Expr]:
    r"""The start with all invariants 0: $x_l = \sqrt{d_l}\,x$ with $x$ = `gain`."""
    pairs = zip(flow.gains, flow.degrees, strict=True)
    return {x: sqrt(d) * gain if d != S.One else gain for x, d in pairs}
