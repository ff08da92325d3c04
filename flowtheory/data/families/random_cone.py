r"""Random data with a prescribed minimal cosine: dense and sparse cones around one axis."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from flowtheory.data.dataset import LabelledData
from flowtheory.data.families.case import Case
from flowtheory.data.families.checks import (
    require_count,
    require_mu,
    require_nonnegative,
    require_seed,
)
from flowtheory.data.families.labels import LabelPattern, describe_labels, make_labels
from flowtheory.data.families.starts import gaussian_starts


def random_cone(
    *,
    n: int = 16,
    dimension: int = 8,
    mu: float = 0.1,
    h: int = 8,
    labels: LabelPattern = "random",
    norm_spread: float = 0.5,
    seed: int = 0,
) -> Case:
    r"""$\hat z_i = \sqrt\mu\, e_0 + \sqrt{1-\mu}\, u_i$, random unit $u_i \ge 0$, $u_i \perp e_0$.

    The $u_i$ are normalised moduli of Gaussian vectors, except for one pair with disjoint
    supports, so $\min\cos(z_i, z_j) = \mu$ exactly. Norms are $|x_i| = e^{\sigma g_i}$, $g_i$
    standard normal. The starts are Gaussian (`gaussian_starts`).

    Args:
        n: number of data, at least 2.
        dimension: D, at least 3 (two orthogonal $u_i$ need two dimensions beside $e_0$).
        mu: prescribed $\mu \in (0, 1]$.
        h: number of neurons.
        labels: 'random', 'positive', 'alternating' or an array.
        norm_spread: $\sigma \ge 0$ of the log-normal norms; 0 for unit norms.
        seed: of `numpy.random.default_rng`.

    Raises:
        ParameterError: a parameter outside its domain.
    """
    return _cone("random-cone", n, dimension, mu, h, labels, norm_spread, seed, dimension - 1)


def sparse_cone(
    *,
    n: int = 16,
    dimension: int = 8,
    mu: float = 0.1,
    h: int = 8,
    labels: LabelPattern = "random",
    norm_spread: float = 0.5,
    seed: int = 0,
    support: int = 2,
) -> Case:
    r"""As `random_cone`, but each $u_i$ has at most `support` nonzero coordinates.

    Many pairs of $u_i$ have disjoint supports, hence cosine exactly $\mu$: near-orthogonal data,
    in which neurons wait near sums of subsets.

    Raises:
        ParameterError: a parameter outside its domain, `support` < 1 included.
    """
    return _cone("sparse-cone", n, dimension, mu, h, labels, norm_spread, seed, support)


def _cone(
    family: str,
    n: int,
    dimension: int,
    mu: float,
    h: int,
    labels: LabelPattern,
    norm_spread: float,
    seed: int,
    support: int,
) -> Case:
    require_count("n", n, 2, "mu is a minimum over pairs")
    require_count("dimension", dimension, 3, "two orthogonal directions beside the axis")
    require_count("support", support, 1, "nonzero coordinates beside the axis")
    require_mu(mu)
    require_nonnegative("norm_spread", norm_spread, "sigma of the log-normal norms")
    require_seed(seed)
    rng = np.random.default_rng(seed)
    z = np.empty((n, dimension))
    z[:, 0] = math.sqrt(mu)
    z[:, 1:] = math.sqrt(1 - mu) * _orthant_directions(n, dimension - 1, support, rng)
    y = make_labels(labels, n, rng)
    norms = np.exp(norm_spread * rng.standard_normal(n))
    provenance = (
        f"{family}, n={n}, D={dimension}, mu={mu:g}, labels {describe_labels(labels)}, "
        f"norm_spread={norm_spread:g}, support={support}, seed={seed}"
    )
    data = LabelledData((y * norms)[:, None] * z, y, family.replace("-", " "), provenance)
    return gaussian_starts(data, h=h, seed=seed, family=family)


def _orthant_directions(
    n: int, d: int, support: int, rng: np.random.Generator
) -> Float[np.ndarray, "n d"]:
    """Unit vectors with nonnegative coordinates, two of which (at random places) are orthogonal."""
    u = np.abs(rng.standard_normal((n, d)))
    for row in u:
        row[rng.permutation(d)[support:]] = 0.0
    pair = rng.choice(n, size=2, replace=False)
    split = rng.permutation(d)
    first, second = split[: d // 2][:support], split[d // 2 :][:support]
    u[pair] = 0.0
    u[pair[0], first] = np.abs(rng.standard_normal(len(first)))
    u[pair[1], second] = np.abs(rng.standard_normal(len(second)))
    return u / np.linalg.norm(u, axis=1, keepdims=True)
