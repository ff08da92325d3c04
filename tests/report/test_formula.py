"""Formulas as MathML: well formed, with norms that are not set apart like relations."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from flowtheory.report.formula import mathml

MATHML = "{http://www.w3.org/1998/Math/MathML}"


@pytest.mark.parametrize("latex", [r"|v_j| = |w_j|", r"\|W\|_2^2", r"\frac{|a|}{2}"])
def test_bars_of_norms_have_no_space_around_them(latex):
    root = ElementTree.fromstring(mathml(latex))
    bars = [mo for mo in root.iter(f"{MATHML}mo") if mo.text in ("|", "‖")]
    assert len(bars) in (2, 4)
    assert all((bar.get("lspace"), bar.get("rspace")) == ("0", "0") for bar in bars)


def test_the_source_is_the_alternative_text():
    root = ElementTree.fromstring(mathml(r"a < b"))
    assert root.get("alttext") == "a < b"
