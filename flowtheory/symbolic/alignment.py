r"""The derivation behind early neuron alignment: from the network and the loss to the angle law.

Every statement is computed by the engine from `two_layer` and the loss; none is typed in.
"""

from __future__ import annotations

from functools import lru_cache

from sympy import Eq, Function, S, Symbol, log, tan

from flowtheory.errors import ParameterError
from flowtheory.symbolic.activation import Activation
from flowtheory.symbolic.angle import COSINE, HALF, HALF0, PSI0, AngleLaw
from flowtheory.symbolic.cell import Cell, P, T, V, cell_flow
from flowtheory.symbolic.conserve import imbalance, is_conserved
from flowtheory.symbolic.contract import replace_entries
from flowtheory.symbolic.derivation import Derivation, Line
from flowtheory.symbolic.direction import (
    KAPPA,
    PHI,
    A,
    DirectionForm,
    NeuronFlow,
    R,
    U,
    direction_form,
    neuron_flow,
)
from flowtheory.symbolic.effective import EffectiveFlow, effective_flow
from flowtheory.symbolic.expand import SCALE, expand_in_scale
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.field import VectorField, gradient_flow
from flowtheory.symbolic.index import sum_over, tensor
from flowtheory.symbolic.loss import ANY_LOSS, Loss
from flowtheory.symbolic.network import SAMPLE, SAMPLES, Network, labels, total_loss
from flowtheory.symbolic.networks.fully_connected import two_layer
from flowtheory.symbolic.normal import fold
from flowtheory.symbolic.printing import Rate

_F = tensor("f", SAMPLES)[SAMPLE]
_L = Function("L")
_PSI = Symbol("psi", real=True)


@lru_cache(maxsize=16)
def derive_alignment(
    loss: str | Loss = "exponential", sigma: str | Activation = "relu"
) -> Derivation:
    r"""Derive the early dynamics of the two-layer network with symbolic $h$, $D$, $n$.

    Args:
        loss: A loss or its name.
        sigma: A 1-homogeneous activation or its name.

    Returns:
        The derivation: network, expansion in the scale, effective flow, balancedness, norm and
        direction, closed forms between switches, half-angle law, switching surfaces.

    Raises:
        ParameterError: The activation is not 1-homogeneous.
    """
    network = two_layer(sigma)
    flow = effective_flow(network, loss)
    neuron = neuron_flow(flow)
    between = cell_flow(neuron)
    lines = (
        *_leading(flow),
        *_neurons(flow, neuron),
        *_balance(flow),
        *_directions(direction_form(neuron)),
        *_cell(between),
        *_angles(AngleLaw(between)),
        *_surfaces(network),
    )
    return Derivation(f"Early alignment of the {network.name}, {flow.loss.name} loss", lines)


def _leading(flow: EffectiveFlow) -> tuple[Line, ...]:
    """The network, the loss, and their expansion in the scale."""
    network, expansion = flow.network, flow.expansion
    scaled = replace_entries(network.output, {entry: SCALE * entry for entry in network.parameters})
    leading = expand_in_scale(network.output, dict.fromkeys(network.bases, 1), 4)
    summed = sum_over(flow.loss(labels(), _F), (SAMPLE, SAMPLES))
    series = fold(expansion.up_to(flow.degree + flow.gap), {network.output: _F})
    return (
        _line(
            "Network",
            _F,
            network.output,
            f"Width h, input dimension D, n samples; {network.name}.",
        ),
        _line("Loss", Symbol("L"), summed, f"The {flow.loss.name} loss, summed over samples."),
        _line(
            "Scaled output",
            scaled,
            leading.up_to(4),
            "The activation is 1-homogeneous, so the output has degree 2 in the parameters.",
        ),
        _line(
            "Loss at small scale",
            Function("L")(SCALE),
            series,
            "All parameters times epsilon. The gradient of the leading part is the early flow; "
            f"its relative error has order {flow.gap}.",
        ),
        _line(
            "Data weights",
            flow.weight,
            flow.weight_value,
            "Minus the derivative of the loss in the output, at zero output.",
        ),
    )


def _neurons(flow: EffectiveFlow, neuron: NeuronFlow) -> tuple[Line, ...]:
    """The effective flow, as derived and in terms of the attraction a."""
    W, v = neuron.W, neuron.v
    return (
        _line("Hidden weights", Rate(W), flow.field[W], "Gradient of the leading part."),
        _line("Output weights", Rate(v), flow.field[v], "Gradient of the leading part."),
        _line("Attraction", A, neuron.attraction, "The gradient of the last rate in the weight."),
        _line("Neuron: hidden weight", Rate(W), neuron.field[W], "No neuron sees another one."),
        _line("Neuron: output weight", Rate(v), neuron.field[v], "Euler's theorem."),
    )


def _balance(flow: EffectiveFlow) -> tuple[Line, ...]:
    """The imbalance of each neuron is conserved, early and always."""
    network = flow.network
    quantity = imbalance(network)
    full = gradient_flow(total_loss(network, ANY_LOSS), network.parameters)
    return (
        _conserved("Balance, early", quantity, flow.field, "Along the effective flow."),
        _conserved("Balance, always", quantity, full, "Along the full flow, for every loss."),
    )


def _conserved(name: str, quantity: Expr, field: VectorField, note: str) -> Line:
    if not is_conserved(quantity, field):
        raise ParameterError(
            f"{quantity} is not proved to be conserved",
            expected="a 1-homogeneous activation",
            fix="use relu, leaky_relu or identity",
        )
    return _line(name, Rate(quantity), S.Zero, note)


def _directions(form: DirectionForm) -> tuple[Line, ...]:
    """Norm and direction of one neuron."""
    note = "With w = R u, |u| = 1, v = kappa R, phi = <u, a>."
    between = "Between switches, where a is constant; alpha = |a|."
    return (
        _line("Direction", Rate(U), form.direction, note),
        _line("Log-norm", Rate(log(R)), form.log_norm, note),
        _line("Ratio", Rate(KAPPA), form.ratio, "Balanced neurons keep kappa = 1 or -1."),
        _line("Speed", Rate(PHI), form.speed, between),
        _line("Speed, balanced", Rate(PHI), form.speed.xreplace({KAPPA: S.One}), between),
    )


def _cell(between: Cell) -> tuple[Line, ...]:
    """Closed forms between switches."""
    v, p, path = (Function(name)(T) for name in ("v", "p", "S"))
    invariant = V**2 - P**2
    return (
        _line("Output weight in a cell", v, between.output_weight, "With p = <w, a>/alpha."),
        _line(
            "Projection in a cell", p, between.projection, "The even and odd powers of the flow."
        ),
        _line("Path in a cell", path, between.path, "The weight is w(t) = w(0) + S(t) a."),
        _line("Invariant of a cell", Rate(invariant), between.rate(invariant), "Squared rho."),
        _line("Time in a cell", T, between.elapsed, "From the growth of v + p; no root finding."),
    )


def _angles(law: AngleLaw) -> tuple[Line, ...]:
    """The half-angle law of a balanced neuron, and what follows from it."""
    angles = {HALF: tan(_PSI / 2), HALF0: tan(PSI0 / 2)}
    half = law.half_angle.xreplace(angles)
    speed, norm = Function("phi")(T), Function("R")(T)
    return (
        _line("Angle", Rate(COSINE), law.cosine_rate, "c = cos(psi), psi the angle from w to a."),
        _line("Half angle", Rate(HALF), law.half_angle_rate, "u = tan(psi/2), a rational change."),
        _line("Half-angle law", tan(_PSI / 2), half, "Balanced neuron, between switches."),
        _line("Speed in a cell", speed, law.speed, "The growth rate of ln R."),
        _line("Norm in a cell", norm, law.norm, "Balanced neuron, between switches."),
    )


def _surfaces(network: Network) -> tuple[Line, ...]:
    """Where the pattern switches."""
    note = "The pattern changes here; a jumps by a multiple of x, and phi is continuous."
    return tuple(Line("Switching surfaces", surface.equation, note) for surface in network.surfaces)


def _line(name: str, left: Expr, right: Expr, note: str) -> Line:
    return Line(name, Eq(left, right, evaluate=False), note)
