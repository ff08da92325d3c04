r"""Multiplicity 1 in closed form: all neurons follow one linear map, also after the escape.

In normalized units the two-layer network $f = \kappa\sum_j a_j\,\phi\cdot w_j$ with square loss has

$$\dot w_j = \kappa\kappa' a_j\,g,\quad
  \dot a_j = \frac\kappa{\kappa'}\,\langle w_j, g\rangle,\qquad
  g = z - G\,V,\quad V = \kappa\sum_j a_j w_j,$$

$z = \langle c\,\phi\rangle$, $G = \langle h\,\phi\phi^T\rangle$. With $\alpha_j = \kappa' a_j$ and
the clock $ds = \kappa\,d\bar t$ every neuron obeys the same linear equation, hence

$$\binom{\alpha_j}{w_j}(s) = \Psi(s)\binom{\alpha_j}{w_j}(0),\quad
  \Psi' = \begin{pmatrix}0 & g^T\\ g & 0\end{pmatrix}\Psi,\quad
  V = \frac{m\kappa}{\kappa'}\,(\Psi\Sigma_0\Psi^T)_{w\alpha}$$

with the second moments $\Sigma_0$ of the start, $\mathrm{diag}(\kappa'^2, 1, \dots, 1)$ in the
limit of large width or for a whitened start. These are $(D+1)^2$ equations, whatever the width;
$m$ is a real number.

The state is the displacement $\Phi = \Psi - 1$, in which the relative change of the weights is a
sum of squares: it keeps its digits in the lazy regime, where $\Phi$ is tiny.
"""

from __future__ import annotations

from dataclasses import dataclass

from sympy import KroneckerDelta, S, expand

from flowtheory.errors import ParameterError
from flowtheory.symbolic.contract import contract, replace_entries
from flowtheory.symbolic.differentiate import gradient
from flowtheory.symbolic.expand import expand_in_scale
from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.field import VectorField
from flowtheory.symbolic.homogeneity import degree_in
from flowtheory.symbolic.index import fresh, substitute, sum_over, tensor, tidy
from flowtheory.symbolic.leading import LeadingFlow
from flowtheory.symbolic.moments import name_moments
from flowtheory.symbolic.network import COORDINATE, INPUT_DIMENSION, NEURON
from flowtheory.symbolic.network import WIDTH as NEURONS
from flowtheory.symbolic.normal import is_zero
from flowtheory.symbolic.normalize import NormalizedFlow, normalize
from flowtheory.symbolic.phase import KAPPA, KAPPA_PRIME, WIDTH

_D, _P = INPUT_DIMENSION, COORDINATE
_Q = fresh(_D, {_P})
Z, G = tensor("z", _D)[_P], tensor("G", _D, _D)[_P, _Q]
PHI_AA, PHI_AW = tensor("Phi_aa")[()], tensor("Phi_aw", _D)[_Q]
PHI_WA, PHI_WW = tensor("Phi_wa", _D)[_P], tensor("Phi_ww", _D, _D)[_P, _Q]
FORCE = tensor("g", _D)[_P]
_OUTPUT = tensor("V", _D)[_P]
_A0, _W0 = tensor("alpha0", NEURONS)[NEURON], tensor("w0", NEURONS, _D)[NEURON, _P]


@dataclass(frozen=True)
class Closure:
    r"""The flow of $\Phi = \Psi - 1$, from $\Phi = 0$, in the clock $s = \kappa\bar t$.

    Attributes:
        normalized: The flow in normalized units.
        moments: $z_p$ and $G_{pq}$ with their definitions.
        exact: Whether it is the full flow (linear activation, square loss), beside the moments of
            the start; otherwise the flow to second order in the output.
        linear: $\Phi'$ for a given $g$, the tensor `g`.
        output: $V_p$ in terms of $\Phi$.
        force: $g_p = z_p - \sum_q G_{pq}V_q$ in terms of $\Phi$.
        field: $\Phi'$ in terms of $\Phi$, $z$, $G$, and the scalars $m$, $\kappa$, $\kappa'$.
        input_change: $|w - w_0|^2/|w_0|^2$ over all neurons, the square of RD.
        output_change: $|a - a_0|^2/|a_0|^2$.
    """

    normalized: NormalizedFlow
    moments: tuple[tuple[Indexed, Expr], ...]
    exact: bool
    linear: VectorField
    output: Expr
    force: Expr
    field: VectorField
    input_change: Expr
    output_change: Expr


def psi_closure(flow: LeadingFlow) -> Closure:
    r"""Close the flow of a two-layer network of multiplicity 1 on its linear map.

    Raises:
        ParameterError: The network is no other than $\sum_j v_j\,\phi\cdot w_j$ to second order in
            its parameters $W$, $v$, with features $\phi$ that do not depend on them.
    """
    normalized = normalize(flow)
    moments = _moments(flow)
    force = Z - sum_over(G * _at(_OUTPUT, _Q), (_Q, _D))
    rate_w, rate_a = _neuron_rates(normalized, force, dict(moments))
    moved_a, moved_w = _displaced()
    alpha, w = _A0 + moved_a, _W0 + moved_w
    # In the clock s = kappa t, and with alpha = kappa' a.
    w_rate = contract(replace_entries(rate_w, {flow.network.parameter("v"): alpha / KAPPA_PRIME}))
    a_rate = contract(replace_entries(rate_a, {flow.network.parameter("W"): w})) * KAPPA_PRIME
    linear = VectorField(
        (
            (PHI_AA, _coefficient(a_rate / KAPPA, _A0)),
            (PHI_AW, _coefficient(a_rate / KAPPA, _at(_W0, _Q))),
            (PHI_WA, _coefficient(w_rate / KAPPA, _A0)),
            (PHI_WW, _coefficient(w_rate / KAPPA, _at(_W0, _Q))),
        )
    )
    output = contract(WIDTH * KAPPA / KAPPA_PRIME * _average(alpha * w))
    fed = tidy(contract(replace_entries(force, {_OUTPUT: output})))
    closed = ((e, tidy(contract(replace_entries(r, {FORCE: fed})))) for e, r in linear.components)
    square = _average(sum_over(moved_w**2, (_P, _D))) / _D
    quadratic = not flow.loss.couples and flow.loss.derivative(3) == 0
    return Closure(
        normalized=normalized,
        moments=moments,
        exact=quadratic and degree_in(flow.network.output, flow.network.parameters) == 2,
        linear=linear,
        output=output,
        force=fed,
        field=VectorField(tuple(closed)),
        input_change=square,
        output_change=expand(_average(moved_a**2) / KAPPA_PRIME**2),
    )


def _moments(flow: LeadingFlow) -> tuple[tuple[Indexed, Expr], ...]:
    r"""$z$ and $G$ of the features: the output to second order is $\sum_j v_j \phi\cdot w_j$."""
    network = flow.network
    names = {str(base) for base in network.bases}
    if names == {"W", "v"} and len(network.axes) == 1:
        W, v = network.parameter("W"), network.parameter("v")
        linear = _second_order(flow)
        feature = _coefficient(gradient(linear, v), W)
        axes = ((NEURON, NEURONS), (_P, _D))
        bilinear = is_zero(linear - sum_over(v * W * feature, *axes))
        fixed = not any(e.base in network.bases for e in feature.atoms(Indexed))
        if linear != 0 and bilinear and fixed:
            c, h, sample = flow.weight, flow.curvature, network.axes[0]
            pair = feature * substitute(feature, {_P: _Q})
            return (
                (Z, flow.share * sum_over(c * feature, sample)),
                (G, flow.share * sum_over(h * pair, sample)),
            )
    raise ParameterError(
        f"{network.name} is not sum_j v_j <w_j, phi> to second order in W and v",
        expected="a two-layer network of multiplicity 1 without biases, with one output",
        fix="append 1 to the inputs for a bias; for relu the neurons do not share one linear map",
    )


def _second_order(flow: LeadingFlow) -> Expr:
    return expand_in_scale(flow.network.output, dict.fromkeys(flow.network.bases, 1), 2)[2]


def _neuron_rates(
    normalized: NormalizedFlow, force: Expr, moments: dict[Indexed, Expr]
) -> tuple[Expr, Expr]:
    r"""$\kappa\kappa' v_j g_p$ and $\frac\kappa{\kappa'}\sum_p W_{jp}g_p$, proved from the loss."""
    flow = normalized.flow
    W, v = flow.network.parameter("W"), flow.network.parameter("v")
    output = KAPPA * _second_order(flow)
    loss = -flow.weight * output + flow.curvature * output**2 / 2
    field = normalized.gradient_flow(flow.share * sum_over(loss, *flow.network.axes))
    inner, outer = normalized.mobilities
    rates = KAPPA * inner * v * FORCE, KAPPA * outer * sum_over(W * FORCE, (_P, _D))
    present = {_OUTPUT: KAPPA * sum_over(v * W, (NEURON, NEURONS))} | moments
    given = replace_entries(force, present)
    for entry, rate in zip((W, v), rates, strict=True):
        proved = is_zero(field[entry] - replace_entries(rate, {FORCE: given}))
        assert proved, "the neurons of a bilinear output see each other through g only"
    return rates


def _displaced() -> tuple[Expr, Expr]:
    r"""$\alpha_j - \alpha_j(0)$ and $w_{jp} - w_{jp}(0)$ in terms of $\Phi$ and the start."""
    start = _at(_W0, _Q)
    moved_a = PHI_AA * _A0 + sum_over(PHI_AW * start, (_Q, _D))
    return moved_a, PHI_WA * _A0 + sum_over(PHI_WW * start, (_Q, _D))


def _coefficient(expr: Expr, entry: Indexed) -> Expr:
    """The coefficient of an entry of the same neuron, in an expression linear in it."""
    other = fresh(NEURONS, {NEURON})
    target = entry.base[(other, *entry.indices[1:])]
    return tidy(contract(sum_over(gradient(expr, target), (other, NEURONS))))


def _average(product: Expr) -> Expr:
    r"""The mean over neurons, for a start with the second moments $\Sigma_0$."""
    form = name_moments(sum_over(product, (NEURON, NEURONS)), (NEURON, NEURONS), [_W0], [_A0])
    assert form is not None, "a product of two displacements is a polynomial in the start"
    values: dict[Indexed, Expr] = {}
    for moment in form.moments:
        kind = (len(moment.weights), moment.order)
        known = {(2, 0): KAPPA_PRIME**2, (1, 1): S.Zero}
        values[moment.entry] = (
            KroneckerDelta(*moment.entry.indices) if kind == (0, 2) else known[kind]
        )
    return tidy(contract(replace_entries(form.expression, values)))


def _at(entry: Indexed, last: Expr) -> Indexed:
    """`entry` with another last index."""
    return entry.base[(*entry.indices[:-1], last)]
