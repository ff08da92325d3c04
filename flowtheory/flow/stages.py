r"""One step of a stabilised explicit Runge-Kutta method, the number of stages a traced number.

Explicit methods whose $s$ evaluations a step are spent on the length of the real stability
interval, $\beta \sim s^2$, instead of on the order. For flows whose Jacobian has a nearly real,
negative spectrum (the late phase of a smooth gradient flow) the cost over a time $T$ is then
$\sim \sqrt{\rho T}$ evaluations a step, $\rho$ the spectral radius, where a classical pair needs
$\sim \rho T$ steps.

`RKC2` is of order 2 (Sommeijer, Shampine, Verwer, J. Comput. Appl. Math. 88, 1998, 315-326), its
coefficients in closed form by Chebyshev polynomials; `ROCK4` is of order 4, see `rock4`. Both end
a step with the evaluation that begins the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from flowtheory.flow import rock4
from flowtheory.flow.settings import Stabilised

_EPS = 2 / 13
RKC2_LARGEST = 250
"""Largest number of stages of RKC2: its rounding errors grow like the square of the number."""

Vector = Float[Array, " N"]
Field = Callable[[Vector], Vector]


class Step(NamedTuple):
    """A step: its end, the field there, and the estimated local error."""

    y: Vector
    f: Vector
    error: Vector


class Scheme(NamedTuple):
    r"""A family of stabilised methods.

    Attributes:
        choose: $h\rho$ -> the smallest sufficient number of evaluations a step.
        step: (F, y, F(y), h, number of evaluations) -> `Step`.
        estimate: the error estimate is of order $h$ to this power.
        reach: largest $h\rho$ that any member can take.
    """

    choose: Callable[[Float[Array, ""]], Int[Array, ""]]
    step: Callable[[Field, Vector, Vector, Float[Array, ""], Int[Array, ""]], Step]
    estimate: int
    reach: float


class _Chebyshev(NamedTuple):
    r"""$T_j, T_j', T_j''$ at one point, for $j$ and $j - 1$."""

    now: tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]
    before: tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]

    def following(self, w: Float[Array, ""]) -> _Chebyshev:
        """For j + 1; all terms positive above 1, so that nothing cancels."""
        (t, d, e), (t0, d0, e0) = self
        after = (2 * w * t - t0, 2 * t + 2 * w * d - d0, 4 * d + 2 * w * e - e0)
        return _Chebyshev(after, self.now)


def _first(w: Float[Array, ""]) -> _Chebyshev:
    one, zero = jnp.ones_like(w), jnp.zeros_like(w)
    return _Chebyshev((w, one, zero), (one, zero, zero))


def _rkc2_choose(z: Float[Array, ""]) -> Int[Array, ""]:
    s = 1 + jnp.floor(jnp.sqrt(1 + 1.54 * jnp.minimum(z, _RKC2_REACH)))
    return jnp.clip(s.astype(jnp.int64), 2, RKC2_LARGEST)


def _rkc2_step(F: Field, y: Vector, f: Vector, h: Float[Array, ""], s: Int[Array, ""]) -> Step:
    r"""A step of order 2; $b_j, \mu_j, \nu_j, \tilde\mu_j, a_j$ as in the paper.

    $$ Y_j = (1-\mu_j-\nu_j)\, y + \mu_j Y_{j-1} + \nu_j Y_{j-2}
       + \tilde\mu_j h\, (F_{j-1} - a_{j-1} F_0) $$
    """
    w0 = 1 + _EPS / s.astype(y.dtype) ** 2
    _, slope, curvature = lax.fori_loop(1, s, lambda _, T: T.following(w0), _first(w0)).now
    w1 = slope / curvature
    b2 = 1 / (4 * w0**2)

    def stage(j: Int[Array, ""], carry: tuple) -> tuple:
        older, old, T, b_older, b_old = carry
        new = T.following(w0)
        b = new.now[2] / new.now[1] ** 2
        mu, nu = 2 * b * w0 / b_old, -b / b_older
        a = 1 - b_old * T.now[0]
        push = (2 * b * w1 / b_old * h) * (F(old) - a * f)
        return old, (1 - mu - nu) * y + mu * old + nu * older + push, new, b_old, b

    start = (y, y + b2 * w1 * h * f, _first(w0), b2, b2)
    end = lax.fori_loop(2, s + 1, stage, start)[1]
    f_end = F(end)
    return Step(end, f_end, 0.8 * (y - end) + 0.4 * h * (f + f_end))


def _rock4_choose(z: Float[Array, ""]) -> Int[Array, ""]:
    made = rock4.table()
    row = jnp.searchsorted(jnp.asarray(made.beta), z)
    return jnp.asarray(made.degree)[jnp.minimum(row, len(made.degree) - 1)]


def _rock4_step(F: Field, y: Vector, f: Vector, h: Float[Array, ""], s: Int[Array, ""]) -> Step:
    """The three-term recurrence, then the four finishing stages."""
    made = rock4.table()
    row = jnp.searchsorted(jnp.asarray(made.degree), s)
    mu, kappa, scale, inner, outer, last, weights = (jnp.asarray(a)[row] for a in made[2:])

    def slope(x: Vector, b: Float[Array, ""]) -> Vector:
        return f + (F(y + b * x) - f) / b

    def stage(k: Int[Array, ""], carry: tuple[Vector, Vector]) -> tuple[Vector, Vector]:
        older, old = carry
        push = h * mu[k] * slope(old, scale[k])
        return old, push + (1 + kappa[k]) * old - kappa[k] * older

    x = lax.fori_loop(1, s - 4, stage, (jnp.zeros_like(y), h * mu[0] * f))[1]

    def finish(i: Int[Array, ""], slopes: Float[Array, "4 N"]) -> Float[Array, "4 N"]:
        return slopes.at[i].set(slope(x + h * inner[i] @ slopes, last[i]))

    slopes = lax.fori_loop(0, 4, finish, jnp.zeros((4, *y.shape), y.dtype))
    end = y + x + h * outer @ slopes
    at_end = F(end)
    first, second = h * weights @ jnp.stack([*slopes, f, at_end])
    return Step(end, at_end, jnp.where(jnp.abs(second) > jnp.abs(first), second, first))


_RKC2_REACH = (RKC2_LARGEST**2 - 1) / 1.54

SCHEMES: dict[Stabilised, Scheme] = {
    "rkc2": Scheme(_rkc2_choose, _rkc2_step, 3, _RKC2_REACH),
    "rock4": Scheme(_rock4_choose, _rock4_step, 4, rock4.interval(int(rock4.DEGREES[-1]))),
}
