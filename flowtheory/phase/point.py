r"""A point of the diagram at a finite width, and the flow there in normalized units.

With $\kappa = m^{-\gamma}$, $\kappa' = m^{-\gamma'}$, the width $m$, and standard normal
$\bar a_k$, $\bar w_k$, let $v = \kappa'\bar a$ and let $s$ be the clock with
$ds = \kappa\,d\bar t$ (that of `flowtheory.symbolic.closure`). Then

$$\dot v_k = \frac1n\sum_i r_i\,\sigma_\varepsilon(\bar w_k\cdot x_i),\qquad
  \dot{\bar w}_k = \frac1n\sum_i r_i\,v_k\,\sigma_\varepsilon'(\bar w_k\cdot x_i)\,x_i,\qquad
  r_i = y_i - \frac{\kappa}{\kappa'}\sum_k v_k\,\sigma_\varepsilon(\bar w_k\cdot x_i),$$

$\sigma_\varepsilon(z) = \sigma(\varepsilon z)/(c_p\varepsilon^p)$, which is $\sigma(z)/c_1$ where
$\sigma$ is homogeneous of degree 1: then $\varepsilon$, the standard deviation of the input
weights, is of no account. This is the gradient flow of a network with the inputs
$\varepsilon x$ and the labels $y\,c_p\varepsilon^p\kappa'/\kappa$, in another clock: no digit is
lost at any point.

Source: Luo, Xu, Ma, Zhang, JMLR 22 (2021), section 3, for the normalization; $\gamma$, $\gamma'$
and $p$ are those of `flowtheory.symbolic.scalings`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from flowtheory.errors import ParameterError
from flowtheory.flow.field import Samples, TwoLayer
from flowtheory.symbolic.activation import find_activation


@dataclass(frozen=True)
class Point:
    r"""Where a network of a finite width is in the diagram.

    Attributes:
        gamma: $\gamma = -\log\kappa/\log m$.
        gamma_prime: $\gamma' = -\log\kappa'/\log m$.
        width: $m$, the number of neurons.
        activation: $\sigma$, by name or as an expression in z.
        eps: $\varepsilon$, the standard deviation of the input weights.
    """

    gamma: float
    gamma_prime: float
    width: float
    activation: str = "relu"
    eps: float = 1.0

    @property
    def kappa(self) -> float:
        r"""$\kappa$, the scale of the output."""
        return float(self.width) ** -self.gamma

    @property
    def kappa_prime(self) -> float:
        r"""$\kappa'$, the scale of $a$ over that of $w$."""
        return float(self.width) ** -self.gamma_prime

    def start(self, dimension: int, rng: np.random.Generator, paired: bool) -> TwoLayer:
        r"""$(\bar w, v)$ at the start.

        Args:
            dimension: of the inputs.
            rng: of the weights.
            paired: whether neurons come in pairs $(a, w)$, $(-a, w)$, so that the output is 0
                (antisymmetric initialization); the width must be even.

        Raises:
            ParameterError: pairs, and an odd width.
        """
        m = int(self.width)
        if paired and m % 2:
            raise ParameterError(
                f"{m} neurons do not come in pairs",
                expected="an even width, for an antisymmetric initialization",
                fix=f"width={m + 1}, or paired=False",
            )
        drawn = m // 2 if paired else m
        w, a = rng.standard_normal((drawn, dimension)), rng.standard_normal(drawn)
        if paired:
            w, a = np.concatenate([w, w]), np.concatenate([a, -a])
        return TwoLayer(w, self.kappa_prime * a)  # type: ignore[arg-type]

    def samples(self, x: Float[np.ndarray, "n D"], y: Float[np.ndarray, " n"]) -> Samples:
        """The data as the flow sees them; losses are in units of `unit` squared."""
        weight = 1 / (len(y) * self._multiplier * self.unit)
        return Samples(self.eps * x, y * self.unit, np.float64(weight))  # type: ignore[arg-type]

    @property
    def unit(self) -> float:
        r"""A label of 1 in the units of `samples`: $c_p\varepsilon^p\kappa'/\kappa$."""
        return self._multiplier * self.kappa_prime / self.kappa

    @property
    def _multiplier(self) -> float:
        local = find_activation(self.activation).local
        return float(local.leading) * self.eps**local.multiplicity
