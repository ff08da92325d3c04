"""The imbalance identity against automatic derivatives; the order of its defect, to 60 digits."""

import jax
import mpmath
import numpy as np
import pytest
import sympy as sp

import flowtheory as ft
from flowtheory.errors import ParameterError
from flowtheory.lower import lower
from flowtheory.symbolic import ACTIVATIONS, find_loss, fully_connected, two_layer
from flowtheory.symbolic.activation import ANY_ACTIVATION, ARGUMENT, AnyActivation, with_activation
from flowtheory.symbolic.conserve.drift import euler_defect, imbalance_identity
from flowtheory.symbolic.derivation import Derivation, Line, from_json
from flowtheory.symbolic.loss import LABEL, OUTPUT, AnyLoss
from flowtheory.symbolic.network import total_loss
from flowtheory.symbolic.printing import tex, unicode_line
from flowtheory.symbolic.ramp import Ramp, Step

LENGTHS = {"n": 6, "D": 3, "C": 2, "h": 4, "h1": 4, "h2": 3, "h3": 2}
ORDERS = {  # of sigma - z sigma'
    "relu": None, "leaky_relu": None, "abs": None, "identity": None,
    "sigmoid": 0, "softplus": 0,
    "gelu": 2, "silu": 2, "z*tanh(z)": 2, "cos-1": 2, "relu**2": 2,
    "tanh": 3, "erf": 3, "sin": 3, "z**2*tanh(z)": 3,
}  # fmt: skip


def arrays(tensors, seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=[LENGTHS[str(extent)] for extent in base.shape]) for base in tensors]


def with_loss(expr, loss):
    return expr.replace(
        AnyLoss, lambda y, f, m: loss.derivative(int(m)).xreplace({LABEL: y, OUTPUT: f})
    )


@pytest.mark.parametrize(
    ("layers", "layer", "output"),
    [(2, 1, "scalar"), (3, 2, "scalar"), (3, 1, "vector"), (4, 2, "scalar")],
)
@pytest.mark.parametrize("activation", ["softplus", "relu"])
def test_the_rate_of_the_imbalance(layers, layer, output, activation):
    general = imbalance_identity(fully_connected(layers, ANY_ACTIVATION, output=output), layer)
    loss = find_loss("half_square")
    rate = with_loss(with_activation(general.rate, activation), loss)
    network = fully_connected(layers, activation, output=output)
    arguments = (*network.bases, *network.data)
    values = (*arrays(network.bases, 1), *arrays(network.data, 2))
    count = len(network.bases)
    with ft.float64():
        force = jax.grad(lower(total_loss(network, loss), arguments), range(count))(*values)
        h = lower(general.quantity, network.bases)
        measured = jax.jvp(h, values[:count], tuple(-f for f in force))[1]
        terms = sum(float(np.sum(np.abs(f * w))) for f, w in zip(force, values, strict=False))
        derived = lower(rate, arguments)(*values)
    assert abs(float(measured) - float(derived)) < 1e-12 * terms
    assert (abs(float(measured)) < 1e-12 * terms) == (activation == "relu")


def test_the_degree_is_that_of_the_activation():
    square = imbalance_identity(fully_connected(3, ANY_ACTIVATION), 2, degree=2)
    assert with_activation(square.defect, "z**2").expand() == 0
    assert with_activation(square.defect, "identity").expand() != 0
    assert square.quantity.has(2)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_the_order_of_the_defect(activation):
    assert ORDERS.keys() == ACTIVATIONS.keys()
    defect = euler_defect(activation)
    assert defect.order == ORDERS[activation]
    right = defect.expression.replace(Ramp, lambda z, *_: z).replace(Step, lambda *_: sp.S.One)
    value = sp.lambdify(ARGUMENT, right, "mpmath")
    with mpmath.workdps(60):
        for scale in (mpmath.mpf("1e-6"), mpmath.mpf("1e-8")):
            if defect.order is None:
                assert value(scale) == 0
                continue
            ratio = value(scale) / scale**defect.order / mpmath.mpf(sp.N(defect.coefficient, 40))
            assert abs(ratio - 1) < 10 * scale


@pytest.mark.parametrize(
    ("activation", "degree", "order"),
    [("z*tanh(z)", 2, 4), ("cos-1", 2, 4), ("z**2*tanh(z)", 3, 5), ("relu**2", 2, None)],
)
def test_the_multiplicity_cancels_the_leading_term(activation, degree, order):
    assert euler_defect(activation, degree).order == order


def test_networks_without_the_form_are_refused():
    with pytest.raises(ParameterError, match="activation fixed"):
        imbalance_identity(two_layer("tanh"))
    with pytest.raises(ParameterError, match="from 1 to 2"):
        imbalance_identity(fully_connected(3, ANY_ACTIVATION), 3)


def test_the_identity_prints_and_survives_json():
    identity = imbalance_identity(fully_connected(3, ANY_ACTIVATION))
    assert unicode_line(identity.short) == "-2 Σ_ij₁ g₁_i,j₁ (σ(z₁_i,j₁) - z₁_i,j₁ σ'(z₁_i,j₁))"
    assert r"\sigma'\left(" in tex(identity.statement)
    derivation = Derivation("imbalance", (Line("identity", identity.statement),))
    assert from_json(derivation.json())["identity"] == identity.statement
    assert identity.rate.has(AnyActivation)
