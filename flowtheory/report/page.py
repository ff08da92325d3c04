"""The report page: one HTML file that needs nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flowtheory.plot.style import DARK_THEME
from flowtheory.report.formula import mathml, prose
from flowtheory.report.groups import groups
from flowtheory.report.numbers import number, span, typeset, with_error
from flowtheory.report.svg import inline_svg, svg_of

if TYPE_CHECKING:
    from jinja2 import Environment
    from matplotlib.figure import Figure

Figures = Mapping[str, "tuple[Figure, str]"]

_LINKS = re.compile(r"(https?://[^\s<]+[^\s<.,;:)])|arXiv[: ](\d{4}\.\d{4,5}(?:v\d+)?)")


def render_page(
    document: Mapping[str, Any], figures: Figures, *, downloads: Mapping[str, list[str]]
) -> str:
    """The page of a document made by `to_dict`.

    Args:
        document: what is said.
        figures: name -> (figure, caption). The first one is the figure that decides.
        downloads: figure name -> relative addresses of its files beside the page.
    """
    from markupsafe import Markup

    pictures = [
        {
            "name": name,
            "svg": Markup(inline_svg(svg_of(figure), name, caption)),
            "caption": caption,
            "files": downloads.get(name, []),
        }
        for name, (figure, caption) in figures.items()
    ]
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            report=document,
            groups=groups(document["evidence"]),
            figures=pictures,
        )
    )


def environment() -> Environment:
    """The templates with the filters and colours of all pages."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    templates = Environment(
        loader=PackageLoader("flowtheory.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals["palette"] = [(colour[1:], dark) for colour, dark in DARK_THEME.items()]
    templates.filters |= {
        "number": lambda value: typeset(number(value)),
        "span": lambda ends: typeset(span(*ends)) if ends else "-",
        "fitted": lambda fit: typeset(with_error(fit["value"], *fit["interval"])),
        "name": _named,
        "prose": lambda text: Markup(prose(text)),
        "symbol": lambda latex: Markup(mathml(latex)),
        "formula": lambda latex: Markup(mathml(latex, block=True)),
        "summary": _summary,
        "linked": lambda text: Markup(_linked(text)),
    }
    return templates


def _named(parameter: str) -> str:
    """A parameter as the page writes it: one with a Greek name as that letter."""
    from sympy.printing.pretty.pretty_symbology import pretty_symbol

    return str(pretty_symbol("epsilon" if parameter == "eps" else parameter))


def _summary(value: Any) -> str:
    """A value of an experiment's summary, nested ones in one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_summary(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_summary, value))
    return typeset(number(value)) if isinstance(value, float) else str(value)


def _linked(text: str) -> str:
    """A reference as HTML, with addresses and arXiv numbers as links."""
    from markupsafe import escape

    def link(found: re.Match[str]) -> str:
        address = found[1] or f"https://arxiv.org/abs/{found[2]}"
        return f'<a href="{address}">{found[0]}</a>'

    return _LINKS.sub(link, str(escape(text)))
