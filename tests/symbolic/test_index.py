import sympy as sp

from flowtheory.symbolic.contract import contract
from flowtheory.symbolic.differentiate import gradient
from flowtheory.symbolic.index import (
    free_axes,
    fresh,
    index,
    separate,
    size,
    substitute,
    sum_over,
    tensor,
    tidy,
)
from flowtheory.symbolic.normal import is_zero

h, D, n = size("h"), size("D"), size("n")
j, k, p, q, i = map(index, "jkpqi")
W, x = tensor("W", h, D), tensor("x", n, D)


def test_substitution_replaces_free_indices_only():
    expr = W[j, p] * sum_over(W[j, p], (p, D))
    assert substitute(expr, {p: q}) == W[j, q] * sum_over(W[j, p], (p, D))


def test_substitution_does_not_capture():
    expr = sum_over(W[j, p] * x[i, q], (p, D))
    result = substitute(expr, {q: p})
    (limit,) = result.limits
    assert limit[0] != p
    assert result.function == W[j, limit[0]] * x[i, p]


def test_substitution_swaps_indices_at_once():
    assert substitute(W[j, p] * x[i, q], {p: q, q: p}) == W[j, q] * x[i, p]


def test_separate_makes_nested_sums_distinct_and_avoids():
    nested = sum_over(W[j, p] * sum_over(W[k, p], (p, D)), (p, D))
    result = separate(nested, {p})
    bound = [limit[0] for node in result.atoms(sp.Sum) for limit in node.limits]
    assert len(set(bound)) == 2
    assert p not in bound


def test_tidy_uses_the_first_free_letter():
    odd = index("weird")
    assert tidy(sum_over(W[j, odd], (odd, D))) == sum_over(W[j, p], (p, D))
    assert tidy(W[j, p] * sum_over(W[k, odd] * W[k, p], (odd, D))) == W[j, p] * sum_over(
        W[k, q] * W[k, p], (q, D)
    )


def test_fresh_falls_back_to_numbers_for_unknown_sizes():
    width = size("m")
    first = fresh(width, ())
    assert fresh(width, {first}) != first


def test_free_axes_know_their_sizes():
    expr = x[i, p] * sum_over(W[j, q], (q, D))
    assert free_axes(expr) == {i: n, p: D, j: h}


def test_a_sum_is_that_of_sympy_and_remembers_its_free_symbols():
    h, n = size("h"), size("n")
    j, i = index("j"), index("i")
    a = tensor("a", h, n)
    ours, theirs = sum_over(a[j, i], (j, h)), sp.Sum(a[j, i], (j, 1, h))
    assert ours == theirs
    assert theirs == ours
    assert hash(ours) == hash(theirs)
    assert ours != sp.Sum(a[j, i], (i, 1, n))
    assert {ours: 1}[theirs] == 1
    assert ours.free_symbols == theirs.free_symbols
    ours.free_symbols.clear()  # SymPy writes into the sets that it gets
    assert ours.free_symbols == theirs.free_symbols
    assert sp.srepr(ours) == sp.srepr(theirs)
    assert sum_over(ours, (i, n)) == sp.Sum(a[j, i], (j, 1, h), (i, 1, n))
    numeric = sum_over(j**2, (j, sp.Integer(4)))
    assert numeric.doit() == 30


def test_of_equal_bound_indices_the_innermost_binds():
    """sum_j sum_j a_j counts the inner sum h times, also in a gradient."""
    a = tensor("a", h)
    twice = sum_over(a[j], (j, h), (j, h))
    assert contract(twice) == h * sum_over(a[j], (j, h))
    assert contract(separate(twice, ())) == h * sum_over(a[j], (j, h))
    assert is_zero(gradient(twice**2, a[k]) - 2 * h**2 * sum_over(a[j], (j, h)))
