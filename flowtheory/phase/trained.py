r"""Networks at a point of the diagram, at the start and at the end: what feature maps show.

They are the runs of a sweep (`flowtheory.phase.probe`): same start, same steps, same end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.errors import ParameterError
from flowtheory.flow.field import TwoLayer
from flowtheory.lower.gradient_flow import two_layer_model
from flowtheory.measure.amplitude import amplitudes, feature_map
from flowtheory.measure.checks import unit_rows, unit_vector
from flowtheory.measure.projection import linear_directions
from flowtheory.outcome import Outcome
from flowtheory.phase.data import Samples
from flowtheory.phase.point import Point
from flowtheory.phase.probe import point_of, run_cell
from flowtheory.phase.study import two_layer_study
from flowtheory.plot.features import Cloud
from flowtheory.precision import float64
from flowtheory.sweep.probe import Cell


class Weights(NamedTuple):
    r"""The weights of a network, in units of their standard deviations at the start.

    Attributes:
        W: $\bar w_k$, one a row.
        a: $\bar a_k$.
    """

    W: Float[np.ndarray, "m D"]
    a: Float[np.ndarray, " m"]


@dataclass(frozen=True, eq=False)
class Trained:
    r"""One network at a point of the diagram.

    Attributes:
        point: where it is.
        samples: its data.
        start: weights at the start.
        end: weights at the end.
        outcome: of the run; `EVENT` where the loss was reached.
    """

    point: Point
    samples: Samples
    start: Weights
    end: Weights
    outcome: Outcome

    def cloud(self, weights: Weights) -> Cloud:
        r"""Orientation and amplitude $|\bar a_k||\bar w_k|$ of every neuron.

        The amplitude is in units of $\beta_1\beta_2$; times $\kappa$ it is, for degree 1, what a
        neuron has in the output.

        Orientations are angles of $(w, b)$ in $(-\pi, \pi]$ for two inputs, the bias counted, and
        $\cos(w_k, z)$, $z = \frac1n\sum_i y_i x_i$, for more.

        Args:
            weights: `start` or `end`.
        """
        if self.planar:
            return Cloud(*feature_map(*weights, "product"))
        z = linear_directions(*self.samples).z
        cosines = unit_rows(weights.W) @ unit_vector(z, len(z))
        return Cloud(np.clip(cosines, -1.0, 1.0), amplitudes(*weights, "product"))

    @property
    def planar(self) -> bool:
        """Whether the input weights lie in a plane, the bias counted."""
        return self.samples.x.shape[1] == 2

    def outputs(self, x: Float[np.ndarray, "k D"]) -> Float[np.ndarray, " k"]:
        """$f(x)$ of the trained network.

        Args:
            x: inputs, one a row, the bias included.
        """
        outputs = two_layer_model(self.point.activation, "half_mse").outputs
        params: Any = TwoLayer(self.end.W, self.point.kappa_prime * self.end.a)  # type: ignore[arg-type]
        with float64():
            found = outputs(params, self.point.eps * np.asarray(x, dtype=np.float64))
        return np.asarray(found) / self.point.unit


def trained_at(
    gamma: float, gamma_prime: float, widths: Sequence[int], *, seed: int = 0, **fixed: Any
) -> tuple[Trained, ...]:
    """The networks that a sweep trains at one point.

    Args:
        gamma: of the point.
        gamma_prime: of the point.
        widths: one network each.
        seed: of the start.
        **fixed: other parameters of `flowtheory.phase.probe.PROBE`, such as data and activation.

    Raises:
        ParameterError: a value out of its domain, or a width twice.
        UnknownNameError: a parameter that does not exist.
    """
    study = two_layer_study([gamma], [gamma_prime], widths, seed + 1, **fixed)
    return tuple(_trained(cell) for cell in study.cells() if cell["seed"] == seed)


def _trained(cell: Cell) -> Trained:
    start, end, data, _ = run_cell(cell, float(cell["c"]))
    point = point_of(cell)
    first, last = (
        Weights(np.asarray(params.W), np.asarray(params.v) / point.kappa_prime)
        for params in (start, end.params)
    )
    return Trained(point, data, first, last, end.outcome)


def line_inputs(data: Samples, count: int = 401) -> Float[np.ndarray, "k 2"]:
    """Inputs of one dimension and a bias, over the range of the data and a fifth on each side.

    Args:
        data: whose last column is the bias, 1.
        count: how many.

    Raises:
        ParameterError: inputs that are not numbers with a bias.
    """
    x = data.x
    if x.shape[1] != 2 or not np.all(x[:, 1] == 1):
        raise ParameterError(
            f"inputs of {x.shape[1]} columns are no numbers with a bias",
            expected="two columns, the second one 1",
            fix="the data sets three-points and four-points are such",
        )
    low, high = x[:, 0].min(), x[:, 0].max()
    points = np.linspace(low - 0.2 * (high - low), high + 0.2 * (high - low), count)
    return np.stack([points, np.ones_like(points)], axis=1)
