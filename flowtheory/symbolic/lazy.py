r"""The lazy side of the phase diagram of two-layer networks, with its constants.

In normalized units (`normalize`) let $e = f - y$ and $c_i = -\frac1n\int e_i\,d\bar t$. While the
gradients of $f$ stay those of the start,

$$\Delta a_j = \frac\kappa{\kappa'}\sum_i c_i\,\sigma_{ij},\qquad
  \Delta w_j = \kappa\kappa'\,a_j\sum_i c_i\,\sigma'_{ij}\,x_i,\qquad
  \Delta f = m\kappa^2\Bigl(\frac{K^a}{\kappa'} + \kappa' K^w\Bigr)c$$

with $\sigma_{ij} = \sigma(w_j\cdot x_i)$. A flow that starts with zero output ends at
$\Delta f = y$, whatever its path: $c = \alpha/(m\kappa^2)$ with the $\alpha$ that the kernel in
brackets takes to $y$, and the relative changes of both layers are quadratic forms in $\alpha$.

In the w-lazy region with $\gamma > 1$ the output weights grow beyond their start while the input
weights stay. Then $\Delta w$ is driven by the grown $a$, is of second order in $1/(m\kappa)$, and
depends on the path, which is that of the kernel $K^a$ alone: in the clock
$d\tau = \frac{m\kappa^2}{n\kappa'}d\bar t$ and the eigenbasis of $K^a$, the residual
$\eta_e e^{-\lambda_e\tau}$. Starts $a_j(0)$ of mean 0 add their first order in squares.
"""

from __future__ import annotations

from dataclasses import dataclass

from sympy import Min, Or, S, Symbol, exp, factor, integrate, oo, sqrt

from flowtheory.symbolic.activation import ANY_ACTIVATION
from flowtheory.symbolic.asymptotic import Formula
from flowtheory.symbolic.contract import contract, replace_entries
from flowtheory.symbolic.differentiate import gradient
from flowtheory.symbolic.expression import Expr, Indexed
from flowtheory.symbolic.index import fresh, substitute, sum_over, tensor
from flowtheory.symbolic.network import (
    COORDINATE,
    INPUT_DIMENSION,
    NEURON,
    SAMPLE,
    SAMPLES,
    Network,
)
from flowtheory.symbolic.network import WIDTH as NEURONS
from flowtheory.symbolic.networks.fully_connected import two_layer
from flowtheory.symbolic.normal import is_zero
from flowtheory.symbolic.phase import KAPPA, KAPPA_PRIME, WIDTH

HIDDEN_FORM, OUTPUT_FORM = Symbol("Q_w", positive=True), Symbol("Q_a", positive=True)
SECOND_ORDER = Symbol("C", positive=True)
_I = SAMPLE
_L = fresh(SAMPLES, {_I})
_E = fresh(SAMPLES, {_I, _L})
_F = fresh(SAMPLES, {_I, _L, _E})
OUTPUT_KERNEL = tensor("K^a", SAMPLES, SAMPLES)[_I, _L]
HIDDEN_KERNEL = tensor("K^w", SAMPLES, SAMPLES)[_I, _L]
DUAL = tensor("alpha", SAMPLES)[_I]
EIGENVALUE = tensor("lambda", SAMPLES, positive=True)[_E]
EIGENVECTOR = tensor("U", SAMPLES, SAMPLES)[_I, _E]
COMPONENT = tensor("eta", SAMPLES)[_E]
PATH = tensor("B", SAMPLES, SAMPLES)[_L, _I]
SHARE = tensor("mu", NEURONS)[NEURON]
_FORCE = tensor("c", SAMPLES)[_I]
_NEURONS, _SAMPLES, _OTHERS = (NEURON, NEURONS), (_I, SAMPLES), (_L, SAMPLES)
_LAYERS = ((), ((COORDINATE, INPUT_DIMENSION),))  # axes of a_j and of w_j beside the neurons


@dataclass(frozen=True)
class LazyLimit:
    r"""The relative changes of both layers on the lazy side, and what their constants are.

    The activation is `ANY_ACTIVATION`. Averages over the start are sums over neurons with the
    shares `SHARE` $\mu_j$, $\sum\mu_j = 1$: of a quadrature, or $1/m$ for a network at hand. In
    the kernel of the input weights $v_j^2$ counts with its mean, 1.

    Attributes:
        network: Whose layers they are.
        output_kernel: $K^a_{il}$.
        hidden_kernel: $K^w_{il}$.
        total_kernel: $K = K^a/\kappa' + \kappa' K^w$; `DUAL` is $\alpha = K^{-1}y$.
        output_form: $Q_a = \alpha^T K^a\alpha$.
        hidden_form: $Q_w = \alpha^T K^w\alpha$.
        path: $B_{li}$, from $K^a = U\,\mathrm{diag}(\lambda)\,U^T$ and $\eta = U^T y$.
        second_order_square: $C^2$ in terms of `PATH`.
        output_change: RD of the output weights.
        hidden_change: RD of the input weights to first order, from $a$ at the start.
        grown_change: RD of the input weights to second order, from the $a$ that has grown.
    """

    network: Network
    output_kernel: Expr
    hidden_kernel: Expr
    total_kernel: Expr
    output_form: Expr
    hidden_form: Expr
    path: Expr
    second_order_square: Expr
    output_change: Formula
    hidden_change: Formula
    grown_change: Formula


def lazy_limit() -> LazyLimit:
    """Derive the lazy side for any activation; what is claimed of sums is proved in indices."""
    network = two_layer(ANY_ACTIVATION)
    entries = network.parameter("v"), network.parameter("W")
    slopes = [gradient(network.output, entry) for entry in entries]
    kernels = [_average(s * _other(s), *own) for s, own in zip(slopes, _LAYERS, strict=True)]
    total = OUTPUT_KERNEL / KAPPA_PRIME + KAPPA_PRIME * HIDDEN_KERNEL
    forms = [sum_over(DUAL * kernel * _other(DUAL), _SAMPLES, _OTHERS) for kernel in _KERNELS]
    changes = _first_order(slopes, kernels, total, forms)
    path, square, grown = _second_order(slopes)
    return LazyLimit(
        network=network,
        output_kernel=kernels[0],
        hidden_kernel=kernels[1],
        total_kernel=total,
        output_form=forms[0],
        hidden_form=forms[1],
        path=path,
        second_order_square=square,
        output_change=changes[0],
        hidden_change=changes[1],
        grown_change=grown,
    )


_KERNELS = (OUTPUT_KERNEL, HIDDEN_KERNEL)
_ROOTS = (sqrt(OUTPUT_FORM), sqrt(HIDDEN_FORM / INPUT_DIMENSION))


def _first_order(
    slopes: list[Expr], kernels: list[Expr], total: Expr, forms: list[Expr]
) -> tuple[Formula, Formula]:
    """Both relative changes; the response and the squares of the changes are verified."""
    mobilities = (1 / KAPPA_PRIME, KAPPA_PRIME)
    moved = [
        KAPPA * mobility * sum_over(_FORCE * slope, _SAMPLES)
        for mobility, slope in zip(mobilities, slopes, strict=True)
    ]
    equal = {SHARE: 1 / NEURONS}
    known = {k: replace_entries(v, equal) for k, v in zip(_KERNELS, kernels, strict=True)}
    response = sum(
        sum_over(KAPPA * slope * step, _NEURONS, *own)
        for slope, step, own in zip(slopes, moved, _LAYERS, strict=True)
    )
    driven = NEURONS * KAPPA**2 * sum_over(total * _other(_FORCE), _OTHERS)
    assert is_zero(response - replace_entries(driven, known)), "the response is linear in c"
    force = DUAL / (NEURONS * KAPPA**2)
    factors = []
    for step, own, form, mobility in zip(moved, _LAYERS, forms, mobilities, strict=True):
        square = replace_entries(sum_over(step**2, _NEURONS, *own), {_FORCE: force})
        factors.append(mobility / (WIDTH * KAPPA))
        # The start has the square h for the output weights, h D for the input weights.
        claimed = NEURONS * factors[-1].subs(WIDTH, NEURONS) ** 2 * form
        assert is_zero(square - replace_entries(claimed, known)), "the change is the form"
    output, hidden = (factor * root for factor, root in zip(factors, _ROOTS, strict=True))
    capable, largest = WIDTH * KAPPA >= 1, 1 / (WIDTH * KAPPA)
    first, second = (f"lazy change of the {layer} weights" for layer in ("output", "input"))
    # Where a alone fits, what it moves by does not change its own kernel.
    return (
        _formula(first, output, Min(1, KAPPA_PRIME) * largest, Or(capable, _W_LAZY)),
        _formula(second, hidden, largest, capable),
    )


_W_LAZY = KAPPA_PRIME <= WIDTH * KAPPA


def _second_order(slopes: list[Expr]) -> tuple[Expr, Expr, Formula]:
    r"""$B$, $C^2$, and RD of the input weights that follow the output weights."""
    rate, other, tau = (Symbol(name, positive=True) for name in ("k", "l", "tau"))
    left, fitted = exp(-rate * tau), (1 - exp(-other * tau)) / other  # of a residual; its integral
    mode = factor(integrate((fitted * left).expand(), (tau, 0, oo)))
    at_l = {_I: _L}
    parts = substitute(EIGENVECTOR, at_l) * COMPONENT, substitute(EIGENVECTOR * COMPONENT, {_E: _F})
    values = {other: EIGENVALUE, rate: substitute(EIGENVALUE, {_E: _F})}
    path = sum_over(parts[0] * parts[1] * mode.xreplace(values), (_E, SAMPLES), (_F, SAMPLES))
    # The slope of the input weights has the factor v_j, in whose place is what v has grown by.
    grown, driven = substitute(slopes[0], at_l), slopes[1].subs(_output_weight(), S.One)
    step = sum_over(PATH * grown * driven, _SAMPLES, _OTHERS)
    square = _average(step**2, *_LAYERS[1]) / INPUT_DIMENSION
    clock = KAPPA_PRIME / (WIDTH * KAPPA**2)
    rates = (KAPPA / KAPPA_PRIME) * (KAPPA * KAPPA_PRIME)
    domain = (WIDTH * KAPPA <= 1, _W_LAZY)
    name = "lazy change of the input weights by grown output weights"
    # The start of a against what it grows to, and RD itself.
    rest = (WIDTH * KAPPA) ** 2 + (KAPPA_PRIME / (WIDTH * KAPPA)) ** 2
    return path, square, _formula(name, rates * clock**2 * SECOND_ORDER, rest, *domain)


def _output_weight() -> Indexed:
    return tensor("v", NEURONS)[NEURON]


def _average(of_neuron: Expr, *axes: tuple[Symbol, Expr]) -> Expr:
    return contract(sum_over(SHARE * of_neuron, _NEURONS, *axes))


def _other(expr: Expr) -> Expr:
    """At another sample."""
    return substitute(expr, {_I: _L})


def _formula(name: str, expression: Expr, moving: Expr, *domain: Expr) -> Formula:
    meanings = {
        WIDTH: "number of neurons",
        KAPPA: "scale of the output",
        KAPPA_PRIME: "standard deviation of a over that of w",
        INPUT_DIMENSION: "dimension of the inputs",
        OUTPUT_FORM: "alpha^T K^a alpha, K alpha = y, K = K^a/kappa' + kappa' K^w",
        HIDDEN_FORM: "alpha^T K^w alpha",
        SECOND_ORDER: "norm of the second-order displacement, a constant of the data",
    }
    # Kernels of m neurons scatter, and both move with the weights.
    rest = expression * (1 / sqrt(WIDTH) + moving)
    return Formula(name, expression, meanings, domain, rest, "derived here")
