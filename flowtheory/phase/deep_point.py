r"""A point of the diagram of deeper networks at a finite width, and the flow there.

For $H$ hidden layers of the width $m$, an activation of degree 1 and
$f = \frac1\alpha v^\top \sigma(W_H \cdots \sigma(W_1 x))$ with $W_l \sim N(0, \beta_l^2)$,
$v \sim N(0, \beta_L^2)$, $L = H + 1$, let $\bar\beta = (\beta_1 \cdots \beta_L)^{1/L}$ and

$$ \kappa = \frac{\beta_1 \cdots \beta_L}{\alpha} = m^{-\gamma},\qquad
   \beta_2 = \dots = \beta_L = m^{-\gamma_2} \beta_1. $$

In the units $\vartheta_l = W_l/\bar\beta$, with $f = \kappa\,g(\vartheta)$ and $g$ the network
without $\alpha$, the flow is, in the clock $ds = \kappa\,dt/\bar\beta^2$,

$$ \dot\vartheta = \frac{\kappa}{n} \sum_i r_i \nabla g(x_i; \vartheta),\qquad
   r_i = \frac{y_i}{\kappa} - g(x_i; \vartheta), $$

from standard deviations $\rho_l = \beta_l/\bar\beta$, whose product is 1: the gradient flow of $g$
with the labels $y/\kappa$. No digit is lost at any point. Relative distances are those of $W_l$.

For $H = 1$ this is the plane of two layers, $\gamma_2 = \gamma'$. The plane contains the
initializations in use, whose layers after the first have fan-in $m$ alike: LeCun's and He's at
$(\gamma, \gamma_2) = (H/2, 1/2)$, the neural tangent scaling at $(H/2, 0)$, Xavier's at
$((H+1)/2, 0)$.

Source: $\gamma$ is $\gamma_3$ of Zhou et al., arXiv 2205.12101, for three layers. Our $\gamma_2$ is
defined above; whether theirs is the same ratio was not verified.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float

from flowtheory.errors import ParameterError
from flowtheory.flow.field import Samples
from flowtheory.lower.smooth import free_widths, parameter_shapes
from flowtheory.symbolic.activation import find_activation
from flowtheory.symbolic.network import Network
from flowtheory.symbolic.networks.fully_connected import fully_connected


@dataclass(frozen=True)
class DeepPoint:
    r"""Where a network of a finite width is in the diagram.

    Attributes:
        gamma: $\gamma = -\log\kappa/\log m$.
        gamma_2: $\gamma_2 = -\log(\beta_l/\beta_1)/\log m$ for all layers $l \ge 2$.
        width: $m$, of every hidden layer.
        layers: $L$, of weights.
        activation: $\sigma$, of degree 1, by name or as an expression in z.

    Raises:
        ParameterError: fewer than two layers, or an activation that is not of degree 1.
    """

    gamma: float
    gamma_2: float
    width: int
    layers: int = 3
    activation: str = "relu"

    def __post_init__(self) -> None:
        local = find_activation(self.activation).local
        if local.multiplicity != 1 or local.next_order is not None or local.constant != 0:
            raise ParameterError(
                f"{self.activation} is not homogeneous of degree 1",
                expected="an activation such as relu, for which scales of layers can be exchanged",
                fix='activation="relu"; two-layer diagrams take any activation, and eps',
            )
        if self.layers < 2:
            raise ParameterError(
                f"layers = {self.layers}", expected="2 or more", fix="layers=3 is two hidden ones"
            )

    @property
    def network(self) -> Network:
        """The network $g$."""
        return _network(self.layers, self.activation)

    @property
    def kappa(self) -> float:
        r"""$\kappa$, the scale of the output."""
        return float(self.width) ** -self.gamma

    @property
    def scales(self) -> tuple[float, ...]:
        r"""$\rho_1, \dots, \rho_L$."""
        others = float(self.width) ** (-self.gamma_2 / self.layers)
        return (others ** -(self.layers - 1), *(others,) * (self.layers - 1))

    def start(self, dimension: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        r"""$\vartheta$ at the start, by the names of the network's tensors.

        Args:
            dimension: of the inputs.
            rng: of the weights.
        """
        data = {"x": np.zeros((1, dimension)), "y": np.zeros(1)}
        widths = dict.fromkeys(free_widths(self.network), self.width)
        shapes = parameter_shapes(self.network, data, widths)
        return {
            name: scale * rng.standard_normal(shape)
            for (name, shape), scale in zip(shapes.items(), self.scales, strict=True)
        }

    def samples(
        self, x: Float[np.ndarray, "n D"], y: Float[np.ndarray, " n"], offset: object = 0.0
    ) -> Samples:
        r"""The data as the flow sees them.

        Args:
            x: inputs.
            y: labels.
            offset: of the labels, in the units of $g$: the output of the start for a start that is
                centred, as if a copy of the network that is not trained were subtracted.
        """
        weight = np.float64(self.kappa / len(y))
        return Samples(x, y / self.kappa + np.asarray(offset), weight)  # type: ignore[arg-type]


@cache
def _network(layers: int, activation: str) -> Network:
    """One object for all points of a diagram: building it takes longer than a run of 64 neurons."""
    return fully_connected(layers, activation)
