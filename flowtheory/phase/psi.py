r"""The closure $\Psi$ on data: linear networks of any width, real numbers included.

For multiplicity 1 the relative change of the weights is known at every width
(`flowtheory.symbolic.closure`): exactly for a linear activation, to leading order in the scale of
the weights for a smooth one.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.integrate import solve_ivp

from flowtheory.errors import ParameterError
from flowtheory.lower import lower, lower_field
from flowtheory.phase.slopes import Changes, Widths
from flowtheory.precision import float64
from flowtheory.symbolic.closure import Closure, G, Z, psi_closure
from flowtheory.symbolic.leading import leading_flow
from flowtheory.symbolic.networks.fully_connected import two_layer
from flowtheory.symbolic.phase import KAPPA, KAPPA_PRIME, WIDTH

# Phi starts at 0 and stays tiny in the lazy regime: no absolute size is negligible.
_TOLERANCE = {"method": "LSODA", "rtol": 1e-9, "atol": 1e-40}
_HORIZON = 1e12
_SINGULAR = 1e-8  # an eigenvalue over the largest


def psi_changes(
    gamma: Float[np.ndarray, " gamma"],
    gamma_prime: Float[np.ndarray, " gamma_prime"],
    widths: Widths,
    x: Float[np.ndarray, "n D"],
    y: Float[np.ndarray, " n"],
    left: float = 1e-3,
    *,
    loss: float | None = None,
) -> Changes:
    r"""RD of the input and the output weights of a linear network on data, by the closure $\Psi$.

    Args:
        gamma: the columns.
        gamma_prime: the rows.
        widths: $m$, real numbers.
        x: inputs.
        y: labels.
        left: the part of $|z|$ at which a run ends, $|g| = $ left $|z|$.
        loss: ends a run at this part of the loss of output 0, in place of `left`.

    Raises:
        ParameterError: $G$ is singular in the direction of $z$, no linear function has so small a
            loss, or a flow does not get there.
    """
    z, gram = x.T @ y / len(y), x.T @ x / len(y)
    if loss is None:
        _require_range(z, gram, left)
        end = _End(np.eye(len(z)), left * float(np.linalg.norm(z)))
    else:
        end = _loss_end(z, gram, float(np.mean(y**2)), loss)
    found = np.empty((2, len(widths), len(gamma_prime), len(gamma)))
    for place in np.ndindex(found.shape[1:]):
        k, i, j = place
        m = float(widths[k])
        data = (z, gram, m, m ** -float(gamma[j]), m ** -float(gamma_prime[i]))
        found[(slice(None), *place)] = _psi(data, end)
    return found


def linear_floor(x: Float[np.ndarray, "n D"], y: Float[np.ndarray, " n"]) -> float:
    """The part of the loss of output 0 that the best linear function leaves."""
    residual = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return float(residual @ residual / (y @ y))


class _End(NamedTuple):
    """A run ends where |root g| = target."""

    root: Float[np.ndarray, "D D"]
    target: float


def _loss_end(z: np.ndarray, gram: np.ndarray, square: float, loss: float) -> _End:
    r"""Of the loss: $2L = \overline{y^2} - z^TG^{-1}z + g^TG^{-1}g$."""
    values, vectors = np.linalg.eigh(gram)
    kept = values > _SINGULAR * values[-1]
    root = (vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T
    above = loss * square - (square - float(np.sum((root @ z) ** 2)))
    if above <= 0:
        floor = loss - above / square
        raise ParameterError(
            f"the best linear function leaves {floor:.3g} of the loss of output 0",
            expected=f"a loss above that, not {loss:g}",
            fix=f"loss={min(2 * floor, (1 + floor) / 2):.2g}",
        )
    return _End(root, above**0.5)


def _require_range(z: np.ndarray, gram: np.ndarray, left: float) -> None:
    values, vectors = np.linalg.eigh(gram)
    flat = values < _SINGULAR * values[-1]
    if np.linalg.norm(vectors[:, flat].T @ z) > left * np.linalg.norm(z):
        raise ParameterError(
            "the second moment of the inputs is singular in the direction of z",
            expected="inputs along which the labels can be fitted",
            fix="leave out inputs that nearly vanish, or ask for a larger part left",
        )


def _psi(data: tuple[Any, ...], end: _End) -> tuple[float, float]:
    rates, force, changes, names = _closure_functions()
    z, arrays = data[0], tuple(np.asarray(value, dtype=np.float64) for value in data)

    def field(_: float, flat: np.ndarray) -> np.ndarray:
        with float64():
            found = rates(_unpack(flat, names, len(z)), *arrays)
            return np.concatenate([np.ravel(found[name]) for name in names])

    def ends(_: float, flat: np.ndarray) -> float:
        with float64():
            g = np.asarray(force(*_unpack(flat, names, len(z)).values(), *arrays))
        return float(np.linalg.norm(end.root @ g) - end.target)

    setattr(ends, "terminal", True)  # noqa: B010  (how solve_ivp takes its options)
    start = np.zeros((len(z) + 1) ** 2)
    run = solve_ivp(field, (0, _HORIZON), start, events=ends, **_TOLERANCE)
    if run.t_events is None or not run.t_events[0].size:
        raise ParameterError(
            f"at m = {data[2]:g}, kappa = {data[3]:.3g}, kappa' = {data[4]:.3g} the flow did not "
            f"end: {run.message}",
            expected="a flow that fits what a linear function can fit",
            fix="ask for a larger part left",
        )
    state = _unpack(run.y[:, -1], names, len(z))
    with float64():
        one, other = (float(change(*state.values(), arrays[-1])) ** 0.5 for change in changes)
    return one, other


def _unpack(flat: np.ndarray, names: tuple[str, ...], d: int) -> dict[str, np.ndarray]:
    cuts = np.split(flat, [1, 1 + d, 1 + 2 * d])
    shapes = ((), (d,), (d,), (d, d))
    return {n: c.reshape(s) for n, c, s in zip(names, cuts, shapes, strict=True)}


@cache
def linear_closure() -> Closure:
    r"""$\Psi$ of a linear network with half the mean square as its loss."""
    return psi_closure(leading_flow(two_layer("identity"), "half_mse"))


@cache
def _closure_functions() -> tuple[Any, Any, tuple[Any, ...], tuple[str, ...]]:
    """Rates and force in terms of Phi and the data, the two changes, and the names of Phi."""
    import jax

    closure = linear_closure()
    bases = [entry.base for entry, _ in closure.field.components]
    data: Any = (Z.base, G.base, WIDTH, KAPPA, KAPPA_PRIME)
    with float64():
        rates = jax.jit(lower_field(closure.field, data))
        force = jax.jit(lower(closure.force, (*bases, *data), outputs=(Z.indices[0],)))
        squares = (closure.input_change, closure.output_change)
        changes = tuple(jax.jit(lower(square, (*bases, KAPPA_PRIME))) for square in squares)
    return rates, force, changes, tuple(map(str, bases))
