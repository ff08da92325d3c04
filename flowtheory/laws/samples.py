"""Small regression problems that laws are tried on."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def regression(
    rng: np.random.Generator, samples: int, dimension: int, noise: float = 0.3
) -> tuple[Float[np.ndarray, "n D"], Float[np.ndarray, " n"]]:
    r"""Gaussian inputs, and labels $\tanh(w\cdot x)$ of a random teacher with noise.

    The labels depend on the inputs, so that a network can leave the plateau of zero output; the
    noise keeps it from fitting them.
    """
    x = rng.standard_normal((samples, dimension))
    teacher = rng.standard_normal(dimension)
    teacher *= 1.5 / np.linalg.norm(teacher)
    return x, np.tanh(x @ teacher) + noise * rng.standard_normal(samples)
