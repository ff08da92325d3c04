r"""Blow-up times of single neurons of two layers, alone and the first of many.

With one input the leading flow of a neuron is that of $H = h\,a\,w^p$,
whose times are in closed form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sympy as sp
from jaxtyping import Float
from scipy.optimize import root_scalar

from flowtheory.engine.gradient_flow import GradientFlow, Params
from flowtheory.lower import blow_up, numeric
from flowtheory.lower.leading import vector_field
from flowtheory.precision import float64
from flowtheory.symbolic import effective_flow, fully_connected
from flowtheory.symbolic.blowup import aligned_neuron
from flowtheory.symbolic.effective import EffectiveFlow
from flowtheory.symbolic.network import Network

NEURON = {order: aligned_neuron(order) for order in (2, 3)}
ACTIVATIONS = {2: "z*tanh(z)", 3: "z**2*tanh(z)"}


@dataclass(frozen=True)
class Setting:
    """A network of multiplicity p and its leading flow."""

    order: int

    @cached_property
    def network(self) -> Network:
        """The network."""
        return fully_connected(2, ACTIVATIONS[self.order])

    @cached_property
    def flow(self) -> EffectiveFlow:
        """Its leading flow."""
        return effective_flow(self.network, "half_mse")

    @cached_property
    def reach(self) -> Reach:
        """Times of one neuron by its angle."""
        return Reach.of(self.order)

    def problem(self, rng: np.random.Generator, dimension: int = 1) -> GradientFlow:
        """Labels of one neuron of the same kind, with noise."""
        x = rng.uniform(0.5, 1.5, (10, dimension)) * rng.choice([-1.0, 1.0], (10, dimension))
        teacher = rng.standard_normal(dimension)
        z = x @ (teacher / np.linalg.norm(teacher))
        y = z ** (self.order - 1) * np.tanh(z) + 0.1 * rng.standard_normal(10)
        return GradientFlow(self.network, "half_mse", x=x, y=y)

    def strength(self, flow: GradientFlow) -> float:
        r"""$h$ of one input, from the derived field: $\dot a = h w^p$ at $w = 1$."""
        lowered = vector_field(self.flow)
        given = lowered.prepare(**flow.data)
        with float64():
            return float(lowered({"W": np.ones((1, 1)), "v": np.zeros(1)}, given)["v"][0])

    def times(self, flow: GradientFlow, unit: Params) -> Float[np.ndarray, " m"]:
        """Blow-up times of the neurons; infinite for those that never escape."""
        if unit["W"].shape[1] == 1:
            strength = self.strength(flow)
            # The flow of h is that of |h| with the sign of a turned if h < 0.
            pairs = zip(unit["W"][:, 0], np.sign(strength) * unit["v"], strict=True)
            return np.array([self._alone(w, a) for w, a in pairs]) / abs(strength)
        found = [
            blow_up(self.flow, {"W": unit["W"][j : j + 1], "v": unit["v"][j : j + 1]},
                    data=dict(flow.data), horizon=60.0)
            for j in range(len(unit["v"]))
        ]  # fmt: skip
        return np.array([end.blow_up_time.estimate for end in found])

    def _alone(self, w: float, a: float) -> float:
        """The time of a neuron at h = 1."""
        escape = NEURON[self.order].escape((sp.Float(w), sp.Float(a)))
        return float(escape.time.subs(NEURON[self.order].strength, 1))


SETTINGS = {order: Setting(order) for order in ACTIVATIONS}


@dataclass(frozen=True)
class Reach:
    r"""Blow-up time of a neuron of norm 1 at the angle $\phi$: $w = \cos\phi$, $a = \sin\phi$.

    Attributes:
        times: at equidistant angles over the circle; infinite where it never escapes.
    """

    times: Float[np.ndarray, " k"]

    @classmethod
    def of(cls, order: int, angles: int = 4000) -> Reach:
        """By the closed forms at h = 1."""
        flow = NEURON[order]
        w, a = flow.gains
        arguments = (w, a)
        forward = numeric(flow.blow_up_time.subs(flow.strength, 1), arguments)
        after = numeric(flow.time_after_sign_change(a).subs(flow.strength, 1), arguments)
        phi = (np.arange(angles) + 0.5) * 2 * np.pi / angles
        size = np.abs(np.cos(phi)), np.abs(np.sin(phi))
        sense = np.sign(np.sin(phi)) * np.sign(np.cos(phi)) ** order
        turns = (sense < 0) & (size[0] ** 2 > order * size[1] ** 2)
        times = np.full(angles, np.inf)
        times[sense > 0] = forward(size[0][sense > 0], size[1][sense > 0])
        times[turns] = after(size[0][turns], size[1][turns])
        return cls(times)

    def below(self, time: float, order: int) -> float:
        r"""$P(T^* \le t)$ of a Gaussian one, $\langle e^{-(g/t)^{2/(p-1)}/2}\rangle$ over angles.

        $T^* = g(\phi)\,r^{-(p-1)}$, and $P(r > s) = e^{-s^2/2}$ for two Gaussian weights.
        """
        return float(np.mean(np.exp(-0.5 * (self.times / time) ** (2 / (order - 1)))))

    def median_of_first(self, neurons: int, order: int) -> float:
        """The median of the smallest time of m neurons."""
        part = 1 - 0.5 ** (1 / neurons)
        found = root_scalar(
            lambda u: self.below(math.exp(u), order) - part, bracket=(-8, 12), xtol=1e-12
        )
        return math.exp(found.root)
