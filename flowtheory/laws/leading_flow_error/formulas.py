r"""The statement of the law and its derivation, from the engine's own expansion of a loss.

With $\theta = \varepsilon\vartheta$, $\tau = \varepsilon^{k-2}t$ and
$L(\varepsilon\vartheta) = L(0) - \varepsilon^k H - \varepsilon^{k+q} G + \dots$ the full flow is
$\vartheta' = \nabla H + \varepsilon^q\nabla G + \dots$. At a fixed $\tau$ before the blow-up of the
leading flow $\bar\vartheta' = \nabla H(\bar\vartheta)$ the solution depends smoothly on
$\varepsilon^q$; its derivative is $\delta$, $\delta' = \nabla^2 H\,\delta + \nabla G$,
$\delta(0) = 0$.
"""

from __future__ import annotations

import sympy as sp

from flowtheory.lower import numeric
from flowtheory.symbolic import Derivation, Line, effective_flow, fully_connected
from flowtheory.symbolic.expand import SCALE
from flowtheory.symbolic.field import gradient_flow
from flowtheory.symbolic.printing import Rate

eps = SCALE
gap = sp.Symbol("q", positive=True, integer=True)
constant = sp.Symbol("C", positive=True)
error = sp.Symbol("E", positive=True)
leading = sp.Symbol("thetabar", real=True)
variation = sp.Symbol("delta", real=True)

ERROR = constant * eps**gap
CONSTANT = sp.Abs(variation) / sp.Abs(leading)

predicted_error = numeric(ERROR, [constant, eps, gap])


def derive_order() -> Derivation:
    """The law for a two-layer tanh network under the half mean square, at symbolic size."""
    flow = effective_flow(fully_connected(2, "tanh"), "half_square")
    following = flow.expansion[flow.degree + flow.gap]
    correction = gradient_flow(following, flow.network.parameters)
    lines = [
        Line("network", sp.Eq(flow.network.per_output("f"), flow.network.output), "width h"),
        Line("weights of the data", sp.Eq(flow.weight, flow.weight_value), "minus the slope at 0"),
        Line(
            "expansion of the loss",
            sp.Eq(sp.Symbol("L"), flow.expansion.up_to(flow.degree + flow.gap)),
            "parameters are epsilon times those shown",
        ),
        Line("degree", sp.Eq(sp.Symbol("k"), flow.degree), "the first power that varies"),
        Line("gap", sp.Eq(gap, flow.gap), "the distance to the next power"),
    ]
    lines += [
        Line(f"leading flow of {entry.base}", sp.Eq(Rate(entry), rate, evaluate=False))
        for entry, rate in flow.field.components
    ]
    lines += [
        Line(f"source of the deviation of {entry.base}", rate, "times epsilon^q")
        for entry, rate in correction.components
    ]
    lines += [
        Line("constant", sp.Eq(constant, CONSTANT), "delta is the first variation by the source"),
        Line("relative error", sp.Eq(error, ERROR), "at a fixed time of the leading flow"),
    ]
    return Derivation("The order of the error of the leading flow", tuple(lines))
