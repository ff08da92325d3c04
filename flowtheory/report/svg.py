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
_SIZE = re.compile(r'\s(width|height)="[\d.]+pt"')
_NAME = re.compile(r'(\bid="|href="#|url\(#)')


def write_svg(figure: Figure, target: object) -> None:
    """Write the figure as SVG, without the date: the same numbers give the same bytes."""
    figure.savefig(target, format="svg", metadata={"Date": None})  # type: ignore[arg-type]


def write_figure(figure: Figure, path: Path) -> None:
    """Write the figure in the format that the path's suffix names."""
    if path.suffix == ".svg":
        write_svg(figure, path)
    elif path.suffix == ".pdf":
        figure.savefig(path, metadata={"CreationDate": None})
    else:
        figure.savefig(path)


def inline_svg(figure: Figure, name: str, label: str) -> str:
    """The figure as an `<svg>` element whose ids start with `name`.

    Each colour of our palette becomes a CSS variable with the colour itself as its default, so
    that a dark page can set its own.
    """
    text = StringIO()
    write_svg(figure, text)
    body = text.getvalue()
    body = body[body.index("<svg") :]
    body = _NAMESPACE.sub("", _METADATA.sub("", body)).replace("xlink:href", "href")
    head, rest = body.split(">", 1)
    # A figure as wide as the text fills the column; a narrower one keeps its share of it.
    share = min(1.0, figure.get_figwidth() / TEXT_WIDTH)
    opening = f'<svg role="img" aria-label="{html.escape(label)}" style="--share: {share:.3f}"'
    head = _SIZE.sub("", head).replace("<svg", opening, 1)
    rest = _STYLE.sub(lambda found: _COLOUR.sub(_variable, found[0]), rest)
    return _NAME.sub(rf"\g<1>{name}-", f"{head}>{rest}")


def _variable(found: re.Match[str]) -> str:
    return f"var(--c-{found[0][1:]}, {found[0]})"
