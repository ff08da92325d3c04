r"""Bounds on the blow-up time from the present state, and the self-similar end of the flow.

For the gradient flow of a homogeneous $H$ of degree $k = \sum_l d_l > 2$ with $H > 0$, both
$h = H/|\theta|^k$ and $\hat h = H/\prod_l |W_l|^{d_l}$ never decrease. Each bound replaces one of
them by its present or by its largest value, which leaves an equation that is solved exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sympy import Add, Integer, S, Symbol, cancel, powsimp, sqrt

from flowtheory.errors import ParameterError
from flowtheory.symbolic.blowup import AlignedFlow, balanced
from flowtheory.symbolic.expression import Expr

VALUE = Symbol("H", positive=True)
NORM = Symbol("r", positive=True)
REMAINING = Symbol("T_r", positive=True)
_GAIN = Symbol("x", positive=True)


def time_to_infinity(rate: Expr, variable: Symbol) -> Expr:
    r"""The time in which $\dot x = c\,x^m$, $m > 1$, reaches infinity: $x/((m - 1)\dot x)$.

    $x^{1-m}$ decreases at the constant rate $(m - 1)c$. For $m = 1$ the result is infinite.

    Raises:
        ParameterError: `rate` is not a power of `variable`.
    """
    m = cancel(powsimp(variable * rate.diff(variable) / rate))
    if m.has(variable):
        raise ParameterError(
            f"the rate {rate}", expected=f"a power of {variable}", fix="split the equation first"
        )
    return S.Infinity if m == 1 else powsimp(variable / ((m - 1) * rate))


@dataclass(frozen=True)
class Brackets:
    r"""Bounds on $T^*$ as functions of $H$ = `VALUE` > 0, the layer norms and $\hat h_{\max}$.

    They hold for every gradient flow whose $H$ has the degrees $d_l$ in its layers, aligned or not.

    Attributes:
        flow: The degrees; its gains stand for the norms $|W_l|$, its strength for $\hat h_{\max}$,
            the maximum of $\hat h$ (the top singular value $s$ of the moment for $p = 1$). For a
            moment of rank one, $|W_1\hat z|$ may take the place of $|W_1|$.
    """

    flow: AlignedFlow

    def __post_init__(self) -> None:
        if not (self.flow.degree - 2).is_positive:
            raise ParameterError(
                f"the degree is {self.flow.degree}",
                expected="a degree above 2",
                fix="a flow of degree 2 grows exponentially and has no blow-up time",
            )

    @cached_property
    def norm(self) -> Expr:
        r"""$|\theta|$ in terms of the layer norms."""
        return sqrt(Add(*(x**2 for x in self.flow.gains)))

    @cached_property
    def largest_normalized_value(self) -> Expr:
        r"""$h_{\max} = \hat h_{\max}\prod_l d_l^{d_l/2} k^{-k/2}$, at the balanced point."""
        at = balanced(self.flow, _GAIN)
        return self.flow.potential.subs(at) / self.norm.subs(at) ** self.flow.degree

    def _from_normalized(self, h: Expr) -> Expr:
        r"""Euler's identity $r\dot r = kH$ with the given $h$: $\dot r = k h r^{k-1}$."""
        k = self.flow.degree
        return time_to_infinity(k * h * NORM ** (k - 1), NORM)

    @cached_property
    def tangent_upper(self) -> Expr:
        r"""(i): $|\theta|^2/(k(k-2)H)$, the tangent to the concave $|\theta|^{-(k-2)}$."""
        h = VALUE / NORM**self.flow.degree
        # h is held at its present value: substituted after the equation has been solved.
        held = Symbol("h", positive=True)
        return powsimp(self._from_normalized(held).subs(held, h)).subs(NORM, self.norm)

    @cached_property
    def norm_lower(self) -> Expr:
        r"""(ii): $|\theta|^{-(k-2)}/(k(k-2)h_{\max})$."""
        return self._from_normalized(self.largest_normalized_value).subs(NORM, self.norm)

    @cached_property
    def layers_lower(self) -> Expr:
        r"""(iii), from below: $T^*$ of the aligned flow with these norms. Needs no $H > 0$."""
        return self.flow.blow_up_time

    @cached_property
    def layers_upper(self) -> Expr:
        r"""(iii), from above: the same with the present $\hat h$ for $\hat h_{\max}$."""
        # H = hhat prod |W_l|^d_l, and the time is inversely proportional to the strength.
        return self.flow.blow_up_time * self.flow.potential / VALUE

    @cached_property
    def energy_upper(self) -> Expr:
        r"""(iv): $s^{-2/L} H^{-(L-2)/L}/(L-2)$, for $p = 1$ and a moment of rank one.

        $\dot H = \sum_l|\nabla_l H|^2$ is at least $L$ times the geometric mean of its terms, and
        their product is at least $s^2 H^{2(L-1)}$: $\dot H \ge L s^{2/L} H^{2-2/L}$.
        """
        _require_degree_one(self.flow, "use `tangent_upper` or `layers_upper`")
        L = Integer(len(self.flow.gains))
        least = L * (self.flow.strength**2 * VALUE ** (2 * (L - 1))) ** (1 / L)
        return time_to_infinity(least, VALUE)


@dataclass(frozen=True)
class SelfSimilar:
    r"""The last part of a blow-up, to leading order in $T^* - t$ = `REMAINING`.

    The exponents of corrections are for $d_l = 1$: there the layers tend to rank one, with
    components beside it that stay bounded.

    Attributes:
        flow: The aligned flow that the layers approach.
    """

    flow: AlignedFlow

    @property
    def norm_exponent(self) -> Expr:
        r"""$|\theta| \sim (T^* - t)^{-1/(k-2)}$, as for every layer norm."""
        return -1 / (self.flow.degree - 2)

    @cached_property
    def gains(self) -> tuple[Expr, ...]:
        r"""The layer norms: those of the balanced flow, whose blow-up time is `REMAINING`.

        $x_l = \sqrt{d_l}\,\bigl((k-2) C \prod_m d_m^{d_m/2}\,(T^*-t)\bigr)^{-1/(k-2)}$.
        """
        start = balanced(self.flow, _GAIN)
        # T*(x) = T*(1) x^-(k-2), by the homogeneity of the flow.
        unit = self.flow.blow_up_time.subs(start).subs(_GAIN, 1)
        gain = (REMAINING / unit) ** self.norm_exponent
        return tuple(start[x].subs(_GAIN, gain) for x in self.flow.gains)

    @property
    def misalignment_exponent(self) -> Expr:
        r"""$1 - \cos^2 \sim (T^*-t)^{2/(k-2)}$: frozen components beside $|\theta|$ that grows."""
        _require_degree_one(self.flow, "measure it")
        return -2 * self.norm_exponent

    @property
    def tangent_exponent(self) -> Expr:
        r"""$T_{\mathrm{up}} - T^* \sim (T^*-t)^{1+2/(k-2)}$ for (i) and (iii).

        The deficit $h_* - h$ is of the order of the squared misalignment, $r^{-2}$.
        """
        return 1 + self.misalignment_exponent

    @property
    def energy_exponent(self) -> Expr:
        r"""$T_{\mathrm{up}} - T^* \sim (T^*-t)^{1+4/(k-2)}$ for (iv).

        Components beside the rank-one part do not enter; the relative imbalance $r^{-2}$ does, by
        its square.
        """
        return 1 + 2 * self.misalignment_exponent


def _require_degree_one(flow: AlignedFlow, fix: str) -> None:
    if any(d != 1 for d in flow.degrees):
        raise ParameterError(
            f"the degrees are {flow.degrees}", expected="degree 1 in every layer", fix=fix
        )


def bottleneck_time(small: Expr, gain: Expr, strength: Expr) -> Expr:
    r"""The plateau of a deep linear network with $r \ge 3$ gains `gain`, all others 1.

    $T = \varepsilon^{-(r-2)}/((r-2)s)$ to leading order: the number of small layers counts, not the
    depth. It is the blow-up time of the $r$ small layers alone.
    """
    rate = strength * _GAIN ** (small - 1)
    return time_to_infinity(rate, _GAIN).subs(_GAIN, gain)
