r"""Data sets of diagrams, by name; a bias is the last column of the inputs.

The inputs of ReLU diagrams are few: the boundary is where $m\kappa$ passes a constant that the
smallest eigenvalue of the kernels sets, and few points keep it of order one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from flowtheory.data.digits import load_digits
from flowtheory.data.mnist import load_mnist
from flowtheory.errors import unknown_name


class Samples(NamedTuple):
    """Inputs, one a row, and labels."""

    x: Float[np.ndarray, "n D"]
    y: Float[np.ndarray, " n"]


@cache
def samples(name: str) -> Samples:
    """The data set of a name; of `mnist:PATH`, 45 images of the IDX files there.

    Raises:
        UnknownNameError: There is none.
        FileFormatError: No IDX files, or damaged ones.
    """
    kind, _, path = name.partition(":")
    if kind == "mnist" and path:
        return _images(*load_mnist(path, split="test"))
    if name not in DATA_SETS:
        raise unknown_name("data set", name, DATA_SETS)
    return DATA_SETS[name]()


def _line(*labels: float) -> Samples:
    points = np.linspace(-1, 1, len(labels))
    return Samples(np.stack([points, np.ones_like(points)], axis=1), np.array(labels))


def _cloud() -> Samples:
    rng = np.random.default_rng(20)
    x = rng.standard_normal((20, 3)) * [1.5, 1.0, 0.5]
    teacher = rng.standard_normal(3)
    return Samples(x, np.tanh(x @ teacher / np.linalg.norm(teacher)) + 0.1 * rng.normal(size=20))


def _whitened() -> Samples:
    """Second moment 1 and |z| near 1: the solvable diagram."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((12, 3))
    x = np.sqrt(len(x)) * np.linalg.qr(x)[0]
    return Samples(x, x @ np.array([0.6, -0.8, 0.5]))


def _images(images: Float[np.ndarray, "N D"], classes: Int[np.ndarray, " N"]) -> Samples:
    """As many as Luo et al. 2021 take of MNIST, with the number that each shows as its label."""
    chosen = np.random.default_rng(45).choice(len(images), 45, replace=False)
    x = np.concatenate([images[chosen], np.ones((45, 1))], axis=1)
    return Samples(x, classes[chosen].astype(float))


DATA_SETS: Mapping[str, Callable[[], Samples]] = {
    "three-points": lambda: _line(0.7, -0.4, 0.9),
    "three-points-positive": lambda: _line(0.7, 0.1, 0.9),
    "three-points-linear": lambda: _line(0.3, 0.6, 0.9),
    "four-points": lambda: _line(0.5, -0.3, 0.8, 0.2),
    "cloud": _cloud,
    "whitened": _whitened,
    "digits": lambda: _images(*load_digits()),
}
"""Three and four points of a line, among them labels that one ReLU fits with room to spare (a
linear function, positive on the inputs); 20 points of a cloud in 3 dimensions with a noisy tanh as
labels; 12 points in 3 dimensions with second moment 1 and linear labels; 45 of scikit-learn's
handwritten digits with their numbers as labels."""
