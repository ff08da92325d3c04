r"""Wasserstein distances of amplitude distributions, and what the loss allows them to be."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.errors import ParameterError
from flowtheory.measure.amplitude import amplitudes
from flowtheory.measure.checks import as_matrix, as_vector, same_shape
from flowtheory.measure.measurement import Measurement


class WassersteinBound(NamedTuple):
    r"""$W_2^2 \le |\theta_t - \theta_s|^2/m \le (t - s)(L(s) - L(t))/m$.

    Attributes:
        distance: $W_2^2$ of the amplitudes $|\theta_k|$ at the two times.
        motion: $|\theta_t - \theta_s|^2/m$ of the neurons.
        allowed: $(t - s)(L(s) - L(t))/m$.
    """

    distance: Measurement
    motion: Measurement
    allowed: Measurement


def wasserstein(
    first: Float[np.ndarray, " a"], second: Float[np.ndarray, " b"], p: float = 2.0
) -> Measurement:
    r"""$W_p = \left(\int_0^1 |F^{-1}(q) - G^{-1}(q)|^p\,dq\right)^{1/p}$ of two samples, exactly.

    On the line the monotone matching is optimal for every $p \ge 1$. Samples of one size are
    matched in order; for others the two quantile functions are step functions, integrated over the
    union of their steps, which are kept as integers. Sampling noise between two independent samples
    of size m is $O(m^{-1/2})$: compare the same neurons over time.

    Args:
        first: numbers, of equal weight.
        second: numbers, of equal weight; another size is allowed.
        p: the order, finite.

    Raises:
        DataError: no numbers, or numbers that are not finite.
        ParameterError: p < 1.
    """
    if not (np.isfinite(p) and p >= 1):
        raise ParameterError(
            f"p is {p!r}",
            expected="a finite number >= 1: below 1 the cost is not convex",
            fix="1 or 2",
        )
    a, b = np.sort(as_vector(first, "first")), np.sort(as_vector(second, "second"))
    # Quantiles in units of 1/(|a| |b|): where either function steps, in exact integers.
    steps = np.union1d(np.arange(1, a.size + 1) * b.size, np.arange(1, b.size + 1) * a.size)
    parts = np.diff(steps, prepend=0)
    gaps = np.abs(a[(steps - 1) // b.size] - b[(steps - 1) // a.size])
    largest = float(gaps.max())
    definition = f"W_{p:g} = (int |F^-1 - G^-1|^{p:g} dq)^(1/{p:g})"
    if largest == 0:
        return Measurement.exact(0.0, definition, "amplitude")
    mean = np.sum((gaps / largest) ** p * parts) / (a.size * b.size)
    return Measurement.exact(largest * float(mean ** (1 / p)), definition, "amplitude")


def wasserstein_bound(
    before: Float[np.ndarray, "m K"],
    after: Float[np.ndarray, "m K"],
    *,
    times: tuple[float, float],
    losses: tuple[float, float],
) -> WassersteinBound:
    r"""The three numbers of $W_2^2 \le |\theta_t - \theta_s|^2/m \le (t - s)(L(s) - L(t))/m$.

    For $\dot\theta = -\nabla L$: amplitudes are 1-Lipschitz in the parameters of their neuron, and
    $|\theta_t - \theta_s|^2 \le (t - s)\int_s^t |\nabla L|^2 = (t - s)(L(s) - L(t))$. The times are
    those of the flow of just this loss: with a loss that is summed, or a clock that runs
    differently, the last number is another one.

    Args:
        before: parameters of the neurons at s, one row a neuron: `np.column_stack([v, W])`.
        after: the same at t.
        times: s and t.
        losses: L(s) and L(t).

    Raises:
        DataError: shapes that differ, or entries that are not finite.
        ParameterError: t < s, or numbers that are not finite.
    """
    first, second = same_shape(as_matrix(before), as_matrix(after), "the neurons")
    start, end = times
    if not (np.isfinite([*times, *losses]).all() and start <= end):
        raise ParameterError(
            f"times {times} and losses {losses}",
            expected="finite numbers, the earlier time first",
            fix="times=(s, t), losses=(L(s), L(t))",
        )
    m = len(first)
    distance = wasserstein(amplitudes(first), amplitudes(second)).value ** 2
    motion = float(np.sum((second - first) ** 2)) / m
    high, low = losses
    allowed, rounding = (end - start) * (high - low) / m, np.finfo(float).eps * (end - start) / m
    width = rounding * max(abs(high), abs(low))
    return WassersteinBound(
        Measurement.exact(distance, "W_2^2 of the amplitudes", "amplitude^2"),
        Measurement.exact(motion, "|theta_t - theta_s|^2 / m", "amplitude^2"),
        Measurement(
            allowed, allowed - width, allowed + width, "(t - s)(L(s) - L(t)) / m", "amplitude^2"
        ),
    )
