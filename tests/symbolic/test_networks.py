"""The architectures, the user's own among them: laws, moments, and what is refused by name."""

import pytest
import sympy as sp

from flowtheory.errors import FileFormatError, ParameterError, UnknownNameError
from flowtheory.symbolic import (
    ARCHITECTURES,
    custom,
    effective_flow,
    find_network,
    gram_difference,
    imbalance,
    is_conserved,
    leaky_relu,
    load_network,
)
from flowtheory.symbolic.expand import expand_in_scale
from flowtheory.symbolic.field import gradient_flow
from flowtheory.symbolic.index import index, size, sum_over, tensor
from flowtheory.symbolic.loss import ANY_LOSS
from flowtheory.symbolic.network import total_loss
from flowtheory.symbolic.normal import is_zero
from flowtheory.symbolic.ramp import Step

i, j, p = index("i"), index("j"), index("p")
n, h, D = size("n"), size("h"), size("D")
W, v = tensor("W", h, D), tensor("v", h)
x = tensor("x", n, D)
HIDDEN = sp.tanh(sum_over(W[j, p] * x[i, p], (p, D)))
OUTPUT = sum_over(v[j] * HIDDEN, (j, h))
ENTRIES = (W[j, p], v[j])


def _full_flow(network):
    return gradient_flow(total_loss(network, ANY_LOSS), network.parameters)


@pytest.mark.parametrize("power", [1, 2, 3])
def test_prelu_has_degree_two_and_a_balance_for_every_loss(power):
    network = find_network("prelu", 2, power=power)
    flow = effective_flow(network, "logistic")
    assert (flow.degree, flow.gap) == (2, 2)
    assert is_conserved(imbalance(network), _full_flow(network))
    assert not is_conserved(imbalance(network, 2), _full_flow(network))


def test_the_laws_of_linear_layers():
    lora = find_network("lora")
    assert is_conserved(gram_difference(*reversed(lora.parameters)), _full_flow(lora))
    fusion = find_network("late-fusion")
    for branch in "AB":
        law = gram_difference(fusion.parameter(f"v_{branch}"), fusion.parameter(f"W_{branch}"))
        assert is_conserved(law, _full_flow(fusion))


@pytest.mark.parametrize("readout", ["patch", "mean"])
def test_a_channel_of_a_convolution_is_balanced(readout):
    network = find_network("convolutional", 2, leaky_relu(sp.Rational(1, 3)), readout=readout)
    kernel, weights = network.parameters
    readouts = sum_over(weights**2, *zip(weights.indices[1:], weights.shape[1:], strict=True))
    law = readouts - sum_over(kernel**2, (kernel.indices[1], kernel.shape[1]))
    assert is_conserved(law, _full_flow(network))


def test_every_branch_and_patch_has_its_moment():
    fusion = effective_flow(find_network("late-fusion"), "half_square")
    assert [str(m.entry) for m in fusion.moments] == ["z_A[p_A]", "z_B[p_B]"]
    convolution = effective_flow(find_network("convolutional"), "half_square")
    assert [str(m.entry) for m in convolution.moments] == ["Z[t, p]"]


def test_low_rank_factors_see_the_slopes_at_the_given_matrix():
    flow = effective_flow(find_network("lora", output="scalar"), "half_square")
    W0, X, y = tensor("W0", D), x, tensor("y", n)
    assert is_zero(flow.weight_value - (y[i] - sum_over(W0[p] * X[i, p], (p, D))))


def test_a_residual_network_is_a_saddle_only_with_a_fixed_readout():
    assert not effective_flow(find_network("residual", 2), "half_square").is_saddle
    fixed = effective_flow(find_network("residual", 2, readout="fixed"), "half_square")
    assert (fixed.degree, fixed.gap) == (2, 2)


def test_early_fusion_is_a_network_on_the_concatenated_inputs():
    early = effective_flow(find_network("late-fusion", 3, fusion=1), "half_square")
    assert (early.degree, early.gap) == (3, 3)
    assert early.layer_degrees == {"W_A1, W_B1": 1, "W2": 1, "v": 1}


def test_powers_of_homogeneous_expressions_are_expanded():
    norm = sum_over(W[j, p] ** 2, (p, D))
    expansion = expand_in_scale(v[j] / sp.sqrt(norm), {W: 2, v: 3}, 4)
    assert expansion.coefficients == ((1, v[j] / sp.sqrt(norm)),)
    assert expansion.exact
    with pytest.raises(ParameterError, match=r"powers \[2, 3\] of the scale"):
        expand_in_scale(1 / (norm + v[j] ** 3), {W: 1, v: 1}, 3)
    with pytest.raises(ParameterError, match="order 1/2"):
        expand_in_scale(sp.sqrt(v[j]), {v: 1}, 3)


def test_powers_of_a_step():
    z, a, k = sp.symbols("z a k", real=True)
    assert Step(z, a, k) ** 3 == Step(z, a**3, k**3)
    assert Step(z, 0, 0) * Step(z, 0, 0) == Step(z, 0, 0)


def test_entries_of_rank_zero_commute():
    bias = tensor("b")[()]
    assert bias.is_commutative
    assert bias.is_real
    assert sp.exp(bias) * sp.exp(-bias) == 1


def test_options_of_the_registry():
    assert all(row.summary for row in ARCHITECTURES.values())
    assert ARCHITECTURES["late-fusion"].options == {"fusion": None, "output": "scalar"}
    assert ARCHITECTURES["fully-connected-biases"].options["biases"] is True
    assert not ARCHITECTURES["prelu"].takes_activation
    with pytest.raises(ParameterError, match="the option power") as caught:
        find_network("convolutional", power=2)
    assert "readout" in caught.value.expected
    with pytest.raises(ParameterError, match="no option"):
        find_network("diagonal-linear", power=2)
    with pytest.raises(UnknownNameError, match="late-fusion"):
        find_network("fusion")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("lora", {"layers": 0}, "layers"),
        ("lora", {"output": "matrix"}, "output"),
        ("late-fusion", {"layers": 3, "fusion": 4}, "fusion is 4"),
        ("late-fusion", {"fusion": 0}, "fusion is 0"),
        ("convolutional", {"layers": 1}, "at least 2"),
        ("convolutional", {"readout": "max"}, "readout"),
        ("residual", {"layers": 0}, "layers"),
        ("residual", {"readout": "none"}, "readout"),
        ("prelu", {"layers": 1}, "at least 2"),
        ("prelu", {"power": 0}, "power is 0"),
        ("prelu", {"power": 1.5}, "power is 1.5"),
        ("fully-connected", {"biases": (True,)}, "biases"),
    ],
)
def test_bad_options_are_refused(name, options, message):
    with pytest.raises(ParameterError, match=message):
        find_network(name, **options)


def test_the_users_own_network_is_the_registered_one():
    own = custom(OUTPUT, ENTRIES, inputs=x[i, p], axes=((i, n),))
    flow, known = (
        effective_flow(net, "logistic") for net in (own, find_network("fully-connected"))
    )
    assert is_zero(flow.potential - known.potential)
    assert flow.equations == known.equations
    slope = sp.Symbol("a", real=True)
    leaky = sum_over(v[j] * leaky_relu(slope)(sum_over(W[j, p] * x[i, p], (p, D))), (j, h))
    assert custom(leaky, ENTRIES, inputs=x[i, p], symbols=[slope]).symbols == (slope,)


def _own(output=OUTPUT, parameters=ENTRIES, **options):
    return custom(output, parameters, **{"inputs": x[i, p], **options})


a, u = sp.Symbol("a", real=True), tensor("u", h)


@pytest.mark.parametrize(
    ("output", "options", "message"),
    [
        (a * OUTPUT, {}, "the symbol a, which is not declared"),
        (sp.Symbol("n") * OUTPUT, {}, "with these assumptions"),
        (sum_over(u[j] * HIDDEN, (j, h)), {}, "contains u.j., whose tensor is not declared"),
        (sum_over(tensor("v", h, h)[j, j] * HIDDEN, (j, h)), {}, r"but with \(h,\)"),
        (OUTPUT, {"parameters": (sp.IndexedBase("W")[j, p], v[j])}, "no entry of a tensor"),
        (OUTPUT, {"parameters": (W[1, p], v[j])}, "no symbol"),
        (OUTPUT, {"parameters": (W[j, p], W[j, p])}, "the parameters are W, W"),
        (OUTPUT, {"parameters": ()}, "the parameters are none"),
        (OUTPUT, {"parameters": (*ENTRIES, u[j])}, "does not contain u"),
        (OUTPUT, {"constants": (tensor("c", n)[i],)}, "called c"),
        (v[j] * HIDDEN, {}, "the free indices"),
        (sum_over(OUTPUT, (i, n)), {}, "the free indices none"),
        (sp.Sum(v[j] * HIDDEN, (j, 2, h)), {}, "does not run over a whole axis"),
        (sp.Sum(v[j] * HIDDEN, (j, 1, h - 1)), {}, "no size of a declared tensor"),
        (sum_over(v[j] * HIDDEN, (j, D)), {}, "runs to D over an axis of size h"),
        (OUTPUT, {"groups": (("W",),)}, "the groups are"),
        ("v*tanh(W*x)", {}, "the output is 'v"),
    ],
)
def test_bad_networks_of_the_user_are_refused_by_name(output, options, message):
    with pytest.raises(ParameterError, match=message) as caught:
        _own(output, **options)
    assert caught.value.expected
    assert caught.value.fix


FILE = """
from flowtheory.symbolic import find_network
network = find_network("prelu", power=3)
loss = "logistic"
"""


def test_a_users_file(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(FILE, encoding="utf-8")
    found = load_network(path)
    assert "pReLU" in found.network.name
    assert found.loss is not None
    assert (found.loss.name, found.activation) == ("logistic", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("net = 1", "defines no `network`"),
        ("network = 'two-layer'", "`network` in .* is 'two-layer'"),
        ("network = 1 / 0", "raised ZeroDivisionError"),
        ("def network(:", "raised SyntaxError"),
        ("raise SystemExit(3)", "raised SystemExit"),
    ],
)
def test_bad_files_are_refused(tmp_path, text, message):
    path = tmp_path / "own.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileFormatError, match=message):
        load_network(path)
    with pytest.raises(FileFormatError, match="is not a file"):
        load_network(tmp_path / "missing.py")


def test_our_refusals_in_a_file_are_raised_as_they_are(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(FILE.replace("power=3", "power=0"), encoding="utf-8")
    with pytest.raises(ParameterError, match="power is 0"):
        load_network(path)
    path.write_text(FILE.replace("logistic", "logistics"), encoding="utf-8")
    with pytest.raises(UnknownNameError, match="logistic"):
        load_network(path)
