r"""F4: data whose signed vectors all meet at the same angle."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from flowtheory.data.dataset import LabelledData
from flowtheory.data.families.case import Case
from flowtheory.data.families.checks import require_angle, require_count, require_mu
from flowtheory.data.families.labels import LabelPattern, describe_labels, make_labels
from flowtheory.errors import ParameterError


def equicorrelated(
    *,
    n: int = 16,
    mu: float = 0.1,
    labels: LabelPattern = "positive",
    theta0: float = math.pi / 3,
) -> Case:
    r"""F4: $z_i = \sqrt\mu\, e_0 + \sqrt{1-\mu}\, e_i \in \mathbb{R}^{n+1}$, start inside $S_+$.

    The Gram matrix of the $z_i$ is $(1-\mu) I + \mu 1 1^T$, so a pattern of $k$ active data has
    $|x_a| = \sqrt{k(1 + \mu(k-1))}$. The start has angle `theta0` to $x_+$ and its component
    orthogonal to $x_+$ is orthogonal to every datum; so it lies in $S_+$, where the angle
    $\psi$ obeys $\tan(\psi/2) = e^{-|x_+| t}\tan(\theta_0/2)$ and nothing switches.

    Args:
        n: number of data; memory is $n(n+1)$ floats.
        mu: prescribed $\mu \in (0, 1]$.
        labels: 'positive', 'alternating' or an array with at least one +1; by symmetry only the
            number of +1 matters.
        theta0: angle between the start and $x_+$, in $(0, \pi/2)$, radians.

    Raises:
        ParameterError: a parameter outside its domain.
    """
    require_count("n", n, 2, "mu is a minimum over pairs")
    require_mu(mu)
    require_angle("theta0", theta0, math.pi / 2, "angle to x_+ inside S_+")
    y = make_labels(labels, n)
    provenance = f"equicorrelated, n={n}, mu={mu:g}, labels {describe_labels(labels)}"
    data = LabelledData(y[:, None] * _signed(n, mu), y, "equicorrelated", provenance)
    if data.n_plus == 0:
        raise ParameterError(
            "no label is +1",
            expected="at least one positive datum, so that x_+ is not zero",
            fix="flip the labels: the flow is its own mirror image",
        )
    start = f"in S_+ at {math.degrees(theta0):.4g} degrees from x_+"
    return Case(data, _start(data, mu, theta0), data.y[None, :] > 0, "equicorrelated", start)


def _signed(n: int, mu: float) -> Float[np.ndarray, "n n+1"]:
    z = np.zeros((n, n + 1))
    z[:, 0] = math.sqrt(mu)
    z[np.arange(n), np.arange(1, n + 1)] = math.sqrt(1 - mu)
    return z


def _start(data: LabelledData, mu: float, theta0: float) -> Float[np.ndarray, "1 n+1"]:
    along = data.x_plus / np.linalg.norm(data.x_plus)
    across = np.full(data.dimension, -math.sqrt(mu))  # orthogonal to every z_i
    across[0] = math.sqrt(1 - mu)
    across /= np.linalg.norm(across)
    return (math.cos(theta0) * along + math.sin(theta0) * across)[None, :]
