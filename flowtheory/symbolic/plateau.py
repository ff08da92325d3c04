r"""How long the first plateau lasts, and the passage times of deep linear modes.

Everything is the integral of $dt = dr/\dot r$ along one radial equation.
"""

from __future__ import annotations

from typing import Any

from sympy import Integer, Ne, S, Symbol, cancel, hyper, log, oo, solve, sympify

from flowtheory.errors import ParameterError
from flowtheory.symbolic.asymptotic import Formula
from flowtheory.symbolic.brackets import time_to_infinity
from flowtheory.symbolic.expand import SCALE
from flowtheory.symbolic.expression import Expr

RATE = Symbol("lambda", positive=True)
DROP = Symbol("delta", positive=True)
OVERLAP = Symbol("P", positive=True)
BLOW_UP = Symbol("T_*", positive=True)
LEADING = Symbol("h_k", positive=True)
CORRECTION = Symbol("h_kq", real=True)
SINGULAR = Symbol("s", positive=True)
START, END = Symbol("u_0", positive=True), Symbol("u_f", positive=True)
_R, _W = Symbol("r", positive=True), Symbol("w", positive=True)
_OURS = "derived here"
_MODE = {
    SINGULAR: "singular value that the mode tends to; inputs whitened, summed over samples",
    START: "strength of the mode at the start, a product of gains",
    END: "strength of the mode at the end",
}
_INSIDE = (START < END, END < SINGULAR)


def exponential_plateau() -> Formula:
    r"""Degree 2: $T = \frac{1}{2\lambda}\ln\frac{2\delta}{\lambda\varepsilon^2 P}$.

    The loss falls by $\frac\lambda2 \varepsilon^2 P e^{2\lambda t}$ while the flow is linear.
    """
    growth = Symbol("g", positive=True)  # exp(2 lambda t)
    (needed,) = solve(RATE / 2 * SCALE**2 * OVERLAP * growth - DROP, growth)
    time = log(needed) / (2 * RATE)
    meanings = {
        SCALE: "scale of the initialization",
        RATE: "growth rate: minus the smallest eigenvalue of the Hessian at the saddle",
        OVERLAP: "squared length of the unit-scale start in the growing directions",
        DROP: "decrease of the loss that ends the plateau",
    }
    return Formula("plateau, degree 2", time, meanings, (), DROP, _OURS)


def power_plateau(degree: int, gap: int) -> Formula:
    r"""Degree $k > 2$: $T = T^*\varepsilon^{-(k-2)}$, and its correction by the next order $k + q$.

    On the last direction $\dot r = k h_k r^{k-1} + (k+q) h_{k+q} r^{k+q-1}$. To first order in the
    second term, the time is corrected by $B\int_\varepsilon r^{q-k+1}dr$ with
    $B = -(k+q)h_{k+q}/(k h_k)^2$: bounded for $q > k-2$, a logarithm for $q = k-2$, and a power
    $\varepsilon^{q-(k-2)}$ for $q < k-2$.

    Args:
        degree: $k \ge 3$.
        gap: $q \ge 1$.
    """
    for name, value, least in (("degree", degree, 3), ("gap", gap, 1)):
        if not isinstance(value, int) or value < least:
            raise ParameterError(
                f"{name} is {value!r}", expected=f"an integer >= {least}", fix=f"{name}={least}"
            )
    k, q = Integer(degree), Integer(gap)
    slow = k * LEADING * _R ** (k - 1)
    fast = (k + q) * CORRECTION * _R ** (k + q - 1)
    # 1/(slow + fast) = 1/slow - fast/slow^2 + ...
    change = cancel(-fast / slow**2)
    time = BLOW_UP * SCALE ** (2 - k)
    meanings = {
        SCALE: "scale of the initialization",
        BLOW_UP: "blow-up time of the leading flow from the unit-scale start",
    }
    remainder: Expr = SCALE ** (q - k + 2) if q < k - 2 else S.One
    if q == k - 2:
        time += cancel(change * _R) * log(1 / SCALE)
        meanings |= {
            LEADING: "the leading part on the unit sphere, at the direction of escape",
            CORRECTION: "the part of degree k + q at the same direction",
        }
    return Formula(f"plateau, degree {k}, gap {q}", time, meanings, (), remainder, _OURS)


def passage_time(depth: Any) -> Formula:
    r"""The time in which a balanced aligned mode of a deep linear network goes from $u_0$ to $u_f$.

    $\dot u = L u^{2-2/L}(s - u)$ becomes $\dot w = w^{L-1}(s - w^L)$ for $w = u^{1/L}$, and

    $$\frac{1}{w^{L-1}(s - w^L)} = \frac{1}{s\,w^{L-1}} + \frac{w}{s(s - w^L)}.$$

    The first part is a power; the second one integrates to
    $\frac{w^2}{2s^2}\,{}_2F_1(1, \frac2L; 1 + \frac2L; \frac{w^L}{s})$.

    Args:
        depth: $L$: an integer $\ge 2$, a positive integer symbol (then the domain has $L \ne 2$),
            or infinity, for which the result is $L t$.
    """
    L: Expr = sympify(depth)
    if not (L is oo or (L.is_integer and (L - 2).is_negative is not True and L.is_positive)):
        raise ParameterError(
            f"depth is {depth!r}", expected="an integer >= 2, a symbol, or oo", fix="depth=3"
        )
    if L in (2, oo):
        # du/(2u(s - u)) and, after multiplication by L, du/(u^2(s - u)).
        logarithm = log(END * (SINGULAR - START) / (START * (SINGULAR - END)))
        time = logarithm / (2 * SINGULAR)
        if L is oo:
            time = logarithm / SINGULAR**2 + (1 / START - 1 / END) / SINGULAR
        name = "mode of two layers" if L == 2 else "mode of infinitely many layers, time L t"
        return Formula(name, time, _MODE, _INSIDE, S.Zero, "Saxe, McClelland, Ganguli 2014")
    power = time_to_infinity(SINGULAR * _W ** (L - 1), _W)
    smooth = _W**2 / (2 * SINGULAR**2) * hyper((1, 2 / L), (1 + 2 / L,), _W**L / SINGULAR)

    def primitive(strength: Symbol) -> Expr:
        at = smooth - power
        return at.subs(_W**L, strength).subs(_W, strength ** (1 / L))

    time = primitive(END) - primitive(START)
    meanings = dict(_MODE) | ({L: "number of layers"} if L.is_Symbol else {})
    domain = (*_INSIDE, Ne(L, 2)) if L.is_Symbol else _INSIDE
    return Formula(f"deep linear mode, depth {L}", time, meanings, domain, S.Zero, _OURS)
