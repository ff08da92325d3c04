r"""Predictions at the widths that were measured: the solvable diagram, and the closure $\Psi$.

For multiplicity 1 the relative change of the weights is known at every width, real numbers included
(`flowtheory.symbolic.closure`): exactly for a linear activation, to leading order in the scale of
the weights for a smooth one. For whitened data it has one constant, $\zeta = |z|$. For ReLU the
same formula with an effective $\zeta$, the hardness of the data, describes finite widths.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.integrate import solve_ivp
from scipy.optimize import minimize_scalar

from flowtheory.errors import ParameterError
from flowtheory.lower import lower, lower_field, numeric
from flowtheory.phase.asymptotic import Slopes
from flowtheory.precision import float64
from flowtheory.symbolic.closure import Closure, G, Z, psi_closure
from flowtheory.symbolic.leading import leading_flow
from flowtheory.symbolic.network import INPUT_DIMENSION
from flowtheory.symbolic.networks.fully_connected import two_layer
from flowtheory.symbolic.phase import KAPPA, KAPPA_PRIME, MOMENT, WIDTH
from flowtheory.symbolic.solvable import solvable_diagram

Widths = Float[np.ndarray, " widths"]
Changes = Float[np.ndarray, "2 widths gamma_prime gamma"]
_RANGE = (-3.0, 4.0)  # of log10 zeta, where its fit looks
_TOLERANCE = {"method": "LSODA", "rtol": 1e-9, "atol": 1e-14}
_HORIZON = 1e12
_SINGULAR = 1e-8  # an eigenvalue over the largest


class Fitted(NamedTuple):
    r"""The solvable diagram with the constant that fits measured slopes best.

    Attributes:
        zeta: the constant.
        slopes: that it predicts at the widths.
        rms: root mean square of what is left of $S_w$.
    """

    zeta: float
    slopes: Slopes
    rms: float


def width_slopes(changes: Changes, widths: Widths) -> Slopes:
    """Least-squares slopes of log RD in log m, for the input and the output weights."""
    x = np.log(widths) - np.log(widths).mean()
    return Slopes(*np.tensordot(np.log(changes), x / (x @ x), axes=([1], [0])))


def solvable_changes(
    gamma: Float[np.ndarray, " gamma"],
    gamma_prime: Float[np.ndarray, " gamma_prime"],
    widths: Widths,
    zeta: float,
    dimension: int,
) -> Changes:
    r"""RD of the input and the output weights in the solvable diagram.

    Args:
        gamma: the columns.
        gamma_prime: the rows.
        widths: $m$, real numbers.
        zeta: $|z|$.
        dimension: $D$ of the inputs.
    """
    m = np.asarray(widths, dtype=float)[:, None, None]
    kappa, ratio = m ** -np.asarray(gamma)[None, None, :], m ** -np.asarray(gamma_prime)[:, None]
    arrays = np.broadcast_arrays(m, kappa, ratio, float(zeta), float(dimension))
    return np.stack([formula(*arrays) for formula in _solvable()])


def fit_zeta(
    measured: Float[np.ndarray, "gamma_prime gamma"],
    gamma: Float[np.ndarray, " gamma"],
    gamma_prime: Float[np.ndarray, " gamma_prime"],
    widths: Widths,
    dimension: int,
) -> Fitted:
    r"""The constant $\zeta$ with which the solvable diagram comes nearest to measured slopes.

    Args:
        measured: $S_w$; points that were not reached are NaN, and do not count.
        gamma: the columns.
        gamma_prime: the rows.
        widths: from which `measured` is.
        dimension: of the inputs.
    """

    def predicted(log_zeta: float) -> Slopes:
        changes = solvable_changes(gamma, gamma_prime, widths, 10.0**log_zeta, dimension)
        return width_slopes(changes, widths)

    def rms(log_zeta: float) -> float:
        return float(np.sqrt(np.nanmean((predicted(log_zeta).hidden - measured) ** 2)))

    best = minimize_scalar(rms, bounds=_RANGE, method="bounded", options={"xatol": 1e-4})
    return Fitted(10.0**best.x, predicted(best.x), float(best.fun))


def psi_changes(
    gamma: Float[np.ndarray, " gamma"],
    gamma_prime: Float[np.ndarray, " gamma_prime"],
    widths: Widths,
    x: Float[np.ndarray, "n D"],
    y: Float[np.ndarray, " n"],
    left: float = 1e-3,
) -> Changes:
    r"""RD of the input and the output weights of a linear network on data, by the closure $\Psi$.

    Args:
        gamma: the columns.
        gamma_prime: the rows.
        widths: $m$, real numbers.
        x: inputs.
        y: labels.
        left: the part of $|z|$ at which a run ends, $|g| = $ left $|z|$.

    Raises:
        ParameterError: $G$ is singular in the direction of $z$, and the flow does not get there.
    """
    z, gram = x.T @ y / len(y), x.T @ x / len(y)
    _require_range(z, gram, left)
    found = np.empty((2, len(widths), len(gamma_prime), len(gamma)))
    for place in np.ndindex(found.shape[1:]):
        k, i, j = place
        m = float(widths[k])
        data = (z, gram, m, m ** -float(gamma[j]), m ** -float(gamma_prime[i]))
        found[(slice(None), *place)] = _psi(data, left)
    return found


def _require_range(z: np.ndarray, gram: np.ndarray, left: float) -> None:
    values, vectors = np.linalg.eigh(gram)
    flat = values < _SINGULAR * values[-1]
    if np.linalg.norm(vectors[:, flat].T @ z) > left * np.linalg.norm(z):
        raise ParameterError(
            "the second moment of the inputs is singular in the direction of z",
            expected="inputs along which the labels can be fitted",
            fix="leave out inputs that nearly vanish, or ask for a larger part left",
        )


def _psi(data: tuple[Any, ...], left: float) -> tuple[float, float]:
    rates, force, changes, names = _closure_functions()
    z, arrays = data[0], tuple(np.asarray(value, dtype=np.float64) for value in data)

    def field(_: float, flat: np.ndarray) -> np.ndarray:
        with float64():
            found = rates(_unpack(flat, names, len(z)), *arrays)
            return np.concatenate([np.ravel(found[name]) for name in names])

    def ends(_: float, flat: np.ndarray) -> float:
        with float64():
            g = np.asarray(force(*_unpack(flat, names, len(z)).values(), *arrays))
        return float(np.linalg.norm(g) - left * np.linalg.norm(z))

    setattr(ends, "terminal", True)  # noqa: B010  (how solve_ivp takes its options)
    start = np.zeros((len(z) + 1) ** 2)
    run = solve_ivp(field, (0, _HORIZON), start, events=ends, **_TOLERANCE)
    state = _unpack(run.y[:, -1], names, len(z))
    with float64():
        one, other = (float(change(*state.values(), arrays[-1])) ** 0.5 for change in changes)
    return one, other


def _unpack(flat: np.ndarray, names: tuple[str, ...], d: int) -> dict[str, np.ndarray]:
    cuts = np.split(flat, [1, 1 + d, 1 + 2 * d])
    shapes = ((), (d,), (d,), (d, d))
    return {n: c.reshape(s) for n, c, s in zip(names, cuts, shapes, strict=True)}


@cache
def _closure() -> Closure:
    return psi_closure(leading_flow(two_layer("identity"), "half_mse"))


@cache
def _solvable() -> tuple[Callable[..., Any], Callable[..., Any]]:
    names = (WIDTH, KAPPA, KAPPA_PRIME, MOMENT, INPUT_DIMENSION)
    diagram = solvable_diagram(_closure())
    changes = (diagram.input_change, diagram.output_change)
    first, second = (numeric(change.expression, names) for change in changes)
    return first, second


@cache
def _closure_functions() -> tuple[Any, Any, tuple[Any, ...], tuple[str, ...]]:
    """Rates and force in terms of Phi and the data, the two changes, and the names of Phi."""
    import jax

    closure = _closure()
    bases = [entry.base for entry, _ in closure.field.components]
    data: Any = (Z.base, G.base, WIDTH, KAPPA, KAPPA_PRIME)
    with float64():
        rates = jax.jit(lower_field(closure.field, data))
        force = jax.jit(lower(closure.force, (*bases, *data), outputs=(Z.indices[0],)))
        squares = (closure.input_change, closure.output_change)
        changes = tuple(jax.jit(lower(square, (*bases, KAPPA_PRIME))) for square in squares)
    return rates, force, changes, tuple(map(str, bases))
