r"""The gradient flow linearized at a point: which directions grow, how fast, and how many.

Near $\theta_0$ the flow is $\dot u = -\nabla L(\theta_0) - \nabla^2 L(\theta_0)\,u + O(|u|^2)$; the
growth rates are the eigenvalues of $-\nabla^2 L$. Only products with the Hessian are formed, by
forward over reverse differentiation of the lowered loss; up to `dense_limit` parameters they give
the whole matrix, beyond it a Lanczos iteration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from flowtheory.clock import Clock, Reduction
from flowtheory.errors import DataError, ParameterError
from flowtheory.lower.lanczos import Product, norm_bound, top
from flowtheory.lower.networks import of_parameters
from flowtheory.precision import as_float64, float64
from flowtheory.symbolic.index import free_axes
from flowtheory.symbolic.loss import Loss, find_loss
from flowtheory.symbolic.network import Network, mean_loss, total_loss

DENSE_LIMIT = 2000
TOLERANCE = 1e-8
"""What counts as a growth rate of 0, relative to the largest modulus of a rate."""

_BATCH = 32  # columns of a dense Hessian at once
_LEAST_LANCZOS = 32


class IndexStatus(Enum):
    """How far the number of growing directions is known.

    COUNTED: all eigenvalues were computed. CONVERGED: Lanczos found them, and a run from a random
    start, without the directions found, converged to a rate that does not grow. LOWER_BOUND: there
    are more than `max_index`. NOT_CONVERGED: `max_products` were spent first; a lower bound too.
    """

    COUNTED = "counted"
    CONVERGED = "converged"
    LOWER_BOUND = "lower bound"
    NOT_CONVERGED = "not converged"


@dataclass(frozen=True, repr=False)
class Linearization:
    r"""The linearized gradient flow at a point.

    Attributes:
        rates: The largest eigenvalues $\mu$ of $-\nabla^2 L$, decreasing, in 1/time.
        residuals: $|{-\nabla^2 L}\,v - \mu v|$ for the unit vectors $v$ found: within this distance
            of every $\mu$ there is an eigenvalue.
        index: The number of growing directions, $\mu$ > `tolerance`.
        status: How far `index` is known.
        tolerance: The rate below which a direction does not count as growing.
        inertia: The numbers of rates above `tolerance`, within and below; None beyond the dense
            limit.
        stiffness: The most negative rate; with its error bar `stiffness_residual`.
        escape_direction: The unit vector of the largest rate by parameter name (its largest entry
            positive); None if no direction grows. One of many if the rate is multiple.
        gradient_norm: $|\nabla L|$, 0 at a critical point.
        n_params: The number of parameters.
    """

    rates: Float[np.ndarray, " k"]
    residuals: Float[np.ndarray, " k"]
    index: int
    status: IndexStatus
    tolerance: float
    inertia: tuple[int, int, int] | None
    stiffness: float
    stiffness_residual: float
    escape_direction: Mapping[str, Float[np.ndarray, ...]] | None
    gradient_norm: float
    n_params: int

    @property
    def is_certain(self) -> bool:
        """Whether the index is no mere bound, and no rate is too near the tolerance to count."""
        known = self.status in (IndexStatus.COUNTED, IndexStatus.CONVERGED)
        return known and bool((abs(self.rates - self.tolerance) > self.residuals).all())

    def __repr__(self) -> str:
        more = {IndexStatus.LOWER_BOUND: ">= ", IndexStatus.NOT_CONVERGED: ">= "}
        return (
            f"<linearization at a point of {self.n_params} parameters, |gradient| = "
            f"{self.gradient_norm:.3g}: index {more.get(self.status, '')}{self.index} "
            f"({self.status.value}), rates {self.stiffness:.6g} .. {self.rates[0]:.6g}>"
        )


def linearize_at(
    network: Network,
    loss: str | Loss,
    params: Mapping[str, Float[np.ndarray, ...]],
    x: Float[np.ndarray, "n D"] | None,
    y: Float[np.ndarray, ...],
    *,
    reduction: Reduction = "sum",
    leading: int = 6,
    max_index: int = 64,
    tolerance: float | None = None,
    dense_limit: int = DENSE_LIMIT,
    max_products: int = 2000,
    seed: int = 0,
) -> Linearization:
    r"""Linearize $\dot\theta = -\nabla L$ at the point `params`.

    Args:
        network: Any network.
        loss: A loss, or the name of one.
        params: Arrays by the names of the parameter tensors.
        x: The inputs; None for a network that takes none.
        y: The labels, with the axes of the output.
        reduction: Whether $L$ sums the losses of the samples or averages them.
        leading: How many rates are wanted at least.
        max_index: Beyond `dense_limit`, about how many growing directions are counted at most.
        tolerance: The rate above which a direction grows, in 1/time; by default 1e-8 of the largest
            modulus of a rate.
        dense_limit: Up to this many parameters all eigenvalues are computed. The Hessian then takes
            `dense_limit` products and its square in memory.
        max_products: Budget of products with the Hessian, for each end of the spectrum.
        seed: Of the start vectors of the Lanczos iteration.

    Raises:
        DataError: Names or shapes that do not fit the network, numbers that are not finite, a loss
            whose derivatives overflow at the point, or a point on a kink, where the Hessian does
            not exist. Elsewhere the activation pattern is held fixed.
        ParameterError: An option out of its domain.

    Example:
        >>> import numpy as np
        >>> from flowtheory.symbolic import two_layer
        >>> origin = {"W": np.zeros((3, 2)), "v": np.zeros(3)}
        >>> found = linearize_at(two_layer("tanh"), "half_square", origin, np.eye(2), [3.0, 4.0])
        >>> found.index, found.inertia, found.rates.round(12)[:4].tolist()
        (3, (3, 3, 3), [5.0, 5.0, 5.0, 0.0])
    """
    _check_counts(
        leading=leading, max_index=max_index, dense_limit=dense_limit, max_products=max_products
    )
    if tolerance is not None and not (np.isfinite(tolerance) and tolerance >= 0):
        raise ParameterError(
            f"tolerance is {tolerance!r}", expected="a rate >= 0", fix="leave tolerance out"
        )
    Clock(reduction)
    data = _data(network, x, y)
    point = _Point(_functions(network, find_loss(loss), reduction), _named(network, params), data)
    gradient = point.gradient()
    point.refuse_kinks()
    if point.size <= max(dense_limit, _LEAST_LANCZOS):
        found = _dense(point.hessian(), leading, tolerance)
    else:
        budget = _Budget(leading, max_index, max_products, np.random.default_rng(seed))
        found = _matrix_free(point.product, point.size, tolerance, budget)
    ends = np.column_stack([found.vectors, found.stiff_vector])
    images = np.column_stack([point.product(v) for v in ends.T])
    errors = np.linalg.norm(images - ends * np.append(found.rates, found.stiffness), axis=0)
    return Linearization(
        rates=found.rates,
        residuals=errors[:-1],
        index=found.growing,
        status=found.status,
        tolerance=found.tolerance,
        inertia=found.inertia,
        stiffness=found.stiffness,
        stiffness_residual=float(errors[-1]),
        escape_direction=point.named(found.vectors[:, 0]) if found.growing else None,
        gradient_norm=float(np.linalg.norm(gradient)),
        n_params=point.size,
    )


class _Found(NamedTuple):
    """Rates in decreasing order with one vector a column, and what was counted."""

    rates: np.ndarray
    vectors: np.ndarray
    stiffness: float
    stiff_vector: np.ndarray
    growing: int
    status: IndexStatus
    tolerance: float
    inertia: tuple[int, int, int] | None = None


def _dense(minus_hessian: np.ndarray, leading: int, tolerance: float | None) -> _Found:
    from scipy.linalg import eigh

    values, vectors = eigh(minus_hessian, overwrite_a=True)
    level = TOLERANCE * float(np.max(abs(values))) if tolerance is None else tolerance
    above, below = int(np.sum(values > level)), int(np.sum(values < -level))
    kept = min(max(leading, above), values.size)
    return _Found(
        rates=values[::-1][:kept],
        vectors=vectors[:, ::-1][:, :kept],
        stiffness=float(values[0]),
        stiff_vector=vectors[:, 0],
        growing=above,
        status=IndexStatus.COUNTED,
        tolerance=level,
        inertia=(above, values.size - above - below, below),
    )


class _Budget(NamedTuple):
    """What a search may cost."""

    leading: int
    max_index: int
    max_products: int
    rng: np.random.Generator


def _matrix_free(product: Product, n: int, tolerance: float | None, budget: _Budget) -> _Found:
    leading, most, products, rng = budget
    norm = norm_bound(product, n, rng, products)
    level = TOLERANCE * norm if tolerance is None else tolerance
    if norm == 0.0:  # as at the origin of a network of degree 3 or more
        one = np.eye(n, 1)
        return _Found(np.zeros(1), one, 0.0, one[:, 0], 0, IndexStatus.CONVERGED, level)
    growing = top(
        product, n, norm, rng, least=leading, level=level, limit=most, max_products=products
    )
    shrinking = top(
        lambda v: -product(v),
        n, norm, rng, least=1, level=np.inf, limit=1, max_products=products,
    )  # fmt: skip
    index = int(np.sum(growing.values > level))
    status = IndexStatus.LOWER_BOUND
    if growing.exhausted:
        status = IndexStatus.CONVERGED
    elif not growing.converged:
        status = IndexStatus.NOT_CONVERGED
    if not (growing.values.size and shrinking.values.size):
        raise ParameterError(
            "the Lanczos iteration found no eigenvalue",
            expected="a Hessian whose extreme eigenvalues are separated",
            fix="raise max_products; or dense_limit, if the memory allows a dense Hessian",
        )
    kept = max(leading, index)
    return _Found(
        rates=growing.values[:kept],
        vectors=growing.vectors[:, :kept],
        stiffness=-float(shrinking.values[0]),
        stiff_vector=shrinking.vectors[:, 0],
        growing=index,
        status=status,
        tolerance=level,
    )


class _Functions(NamedTuple):
    """Compiled functions of (params, *data); `product` takes the flat direction second."""

    gradient: Callable[..., Array]
    product: Callable[..., Array]
    hessian: Callable[..., Array]
    preactivations: tuple[Callable[..., Array], ...]


@lru_cache(maxsize=64)
def _functions(network: Network, loss: Loss, reduction: Reduction) -> _Functions:
    energy = of_parameters(
        network, (total_loss if reduction == "sum" else mean_loss)(network, loss), network.data
    )

    def gradient(params: Any, *data: Array) -> Array:
        return ravel_pytree(jax.grad(energy)(params, *data))[0]

    def product(params: Any, direction: Array, *data: Array) -> Array:
        _, unravel = ravel_pytree(params)
        along = (unravel(direction),)
        return jax.jvp(lambda point: gradient(point, *data), (params,), along)[1]

    def hessian(params: Any, *data: Array) -> Array:
        basis = jnp.eye(ravel_pytree(params)[0].size)
        return jax.lax.map(lambda v: product(params, v, *data), basis, batch_size=_BATCH)

    inputs = () if network.inputs is None else (network.inputs.base,)
    preactivations = tuple(
        of_parameters(network, surface.argument, inputs, tuple(free_axes(surface.argument)))
        for surface in network.surfaces
    )
    return _Functions(
        jax.jit(gradient), jax.jit(product), jax.jit(hessian), tuple(map(jax.jit, preactivations))
    )


@dataclass(frozen=True)
class _Point:
    """A point of parameter space, with the derivatives of the loss there in NumPy."""

    functions: _Functions
    params: Mapping[str, np.ndarray]
    data: tuple[np.ndarray, ...]

    @property
    def size(self) -> int:
        return sum(array.size for array in self.params.values())

    def gradient(self) -> np.ndarray:
        with float64():
            gradient = np.asarray(self.functions.gradient(self.params, *self.data))
        if not np.isfinite(gradient).all():
            raise DataError(
                "the gradient of the loss is not finite at this point",
                expected="parameters and data at which the loss and its derivatives are numbers",
                fix="check the scale of the parameters: an output may have overflowed",
            )
        return gradient

    def product(self, direction: np.ndarray) -> np.ndarray:
        r"""$-\nabla^2 L$ times a flat vector."""
        with float64():
            return -np.asarray(self.functions.product(self.params, direction, *self.data))

    def hessian(self) -> np.ndarray:
        r"""$-\nabla^2 L$."""
        with float64():
            matrix = np.asarray(self.functions.hessian(self.params, *self.data))
        return -(matrix + matrix.T) / 2

    def named(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """A flat vector as arrays by name, its entry of largest modulus positive."""
        signed = vector * np.sign(vector[np.argmax(abs(vector))])
        with float64():
            named = ravel_pytree(dict(self.params))[1](signed)
        return {name: np.asarray(array) for name, array in named.items()}

    def refuse_kinks(self) -> None:
        """Raise `DataError` if some argument of a kinked activation is exactly 0."""
        inputs = self.data[:-1]
        with float64():
            on_kink = [
                int(np.sum(np.asarray(z(self.params, *inputs)) == 0.0))
                for z in self.functions.preactivations
            ]
        if any(on_kink):
            layer = next(k for k, count in enumerate(on_kink) if count)
            raise DataError(
                f"{on_kink[layer]} preactivation(s) of one kinked layer are exactly 0",
                expected="a point off the kinks, where the loss is twice differentiable",
                fix="move the point into the activation pattern that is meant, by any small amount",
            )


def _named(network: Network, params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    names = [str(base) for base in network.bases]
    if set(params) != set(names):
        raise DataError(
            f"the parameters are called {', '.join(map(str, params)) or 'nothing'}",
            expected=f"one array for each of {', '.join(names)}",
            fix="name them as the tensors of the network",
        )
    return {name: as_float64(params[name], name) for name in names}


def _data(network: Network, x: Any, y: Any) -> tuple[np.ndarray, ...]:
    if (x is None) != (network.inputs is None):
        takes = "no inputs" if network.inputs is None else "inputs"
        raise DataError(
            f"x is {'not given' if x is None else 'given'}, and {network.name} takes {takes}",
            expected="x for a network that takes inputs, None for any other",
            fix="x=None" if network.inputs is None else "pass the inputs, one row a sample",
        )
    given = {"y": y} if x is None else {"x": x, "y": y}
    return tuple(as_float64(value, name) for name, value in given.items())


def _check_counts(**counts: int) -> None:
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ParameterError(
                f"{name} is {value!r}", expected="a positive integer", fix=f"leave {name} out"
            )
