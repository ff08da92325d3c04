r"""How fast $d\,|W_{l+1}|^2 - |W_l|^2$ moves, for any activation: Euler's identity and its defect.

With the pre-activations $z_l$ and the feedback $g_l = \partial L/\partial\sigma(z_l)$,

$$\frac{d}{dt}\bigl(d\,|W_{l+1}|^2 - |W_l|^2\bigr)
  = -2 \sum_i g_l \cdot \bigl(d\,\sigma(z_l) - \sigma'(z_l)\,z_l\bigr).$$

The bracket is 0 for an activation that is homogeneous of degree $d$; otherwise its order at $z = 0$
says how slowly the balance is lost at small initialization. For $d = 1$ there are four cases: 0
identically (linear, ReLU), order 0 ($\sigma(0) \ne 0$), order 2 ($\sigma''(0) \ne 0$), and order 3
or more (odd activations such as tanh).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sympy import Add, Eq, Integer, S, sympify

from flowtheory.errors import ParameterError
from flowtheory.symbolic.activation import ARGUMENT, Activation, AnyActivation, find_activation
from flowtheory.symbolic.conserve.closed_form import square_norm
from flowtheory.symbolic.contract import replace_entries
from flowtheory.symbolic.differentiate import gradient
from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.field import gradient_flow
from flowtheory.symbolic.index import free_axes, sum_over, tensor, tidy
from flowtheory.symbolic.loss import ANY_LOSS
from flowtheory.symbolic.network import Network, total_loss
from flowtheory.symbolic.normal import is_zero
from flowtheory.symbolic.printing import Rate


@dataclass(frozen=True)
class ImbalanceIdentity:
    r"""The rate of the imbalance of two layers, for an arbitrary loss and activation.

    Attributes:
        quantity: $d\,|W_{l+1}|^2 - |W_l|^2$; a bias of layer $l$ counts with $W_l$.
        preactivation: $z_l$, free in the sample and the unit.
        feedback: $g_l$, the derivative of the loss with respect to $\sigma(z_l)$.
        defect: $d\,\sigma(z_l) - \sigma'(z_l)\,z_l$.
        rate: $-2 \sum g_l$ `defect`, summed over samples and units.
        short: The rate in terms of tensors $z_l$ and $g_l$, which stand for the two above.
    """

    quantity: Expr
    preactivation: Expr
    feedback: Expr
    defect: Expr
    rate: Expr
    short: Expr

    @property
    def statement(self) -> Expr:
        r"""$\frac{d}{dt}$ `quantity` = `short`."""
        return Eq(Rate(self.quantity), self.short, evaluate=False)


@dataclass(frozen=True)
class EulerDefect:
    r"""$d\,\sigma(z) - \sigma'(z)\,z$.

    Attributes:
        expression: In the symbol `activation.ARGUMENT`.
        order: The power $m$ of its first term at 0; None if it vanishes identically (as far as
            `local.ORDER_LIMIT`).
        coefficient: That of $z^m$, for $z > 0$ if there is a kink; 0 if it vanishes.
    """

    expression: Expr
    order: int | None
    coefficient: Expr


def euler_defect(activation: str | Expr | Activation, degree: Expr | int = 1) -> EulerDefect:
    r"""How far an activation is from homogeneous of degree $d$, near 0.

    $\sum_m c_m z^m$ has the defect $\sum_m (d - m)\,c_m z^m$.

    >>> euler_defect("tanh").order, euler_defect("tanh").coefficient
    (3, 2/3)
    >>> print(*(euler_defect(name).order for name in ("identity", "sigmoid", "gelu", "sin")))
    None 0 2 3

    Args:
        activation: A name, an expression in z, or an object.
        degree: $d$; the multiplicity of the activation cancels its leading term.

    Raises:
        ParameterError: The activation is neither analytic nor homogeneous at 0.
    """
    sigma, d = find_activation(activation), sympify(degree)
    form = sigma.local
    terms = [
        (0, form.constant),
        (form.multiplicity, form.leading if form.leading != 0 else form.left),
        (form.next_order or 0, form.next_coefficient),
    ]
    first = ((m, (d - m) * c) for m, c in terms if (d - m) * c != 0)
    order, coefficient = next(first, (None, S.Zero))
    expression = d * sigma.expression - sigma.derivative() * ARGUMENT
    return EulerDefect(expression, order, coefficient)


def imbalance_identity(
    network: Network, layer: int = 1, degree: Expr | int = 1
) -> ImbalanceIdentity:
    r"""Derive the identity for two consecutive layers, and prove it at symbolic sizes.

    >>> from flowtheory.symbolic import fully_connected
    >>> from flowtheory.symbolic.activation import ANY_ACTIVATION
    >>> from flowtheory.symbolic.printing import unicode_line
    >>> identity = imbalance_identity(fully_connected(2, ANY_ACTIVATION))
    >>> print(unicode_line(identity.statement))
    d/dt (Σ_j v_j² - Σ_pj W_jp²) = -2 Σ_ij g₁_ij (σ(z₁_ij) - z₁_ij σ'(z₁_ij))
    >>> print(unicode_line(identity.feedback))
    v_j ℓ'(y_i, Σ_j v_j σ(Σ_p W_jp x_ip))

    Args:
        network: A network with `ANY_ACTIVATION`; `with_activation` specialises the result.
        layer: $l$, counted from 1 at the input.
        degree: $d$.

    Raises:
        ParameterError: The network has another activation or no such hidden layer, or the signals
            of this layer do not enter a linear layer alone.
    """
    signal = _hidden_signal(network, layer)
    z = signal.args[0]
    outputs = [i for i, _ in network.axes]
    axes = dict(sorted(free_axes(z).items(), key=lambda axis: axis[0] not in outputs))
    hidden, z_name, g_name = (tensor(f"{t}{layer}", *axes.values())[tuple(axes)] for t in "szg")
    through = replace(network, output=network.output.xreplace({signal: hidden}))
    feedback = gradient(total_loss(through, ANY_LOSS), hidden)
    feedback = tidy(replace_entries(feedback, {hidden: signal}))
    d = sympify(degree)
    defect = d * AnyActivation(z_name, Integer(0)) - AnyActivation(z_name, Integer(1)) * z_name
    short = -2 * sum_over(g_name * defect, *reversed(axes.items()))
    values = {z_name: z, g_name: feedback}
    rate = tidy(replace_entries(short, values))
    inner = [entry for entry in network.parameters if _direct(z).has(entry.base)]
    outer = _outer(through, hidden)
    quantity = d * _norms(outer) - _norms(inner)
    flow = gradient_flow(total_loss(network, ANY_LOSS), network.parameters)
    if not outer or not is_zero(flow.along(quantity) - rate):
        raise ParameterError(
            f"the signals of layer {layer} of {network.name} do not enter a linear layer alone",
            expected="layers that follow each other, as in a fully connected network",
            fix="use closed_laws, which assumes no form",
        )
    return ImbalanceIdentity(quantity, z, feedback, replace_entries(defect, values), rate, short)


def hidden_signals(network: Network) -> list[Expr]:
    r"""The signals $\sigma(z_l)$ of a network with `ANY_ACTIVATION`, from the innermost."""
    signals = [node for node in network.output.atoms(AnyActivation) if node.args[1] == 0]
    return sorted(signals, key=lambda node: len(node.atoms(AnyActivation)))


def _hidden_signal(network: Network, layer: int) -> Expr:
    signals = hidden_signals(network)
    if not signals:
        raise ParameterError(
            f"{network.name} has its activation fixed, or no hidden layer",
            expected="a network with ANY_ACTIVATION",
            fix="fully_connected(3, ANY_ACTIVATION), then with_activation(identity.rate, 'tanh')",
        )
    if not 1 <= layer <= len(signals):
        raise ParameterError(
            f"layer is {layer!r}",
            expected=f"a hidden layer of {network.name}, from 1 to {len(signals)}",
            fix="layer 1 is the one next to the input",
        )
    return signals[layer - 1]


def _direct(z: Expr) -> Expr:
    """`z` without what its inner signals are made of."""
    return z.replace(AnyActivation, lambda *_: S.One)


def _outer(through: Network, hidden: Indexed) -> list[Indexed]:
    """The tensors that multiply the signals."""
    products = (node for node in _products(through.output) if any(f == hidden for f in node))
    bases = {f.base for node in products for f in node if isinstance(f, Indexed) and f != hidden}
    return [entry for entry in through.parameters if entry.base in bases]


def _products(expr: Expr) -> list[tuple[Expr, ...]]:
    own = [expr.args] if expr.is_Mul else []
    return own + [product for arg in expr.args for product in _products(arg)]


def _norms(entries: Sequence[Indexed]) -> Expr:
    return Add(*map(square_norm, entries))
