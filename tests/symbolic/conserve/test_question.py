"""Networks with given sizes: three questions with three answers, and tabulated numbers."""

from dataclasses import replace
from fractions import Fraction

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from flowtheory.errors import ParameterError, UnknownNameError
from flowtheory.symbolic import (
    Question,
    closed_laws,
    conservation,
    count_laws,
    effective_flow,
    find_activation,
    find_network,
    fully_connected,
    gradients,
    two_layer,
)
from flowtheory.symbolic.conserve.architectures import linear, linear_convolution, relu_paths
from flowtheory.symbolic.conserve.family import ALL_DATA, LEADING_ORDER, ONE_FLOW
from flowtheory.symbolic.conserve.lie_rank import lie_rank
from flowtheory.symbolic.conserve.search import polynomial_laws
from flowtheory.symbolic.conserve.summary import summarize
from flowtheory.symbolic.index import index, size, sum_over, tensor


def exact(count):
    assert count.proved, count.reason
    return count.upper


SIZES = {"D": 2, "h": 2}


def test_the_three_questions_have_three_answers():
    """At h = 2, D = 3, n = 1: paths, the Gram differences, and all that one flow leaves."""
    sizes = {"D": 3, "h": 2}
    data = {"x": [[1, 2, Fraction(1, 3)]], "c": [2]}
    counts = {
        Question.ALL_DATA: conservation(two_layer("relu"), sizes),
        Question.LEADING: conservation(two_layer("tanh"), sizes, "leading"),
        Question.ONE_FLOW: conservation(
            two_layer("tanh"), {**sizes, "n": 1}, "one-flow", data=data
        ),
    }
    assert [exact(count) for count in counts.values()] == [2, 3, 7]
    assert [c.question for c in counts.values()] == [ALL_DATA, LEADING_ORDER, ONE_FLOW]


@pytest.mark.parametrize(
    ("p", "moments", "laws"),
    [
        (1, {"x": [[1, 2]], "c": [1]}, 5),
        # T = sum_i c_i x_i x_i^T is [[1, 2], [2, 3]]; traceless; of rank one.
        (2, {"x": [[1, 0], [0, 1], [1, 1]], "c": [-1, 1, 2]}, 2),
        (2, {"x": [[1, 0], [0, 1], [1, 1]], "c": [-1, -3, 2]}, 4),
        (2, {"x": [[1, 2], [1, 2], [2, 4]], "c": [1, 1, 1]}, 4),
    ],
)
def test_one_flow_of_given_data(p, moments, laws):
    sizes = {**SIZES, "n": len(moments["c"])}
    network = two_layer("tanh" if p == 1 else "z*tanh(z)")
    count = conservation(network, sizes, Question.ONE_FLOW, data=moments)
    assert len(count.laws) == laws
    assert count.upper == count.parameters - 1


X, SAMPLE, P = tensor("x", size("n"), size("D")), index("i"), index("p")


def layered(activations, output=None):
    """A deep network with an activation for every hidden layer."""
    signal, axis, parameters = X[SAMPLE, P], (P, size("D")), []
    for layer, name in enumerate(activations, 1):
        unit = (index(f"j_{layer}"), size(f"h{layer}"))
        weight = tensor(f"W{layer}", unit[1], axis[1])[unit[0], axis[0]]
        signal = find_activation(name)(sum_over(weight * signal, axis))
        parameters, axis = [*parameters, weight], unit
    last = tensor("v", axis[1])[axis[0]]
    return replace(
        two_layer("tanh"),
        name="layered",
        output=sum_over(last * signal, axis),
        parameters=(*parameters, last),
    )


LAYERED = [  # widths without the output, activations, laws
    ((2, 2, 2), ("tanh", "tanh"), 6),
    ((2, 3, 3), ("tanh", "tanh"), 12),
    ((2, 2, 2), ("z*tanh(z)", "tanh"), 5),
    ((2, 2, 2), ("tanh", "z*tanh(z)"), 5),
    ((2, 2, 2), ("z*tanh(z)", "cos-1"), 4),
    ((2, 3, 2), ("z*tanh(z)", "z*tanh(z)"), 5),
    ((2, 2, 3), ("gelu", "z*tanh(z)"), 6),
]


@pytest.mark.parametrize(("widths", "activations", "laws"), LAYERED, ids=str)
def test_leading_flows_of_deep_networks(widths, activations, laws):
    flow = effective_flow(layered(activations), "logistic")
    sizes = {"D": widths[0], **{f"h{k}": w for k, w in enumerate(widths[1:], 1)}}
    assert exact(conservation(flow, sizes, "leading")) == laws
    scopes = ["every pair of units" if "z*" not in a and a != "cos-1" else "every unit"
              for a in activations]  # fmt: skip
    assert sorted(law.scope.value for law in closed_laws(flow)) == sorted(scopes)


@pytest.mark.parametrize(("d", "m", "p"), [(2, 3, 2), (3, 2, 2), (2, 2, 3), (3, 3, 3), (2, 2, 1)])
def test_leading_flows_of_two_layers(d, m, p):
    network = two_layer({1: "erf", 2: "z*tanh(z)", 3: "z**2*tanh(z)"}[p])
    laws = m if p > 1 else m * (m + 1) // 2
    assert exact(conservation(network, {"D": d, "h": m}, "leading")) == laws


def test_registered_networks_count_as_their_factorizations():
    sizes = {"D": 2, "h1": 3, "h2": 2, "C": 3}
    expected = exact(count_laws(linear([2, 3, 2, 3])))
    assert exact(conservation(find_network("deep-linear", 3), sizes)) == expected
    assert exact(conservation(find_network("matrix-factorization", 3), sizes)) == expected
    paths = exact(count_laws(relu_paths([2, 3, 2, 3])))
    vector = find_network("fully-connected-vector", 3, "relu")
    assert exact(conservation(vector, sizes)) == paths == 5
    assert exact(conservation(find_network("diagonal-linear", 3), {"D": 4})) == 8


@pytest.mark.parametrize(
    ("channels", "filters", "laws"),
    [
        (1, (3,), 1),
        (2, (3,), 4),
        (3, (3,), 9),
        (2, (2,), 4),
        (3, (2,), 8),
        (4, (2,), 12),
        # Filters of different lengths: the Gram differences alone.
        (2, (3, 2), 3),
        (2, (2, 3), 3),
        (3, (4, 2), 6),
    ],
)
def test_linear_convolution(channels, filters, laws):
    assert exact(count_laws(linear_convolution(channels, *filters))) == laws
    crossed = [law for law in count_laws(linear_convolution(2, 3)).laws if law.has(*cross(3))]
    assert len(crossed) == 1


def cross(taps):
    return [
        sp.Symbol(f"u1_1_{k}", real=True) * sp.Symbol(f"v2_1_{k}", real=True)
        for k in range(1, taps + 1)
    ]


def test_two_ends_break_the_exchange_of_filters():
    assert exact(count_laws(linear_convolution(2, 2, ends=2))) == 3


@pytest.mark.parametrize(("n", "r", "laws"), [(2, 1, 2), (2, 2, 6), (3, 2, 6), (1, 1, 3)])
def test_two_linear_residual_blocks(n, r, laws):
    """2 F(n, n, r) for n >= 2; a scalar leaves one field and D - 1 laws."""
    blocks = [
        sp.Matrix(*shape, lambda i, j, k=k: sp.Symbol(f"{k}{i}{j}", real=True))
        for k, shape in zip("abcd", ((n, r), (r, n), (n, r), (r, n)), strict=True)
    ]
    a, b, c, d = blocks
    phi = (sp.eye(n) + a * b) * (sp.eye(n) + c * d)
    outputs = [sp.expand(entry) for entry in phi]
    count = count_laws(gradients(outputs, [s for block in blocks for s in block]))
    assert exact(count) == laws


widths_of_linear_networks = st.lists(st.integers(2, 4), min_size=3, max_size=5)


@settings(max_examples=25, deadline=None)
@given(widths_of_linear_networks, st.integers(0, 10**6), st.sampled_from([1_000_003, 2**31 - 1]))
def test_found_laws_and_transported_rank_meet_for_any_seed_and_prime(widths, seed, prime):
    family = linear(widths)
    found = polynomial_laws(family, 2, seed=seed)
    again = polynomial_laws(family, 2, seed=seed + 1)
    assert found.complete
    assert found.span == again.span
    laws = len(found.independent)
    assert laws == len(again.independent)
    rank = lie_rank(family, family.dimension - laws, seed=seed, prime=prime)
    assert (rank.rank, rank.stalled) == (family.dimension - laws, False)
    assert laws == len(polynomial_laws(linear(widths[::-1]), 2).independent)


def test_a_summary_collects_what_is_known():
    summary = summarize(two_layer("relu"), {"h": 3})
    assert [law.scope.value for law in summary.laws] == ["every unit"]
    (first, second) = summary.counts
    assert first[0] == {"D": 2, "h": 3}
    assert [exact(count) for _, count in summary.counts] == [3, 3]
    assert second[1].question == LEADING_ORDER
    text = summary.derivation().text()
    assert "The laws found are those above." in text
    assert "W_31² + W_32² - v_3²" in text


ONE = {"x": [[1, 2]], "c": [1]}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: conservation(two_layer("relu"), SIZES, "leading", data=ONE), "data are given"),
        (lambda: conservation(two_layer("relu"), SIZES, "one-flow"), "data are missing"),
        (lambda: conservation(two_layer("relu"), {**SIZES, "m": 2}), "no size m"),
        (lambda: conservation(two_layer("tanh"), SIZES), "not a polynomial"),
        (lambda: conservation(two_layer("1/z"), SIZES, "leading"), "pole"),
        (
            lambda: conservation(
                two_layer("tanh"), {**SIZES, "n": 1}, "one-flow", data={"x": [[0.5, 1]], "c": [1]}
            ),
            "integers or fractions of shape",
        ),
        (
            lambda: conservation(two_layer("tanh"), {**SIZES, "n": 2}, "one-flow", data=ONE),
            r"of shape \(2,\)|of shape \(2, 2\)",
        ),
        (lambda: linear_convolution(0, 3), "positive whole numbers"),
        (lambda: linear_convolution(2, 3, 0), "positive whole numbers"),
    ],
)
def test_bad_questions_get_one_clear_error(call, message):
    with pytest.raises(ParameterError, match=message):
        call()


def test_an_unknown_question_is_named():
    with pytest.raises(UnknownNameError, match="all-data"):
        conservation(fully_connected(2, "tanh"), SIZES, "all")
