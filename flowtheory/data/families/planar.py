r"""Families in the plane: the fan, and two points as its smallest member."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from flowtheory.data.dataset import LabelledData
from flowtheory.data.families.case import Case, strict_pattern
from flowtheory.data.families.checks import require_count, require_mu, require_positive
from flowtheory.data.families.labels import LabelPattern, describe_labels, make_labels

_START = "w0 = (0, -1), on the hyperplane of x_1"


def two_points(*, mu: float = 0.1, norm: float = 1.0) -> Case:
    r"""F1: two positive data $X(1, 0)$ and $X(\mu, \sqrt{1-\mu^2})$, start seeing only the first.

    The start $w_0 = (0, -1)$ lies on the hyperplane of $x_1$ and moves to its active side. The
    case attains the bound $\mathrm{arccosh}(1/\mu)/X$ on the last pattern switch for every $\mu$.

    Args:
        mu: prescribed $\mu \in (0, 1]$; an entry of the data, so exact to $2^{-53}$ relative.
        norm: $X = |x_1| = |x_2|$.

    Raises:
        ParameterError: `mu` or `norm` outside its domain.
    """
    data = LabelledData(
        _fan(2, mu, norm), np.ones(2), "two points", f"two points, mu={mu:g}, norm={norm:g}"
    )
    return _started(data, "two-points")


def fan(
    *, n: int = 16, mu: float = 0.1, norm: float = 1.0, labels: LabelPattern = "positive"
) -> Case:
    r"""`n` signed data at equal angles from 0 to $\arccos\mu$ in the plane, start at $-90°$.

    $z_k = X(\cos\varphi_k, \sin\varphi_k)$, $\varphi_k = (k-1)\arccos(\mu)/(n-1)$. With all labels
    positive the neuron sees only $x_1$ at first and gains the other data one after another.

    Args:
        n: number of data, at least 2.
        mu: prescribed $\mu \in (0, 1]$, attained by the two outermost signed data.
        norm: $X = |x_k|$.
        labels: 'positive', 'alternating' or an array; the inputs are $x_k = y_k z_k$.

    Raises:
        ParameterError: a parameter outside its domain.
    """
    z = _fan(n, mu, norm)
    y = make_labels(labels, n)
    provenance = f"fan, n={n}, mu={mu:g}, norm={norm:g}, labels {describe_labels(labels)}"
    return _started(LabelledData(y[:, None] * z, y, "fan", provenance), "fan")


def _fan(n: int, mu: float, norm: float) -> Float[np.ndarray, "n 2"]:
    require_count("n", n, 2, "mu is a minimum over pairs")
    require_mu(mu)
    require_positive("norm", norm, "the data's norm")
    phi = np.linspace(0.0, math.acos(mu), n)
    z = np.column_stack([np.cos(phi), np.sin(phi)])
    # cos(arccos(mu)) has absolute error 1e-16: useless relative to mu = 1e-8.
    z[-1] = mu, math.sqrt((1 - mu) * (1 + mu))
    return norm * z


def _started(data: LabelledData, family: str) -> Case:
    w0 = np.array([[0.0, -1.0]])
    active = strict_pattern(w0, data)
    # <w0, x_1> = 0: a positive datum is gained at once, a negative one is not.
    active[0, 0] = data.y[0] > 0
    return Case(data, w0, active, family, _START)
