"""What each SymPy head becomes in JAX; a head that is not here is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import sympy as sp
from jaxtyping import Array

from flowtheory.lower.stable import Sigmoid, Softplus
from flowtheory.symbolic.activation import Ramp, Step


def step(z: Array, slope: Any, at_kink: Any) -> Array:
    """1 for z > 0, `slope` for z < 0, `at_kink` at z = 0."""
    return jnp.where(z > 0, 1.0, jnp.where(z < 0, slope, at_kink))


@jax.custom_jvp
def ramp(z: Array, slope: Any, at_kink: Any) -> Array:
    """Z for z > 0, `slope` z otherwise; its derivative is `step`, the stated value at the kink."""
    return jnp.where(z > 0, z, slope * z)


@ramp.defjvp
def _ramp_jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    # Autodiff must use the derivative that the symbolic layer states, also exactly at the kink.
    z, slope, at_kink = primals
    dz, dslope, _ = tangents
    rate = step(z, slope, at_kink) * dz + jnp.minimum(z, 0.0) * dslope
    return ramp(z, slope, at_kink), rate


ELEMENTWISE: Mapping[type, Callable[..., Any]] = {
    Ramp: ramp,
    Step: step,
    Softplus: jax.nn.softplus,
    Sigmoid: jax.nn.sigmoid,
    sp.exp: jnp.exp,
    sp.log: jnp.log,
    sp.sin: jnp.sin,
    sp.cos: jnp.cos,
    sp.tan: jnp.tan,
    sp.sinh: jnp.sinh,
    sp.cosh: jnp.cosh,
    sp.tanh: jnp.tanh,
    sp.asinh: jnp.arcsinh,
    sp.acosh: jnp.arccosh,
    sp.atanh: jnp.arctanh,
    sp.erf: jax.scipy.special.erf,
    sp.Abs: jnp.abs,
    sp.sign: jnp.sign,
}


def power(base: Any, exponent: sp.Expr) -> Any:
    """`base` to a number: integer powers by multiplication, square roots by `sqrt`."""
    if exponent.is_Integer:
        return base ** int(exponent)
    if exponent == sp.S.Half:
        return jnp.sqrt(base)
    if exponent == -sp.S.Half:
        return 1.0 / jnp.sqrt(base)
    return jnp.power(base, number(exponent))


def number(value: sp.Expr) -> float:
    """A number, rounded once (the quotient of two Python integers is correctly rounded)."""
    if isinstance(value, sp.Rational):
        return int(value.p) / int(value.q)
    return float(value)
