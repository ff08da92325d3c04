r"""Formulas on the page (MathML, which browsers set without any script) and on the terminal."""

from __future__ import annotations

import html
import re

import sympy as sp

from flowtheory.report.numbers import typeset
from flowtheory.symbolic.printing import unicode_line

_RELATIONS = {sp.Eq: "=", sp.Le: "≤", sp.Ge: "≥", sp.Lt: "<", sp.Gt: ">", sp.Ne: "≠"}
_INLINE = re.compile(r"\$([^$]+)\$")
# A subscript of several letters is a word, not a product: upright.
_WORD_SUBSCRIPT = re.compile(r"_\{([A-Za-z]{2,})\}")
# Brackets around something no higher than a line need not stretch.
_LOW_BRACKETS = re.compile(r"\\left\(((?:(?!\\left|\\right|\\frac|\\sqrt).)*)\\right\)")
# A function's name after a factor: the converter leaves no space before it.
_FUNCTION = re.compile(r"<m[io]>([A-Za-z]{2,})</m[io]>")
_BAR = re.compile("<mo[^>]*>(&#x0007C;|&#x02016;)</mo>")
_CLOSED = re.compile(r"</m\w+>$")


def mathml(latex: str, *, block: bool = False) -> str:
    """LaTeX as a MathML element; the LaTeX is kept as its alternative text."""
    from latex2mathml.converter import convert

    tidy = _LOW_BRACKETS.sub(r"(\1)", _WORD_SUBSCRIPT.sub(r"_{\\text{\1}}", latex))
    element = convert(tidy, display="block" if block else "inline")
    element = _FUNCTION.sub(_function_name, element)
    # A bar of a norm is no relation: without this browsers set it apart on both sides.
    element = _BAR.sub(r'<mo stretchy="false" lspace="0" rspace="0">\1</mo>', element)
    return element.replace("<math ", f'<math alttext="{html.escape(latex)}" ', 1)


def _function_name(found: re.Match[str]) -> str:
    after_factor = _CLOSED.search(found.string, 0, found.start())
    space = '<mspace width="0.17em"/>' if after_factor else ""
    return f"{space}<mi>{found[1]}</mi>"


def prose(text: str) -> str:
    """Plain text as HTML: numbers and relations, and what stands between dollar signs, typeset."""
    pieces = _INLINE.split(text)
    # split() alternates text and formulas.
    return "".join(
        mathml(piece) if k % 2 else html.escape(typeset(piece)) for k, piece in enumerate(pieces)
    )


def line(expression: sp.Basic) -> str:
    """An expression or a relation on one line of Unicode."""
    if type(expression) in _RELATIONS:
        left, right = map(line, expression.args)
        return f"{left} {_RELATIONS[type(expression)]} {right}"
    return unicode_line(expression)
