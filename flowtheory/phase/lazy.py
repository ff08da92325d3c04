r"""Relative changes on the lazy side with their constants, from the kernels of the data.

For an activation of degree 1 the kernels are closed forms; for an analytic one they are integrals
over two normals, by Gauss-Hermite quadrature. The constant of second order averages over all
inputs at once: for inputs of rank 2 and an activation of degree 1 on the circle, between its kinks
(exact but for rounding), else over scrambled Sobol points, with the error of their mean.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import combinations_with_replacement
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.errors import DataError
from flowtheory.lower import lower, lower_all, numeric
from flowtheory.precision import float64
from flowtheory.symbolic.activation import Activation, find_activation, with_activation
from flowtheory.symbolic.asymptotic import Formula
from flowtheory.symbolic.gaussian import CORRELATION, NORM, OTHER_NORM, gaussian_kernels
from flowtheory.symbolic.lazy import (
    COMPONENT,
    DUAL,
    EIGENVALUE,
    EIGENVECTOR,
    HIDDEN_FORM,
    HIDDEN_KERNEL,
    OUTPUT_FORM,
    OUTPUT_KERNEL,
    PATH,
    SECOND_ORDER,
    SHARE,
    LazyLimit,
    lazy_limit,
)
from flowtheory.symbolic.network import INPUT_DIMENSION
from flowtheory.symbolic.phase import KAPPA, KAPPA_PRIME, WIDTH

Matrix = Float[np.ndarray, "n n"]
Inputs = Float[np.ndarray, "n D"]
_HERMITE = 48  # nodes a normal
_ARC = 24  # Gauss nodes between two kinks
_SOBOL, _SCRAMBLES = 12, 8  # binary logarithm of the points, and how many sets of them
_SINGULAR = 1e-12  # an eigenvalue over the largest


class Kernels(NamedTuple):
    """The kernels of a network at its start.

    Attributes:
        output: $K^a$, of the output weights.
        hidden: $K^w$, of the input weights.
    """

    output: Matrix
    hidden: Matrix


class Estimate(NamedTuple):
    """A number, and the error of its quadrature (two standard errors where it is a mean)."""

    value: float
    error: float


class LazyConstants(NamedTuple):
    r"""What the relative changes of the lazy side depend on beside $m$, $\kappa$ and $\kappa'$.

    Attributes:
        output_form: $Q_a = \alpha^T K^a\alpha$.
        hidden_form: $Q_w = \alpha^T K^w\alpha$.
        second_order: $C$.
    """

    output_form: float
    hidden_form: float
    second_order: float


class LazyChanges(NamedTuple):
    """RD of both layers at infinite width, NaN where a point is not on the lazy side.

    Attributes:
        hidden: of the input weights.
        output: of the output weights.
    """

    hidden: Float[np.ndarray, "widths gamma_prime gamma"]
    output: Float[np.ndarray, "widths gamma_prime gamma"]


def lazy_kernels(x: Inputs, activation: str = "relu", eps: float = 1.0) -> Kernels:
    r"""$K^a$ and $K^w$ of $\sigma(\varepsilon z)/(c_p\varepsilon^p)$, without regard to width.

    Args:
        x: inputs, none of which is 0.
        activation: of the network.
        eps: standard deviation of the input weights; of no account for degree 1.

    Raises:
        DataError: an input is 0.
        ParameterError: an activation with a kink that is not of degree 1.
    """
    norms = np.linalg.norm(x, axis=1)
    if not np.all(norms > 0):
        raise DataError(
            "an input is 0",
            expected="inputs that differ from 0",
            fix="append 1 to the inputs for a bias",
        )
    sigma = find_activation(activation)
    if sigma.local.analytic:
        return _by_quadrature(x, sigma, eps)
    rho = np.clip(x @ x.T / np.outer(norms, norms), -1.0, 1.0)
    np.fill_diagonal(rho, 1.0)
    return Kernels(*(k(norms[:, None], norms[None, :], rho) for k in _closed(sigma)))


def second_order_constant(
    x: Inputs, y: Float[np.ndarray, " n"], activation: str = "relu"
) -> Estimate:
    r"""$C$ of $|\Delta w|/|w| = (\kappa'/(m\kappa))^2\,C$, for an activation of degree 1.

    Args:
        x: inputs.
        y: labels.
        activation: of the network.

    Raises:
        DataError: $K^a$ is singular, or an input is 0.
    """
    from scipy import stats  # here, because it takes half a second to load

    sigma = find_activation(activation)
    gaussian_kernels(sigma)  # refuses what is not of degree 1
    kernel = lazy_kernels(x, activation).output
    found = [_displacement(kernel, nodes, mu, x, y, sigma) for nodes, mu in _nodes(x)]
    error = 2 * float(stats.sem(found)) if len(found) > 1 else 0.0
    return Estimate(float(np.mean(found)), error)


def lazy_constants(
    x: Inputs, y: Float[np.ndarray, " n"], kappa_prime: float, activation: str = "relu"
) -> LazyConstants:
    r"""The constants at infinite width, for an activation of degree 1.

    Args:
        x: inputs.
        y: labels.
        kappa_prime: $\kappa'$.
        activation: of the network.

    Raises:
        DataError: $K^a$ is singular, or an input is 0.
    """
    forms = lazy_forms(lazy_kernels(x, activation), y, kappa_prime)
    return LazyConstants(*forms, second_order_constant(x, y, activation).value)


def network_kernels(
    hidden: Float[np.ndarray, "h D"],
    output: Float[np.ndarray, " h"],
    x: Inputs,
    activation: str = "relu",
    eps: float = 1.0,
) -> Kernels:
    r"""$K^a$ and $K^w$ of $\sigma(\varepsilon z)/(c_p\varepsilon^p)$, of one network's neurons.

    Args:
        hidden: $w_j$ in units of its standard deviation.
        output: $a_j$ in units of its own.
        x: inputs.
        activation: of the network.
        eps: standard deviation of the input weights; of no account for degree 1.
    """
    sigma = find_activation(activation)
    mu = np.full(len(hidden), 1 / len(hidden))
    with float64():
        found = _kernel_functions(sigma)(hidden, mu, output, eps * x)
    return Kernels(*(np.asarray(kernel) / _scale(sigma, eps) for kernel in found))


def network_constants(
    hidden: Float[np.ndarray, "h D"],
    output: Float[np.ndarray, " h"],
    x: Inputs,
    y: Float[np.ndarray, " n"],
    kappa_prime: float,
    activation: str = "relu",
) -> LazyConstants:
    r"""The constants of one network at its start, with the averages over its own neurons.

    Args:
        hidden: $w_j$ in units of its standard deviation.
        output: $a_j$ in units of its own.
        x: inputs.
        y: labels.
        kappa_prime: $\kappa'$.
        activation: of degree 1.

    Raises:
        DataError: $K^a$ is singular: fewer neurons than samples, or inputs that are parallel.
    """
    sigma = find_activation(activation)
    gaussian_kernels(sigma)  # refuses what is not of degree 1
    kernels = network_kernels(hidden, output, x, activation)
    mu = np.full(len(hidden), 1 / len(hidden))
    second = _displacement(kernels.output, hidden, mu, x, y, sigma)
    return LazyConstants(*lazy_forms(kernels, y, kappa_prime), second)


def lazy_changes(
    gamma: Float[np.ndarray, " gamma"],
    gamma_prime: Float[np.ndarray, " gamma_prime"],
    widths: Float[np.ndarray, " widths"],
    x: Inputs,
    y: Float[np.ndarray, " n"],
    activation: str = "relu",
) -> LazyChanges:
    r"""RD of both layers for an activation of degree 1, zero output at the start.

    In the w-lazy region the two orders of the input weights add in squares.

    Args:
        gamma: the columns.
        gamma_prime: the rows.
        widths: $m$, real numbers.
        x: inputs.
        y: labels.
        activation: of the network.

    Raises:
        DataError: $K^a$ is singular, or an input is 0.
    """
    kernels = lazy_kernels(x, activation)
    constant = second_order_constant(x, y, activation).value
    m, ratio, kappa = np.broadcast_arrays(
        np.asarray(widths, dtype=float)[:, None, None],
        np.asarray(widths)[:, None, None] ** -np.asarray(gamma_prime, dtype=float)[:, None],
        np.asarray(widths)[:, None, None] ** -np.asarray(gamma, dtype=float),
    )
    quadratic = np.empty((2, *m.shape))
    for place in np.ndindex(m.shape):
        quadratic[(slice(None), *place)] = lazy_forms(kernels, y, float(ratio[place]))
    arguments = (m, kappa, ratio, float(x.shape[1]), *quadratic, constant)
    (output, inside), (first, early), (second, late) = (
        (value(*arguments), holds(*arguments).astype(bool)) for value, holds in _changes()
    )
    hidden = np.where(early, first, np.where(late, np.hypot(first, second), np.nan))
    return LazyChanges(hidden, np.where(inside, output, np.nan))


def lazy_forms(
    kernels: Kernels, y: Float[np.ndarray, " n"], kappa_prime: float
) -> tuple[float, float]:
    r"""$Q_a = \alpha^T K^a\alpha$ and $Q_w$ likewise, $(K^a/\kappa' + \kappa'K^w)\alpha = y$.

    Args:
        kernels: of a network, or of infinite width.
        y: labels.
        kappa_prime: $\kappa'$.
    """
    total, forms = _forms()
    with float64():
        dual = np.linalg.solve(np.asarray(total(*kernels, kappa_prime)), y)
        output, hidden = (float(form) for form in forms(*kernels, dual))
    return output, hidden


def _displacement(
    kernel: Matrix, hidden: np.ndarray, mu: np.ndarray, x: Inputs, y: np.ndarray, sigma: Activation
) -> float:
    """$C$ for given input weights with their shares."""
    path, square = _path_functions(_unit(sigma))
    values, vectors = np.linalg.eigh(kernel)
    _require_regular(values)
    with float64():
        inner = path(values, vectors, vectors.T @ y)
        return float(square(hidden, mu, x, inner)) ** 0.5


def _unit(sigma: Activation) -> Activation:
    """The activation over its leading coefficient, as normalized units have it."""
    return Activation(sigma.name, sigma.expression / sigma.local.leading)


def _require_regular(values: Float[np.ndarray, " n"]) -> None:
    if values[0] < _SINGULAR * values[-1]:
        raise DataError(
            f"the kernel of the output weights is singular: eigenvalues from {values[0]:.2g} "
            f"to {values[-1]:.2g}",
            expected="labels that the start can express: no two inputs parallel",
            fix="leave out inputs, or choose an activation with more features",
        )


def _nodes(x: Inputs) -> list[tuple[np.ndarray, np.ndarray]]:
    """Sets of input weights and their shares, for integrands of degree 2 with kinks at the data."""
    from scipy import stats  # here, because it takes half a second to load

    _, sizes, frame = np.linalg.svd(x, full_matrices=False)
    frame = frame[sizes > 1e-10 * sizes[0]]
    if len(frame) == 2:
        planar = x @ frame.T
        kinks = np.arctan2(planar[:, 1], planar[:, 0]) + np.pi / 2
        angles = np.sort(np.concatenate([kinks, kinks + np.pi]) % (2 * np.pi))
        widths = np.diff(angles, append=angles[0] + 2 * np.pi)
        points, shares = np.polynomial.legendre.leggauss(_ARC)
        theta = (angles[:, None] + widths[:, None] * (points + 1) / 2).ravel()
        mu = (widths[:, None] * shares / (4 * np.pi)).ravel()
        # The radius is that of the mean square, which is all that an integrand of degree 2 sees.
        circle = np.sqrt(2) * np.stack([np.cos(theta), np.sin(theta)], axis=1)
        return [(circle @ frame, mu)]
    sets = (
        stats.qmc.MultivariateNormalQMC(
            np.zeros(len(frame)),
            engine=stats.qmc.Sobol(len(frame), rng=np.random.default_rng(k)),
        ).random(2**_SOBOL)
        for k in range(_SCRAMBLES)
    )
    return [(points @ frame, np.full(len(points), 1 / len(points))) for points in sets]


def _by_quadrature(x: Inputs, sigma: Activation, eps: float) -> Kernels:
    """Every pair of inputs in its own plane."""
    import jax

    points, shares = np.polynomial.hermite_e.hermegauss(_HERMITE)
    shares = shares / shares.sum()
    nodes = np.stack([g.ravel() for g in np.meshgrid(points, points)], axis=1)
    mu = np.outer(shares, shares).ravel()
    pairs = list(combinations_with_replacement(range(len(x)), 2))
    planes = np.stack([_in_plane(eps * x[list(pair)]) for pair in pairs])
    with float64():
        kernel = jax.vmap(_kernel_functions(sigma), in_axes=(None, None, None, 0))
        found = kernel(nodes, mu, np.ones(len(mu)), planes)
    kernels = np.empty((2, len(x), len(x)))
    for k, values in enumerate(found):
        for (i, j), matrix in zip(pairs, np.asarray(values), strict=True):
            kernels[k, i, j] = kernels[k, j, i] = matrix[0, 1] / _scale(sigma, eps)
    return Kernels(*kernels)


def _scale(sigma: Activation, eps: float) -> float:
    """What divides the kernels of an activation of which the inputs are eps times their own."""
    return (float(sigma.local.leading) * eps**sigma.local.multiplicity) ** 2


def _in_plane(pair: Float[np.ndarray, "2 D"]) -> Float[np.ndarray, "2 2"]:
    """Two inputs in orthonormal coordinates of a plane that holds both."""
    left, sizes, _ = np.linalg.svd(pair, full_matrices=False)
    plane = np.zeros((2, 2))
    plane[:, : len(sizes)] = left * sizes
    return plane


@cache
def _limit() -> LazyLimit:
    return lazy_limit()


@cache
def _closed(sigma: Activation) -> tuple[Callable[..., Any], Callable[..., Any]]:
    kernels = gaussian_kernels(sigma)
    symbols = (NORM, OTHER_NORM, CORRELATION)
    return numeric(kernels.output.expression, symbols), numeric(kernels.hidden.expression, symbols)


@cache
def _kernel_functions(sigma: Activation) -> Any:
    limit = _limit()
    W, v = limit.network.bases
    arguments = (W, SHARE.base, v, limit.network.inputs.base)
    kernels = (limit.output_kernel, limit.hidden_kernel)
    pair = OUTPUT_KERNEL.indices
    return lower_all([(with_activation(k, sigma), pair) for k in kernels], arguments)


@cache
def _path_functions(sigma: Activation) -> tuple[Any, Any]:
    limit = _limit()
    W, _ = limit.network.bases
    spectrum = (EIGENVALUE.base, EIGENVECTOR.base, COMPONENT.base)
    path = lower(limit.path, spectrum, outputs=PATH.indices)
    filled = with_activation(limit.second_order_square, sigma)
    return path, lower(filled, (W, SHARE.base, limit.network.inputs.base, PATH.base))


@cache
def _forms() -> tuple[Any, Any]:
    """The total kernel, and the two quadratic forms of its solution."""
    limit = _limit()
    kernels = (OUTPUT_KERNEL.base, HIDDEN_KERNEL.base)
    total = lower(limit.total_kernel, (*kernels, KAPPA_PRIME), outputs=OUTPUT_KERNEL.indices)
    forms = [(form, ()) for form in (limit.output_form, limit.hidden_form)]
    return total, lower_all(forms, (*kernels, DUAL.base))


@cache
def _changes() -> tuple[tuple[Any, Any], ...]:
    """The three changes with their domains, as functions of the same arguments."""
    limit = _limit()
    symbols = (WIDTH, KAPPA, KAPPA_PRIME, INPUT_DIMENSION, OUTPUT_FORM, HIDDEN_FORM, SECOND_ORDER)

    def both(formula: Formula) -> tuple[Any, Any]:
        return numeric(formula.expression, symbols), numeric(formula.inside, symbols)

    changes = (limit.output_change, limit.hidden_change, limit.grown_change)
    return tuple(map(both, changes))
