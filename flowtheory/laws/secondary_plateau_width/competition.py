r"""The competition of neurons that ends a second plateau, for odd and for other activations.

After the first descent the network is the best linear fit, shared by all neurons:
$q_j = a_j w_j = O(1/m)$ with $\sum_j q_j = \beta$. The residual $r$ then drives the next term of
the activation, $s_p z^p$ with $p = 3$ or 2: $H = \mu\,a w + c\,a w^p$ for each neuron with
$c = s_p\langle r x^p\rangle$, the flow of a neuron of multiplicity $p$ held together by the fit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import sympy as sp
from jaxtyping import Float
from scipy.integrate import quad
from scipy.optimize import brentq

from flowtheory.engine.gradient_flow import Params
from flowtheory.symbolic import Network, aligned_neuron, find_activation, fully_connected

END = 0.9
"""The plateau ends at this part of the loss of the fit."""

c, c_2, q = sp.symbols("c c_2 q_max", positive=True)


@dataclass(frozen=True)
class Term:
    """The term of an activation in which neurons compete.

    Attributes:
        activation: with slope 1 at 0.
        order: $p$.
    """

    activation: str
    order: int

    @cached_property
    def network(self) -> Network:
        """Two layers with that activation."""
        return fully_connected(2, self.activation)

    @cached_property
    def coefficient(self) -> sp.Expr:
        """$s_p$."""
        return find_activation(self.activation).taylor(self.order)[self.order]

    def alone(self, strength: sp.Symbol) -> sp.Expr:
        r"""The blow-up time of a neuron alone from $a = w = \sqrt{q}$, a Carlson integral."""
        neuron = aligned_neuron(self.order)
        root = sp.sqrt(q)
        return neuron.blow_up_time.subs(
            {neuron.strength: strength, neuron.gains[0]: root, neuron.gains[1]: root}
        )


ODD = Term("tanh", 3)
EVEN = Term("z + z**2/(2*(1 + z**2))", 2)


class Fit(NamedTuple):
    """The linear fit and what is left of the labels.

    Attributes:
        beta: its slope.
        c: what drives the neurons afterwards.
        level: loss of the fit.
        start: loss at zero output.
    """

    beta: float
    c: float
    level: float
    start: float


def linear_fit(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], term: Term) -> Fit:
    """The best linear fit."""
    slope = float(x @ y / (x @ x))
    rest = y - slope * x
    driving = float(term.coefficient) * float(np.mean(rest * x**term.order))
    return Fit(slope, driving, float(np.mean(rest**2)) / 2, float(np.mean(y**2)) / 2)


def shares(start: Params, fit: Fit) -> tuple[Float[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    r"""$q_j$ at the entrance and the signs of the $w_j$.

    The amplitudes that grow in the first descent, squared and scaled to sum to $\beta$.
    """
    grown = start["v"] + np.sign(fit.beta) * start["W"][:, 0]
    signs = np.sign(fit.beta) * np.sign(grown)
    return fit.beta * grown**2 / np.sum(grown**2), signs


def odd_time(at: Float[np.ndarray, " m"], fit: Fit) -> float:
    r"""Time of the balanced competition for $p = 3$ until the loss is `END` times that of the fit.

    $q_j \propto p_j$ with $\dot p = p^2$ in a clock $\tau$: $p_j = 1/(1/q_j - \tau)$, and
    $4 c\beta\,t = \sum_j\ln\frac{1}{1 - q_j\tau}$. The loss has fallen by $c\sum_j q_j^2$.
    """
    needed = (1 - END) * fit.level / fit.c

    def excess(part: float) -> float:
        p = 1 / (1 / at - part / at.max())
        return float(np.sum((fit.beta * p / p.sum()) ** 2)) - needed

    part = brentq(excess, 0.0, 1 - 1e-15, xtol=1e-15)
    return float(-np.log1p(-at * part / at.max()).sum() / (4 * fit.c * fit.beta))


def even_time(at: Float[np.ndarray, " m"], signs: Float[np.ndarray, " m"], fit: Fit) -> float:
    r"""The same for $p = 2$, where neurons of one sign of $w$ gain and the others lose.

    $q_j \propto x_j^2$ with $\dot x = \pm x^2/2$ in a clock $\tau$, so that
    $1/x_j = q_j^{-1/2} \mp \tau/2$ and $3 c\,t = \int(\sum_j x_j^2/\beta)^{1/2}d\tau$. The loss has
    fallen by $c\sum_j \pm q_j^{3/2}$.
    """
    gain = signs * np.sign(fit.c)
    inverse, driving = 1 / np.sqrt(at), abs(fit.c)
    last = 2 * inverse[gain > 0].min()

    def amplitudes(left: float) -> Float[np.ndarray, " m"]:
        """At the clock reading that leaves this part of all."""
        return 1 / (inverse - gain * last * (1 - left) / 2)

    def excess(log: float) -> float:
        x = amplitudes(np.exp(-log))
        shared = np.sum(gain * x**3) * (fit.beta / np.sum(x**2)) ** 1.5
        return driving * float(shared) - (1 - END) * fit.level

    def pace(log: float) -> float:
        x = amplitudes(np.exp(-log))
        return last * np.exp(-log) * float(np.sqrt(np.sum(x**2) / fit.beta)) / (3 * driving)

    end = brentq(excess, 0.0, 30.0, xtol=1e-13)
    return float(quad(pace, 0.0, end, epsabs=0.0, epsrel=1e-10, limit=200)[0])
