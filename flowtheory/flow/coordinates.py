r"""Log-norm, direction and Sundman time: a homogeneous flow at any scale, through any growth.

For $\dot\theta = \nabla H(\theta)$ with $H$ of degree $k$, put $\theta = r\xi$ with $|\xi| = 1$,
$\rho = \ln r$ and $dt = r^{-(k-2)}\,d\sigma$. By Euler's identity $\langle\xi, \nabla H(\xi)\rangle
= kh(\xi)$,

$$\xi_\sigma = \nabla H(\xi) - kh\,\xi,\qquad \rho_\sigma = kh,\qquad t_\sigma = e^{-(k-2)\rho}.$$

The first equation does not see $\rho$: neither the initialization scale nor the growth changes its
step sizes, and the time of a start of norm $r_0$ is $r_0^{-(k-2)}$ times that of its direction. A
blow-up in $t$ is a convergence of $\xi$ in $\sigma$. For $k = 2$, $t = \sigma$.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from flowtheory.errors import DataError, ParameterError
from flowtheory.precision import as_float64, float64

Tree = Any
"""Arrays in any nesting of tuples, lists and dictionaries."""

Scalar = Float[Array, ""] | np.float64
"""A number inside compiled code, or one handed to it."""

Gradient = Callable[[Tree, Any], Tree]
r"""$\nabla H$ as a JAX function of (parameters, arrays that it takes besides)."""


class Polar(NamedTuple):
    r"""Parameters as direction and log-norm.

    Attributes:
        direction: $\xi = \theta/|\theta|$, with the shapes of $\theta$.
        log_norm: $\rho = \ln|\theta|$.
    """

    direction: Tree
    log_norm: float


def to_polar(params: Tree) -> Polar:
    r"""$(\xi, \rho)$ of parameters; no square overflows or vanishes, from 5e-324 to 1.8e308.

    Raises:
        DataError: The parameters are zero or not finite.
    """
    params = jax.tree.map(lambda a: as_float64(a, "params"), params)
    largest = max(float(np.max(np.abs(a), initial=0.0)) for a in jax.tree.leaves(params))
    if largest == 0:
        raise DataError(
            "all parameters are zero",
            expected="a start with a direction",
            fix="zero is a stationary point: start at a scale eps > 0",
        )
    # ldexp by a power of two is exact, and reaches where 1/largest would overflow.
    power = math.frexp(largest)[1]
    scaled = jax.tree.map(lambda a: np.ldexp(a, -power), params)
    norm = math.sqrt(sum(float(np.sum(a**2)) for a in jax.tree.leaves(scaled)))
    return Polar(jax.tree.map(lambda a: a / norm, scaled), math.log(norm) + power * math.log(2.0))


def from_polar(polar: Polar) -> Tree:
    r"""$\theta = e^\rho\xi$; infinite or zero entries where float64 has no such numbers."""
    # In two factors: exp(rho) alone may overflow although its product with an entry does not.
    half = math.exp(max(min(polar.log_norm / 2, 709.0), -745.0))
    with np.errstate(over="ignore"):
        return jax.tree.map(lambda a: half * (half * np.asarray(a)), polar.direction)


def inner(a: Tree, b: Tree) -> Float[Array, ""]:
    r"""$\langle a, b\rangle$ over all entries."""
    products = jax.tree.map(lambda x, y: jnp.sum(x * y), a, b)
    return jnp.sum(jnp.stack(jax.tree.leaves(products)))


_HOMOGENEOUS = 1e-10
COLLAPSE = 30.0
"""A start whose norm has shrunk by exp(-COLLAPSE) is on the stable manifold of the saddle."""


class Sundman(NamedTuple):
    r"""State of a flow in Sundman time, in units of the start's norm and of `Units.rate`.

    Attributes:
        xi: the direction; its norm is 1 up to the tolerance.
        gain: $\rho - \rho(0)$.
        time: $t$ in units of $r_0^{-(k-2)}$ over the rate.
    """

    xi: Tree
    gain: Scalar
    time: Scalar


class Units(NamedTuple):
    r"""What `SundmanFlow` takes as `args`.

    Attributes:
        args: arrays that the gradient takes.
        rate: the unit of $1/\sigma$, of the size of $kh$; it makes $\sigma$ of order 1 a gain.
        level: the gain at which to stop.
        span: $0$ to advance in $\sigma$; otherwise the gain to pass through while the independent
            variable goes from 0 to 1.
    """

    args: Any
    rate: Scalar
    level: Scalar
    span: Scalar


@dataclass(frozen=True, eq=False)
class SundmanFlow:
    r"""The field of `Sundman`, for a solver that wants a function of (state, args).

    Attributes:
        gradient: $\nabla H$, a JAX function.
        degree: $k > 0$; it need not be an integer.
    """

    gradient: Gradient
    degree: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.degree) and self.degree > 0):
            raise ParameterError(
                f"degree is {self.degree!r}",
                expected="a degree of homogeneity k > 0",
                fix="use `local_degree` where it is not known",
            )

    @classmethod
    def of(cls, gradient: Gradient, params: Tree, args: Any = None) -> SundmanFlow:
        r"""The flow of a homogeneous $H$ of unknown degree, estimated at the direction of `params`.

        Raises:
            ParameterError: The gradient is not homogeneous along this ray.
            DataError: The gradient vanishes there.
        """
        degree, off = local_degree(gradient, to_polar(params).direction, args)
        if off > _HOMOGENEOUS * max(1.0, abs(degree)):
            raise ParameterError(
                f"the gradient is not homogeneous: off by {off:.1e} at slope {degree - 1:.6g}",
                expected="a gradient of a homogeneous function",
                fix="take the leading flow at small initialization, which is homogeneous",
            )
        # A slope of 2 + 1e-15 would cost digits: the unit of time is |theta|^-(k-2).
        whole = round(degree)
        return cls(gradient, float(whole) if abs(degree - whole) < _HOMOGENEOUS else degree)

    def __call__(self, state: Sundman, units: Units) -> Sundman:
        """The derivative of the state."""
        # The equations conserve |xi| = 1, a Runge-Kutta step does not: the field is taken at the
        # direction of xi, so that an error of its length has no effect on anything else.
        length = jnp.sqrt(inner(state.xi, state.xi))
        xi = jax.tree.map(lambda a: a / length, state.xi)
        force = jax.tree.map(lambda g: g / units.rate, self.gradient(xi, units.args))
        growth = inner(xi, force)
        turn = jax.tree.map(lambda g, a: g - growth * a, force, xi)
        tick = jnp.exp(-(self.degree - 2) * state.gain)
        # With rho as the variable, a level of rho is the end of an interval and is landed on.
        pace = jnp.where(units.span == 0, 1.0, units.span / growth)
        return Sundman(jax.tree.map(lambda a: pace * a, turn), pace * growth, pace * tick)

    def passed(self, state: Sundman, units: Units) -> Array:
        """Whether the gain has reached the level, or nothing is left; never while landing."""
        done = (state.gain >= units.level) | (state.gain <= -COLLAPSE)
        return jnp.logical_and(done, units.span == 0)


def local_degree(gradient: Gradient, params: Tree, args: Any = None) -> tuple[float, float]:
    r"""Degree of homogeneity from the slope of $\ln|\nabla H|$ along the ray through a point.

    For $H$ of degree $k$, $D\nabla H(\theta)\,\theta = (k - 1)\nabla H(\theta)$.

    Args:
        gradient: $\nabla H$, a JAX function.
        params: The point.
        args: What `gradient` takes besides.

    Returns:
        $k$, and $|D\nabla H\,\theta - (k-1)\nabla H|/|\nabla H|$, which is 0 if $\nabla H$ is
        homogeneous along this ray.

    Raises:
        DataError: The gradient vanishes or is not finite there.
    """
    params = jax.tree.map(lambda a: as_float64(a, "params"), params)
    with float64():
        force, rate = jax.jvp(lambda p: gradient(p, args), (params,), (params,))
        size = float(jnp.sqrt(inner(force, force)))
        if not (math.isfinite(size) and size > 0):
            raise DataError(
                f"|grad H| is {size} at this point",
                expected="a point where the gradient is finite and not zero",
                fix="take another point, or give the degree",
            )
        unit = jax.tree.map(lambda g: g / size, force)
        slope = float(inner(unit, jax.tree.map(lambda r: r / size, rate)))
        off = jax.tree.map(lambda r, g: r / size - slope * g, rate, unit)
        return slope + 1.0, float(jnp.sqrt(inner(off, off)))
