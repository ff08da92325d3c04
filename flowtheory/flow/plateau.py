r"""The plateau of a flow of neurons in closed form, at any scale of the start.

For multiplicity 1, $\theta_j(t) = e^{At}\theta_j(0)$ while the outputs are small, with one $A$ for
all neurons (`flowtheory.flow.neurons`). How small they are is measured by the fraction of the force
that they take back,

$$ \eta = \frac{\lambda E}{2 w\sum_i|\rho_i|^2},\qquad E = \sum_j|\theta_j|^2, $$

which is $\sum_i\langle\rho_i, f_i\rangle/\sum_i|\rho_i|^2$ to leading order once the top mode of
$A$ dominates, and above it before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from flowtheory.blas import one_thread
from flowtheory.errors import DataError
from flowtheory.flow.field import Samples
from flowtheory.flow.neurons import Linearisation, Neurons, linearise
from flowtheory.precision import as_float64


@dataclass(frozen=True, eq=False)
class Saddle:
    r"""A flow of weighted neurons with its linear part at the origin.

    Attributes:
        neurons: outputs and loss; keep the object, compiled code is found by its functions.
        data: samples.
        linear: the flow of one neuron at the origin.
    """

    neurons: Neurons
    data: Samples
    linear: Linearisation

    @classmethod
    def of(cls, neurons: Neurons, data: Samples, size: int) -> Saddle:
        """The saddle of neurons of `size` parameters each."""
        return cls(neurons, data, linearise(neurons, data, size))


@dataclass(frozen=True, eq=False)
class Start:
    r"""Neurons $\theta_j(0) = e^{u}c_jV^T$ in the modes $V$ of $A$.

    Attributes:
        saddle: the flow.
        modal: $c$, shape (m, p).
        log_scale: $u$.
    """

    saddle: Saddle
    modal: Float[np.ndarray, "m p"]
    log_scale: float

    @classmethod
    def of(cls, saddle: Saddle, theta: Float[np.ndarray, "m p"], log_scale: float = 0.0) -> Start:
        r"""A start at $e^{u}$ times `theta`; any $u$, such as that of a scale of 1e-300.

        Raises:
            DataError: The neurons are zero, not finite, or of another size than the flow's.
        """
        theta = as_float64(theta, "theta")
        size = len(saddle.linear.rates)
        if theta.ndim != 2 or theta.shape[1] != size or not np.any(theta):
            raise DataError(
                f"theta has shape {theta.shape}" if np.any(theta) else "all neurons are zero",
                expected=f"one neuron of {size} parameters a row, not all zero",
                fix="stack the parameters of a neuron in a row",
            )
        with one_thread():
            modal = theta @ saddle.linear.modes
        return cls(saddle, modal, float(log_scale))

    def at(self, time: float) -> Float[np.ndarray, "m p"]:
        r"""$e^{u + \lambda_a t}c_{ja}$: the linear flow, in modes."""
        return self.modal * np.exp(self.saddle.linear.rates * time + self.log_scale)

    def skip_to(self, time: float) -> Float[np.ndarray, "m p"]:
        r"""$\theta_j(t)$ of the linear flow."""
        return self.at(time) @ self.saddle.linear.modes.T

    @cached_property
    def _energies(self) -> Float[np.ndarray, " p"]:
        r"""$\ln\sum_j|\theta_{ja}(0)|^2$ of every mode."""
        with np.errstate(divide="ignore"):
            return np.log(np.sum(self.modal**2, axis=0)) + 2 * self.log_scale

    def time_of(self, fraction: float) -> float:
        r"""When the linear flow has $\eta$ = `fraction`; 0 if it starts there, inf if it never is.

        Newton's iteration on $\ln E(t)$, which is convex: from a time where the leading mode alone
        has that energy, it descends to the root.
        """
        linear, parts = self.saddle.linear, self._energies
        target = math.log(2 * fraction * linear.pull / linear.rate)
        if not math.isfinite(parts[-1]):
            return math.inf
        time = max(0.0, (target - parts[-1]) / (2 * linear.rate))
        for _ in range(20):
            exponents = parts + 2 * linear.rates * time
            share = np.exp(exponents - exponents.max())
            excess = math.log(share.sum()) + float(exponents.max()) - target
            change = excess / (2 * float(linear.rates @ share) / float(share.sum()))
            if time == 0.0 or abs(change) <= 1e-9 * time:
                break
            time = max(0.0, time - change)
        return time
