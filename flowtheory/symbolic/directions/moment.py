r"""The order-$p$ data moment and its form on the sphere.

$$T_{q_1\dots q_p} = \frac1n \sum_{i=1}^n c_i\, x_{iq_1} \cdots x_{iq_p}, \qquad
  H(u) = \langle T, u^{\otimes p}\rangle = \frac1n \sum_{i=1}^n c_i\, (u\cdot x_i)^p,$$

with residuals $c_i$ at the saddle. For $p = 1$ it is called $z$, for $p = 2$ it is called $M$. A
neuron of multiplicity $p$, $\sigma(z) = \sigma_p z^p + \dots$, follows $\sigma_p H$ at leading
order: a constant $\sigma_p > 0$ changes no direction, $\sigma_p < 0$ exchanges the signs of $a$.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement
from math import factorial, prod
from typing import Any

import numpy as np
from jaxtyping import Float
from sympy import QQ, Poly, Rational, symbols

from flowtheory.errors import DataError, ParameterError
from flowtheory.symbolic.directions.numbers import is_exact, over_common_denominator, read_array
from flowtheory.symbolic.expression import Expr, Indexed, Polynomial
from flowtheory.symbolic.index import index, sum_over, tensor
from flowtheory.symbolic.network import INPUT_DIMENSION, SAMPLE, SAMPLES

# Below this fraction of what its terms add up to without cancellation, a moment is rounding error.
VANISHING = 1e-13
_SYMMETRY = 1e-12


def moment_name(order: int) -> str:
    """The field's name for the moment: `z`, `M`, then `T_3`, `T_4`, ..."""
    return {1: "z", 2: "M"}.get(order, f"T_{order}")


def moment_definition(order: int) -> tuple[Indexed, Expr]:
    r"""The generic entry $T_{q_1\dots q_p}$ and its value $\frac1n\sum_i c_i \prod_k x_{iq_k}$."""
    _check_order(order)
    axes = tuple(index(f"q_{k}") for k in range(1, order + 1))
    x, c = tensor("x", SAMPLES, INPUT_DIMENSION), tensor("c", SAMPLES)
    entry = tensor(moment_name(order), *(INPUT_DIMENSION,) * order)[axes]
    product: Expr = prod((x[SAMPLE, q] for q in axes), start=c[SAMPLE])
    return entry, sum_over(product, (SAMPLE, SAMPLES)) / SAMPLES


class Moment(ABC):
    """A symmetric tensor of order $p$ on $R^D$, seen through its form $H$.

    Points are rows of an array `U` of shape (B, D).
    """

    @property
    @abstractmethod
    def order(self) -> int:
        """$p$."""

    @property
    @abstractmethod
    def dimension(self) -> int:
        """$D$."""

    @property
    @abstractmethod
    def exact(self) -> bool:
        """Whether it was given in rational numbers."""

    @abstractmethod
    def value(self, U: Float[np.ndarray, "B D"]) -> Float[np.ndarray, " B"]:
        """$H(u)$."""

    @abstractmethod
    def gradient(self, U: Float[np.ndarray, "B D"]) -> Float[np.ndarray, "B D"]:
        r"""$\nabla H(u) = p\, T u^{p-1}$."""

    @abstractmethod
    def hessian(self, U: Float[np.ndarray, "B D"]) -> Float[np.ndarray, "B D D"]:
        r"""$\nabla^2 H(u) = p(p-1)\, T u^{p-2}$."""

    @abstractmethod
    def magnitude(self) -> float:
        r"""What $|H|$ on the sphere would be bounded by without cancellation."""

    @abstractmethod
    def coefficient(self, powers: tuple[int, ...]) -> Expr:
        r"""$T_{q_1\dots q_p}$ as a rational, $q$ containing coordinate $j$ `powers[j]` times."""

    @cached_property
    def polynomial(self) -> Polynomial:
        r"""$H$ as a polynomial over the rationals, exact for the numbers given."""
        generators = symbols(f"u1:{self.dimension + 1}")
        terms = {
            powers: self.coefficient(powers)
            * (factorial(self.order) // prod(factorial(k) for k in powers))
            for powers in monomials(self.dimension, self.order)
        }
        return Poly(terms, *generators, domain=QQ)

    def vanishes(self) -> bool:
        """Whether $H = 0$ identically, up to rounding; decided at random points."""
        U = np.random.default_rng(0).standard_normal((4, self.dimension))
        U /= np.linalg.norm(U, axis=1, keepdims=True)
        return bool(np.abs(self.gradient(U)).max() <= VANISHING * self.magnitude())


@dataclass(frozen=True, eq=False)
class DataMoment(Moment):
    """The moment of order `power` of data `X` (n, D) with the residuals `weights` (n,)."""

    X: np.ndarray
    weights: np.ndarray
    power: int

    @property
    def order(self) -> int:
        """$p$."""
        return self.power

    @property
    def dimension(self) -> int:
        """$D$."""
        return self.X.shape[1]

    @property
    def exact(self) -> bool:
        """Whether data and residuals were given in rational numbers."""
        return is_exact(self.X) and is_exact(self.weights)

    @cached_property
    def _points(self) -> np.ndarray:
        return self.X.astype(np.float64)

    @cached_property
    def _shares(self) -> np.ndarray:
        return self.weights.astype(np.float64) / len(self.weights)

    @cached_property
    def _integers(self) -> tuple[np.ndarray, np.ndarray, int]:
        points, d = over_common_denominator(self.X)
        weights, e = over_common_denominator(self.weights)
        return points, weights, d**self.order * e * len(weights)

    def value(self, U: Float[np.ndarray, "B D"]) -> Float[np.ndarray, " B"]:
        r"""$\frac1n\sum_i c_i (u\cdot x_i)^p$."""
        return (U @ self._points.T) ** self.order @ self._shares

    def gradient(self, U: Float[np.ndarray, "B D"]) -> Float[np.ndarray, "B D"]:
        r"""$\frac pn\sum_i c_i (u\cdot x_i)^{p-1} x_i$."""
        powers = (U @ self._points.T) ** (self.order - 1)
        return self.order * (powers * self._shares) @ self._points

    def hessian(self, U: Float[np.ndarray, "B D"]) -> Float[np.ndarray, "B D D"]:
        r"""$\frac{p(p-1)}n\sum_i c_i (u\cdot x_i)^{p-2} x_i x_i^T$."""
        if self.order == 1:
            return np.zeros((len(U), self.dimension, self.dimension))
        powers = (U @ self._points.T) ** (self.order - 2) * self._shares
        scaled = self.order * (self.order - 1) * powers[:, :, None] * self._points
        return np.swapaxes(scaled, 1, 2) @ self._points

    def magnitude(self) -> float:
        r"""$\frac1n\sum_i |c_i|\,|x_i|^p$."""
        return float(np.abs(self._shares) @ np.linalg.norm(self._points, axis=1) ** self.order)

    def coefficient(self, powers: tuple[int, ...]) -> Expr:
        r"""$\frac1n\sum_i c_i \prod_j x_{ij}^{k_j}$."""
        points, weights, denominator = self._integers
        total = weights
        for j, k in enumerate(powers):
            total = total * points[:, j] ** k if k else total
        return Rational(int(total.sum()), denominator)


@dataclass(frozen=True, eq=False)
class TensorMoment(Moment):
    """A moment given by all its entries, `T` of shape (D,) * p."""

    T: np.ndarray

    @property
    def order(self) -> int:
        """$p$."""
        return self.T.ndim

    @property
    def dimension(self) -> int:
        """$D$."""
        return self.T.shape[0]

    @property
    def exact(self) -> bool:
        """Whether the entries were given as rational numbers."""
        return is_exact(self.T)

    @cached_property
    def _entries(self) -> np.ndarray:
        return self.T.astype(np.float64)

    def _contracted(self, U: np.ndarray, free: int) -> np.ndarray:
        """$T u^{p-m}$ with $m$ = `free` indices left."""
        if free == self.order:
            return np.broadcast_to(self._entries, (len(U), *self.T.shape))
        out = np.tensordot(U, self._entries, axes=(1, -1))
        for _ in range(self.order - 1 - free):
            out = np.einsum("b...d,bd->b...", out, U)
        return out

    def value(self, U: Float[np.ndarray, "B D"]) -> Float[np.ndarray, " B"]:
        r"""$T u^p$."""
        return self._contracted(U, 0)

    def gradient(self, U: Float[np.ndarray, "B D"]) -> Float[np.ndarray, "B D"]:
        r"""$p\,T u^{p-1}$."""
        return self.order * self._contracted(U, 1)

    def hessian(self, U: Float[np.ndarray, "B D"]) -> Float[np.ndarray, "B D D"]:
        r"""$p(p-1)\,T u^{p-2}$."""
        if self.order == 1:
            return np.zeros((len(U), self.dimension, self.dimension))
        return self.order * (self.order - 1) * self._contracted(U, 2)

    def magnitude(self) -> float:
        """The Frobenius norm."""
        return float(np.linalg.norm(self._entries.ravel()))

    def coefficient(self, powers: tuple[int, ...]) -> Expr:
        """The entry, read off `T`."""
        at = tuple(j for j, k in enumerate(powers) for _ in range(k))
        return Rational(self.T[at])


def data_moment(X: Any, residuals: Any, order: int) -> DataMoment:
    r"""$T = \frac1n\sum_i c_i\, x_i^{\otimes p}$ of data with residuals.

    Args:
        X: Data, shape (n, D); rational entries keep everything rational.
        residuals: $c_i = -\partial_f \ell(y_i, f)$ at the saddle, shape (n,).
        order: The multiplicity $p \ge 1$ of the activation.

    Raises:
        DataError: Shapes that do not fit, or entries that are not finite real numbers.
        ParameterError: `order` is no positive integer.
    """
    _check_order(order)
    points, weights = read_array(X, "X"), read_array(residuals, "residuals")
    if points.ndim != 2 or 0 in points.shape or weights.shape != points.shape[:1]:
        raise DataError(
            f"X has shape {points.shape} and residuals have shape {weights.shape}",
            expected="(n, D) and (n,), with n and D at least 1",
            fix="one row of X and one residual a sample",
        )
    return DataMoment(points, weights, order)


def tensor_moment(T: Any) -> TensorMoment:
    """A moment from its entries.

    Args:
        T: A symmetric array of shape (D,) * p, $p$ at least 1.

    Raises:
        DataError: It is not symmetric, or its axes differ in length.
    """
    array = read_array(T, "T")
    if array.ndim == 0 or len(set(array.shape)) != 1 or array.shape[0] == 0:
        raise DataError(
            f"T has shape {array.shape}",
            expected="(D,) * p with D and p at least 1",
            fix="for data and residuals use data_moment(X, residuals, p)",
        )
    # Every entry from the one with sorted indices: symmetric to the last bit.
    symmetric = array[tuple(np.sort(np.indices(array.shape), axis=0))]
    allowed = 0 if is_exact(array) else _SYMMETRY * np.abs(array).max()
    if (abs(array - symmetric) > allowed).any():
        raise DataError(
            "T is not symmetric",
            expected="the same entry for every order of the indices",
            fix="average it over the permutations of its axes: the form H does not change",
        )
    return TensorMoment(symmetric)


def monomials(dimension: int, order: int) -> Iterator[tuple[int, ...]]:
    """The exponents of all monomials of degree `order`."""
    for chosen in combinations_with_replacement(range(dimension), order):
        yield tuple(chosen.count(j) for j in range(dimension))


def _check_order(order: int) -> None:
    if not isinstance(order, int) or order < 1:
        raise ParameterError(
            f"the order of a moment is {order!r}",
            expected="a positive integer, the multiplicity p of the activation",
            fix="p is the first power in the activation's series at 0",
        )
