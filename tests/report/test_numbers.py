"""Numbers and formulas as they are shown."""

from __future__ import annotations

import doctest
import re
from xml.etree import ElementTree

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st
from report import fake

from flowtheory.report import numbers
from flowtheory.report.formula import line, mathml, prose
from flowtheory.report.numbers import number, span, typeset, with_error

SIZES = st.floats(1e-12, 1e12) | st.floats(-1e12, -1e-12)


def test_examples_of_the_docstrings():
    tried = doctest.testmod(numbers)
    assert tried.attempted >= 3
    assert tried.failed == 0


def value_of(text: str) -> float:
    if found := re.fullmatch(r"1 ([+-]) (\S+)", text):
        return 1 + float(found[1] + found[2])
    return float(text.replace(",", ""))


@given(SIZES)
def test_four_digits_are_kept(value):
    assert value_of(number(value)) == pytest.approx(value, rel=6e-4, abs=0)


@given(st.floats(1e-12, 9e-4))
def test_a_ratio_near_one_shows_its_distance(distance):
    shown = value_of(number(1 - distance)) - 1
    assert shown == pytest.approx(-distance, rel=0.06, abs=1e-15)


@given(st.integers(-(10**9), 10**9))
def test_integers_are_shown_in_full(value):
    assert value_of(number(value)) == value


@given(st.floats(-100, 100), st.floats(1e-8, 10))
def test_value_with_error_keeps_both(value, half):
    shown, error = with_error(value, value - half, value + half).split(" ± ")
    assert float(error) == pytest.approx(half, rel=0.06, abs=1e-13)
    assert abs(float(shown) - value) <= 0.06 * half + 1e-9 * abs(value)


def test_ranges():
    assert span(2, 2002) == "2..2,002"
    assert span(0.0, 0.0) == "0"
    assert typeset(span(1e-8, 0.5)) == "10⁻⁸ to 0.5"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mu^(-1/2)", "mu^(−1/2)"),
        ("a-posteriori, S_-, mu^-1", "a-posteriori, S_-, mu^-1"),
        ("-0.5 in [-0.66, 4e-15]", "−0.5 in [−0.66, 4\xa0×\xa010⁻¹⁵]"),
        ("mu -> 0", "mu → 0"),
        ("v2e3 stays", "v2e3 stays"),
    ],
)
def test_typesetting(text, shown):
    assert typeset(text) == shown


def test_relations_on_one_line():
    x, y = sp.symbols("x mu", positive=True)
    for kind, sign in ((sp.Le, "≤"), (sp.Lt, "<"), (sp.Ge, "≥"), (sp.Gt, ">"), (sp.Eq, "=")):
        assert line(kind(x, y, evaluate=False)) == f"x {sign} μ"


def content(element: ElementTree.Element) -> str:
    return "".join(element.itertext())


@pytest.mark.parametrize("statement", fake.STATEMENTS, ids=lambda one: one.name)
def test_statements_become_mathml(statement):
    root = ElementTree.fromstring(mathml(statement.latex, block=True))
    assert root.tag.endswith("math")
    assert root.get("display") == "block"
    assert root.get("alttext") == statement.latex
    assert "≤" in content(root)
    # No LaTeX is left over, and the word in the subscript is one upright token.
    assert "\\" not in content(root)
    assert any(node.text == "min" for node in root.iter())


def test_formula_between_dollars_is_typeset_and_the_rest_escaped():
    shown = prose("a < b <= $\\mu$ & <script>")
    assert shown.startswith("a &lt; b ≤ <math ")
    assert shown.endswith("</math> &amp; &lt;script&gt;")


def test_a_value_of_rounding_is_shown_as_zero():
    assert with_error(5.2e-32, -2.7e-15, 2.7e-15) == "0 ± 2.7e-15"
    assert with_error(1.00004809, 1.00004009, 1.00005609) == "1.0000481 ± 8.0e-06"
