r"""MkDocs hook: formulas become MathML while the site is built, so no page needs a script or a CDN.

`pymdownx.arithmatex` (generic mode) leaves `\(...\)` and `\[...\]` in elements of the class
"arithmatex", in pages and in docstrings alike; the converter of the reports turns them into MathML.
A formula that it cannot convert is a warning, and so fails the strict build.
"""

from __future__ import annotations

import html
import logging
import re
from typing import Any

from flowtheory.report.formula import mathml

_LOG = logging.getLogger("mkdocs.hooks.mathml")
_FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<latex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL
)
# A command that the converter does not know keeps its name; an unknown environment, its ampersands.
_LEFT_OVER = re.compile(r"\\\w+|&(?!#?\w+;)")
_TEXT = re.compile(r"(?<=>)[^<]+")


def convert(latex: str, *, block: bool) -> str:
    """The MathML of one formula.

    Raises:
        ValueError: unbalanced LaTeX, or LaTeX that the converter does not know.
    """
    try:
        element = mathml(latex, block=block)
    except Exception as error:
        raise ValueError(f"cannot convert {latex!r}: {error!r}") from error
    if left := [word for text in _TEXT.findall(element) for word in _LEFT_OVER.findall(text)]:
        raise ValueError(f"cannot convert {latex!r}: {left} is not supported")
    return element


def on_page_content(content: str, *, page: Any, **_: Any) -> str:
    """Replace every formula of a rendered page."""

    def replace(match: re.Match[str]) -> str:
        latex = html.unescape(match["latex"]).strip()
        try:
            return convert(latex, block=match["tag"] == "div")
        except ValueError as error:
            _LOG.warning("%s: %s", page.file.src_uri, error)
            return match[0]

    return _FORMULA.sub(replace, content)
