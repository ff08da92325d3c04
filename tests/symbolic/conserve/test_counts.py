"""Published and tabulated numbers of laws, each from the engine's own two bounds.

Marcotte, Gribonval & Peyré (2023, 2024, 2025): linear, ReLU and attention counts.
"""

import time
from itertools import pairwise

import numpy as np
import pytest
import sympy as sp

from flowtheory.symbolic.conserve.architectures import attention, linear, relu_paths
from flowtheory.symbolic.conserve.count import count_laws
from flowtheory.symbolic.conserve.family import ALL_DATA, gradients


def two_layer_count(n, m, r):
    r"""k(2r + 1 - k)/2 with k = min(n + m, r)."""
    k = min(n + m, r)
    return k * (2 * r + 1 - k) // 2


def exact_count(family, **options):
    count = count_laws(family, **options)
    assert count.proved, count.reason
    return count.upper


TWO_LAYER = [
    *[(n, m, r) for n, m in ((1, 2), (2, 2), (2, 3)) for r in (1, 2, 3, 4)],
    (2, 2, 5), (2, 2, 6), (3, 3, 3), (3, 3, 7), (4, 3, 8), (1, 4, 6), (5, 5, 4), (5, 5, 8),
]  # fmt: skip


@pytest.mark.parametrize(("n", "m", "r"), TWO_LAYER)
def test_two_layer_linear(n, m, r):
    assert exact_count(linear([m, r, n])) == two_layer_count(n, m, r)


DEEP = {
    (2, 2, 2, 2): 6,
    (3, 3, 3, 3): 12,
    (2, 3, 4, 2): 16,
    (2, 3, 3, 2): 12,
    (5, 5, 5, 5): 30,
    (1, 4, 4, 4, 2): 30,
    (2, 2, 5, 2, 4): 20,
    (4, 4, 4, 4, 4): 30,
    (3, 4, 4, 4, 4, 3): 40,
    (1, 5, 5, 2): 30,
    (1, 6, 6, 2): 42,
    (2, 6, 6, 2): 42,
    (1, 5, 5, 5, 2): 45,
    # Fewer than the entries of the Gram differences, by the ranks of the neighbours.
    (2, 5, 1, 2): 13,
    (2, 7, 2, 3): 25,
    (2, 2, 6, 2, 2): 24,
}


@pytest.mark.parametrize("widths", DEEP, ids=str)
def test_deep_linear(widths):
    assert exact_count(linear(widths)) == DEEP[widths]
    assert exact_count(linear(widths[::-1]), seed=1) == DEEP[widths]


def random_widths(rng, lowest, highest):
    return rng.integers(lowest, highest + 1, rng.integers(3, 6)).tolist()


def gram_rank(widths, rng):
    """The rank of the gradients of all W_{l+1}^T W_{l+1} - W_l W_l^T, in floats at one point."""
    weights = [rng.standard_normal((m, n)) for n, m in pairwise(widths)]
    rows = []
    for k, (inner, outer) in enumerate(pairwise(weights)):
        for a in range(len(inner)):
            for b in range(a + 1):
                parts = [np.zeros_like(w) for w in weights]
                for left, right in ((a, b), (b, a)):
                    parts[k][left] -= inner[right]
                    parts[k + 1][:, left] += outer[:, right]
                rows.append(np.concatenate([part.ravel() for part in parts]))
    return np.linalg.matrix_rank(np.array(rows))


def test_fifty_random_deep_linear_networks_in_seconds():
    rng = np.random.default_rng(2023)
    spent = 0.0
    for _ in range(50):
        widths = random_widths(rng, 2, 5)
        start = time.process_time()
        count = exact_count(linear(widths))
        spent += time.process_time() - start
        assert count == gram_rank(widths, rng), widths
    assert spent < 20  # 34 minutes of 64 threads published


def test_fifty_random_deep_relu_networks_in_seconds():
    rng = np.random.default_rng(2024)
    for number in range(50):
        widths = random_widths(rng, 2, 9)
        family = relu_paths(widths, biases=bool(number % 2))
        assert exact_count(family) == sum(widths[1:-1])


@pytest.mark.parametrize(("widths", "laws"), [([2, 5, 3], 5), ([3, 8, 4], 8)])
@pytest.mark.parametrize("biases", [False, True])
def test_two_layer_relu(widths, laws, biases):
    assert exact_count(relu_paths(widths, biases)) == laws


@pytest.mark.parametrize("biases", [False, True])
def test_the_monomial_rule_agrees_with_search_and_rank(biases):
    # The same paths, all of them, with two outputs added: no longer recognized as monomials.
    family = relu_paths([2, 3, 2, 1], biases)
    phi = [sp.Mul(*(family.parameters[i] for i in m)) for p in family.monomials for m in p]
    mixed = gradients([*phi, phi[0] + phi[1]], family.parameters)
    assert mixed.monomials is None
    assert exact_count(mixed) == exact_count(family) == 5


def test_a_product_of_parameters():
    x = sp.symbols("x1:7", real=True)
    assert exact_count(gradients([sp.Mul(*x)], x)) == 5


@pytest.mark.parametrize(("n", "m", "r"), [(2, 2, 2), (1, 2, 3), (2, 1, 5)])
def test_biases_widen_the_input_of_a_linear_network(n, m, r):
    assert exact_count(linear([m, r, n], biases=True)) == two_layer_count(n, m + 1, r)


@pytest.mark.parametrize(
    ("dimension", "head", "heads"), [(3, 2, 1), (3, 2, 2), (4, 2, 2), (3, 1, 3), (2, 5, 1)]
)
def test_attention_has_two_gram_laws_a_head(dimension, head, heads):
    per_head = 2 * two_layer_count(dimension, dimension, head)
    assert exact_count(attention(dimension, head, heads)) == heads * per_head


def matrix(name, rows, columns):
    return sp.Matrix(rows, columns, lambda i, j: sp.Symbol(f"{name}{i}_{j}", real=True))


@pytest.mark.parametrize(
    ("n", "m", "r", "laws"), [(2, 2, 2, 5), (3, 2, 2, 5), (2, 2, 5, 17), (3, 3, 3, 9)]
)
def test_a_softmax_head_adds_the_column_sums(n, m, r, laws):
    # The slope of the cross-entropy sums to 0 over classes: only differences of outputs count.
    U, V = matrix("u", n, r), matrix("v", m, r)
    phi = U * V.T
    differences = [phi[i, j] - phi[n - 1, j] for i in range(n - 1) for j in range(m)]
    count = count_laws(gradients(differences, [*U, *V]))
    assert count.proved
    assert count.upper == laws == r + two_layer_count(n - 1, m, r)
    assert set(count.laws[:r]) == {sum(U[:, k]) for k in range(r)}


@pytest.mark.parametrize(("widths", "dimension"), [((1, 2, 2, 1), 8), ((1, 4, 4, 1), 24)])
def test_one_field_has_all_local_first_integrals(widths, dimension):
    count = count_laws(linear(widths))
    assert (count.parameters, count.lower, count.upper) == (dimension, dimension - 1, dimension - 1)
    assert len(count.laws) == {8: 6, 24: 20}[dimension]
    assert "not all of them polynomial" in count.reason


def test_a_gap_is_reported_with_its_reason():
    count = count_laws(linear([1, 3, 5, 1, 2]))
    assert not count.proved
    assert (count.lower, count.upper, len(count.laws)) == (21, 23, 21)
    assert "21 independent polynomial laws of degree <= 2" in count.reason
    assert "rests at 2" in count.reason
    assert count.question == ALL_DATA
