"""Cosines of all pairs of neurons, ordered so that groups are seen, and the groups themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from flowtheory.errors import DataError
from flowtheory.measure.amplitude import amplitudes as amplitudes_of
from flowtheory.measure.checks import as_matrix, as_vector, require_in, unit_rows
from flowtheory.measure.measurement import Measurement

_BLOCK_ENTRIES = 1 << 22  # 32 MB of float64 per block of cosines


class CosineMatrix(NamedTuple):
    r"""$D_{ij} = \langle w_i, w_j\rangle/(|w_i||w_j|)$, ordered.

    Attributes:
        matrix: $D$ with rows and columns in `order`; 8 m^2 bytes.
        order: neurons by descending entry of the leading eigenvector of $D$, whose entry of largest
            modulus is positive.
        eigenvalues: of $D$, descending, as many as min(m, D); they sum to m, and the first is m if
            all neurons lie on one line.
    """

    matrix: Float[np.ndarray, "m m"]
    order: Int[np.ndarray, " m"]
    eigenvalues: Float[np.ndarray, " r"]


class Clusters(NamedTuple):
    """Groups of neurons, the largest first.

    Attributes:
        number: how many groups.
        labels: the group of each neuron, -1 for neurons that were left out.
        sizes: neurons in each group.
        shares: part of the sum of all amplitudes in each group.
    """

    number: Measurement
    labels: Int[np.ndarray, " m"]
    sizes: Int[np.ndarray, " c"]
    shares: Float[np.ndarray, " c"]


def cosine_matrix(weights: Float[np.ndarray, "m D"]) -> CosineMatrix:
    """The matrix of cosines of neurons, ordered by its leading eigenvector.

    The eigenvector is the first left singular vector of the unit rows: $m D^2$ operations.

    Args:
        weights: one row a neuron.

    Raises:
        DataError: no finite matrix, or a zero row.
    """
    unit = unit_rows(weights)
    vectors, values, _ = np.linalg.svd(unit, full_matrices=False)
    leading = vectors[:, 0] * np.sign(vectors[np.argmax(np.abs(vectors[:, 0])), 0])
    order = np.argsort(-leading, kind="stable")
    ordered = unit[order]
    # A copy: of one and the same array NumPy makes a symmetric product, which is slower here.
    matrix = ordered @ ordered.T.copy()
    np.clip(matrix, -1.0, 1.0, out=matrix)
    np.fill_diagonal(matrix, 1.0)
    return CosineMatrix(matrix, order, values**2)


def clusters(
    weights: Float[np.ndarray, "m D"],
    *,
    threshold: float = 0.95,
    signed: bool = True,
    amplitudes: Float[np.ndarray, " m"] | None = None,
    least: float = 0.0,
) -> Clusters:
    r"""Groups of neurons of nearly one direction: unions of pairs with $\cos >$ threshold.

    Two neurons are in one group if a chain of neurons leads from one to the other, each step with
    $\cos(w_i, w_j)$ above the threshold (connected components): the rule depends on no order, but a
    chain may span more than the threshold. Not to be counted during a descent.

    Args:
        weights: one row a neuron.
        threshold: of the cosine, in (0, 1).
        signed: orientations, $\cos$ itself; otherwise lines, $|\cos|$.
        amplitudes: what `least` and the shares refer to; $|w_k|$ if not given.
        least: neurons with an amplitude below this fraction of the largest are left out.

    Raises:
        DataError: no finite matrix, amplitudes that are negative or all zero, or a zero row that is
            not left out.
        ParameterError: a threshold outside (0, 1), or `least` outside [0, 1].
    """
    require_in(threshold, "the threshold", 0.0, 1.0)
    require_in(least, "least", 0.0, 1.0, closed=True)
    matrix = as_matrix(weights)
    sizes = _amplitudes(matrix, amplitudes)
    kept = np.arange(len(sizes))
    if least > 0:
        kept = np.flatnonzero(sizes >= least * sizes.max())
    unit = unit_rows(matrix[kept])
    groups = _components(unit, threshold, signed)
    labels = np.full(len(sizes), -1)
    labels[kept] = groups
    counts = np.bincount(groups)
    rank = np.argsort(-counts, kind="stable")
    labels[kept] = np.argsort(rank)[groups]
    kind = "cos" if signed else "|cos|"
    definition = f"connected components of {kind} > {threshold:g}, amplitudes >= {least:g} max"
    shares = np.bincount(labels[kept], weights=sizes[kept]) / sizes.sum()
    number = Measurement.exact(len(counts), definition, "groups")
    return Clusters(number, labels, counts[rank], shares)


def effective_ratio(
    weights: Float[np.ndarray, "m D"], *, threshold: float = 0.95, signed: bool = True
) -> Measurement:
    r"""The least number of directions that cover all neurons, over the number of neurons.

    A direction covers the neurons whose cosine with it exceeds the threshold $\cos\alpha$ (Zhang
    and Xu, arXiv 2207.05952). The least number is hard to find, and enclosed: neurons at mutual
    angles of at least $2\alpha$ need a direction each (lower end), and neurons taken as directions,
    those with most neighbours first, are enough (value and upper end). The ends agree in a
    condensed layer.

    Args:
        weights: one row a neuron.
        threshold: of the cosine, in (0, 1).
        signed: orientations, $\cos$ itself; otherwise lines, $|\cos|$.

    Raises:
        DataError: no finite matrix, or a zero row.
        ParameterError: a threshold outside (0, 1).
    """
    require_in(threshold, "the threshold", 0.0, 1.0)
    unit = unit_rows(weights)
    neighbours = np.zeros(len(unit), dtype=np.int64)
    for start, near in _near(unit, threshold, signed):
        neighbours[start : start + len(near)] = np.count_nonzero(near, axis=1)
    order = np.argsort(-neighbours, kind="stable")
    needed = _greedy(unit, np.argsort(neighbours, kind="stable"), 2 * threshold**2 - 1, signed)
    enough = _greedy(unit, order, threshold, signed)
    m, kind = len(unit), "cos" if signed else "|cos|"
    definition = (
        f"least number of directions that cover all neurons, {kind} > {threshold:g}, over m"
    )
    return Measurement(enough / m, needed / m, enough / m, definition)


def _amplitudes(
    weights: Float[np.ndarray, "m D"], given: Float[np.ndarray, " m"] | None
) -> Float[np.ndarray, " m"]:
    if given is None:
        return amplitudes_of(weights)
    found = as_vector(given, "the amplitudes", len(weights))
    if np.any(found < 0) or not np.any(found > 0):
        raise DataError(
            "amplitudes that are negative, or all zero",
            expected="non-negative amplitudes, not all zero",
            fix="amplitudes(weights, outputs)",
        )
    return found


def _near(
    unit: Float[np.ndarray, "m D"], threshold: float, signed: bool
) -> Iterator[tuple[int, Bool[np.ndarray, "b m"]]]:
    """Blocks of rows of the relation cos > threshold."""
    size = max(1, _BLOCK_ENTRIES // len(unit))
    for start in range(0, len(unit), size):
        block = unit[start : start + size] @ unit.T
        yield start, (block if signed else np.abs(block, out=block)) > threshold


def _components(
    unit: Float[np.ndarray, "m D"], threshold: float, signed: bool
) -> Int[np.ndarray, " m"]:
    """Connected components, merged block by block; only pairs that merge something are stored."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    m = len(unit)
    labels = np.arange(m)
    for start, near in _near(unit, threshold, signed):
        rows, columns = np.nonzero(near & (labels[start : start + len(near), None] != labels))
        a, b = labels[rows + start], labels[columns]
        merged = connected_components(coo_array((np.ones(a.size), (a, b)), shape=(m, m)))[1]
        labels = merged[labels]
    return np.unique(labels, return_inverse=True)[1]


def _greedy(
    unit: Float[np.ndarray, "m D"], order: Int[np.ndarray, " m"], threshold: float, signed: bool
) -> int:
    """How many picks, in order, until every neuron has cos > threshold with a picked one."""
    left = np.ones(len(unit), dtype=bool)
    picks = 0
    for k in order:
        if left[k]:
            picks += 1
            cosines = unit @ unit[k]
            left &= (cosines if signed else np.abs(cosines)) <= threshold
            left[k] = False
    return picks
