r"""The linear leading flow of two layers, and its growth: for the laws of plateaus of degree 2."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from flowtheory.engine.gradient_flow import GradientFlow
from flowtheory.lower.leading import vector_field
from flowtheory.symbolic import effective_flow
from flowtheory.symbolic.effective import EffectiveFlow
from flowtheory.symbolic.network import Network


@lru_cache(maxsize=8)
def leading(network: Network) -> EffectiveFlow:
    """The leading flow under the mean half square."""
    return effective_flow(network, "half_mse")


class Growth(NamedTuple):
    r"""The top of the moment: $\lambda$, and its directions among inputs and outputs."""

    rate: float
    inputs: np.ndarray
    outputs: np.ndarray


def growth(flow: GradientFlow) -> Growth:
    """The growing direction of every neuron, from the moment that the derived flow takes."""
    assert isinstance(flow.network, Network)
    given = vector_field(leading(flow.network)).prepare(**flow.data)
    (moment,) = (np.asarray(value) for value in given.values() if np.ndim(value))
    share = len(flow.data["y"])
    matrix = moment.reshape(-1, 1) if moment.ndim == 1 else moment
    if matrix.shape[0] != flow.data["x"].shape[1]:
        matrix = matrix.T
    inputs, singular, outputs = np.linalg.svd(matrix / share, full_matrices=False)
    return Growth(float(singular[0]), inputs[:, 0], outputs[0])
