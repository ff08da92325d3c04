r"""The steps of any method behind one face, for the compiled loop.

`Pair` (in `integrate`) has the steps of an explicit Runge-Kutta pair, `Chain` here those of a
stabilised method: the step length $h$ by the error estimate alone, the number of stages by
$h\rho$, $\rho$ the spectral radius of the Jacobian.

The independent variable $s$ is part of the state of a `Chain`, so that every stage sees its own
field $e^s F$ in log time; with one $e^s$ for a whole step the order would be lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int

from flowtheory.flow.control import Control
from flowtheory.flow.integrate import Pair
from flowtheory.flow.radius import Radius, doubted, due, refreshed
from flowtheory.flow.settings import Fixed, Stabilised
from flowtheory.flow.stages import SCHEMES, Vector

Field = Callable[[Array, Any], Any]
Core = Callable[[Any], Any]


class Stepper(Protocol):
    """Steps for dy/ds = field(s, y); `carried` is what a method keeps from step to step."""

    control: Control
    opening: int
    """Evaluations that `first` takes and no step counts."""

    def first(self, s: Array, ahead: Array, state: Any, radius: Radius | None) -> Any:
        """What is carried into the first step."""
        ...

    def ready(self, s: Array, state: Any, carried: Any) -> tuple[Any, Int[Array, ""]]:
        """What to do before a step: what is carried then, and Jacobian-vector products spent."""
        ...

    def longest(self, carried: Any) -> Float[Array, ""]:
        """The longest step that is possible."""
        ...

    def step(
        self, s: Array, ahead: Array, state: Any, carried: Any, span: Array
    ) -> tuple[Any, Any, Any, Any, Int[Array, ""]]:
        """One step from `s` to `ahead`, with stages for a step of length `span`.

        Returns: state, error estimate, dense output, what is carried on, evaluations.
        """
        ...

    def dense(self, s: Array, ahead: Array, dense: Any, theta: Array) -> Any:
        """The state at the fraction `theta` of a step."""
        ...

    def rejected(self, carried: Any) -> Any:
        """What is carried after a step that was rejected."""
        ...


class _Carried(NamedTuple):
    """Slope at the state (and 1 for s), and the spectral radius."""

    slope: Vector
    radius: Radius


class _Hermite(NamedTuple):
    """Ends of a step and the slopes there, in the shape of the state."""

    start: Any
    slope: Any
    end: Any
    end_slope: Any


def spectrum(
    field: Field, core: Core, s: Array, state: Any, old: Radius
) -> tuple[Radius, Int[Array, ""]]:
    """The spectral radius at a state, of the block of the entries that matter, and its products."""
    flat, back = ravel_pytree(state)
    return refreshed(lambda x: ravel_pytree(core(field(s, back(x))))[0], flat, old)


class Chain:
    """Steps of a stabilised method.

    Args:
        method: which.
        field: (s, state) -> derivative.
        core: sets those entries of a tangent to zero that the field does not depend on.
    """

    opening = 1

    def __init__(self, method: Stabilised, field: Field, core: Core) -> None:
        self._scheme, self._field, self._core = SCHEMES[method], field, core
        self.control = Control(self._scheme.estimate, 0.85, 0.1, 8.0, 0.8, 0.3)

    def _flat(self, s: Array, state: Any) -> tuple[Vector, Callable[[Vector], Any]]:
        """(state, s) as a vector, and the way back to the state."""
        flat, back = ravel_pytree(state)
        return jnp.append(flat, s), lambda y: back(y[:-1])

    def _slope(self, back: Callable[[Vector], Any], y: Vector) -> Vector:
        return jnp.append(ravel_pytree(self._field(y[-1], back(y)))[0], 1.0)

    def first(self, s: Array, ahead: Array, state: Any, radius: Radius | None) -> _Carried:
        """What is carried into the first step."""
        if radius is None:
            raise AssertionError("a stabilised method needs a spectral radius to start with")
        y, back = self._flat(s, state)
        return _Carried(self._slope(back, y), radius)

    def ready(self, s: Array, state: Any, carried: _Carried) -> tuple[_Carried, Int[Array, ""]]:
        """The spectral radius, if it is time for it, and the products it took."""
        radius, products = lax.cond(
            due(carried.radius),
            lambda: spectrum(self._field, self._core, s, state, carried.radius),
            lambda: (carried.radius, jnp.zeros((), jnp.int64)),
        )
        return carried._replace(radius=radius), products

    def longest(self, carried: _Carried) -> Float[Array, ""]:
        """What the member with the most stages can take."""
        return self._scheme.reach / carried.radius.value

    def step(
        self, s: Array, ahead: Array, state: Any, carried: _Carried, span: Array
    ) -> tuple[Any, Any, _Hermite, _Carried, Int[Array, ""]]:
        """A step with as many stages as `span` needs."""
        y, back = self._flat(s, state)
        n = self._scheme.choose(span * carried.radius.value)
        made = self._scheme.step(lambda x: self._slope(back, x), y, carried.slope, ahead - s, n)
        # A slope that is not finite would spoil the next step only: this one is bad already.
        error = jnp.where(jnp.all(jnp.isfinite(made.f)), made.error, jnp.inf)
        radius = carried.radius._replace(age=carried.radius.age + 1)
        end = back(made.y)
        dense = _Hermite(state, back(carried.slope), end, back(made.f))
        return end, back(error), dense, _Carried(made.f, radius), n

    def dense(self, s: Array, ahead: Array, dense: _Hermite, theta: Array) -> Any:
        """Cubic Hermite interpolation."""
        h, left = ahead - s, 1 - theta

        def entry(y: Array, slope: Array, end: Array, end_slope: Array) -> Array:
            before = left**2 * ((1 + 2 * theta) * y + theta * h * slope)
            return before + theta**2 * ((1 + 2 * left) * end - left * h * end_slope)

        return jax.tree.map(entry, *dense)

    def rejected(self, carried: _Carried) -> _Carried:
        """With doubts about the spectral radius."""
        return carried._replace(radius=doubted(carried.radius))


def stepper(method: Fixed, field: Field, core: Core) -> Stepper:
    """The steps of a method."""
    if method == "rkc2" or method == "rock4":
        return Chain(method, field, core)
    return Pair(method, field)
