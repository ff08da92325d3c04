"""A figure as SVG inside the page: no clash of names, and colours that follow the page."""

from __future__ import annotations

import html
import re
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from flowtheory.plot.style import DARK_THEME, TEXT_WIDTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = re.compile(r'style="[^"]*"')
_COLOUR = re.compile("|".join(DARK_THEME))
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_NAMESPACE = re.compile(r'\sxmlns(:\w+)?="[^"]*"')
_SIZE = re.compile(r'\s(width|height)="([\d.]+)pt"')
_POINTS = 72  # an inch
_NAME = re.compile(r'(\bid="|href="#|url\(#)')


def svg_of(figure: Figure) -> str:
    """The figure as SVG, without the date: the same numbers give the same text."""
    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def write_figure(figure: Figure, path: Path) -> None:
    """Write the figure in the format that the path's suffix names."""
    if path.suffix == ".svg":
        path.write_text(svg_of(figure), encoding="utf-8")
    elif path.suffix == ".pdf":
        figure.savefig(path, metadata={"CreationDate": None})
    else:
        figure.savefig(path)


def write_drawn(figure: Figure, svg: str, place: Path, name: str) -> None:
    """Write a figure that `svg_of` has drawn as `name`.svg, and as `name`.png."""
    (place / f"{name}.svg").write_text(svg, encoding="utf-8")
    write_figure(figure, place / f"{name}.png")


def inline_svg(svg: str, name: str, label: str) -> str:
    """A figure made by `svg_of` as an `<svg>` element whose ids start with `name`.

    Each colour of our palette becomes a CSS variable with the colour itself as its default, so
    that a dark page can set its own.
    """
    body = svg[svg.index("<svg") :]
    body = _NAMESPACE.sub("", _METADATA.sub("", body)).replace("xlink:href", "href")
    head, rest = body.split(">", 1)
    # A figure as wide as the text fills the column; a narrower one keeps its share of it.
    share = min(1.0, float(dict(_SIZE.findall(head))["width"]) / (_POINTS * TEXT_WIDTH))
    opening = f'<svg role="img" aria-label="{html.escape(label)}" style="--share: {share:.3f}"'
    head = _SIZE.sub("", head).replace("<svg", opening, 1)
    rest = _STYLE.sub(lambda found: _COLOUR.sub(_variable, found[0]), rest)
    return _NAME.sub(rf"\g<1>{name}-", f"{head}>{rest}")


def _variable(found: re.Match[str]) -> str:
    return f"var(--c-{found[0][1:]}, {found[0]})"
