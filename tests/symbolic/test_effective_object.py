"""One object for a network and a loss: what it answers, and how it prints."""

import json
import os
import subprocess
import sys

import mpmath
import pytest
import sympy as sp

import flowtheory as ft
from flowtheory.errors import ParameterError
from flowtheory.lower import numeric
from flowtheory.symbolic import Validity, conservation, find_network
from flowtheory.symbolic.conserve.find import Scope
from flowtheory.symbolic.derivation import from_json
from flowtheory.symbolic.printing import unicode_line

NETWORKS = {
    "two-layer": (ft.fully_connected(2, "tanh"), "half_square"),
    "biases": (ft.fully_connected(3, "tanh", biases=True), "mse"),
    "p = 2": (ft.fully_connected(3, "z*tanh(z)"), "logistic"),
    "sigmoid": (ft.fully_connected(2, "sigmoid"), "binary_cross_entropy"),
    "softmax": (ft.fully_connected(2, "gelu", output="vector"), "softmax_cross_entropy"),
    "kinked": (ft.fully_connected(3, "relu"), "exponential"),
    "deep linear": (find_network("deep-linear", 3), "half_square"),
    "linear model": (ft.fully_connected(1), "half_square"),
}


@pytest.mark.parametrize("case", NETWORKS)
def test_every_statement_prints_and_is_read_back(case):
    flow = ft.effective_flow(*NETWORKS[case])
    derivation = flow.derivation
    read = from_json(flow.json())
    assert [line.statement for line in read] == [line.statement for line in derivation]
    names = [line.name for line in derivation]
    assert names[0] == "Network"
    assert {"Loss", "Data weights", "Loss at small scale", "Leading part"} <= set(names)
    latex = flow.latex()
    assert latex.startswith("\\documentclass")
    assert latex.count("\\begin{equation}") == len(derivation)
    assert all(latex.count(a) == latex.count(b) for a, b in (("{", "}"), (r"\left", r"\right")))
    assert json.loads(flow.json())["title"] == derivation.title
    assert "Sum(" not in flow.text()
    assert flow._repr_latex_().startswith("$$")


def test_a_two_layer_network_of_degree_two():
    flow = ft.effective_flow(ft.fully_connected(2, "tanh"), "half_square")
    (law,) = flow.invariants
    assert (law.scope, law.validity) == (Scope.PAIRS, Validity.LEADING_FLOW)
    assert [unicode_line(rate) for rate, _ in flow.linearization.parts] == [
        "√(Σ_p z_p²)",
        "-√(Σ_p z_p²)",
        "0",
    ]
    assert flow.blow_up is None
    assert [law.name for law in flow.laws] == [
        "plateau, degree 2",
        "validity, degree 2, gap 2",
    ]


def test_blow_up_in_the_degrees_that_were_derived():
    """Carlson's R_F for three layers, and a general integral for multiplicity 2."""
    three = ft.effective_flow(ft.fully_connected(3, "tanh"), "half_square").blow_up
    time = three.blow_up_time
    mine = numeric(time, (three.strength, *three.gains), "mpmath")(1, 0.3, 0.7, 0.9)
    assert mine == pytest.approx(float(mpmath.elliprf(0.09, 0.49, 0.81)), rel=1e-14)
    powers = ft.effective_flow(ft.fully_connected(3, "z*tanh(z)"), "half_square").blow_up
    assert powers.degrees == (4, 2, 1)
    given = (0.8, 0.6, 0.5)
    mine = numeric(powers.blow_up_time, (powers.strength, *powers.gains), "mpmath")(2, *given)
    a, b, c = given
    expected = mpmath.quad(
        lambda u: 1 / (4 * (a**2 + 4 * u) ** 2 * (b**2 + 2 * u) * mpmath.sqrt(c**2 + u)),
        [0, 1, mpmath.inf],
    )
    assert mine == pytest.approx(float(expected), rel=1e-12)


def test_laws_follow_degree_gap_and_linearity():
    def names(network, loss="half_square"):
        return [law.name for law in ft.effective_flow(network, loss).laws]

    assert names(ft.fully_connected(4, "tanh"))[0] == "plateau, degree 4, gap 2"
    logarithmic = ft.effective_flow(ft.fully_connected(4, "tanh"), "half_square").laws[0]
    assert logarithmic.expression.has(sp.log)
    assert "deep linear mode, depth 4" in names(find_network("deep-linear", 4))
    assert "deep linear mode, depth 4" not in names(find_network("deep-linear", 4), "logistic")
    assert names(ft.fully_connected(1)) == []


def test_a_projected_flow_keeps_no_law_of_the_layer_that_is_projected():
    """Three layers with sigma(0) != 0: the last layer follows the fitted constant."""
    flow = ft.effective_flow(ft.fully_connected(3, "softplus"), "half_square")
    quantities = [unicode_line(law.quantity) for law in flow.invariants]
    assert any("W₁" in q and "W₂" in q for q in quantities)
    assert not any("v" in q for q in quantities)


def test_directions_of_a_two_layer_network():
    flow = ft.effective_flow(ft.fully_connected(2, "z**2*tanh(z)"), "half_square")
    tetrahedron = [[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]
    found = flow.directions(tetrahedron, [1, 1, 1, 1])
    assert (found.count, found.guarantee.complete) == (8, True)
    for network in (ft.fully_connected(2, "relu"), ft.fully_connected(3, "tanh")):
        with pytest.raises(ParameterError, match="form on the sphere"):
            ft.effective_flow(network, "half_square").directions(tetrahedron, [1, 1, 1, 1])


def test_laws_follow_the_field_where_larger_tensors_stand_still():
    """Of unequal scales only the smallest move; the balance of two layers is then no law."""
    network = ft.fully_connected(2, "tanh")
    flow = ft.effective_flow(network, "half_square", scales={"v": 2})
    W, v = network.parameters
    assert [(law.quantity, law.scope) for law in flow.invariants] == [(W, Scope.ENTRIES)]
    assert flow.moving == (v,)


def test_a_mean_loss_has_the_laws_of_the_sum():
    network = ft.fully_connected(2, "tanh")
    sizes = {"h": 3, "D": 2}
    counts = {
        loss: conservation(ft.effective_flow(network, loss), sizes, "leading").upper
        for loss in ("half_square", "mse")
    }
    assert counts["half_square"] == counts["mse"] == 6
    projected = ft.effective_flow(ft.fully_connected(3, "softplus"), "mse")
    with pytest.raises(ParameterError, match="no gradient"):
        conservation(projected, {"h1": 2, "h2": 2, "D": 2}, "leading")


def test_only_smooth_flows_have_rates_and_passage_times():
    kinked = ft.effective_flow(find_network("fully-connected", 2, "relu"), "half_square")
    assert kinked.laws == ()
    names = [law.name for law in ft.effective_flow(find_network("deep-linear", 2), "mse").laws]
    assert not any("mode" in name for name in names)  # its clock is that of the half square, summed


def test_printing_does_not_depend_on_the_terminal():
    script = (
        "import flowtheory as ft; "
        "print(ascii(ft.effective_flow(ft.fully_connected(2, 'gelu'), 'half_square').text()))"
    )
    texts = {
        encoding: subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONIOENCODING": encoding},
        ).stdout
        for encoding in ("ascii", "utf-8")
    }
    assert texts["ascii"] == texts["utf-8"]
    assert ascii("ε")[1:-1] in texts["ascii"]
