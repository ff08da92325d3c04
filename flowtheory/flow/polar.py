r"""Log-norm and direction, neuron by neuron: a change of variables for the full flow.

A neuron $\theta_k$ (its input and output weights) is written as $\theta_k = e^{s_k} c_k u_k$ with
a fixed unit $c_k$, the power of two next to its size when a stretch begins, and moves by

$$ \dot u_k = \frac{e^{-s_k}}{c_k}\Big(I - \frac{u_ku_k^T}{|u_k|^2}\Big) F_k,\qquad
   \dot s_k = \frac{e^{-s_k}}{c_k}\,\frac{\langle u_k, F_k\rangle}{|u_k|^2},\qquad
   F = -\nabla_\theta L, $$

which leaves $|u_k|$ as it is. On a plateau $s_k$ grows in proportion to time and $u_k$ rests, so
that the length of a step does not depend on the scale: a start of 1e-300 costs what one of 1e-6
does. The error of a step is that of $\theta$, neuron by neuron, as in plain coordinates. Units and
way back are exact in floating point: nothing is lost between two stretches.

Only layers whose neurons rest at zero are written so (homogeneous neurons; not biases of the
output, not the first of three layers); other tensors stay plain. A neuron that is exactly zero
stays so.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from flowtheory.errors import ParameterError
from flowtheory.flow.groups import Axes
from flowtheory.flow.smooth import ROUNDING, Moving, Params, SmoothFlow, Watched
from flowtheory.flow.system import System, Tolerance
from flowtheory.precision import float64

SPAN = 1e-6
"""Smallest neuron in units of the largest one, below which these coordinates are used."""

_FOLDS = 1.0  # e-folds a step, where events are looked for inside it


class Polar(NamedTuple):
    """A state in these coordinates.

    Attributes:
        moving: u in place of the weights of neurons, other tensors, and the loss dissipated.
        growth: s by layer, shape (neurons,).
    """

    moving: Moving
    growth: dict[str, Float[Array, " k"]]


class Framed(NamedTuple):
    """What the system takes.

    Attributes:
        given: what it takes in plain coordinates.
        units: c by layer.
        inverses: 1/c by layer.
    """

    given: Watched
    units: dict[str, Float[Array, " k"]]
    inverses: dict[str, Float[Array, " k"]]


class Coordinates(NamedTuple):
    """Plain coordinates, or those of some layers.

    Attributes:
        axes: (tensor, its axis of neurons, layer) of the layers in log-norm and direction; none
            for plain coordinates.
    """

    axes: Axes = ()

    @property
    def name(self) -> str:
        """As the stages of a run say it."""
        return " in log-norm and direction, neuron by neuron" if self.axes else ""

    def system(self, system: System) -> System:
        """The system in these coordinates."""
        return _polar(system, self.axes) if self.axes else system

    def entries(self, params: Params) -> int:
        """Numbers of a state."""
        moving = sum(np.size(a) for a in jax.tree.leaves(params)) + 1
        return moving + sum(len(c) for c in _units(self.axes, params).values())

    def into(self, moving: Moving, given: Watched) -> tuple[Any, Any]:
        """A state and what the system takes, from those in plain coordinates."""
        if not self.axes:
            return moving, given
        units = _units(self.axes, moving.params)
        inverses = {layer: 1 / c for layer, c in units.items()}
        params = {
            name: np.asarray(a) * _along(a, self.axes, name, inverses)
            for name, a in moving.params.items()
        }
        growth = {layer: np.zeros_like(c) for layer, c in units.items()}
        return Polar(moving._replace(params=params), growth), Framed(given, units, inverses)  # type: ignore[arg-type]

    def back(self, state: Any, args: Any) -> Moving:
        """The state in plain coordinates, from NumPy arrays."""
        if not self.axes:
            return state
        with float64():
            return jax.tree.map(np.asarray, _plain(self.axes, state, args.units))


PLAIN = Coordinates()


def homogeneous(flow: SmoothFlow, params: Params) -> Axes:
    """The axes of those layers whose neurons rest at zero, whatever the others do.

    Args:
        flow: a flow that knows its neurons.
        params: of which only the shapes and the signs matter.
    """
    axes = flow.functions.axes
    if not axes:
        return ()
    size = {name: float(np.max(np.abs(a), initial=0.0)) or 1.0 for name, a in params.items()}
    unit = {name: a / size[name] for name, a in params.items()}
    found = []
    for layer in dict.fromkeys(layer for _, axis, layer in axes if axis is not None):
        names = [name for name, _, of in axes if of == layer]
        force = flow.vector_field(unit | {name: 0.0 * unit[name] for name in names})
        if not any(np.any(force[name]) for name in names):
            found += [one for one in axes if one[2] == layer]
    return tuple(found)


def chosen(
    wanted: str,
    flow: SmoothFlow,
    params: Params,
    sizes: Float[np.ndarray, " g"],
) -> tuple[Coordinates, str]:
    """The coordinates of a run, and why if they are not plain.

    Args:
        wanted: "auto", "plain" or "neurons".
        flow: the flow.
        params: its start.
        sizes: of the groups there.

    Raises:
        ParameterError: "neurons" for a network without homogeneous neurons.
    """
    live = sizes[sizes > 0]
    far = np.min(live, initial=np.inf) < SPAN * np.max(live, initial=0.0)
    if wanted == "plain" or (wanted == "auto" and not far):
        return PLAIN, ""
    axes = homogeneous(flow, params)
    if axes:
        why = f"neurons from {live.min():.0e} to {live.max():.0e}"
        zeros = int(np.count_nonzero(sizes == 0))
        return Coordinates(axes), why + (f", {zeros} of them zero for ever" if zeros else "")
    if wanted == "neurons":
        raise ParameterError(
            "coordinates='neurons' for a network without homogeneous neurons",
            expected="a hidden layer whose neurons rest at zero, such as that of two layers",
            fix="coordinates='auto', or 'plain'",
        )
    return PLAIN, ""


def _units(axes: Axes, params: Params) -> dict[str, Float[np.ndarray, " k"]]:
    """The power of two next to each neuron's size, by layer; 1 for a neuron at zero."""
    sizes: dict[str, Any] = {}
    for name, axis, layer in axes:
        moved = np.moveaxis(np.abs(np.asarray(params[name])), axis or 0, 0)
        largest = moved.reshape(len(moved), -1).max(axis=1)
        sizes[layer] = np.maximum(sizes.get(layer, 0.0), largest)
    # From 2^-1021 on, so that the inverse is finite.
    return {
        layer: np.where(size > 0, np.ldexp(1.0, np.maximum(np.frexp(size)[1], -1021)), 1.0)
        for layer, size in sizes.items()
    }


def _along(array: Any, axes: Axes, name: str, values: dict[str, Any]) -> Any:
    """One value a neuron, in the shape of a tensor; 1 for a tensor that stays plain."""
    for one, axis, layer in axes:
        if one == name:
            shape = [1] * array.ndim
            shape[axis or 0] = -1
            return values[layer].reshape(shape)
    return 1.0


def _plain(axes: Axes, state: Polar, units: dict[str, Any]) -> Moving:
    scales = {layer: jnp.exp(s) * units[layer] for layer, s in state.growth.items()}
    params = {name: a * _along(a, axes, name, scales) for name, a in state.moving.params.items()}
    return state.moving._replace(params=params)


def _sums(axes: Axes, products: Params) -> dict[str, Array]:
    """Sums over the entries of each neuron, by layer."""
    found: dict[str, Array] = {}
    for name, axis, layer in axes:
        others = tuple(i for i in range(products[name].ndim) if i != (axis or 0))
        found[layer] = found.get(layer, jnp.zeros(())) + jnp.sum(products[name], axis=others)
    return found


@lru_cache(maxsize=64)
def _polar(system: System, axes: Axes) -> System:
    """A system of `Moving`, in log-norm and direction."""

    def plain(state: Polar, args: Framed) -> Moving:
        return _plain(axes, state, args.units)

    def rate(state: Polar, args: Framed) -> Polar:
        force = system.rate(plain(state, args), args.given)
        inverses = {layer: jnp.exp(-s) * args.inverses[layer] for layer, s in state.growth.items()}
        push = {name: a * _along(a, axes, name, inverses) for name, a in force.params.items()}
        u = state.moving.params
        length = _sums(axes, jax.tree.map(jnp.square, u))
        along = _sums(axes, jax.tree.map(jnp.multiply, u, push))
        grown = {k: along[k] / jnp.where(length[k] > 0, length[k], 1.0) for k in along}
        still = {name for name in u if name not in {one for one, _, _ in axes}}
        turn = {
            name: a if name in still else a - u[name] * _along(a, axes, name, grown)
            for name, a in push.items()
        }
        return Polar(force._replace(params=turn), grown)

    def sizes(state: Polar) -> Array:
        leaves = [jnp.max(jnp.abs(a)) for a in jax.tree.leaves((state.moving.params, state.growth))]
        return jnp.stack(leaves)

    def norm(old: Polar, new: Polar, error: Polar, tolerance: Tolerance, args: Framed) -> Array:
        ends = plain(old, args), plain(new, args)
        off = jax.jvp(lambda state: plain(state, args), (new,), (error,))[1]
        size = system.error(*ends, off, tolerance, args.given)
        # Over many e-folds a step that is right about theta need not be about its energy.
        loss = args.given.rounding / ROUNDING
        energy = jnp.abs(error.moving.dissipated) / jnp.where(loss > 0, loss, jnp.inf)
        size = jnp.maximum(size, energy / tolerance.rtol)
        if system.levels is None:
            return size
        # A step may take any number of e-folds; eight looks at an event in one may not do.
        folds = [jnp.max(jnp.abs(new.growth[k] - old.growth[k])) for k in new.growth]
        return jnp.maximum(size, jnp.max(jnp.stack(folds)) / _FOLDS)

    def of_plain(function: Any) -> Any:
        return function and (lambda state, args: function(plain(state, args), args.given))

    marks = system.marks
    return System(
        rate,
        sizes,
        of_plain(system.levels),
        of_plain(system.falling),
        marks and (lambda s, state, args: marks(s, plain(state, args), args.given)),
        of_plain(system.row),
        core=lambda tangent: tangent._replace(moving=system.core(tangent.moving)),
        tiny=system.tiny,
        norm=norm,
    )
