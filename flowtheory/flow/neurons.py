r"""Networks whose neurons meet in the output only: their flow, with weights, and its linear part.

$$ f(x) = \sum_k \omega_k\,\varphi(\theta_k, x), \qquad
   \dot\theta_k = w \sum_i \langle r_i, \partial_\theta\varphi(\theta_k, x_i)\rangle, \qquad
   r_i = -\partial_f \ell(y_i, f(x_i)) $$

With all weights $\omega_k = 1$ this is the gradient flow of a two-layer network; a node of weight
$\omega$ stands for $\omega$ equal neurons and moves as one of them does. Near the origin
$\varphi(\theta, x) = \frac12\langle\theta, B(x)\theta\rangle + \dots$, all neurons obey one linear
equation $\dot\theta = A\theta$, $A = w\sum_i \langle\rho_i, B(x_i)\rangle$ with $\rho_i = r_i$ at
$f = 0$, and $A$ is minus the Hessian of the loss of one neuron at the origin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from flowtheory.flow.field import Model, Samples, TwoLayer
from flowtheory.flow.flat import flat_elementwise
from flowtheory.precision import float64

_EVEN = 1e-12

Numbers = Any
"""Arrays inside compiled code, or handed to it."""


class Neurons(NamedTuple):
    r"""A sum over neurons and a loss as functions; hashable, and static in compiled loops.

    Attributes:
        outputs: $(\theta, \omega, x) \mapsto f = \sum_k\omega_k\varphi(\theta_k, x)$ for $\theta$
            of shape (K, p) and $\omega$ of shape (K,), linear in $\omega$; f of shape (n,) or
            (n, C).
        sample_loss: $(y, f) \mapsto \ell$, one value a sample or an entry of f.
    """

    outputs: Callable[..., Array]
    sample_loss: Callable[..., Array]


@lru_cache(maxsize=64)
def of_two_layers(model: Model) -> Neurons:
    r"""The neurons $\theta = (w, v)$ of $f(x) = \sum_j v_j\,\sigma(\langle w_j, x\rangle)$."""

    def outputs(theta: Array, weights: Array, x: Array) -> Array:
        return model.outputs(TwoLayer(theta[:, :-1], weights * theta[:, -1]), x)

    return Neurons(outputs, model.sample_loss)


def stack(params: TwoLayer) -> Float[np.ndarray, "h p"]:
    r"""$\theta_j = (w_j, v_j)$, one a row."""
    return np.column_stack([params.W, params.v])


def unstack(theta: Float[np.ndarray, "h p"]) -> TwoLayer:
    """The parameters of `stack`."""
    return TwoLayer(theta[:, :-1], theta[:, -1])  # type: ignore[arg-type]


class Groups(NamedTuple):
    r"""Nodes of several flows of one problem, integrated side by side.

    Attributes:
        weights: $\omega$ of each flow, zero for the nodes of the others, shape (G, K).
        members: 1 for the nodes of a flow, shape (G, K).
    """

    weights: Numbers
    members: Numbers


class Rates(NamedTuple):
    r"""What the flows are at one point.

    Attributes:
        force: the velocity of every node, shape (K, p).
        loss: $L$ of each flow, shape (G,).
        slope: $dL/dt = -\sum_k\omega_k|\dot\theta_k|^2$ of each.
    """

    force: Array
    loss: Array
    slope: Array


@partial(jax.jit, static_argnames=("neurons",))  # traced once for all places of a loop
def rates(neurons: Neurons, data: Samples, theta: Numbers, groups: Groups) -> Rates:
    """Velocities of the nodes, losses and their slopes."""
    return flat_elementwise(partial(_rates, neurons))(data, theta, groups)


def _rates(neurons: Neurons, data: Samples, theta: Array, groups: Groups) -> Rates:
    def outputs(theta: Array, weights: Array) -> Array:
        return jax.vmap(lambda o: neurons.outputs(theta, o, data.x))(weights)

    def reduced(f: Array) -> Array:
        return data.weight * jnp.sum(neurons.sample_loss(data.y, f))

    loss, gradient = jax.vmap(jax.value_and_grad(reduced))(outputs(theta, groups.weights))
    # Not the gradient of the losses over the weights: a weight may be zero.
    (force,) = jax.vjp(lambda t: outputs(t, groups.members), theta)[1](-gradient)
    return Rates(force, loss, -groups.weights @ jnp.sum(force**2, axis=-1))


@dataclass(frozen=True, eq=False)
class Linearisation:
    r"""The flow of one neuron at the origin.

    Attributes:
        rates: eigenvalues of $A$, ascending.
        modes: its eigenvectors, columns.
        drift: $|\dot\theta|$ at the origin; not 0 if the origin is no saddle.
        even: whether $\varphi(-\theta, x) = \varphi(\theta, x)$.
        loss: $L$ at $f = 0$.
        pull: $w\sum_i|\rho_i|^2$.
    """

    rates: Float[np.ndarray, " p"]
    modes: Float[np.ndarray, "p p"]
    drift: float
    even: bool
    loss: float
    pull: float

    @property
    def rate(self) -> float:
        r"""$\lambda$, the largest eigenvalue."""
        return float(self.rates[-1])

    @property
    def condenses(self) -> bool:
        """Whether the origin is a saddle that neurons leave along a linear flow."""
        size = np.max(np.abs(self.rates))
        return bool(self.rate > 1e-8 * size) and self.drift <= 1e-10 * size


@partial(jax.jit, static_argnames=("neurons", "size"))
def _at_origin(neurons: Neurons, data: Samples, size: int) -> tuple[Array, ...]:
    one, probe = jnp.ones(1), jnp.cos(1.0 + jnp.arange(size))[None, :]

    def loss(f: Array) -> Array:
        return data.weight * jnp.sum(neurons.sample_loss(data.y, f))

    def energy(theta: Array) -> Array:
        return loss(neurons.outputs(theta[None, :], one, data.x))

    origin = jnp.zeros(size)
    gradient = jax.grad(energy)
    f = neurons.outputs(probe, one, data.x)
    odd = jnp.max(jnp.abs(neurons.outputs(-probe, one, data.x) - f)) / jnp.max(jnp.abs(f))
    value, slope = jax.value_and_grad(loss)(jnp.zeros_like(f))
    pull = jnp.sum(slope**2) / data.weight
    matrix = -jax.jacfwd(gradient)(origin)
    return matrix, jnp.linalg.norm(gradient(origin)), odd, value, pull


def linearise(neurons: Neurons, data: Samples, size: int) -> Linearisation:
    r"""The flow of one neuron of `size` parameters at the origin, from the functions themselves.

    It is the linear part of what is integrated, to roundoff; the symbolic layer derives the same
    matrix from the network's formula.
    """
    with float64():
        found = [np.asarray(a) for a in _at_origin(neurons, data, size)]
    matrix, drift, odd, loss, pull = found
    # NumPy's, because JAX imports scipy.linalg for its own.
    values, modes = np.linalg.eigh((matrix + matrix.T) / 2)
    return Linearisation(values, modes, float(drift), bool(odd <= _EVEN), float(loss), float(pull))
