r"""MkDocs hook: formulas become MathML while the site is built, so no page needs a script or a CDN.

`pymdownx.arithmatex` (generic mode) leaves `\(...\)` and `\[...\]` in elements of the class
"arithmatex", in pages and in docstrings alike; latex2mathml, which the reports use too, converts
them. A formula that it cannot convert fails the build instead of showing up as red ink.
"""

from __future__ import annotations

import html
import re
from typing import Any

import latex2mathml.converter
from mkdocs.exceptions import PluginError

_FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<latex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL
)
_BARE_FUNCTION = re.compile(
    r"(<m[io]>(?:ln|log|exp|cos|sin|tan|arccos|arccosh|arcsinh)</m[io]>)(?!<mo)"
)


def mathml(latex: str, display: str) -> str:
    """The MathML of one formula.

    Raises:
        ValueError: unbalanced LaTeX, or a command that latex2mathml does not know (it would leave
            the command's name, or a bare ampersand, in its output).
    """
    try:
        converted = latex2mathml.converter.convert(latex, display=display)
    except Exception as error:
        raise ValueError(f"cannot convert {latex!r}: {error!r}") from error
    unknown = re.findall(r"\\\w+|&(?!#?\w+;)", converted)
    if unknown:
        raise ValueError(f"cannot convert {latex!r}: {unknown} is not supported")
    # "ln n", not "lnn": LaTeX sets a thin space after a function's name, MathML does not.
    return _BARE_FUNCTION.sub(r'\1<mspace width="0.167em" />', converted)


def on_page_content(content: str, *, page: Any, **_: Any) -> str:
    """Replace every formula of a rendered page."""

    def replace(match: re.Match[str]) -> str:
        inline = match["tag"] == "span"
        try:
            return mathml(html.unescape(match["latex"]).strip(), "inline" if inline else "block")
        except ValueError as error:
            raise PluginError(f"{page.file.src_uri}: {error}") from error

    return _FORMULA.sub(replace, content)
