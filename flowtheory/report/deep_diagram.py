"""The report of a diagram of deeper networks: slopes layer by layer, figures, numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flowtheory.phase.deep_asymptotic import OfLayers, layer_slopes
from flowtheory.phase.deep_diagram import DeepDiagram
from flowtheory.phase.deep_judgement import deep_judged
from flowtheory.plot.layers import Layer, layer_maps_figure, layer_widths_figure, layers_figure
from flowtheory.plot.phase import span_of
from flowtheory.report.diagram import NUMBERS, PAGE, answer
from flowtheory.report.evidence import plain, to_json
from flowtheory.report.page import environment
from flowtheory.report.place import Place
from flowtheory.report.svg import inline_svg, svg_of, write_drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEMA = "flowtheory/deep-phase-diagram/1"
DIAGRAM = Place("report", NUMBERS, SCHEMA, "--report", "flowtheory phase-diagram --help")
NAMES = OfLayers(r"$W_1$", "hidden, Frobenius", "hidden, operator", "$v$")
_FINE, _CURVES = 241, 5

Figures = dict[str, "tuple[Figure, str]"]


def write_deep_diagram(diagram: DeepDiagram, directory: str | Path, *, command: str) -> Path:
    """Write `index.html`, `diagram.json`, and the figures as PNG and SVG; all of it or nothing.

    Args:
        diagram: what was measured.
        directory: made if missing; a former report in it is replaced.
        command: what reproduces it.

    Returns:
        The page.

    Raises:
        OutputError: the place cannot be written, or holds something else.
    """
    target, figures = DIAGRAM.check(directory), _figures(diagram)
    drawn = {name: svg_of(figure) for name, (figure, _) in figures.items()}
    files = [f"{name}.{suffix}" for name in figures for suffix in ("png", "svg")]
    document = to_dict(diagram) | {"command": command, "files": [PAGE, NUMBERS, *files]}
    page = (
        environment()
        .get_template("deep_diagram.html.j2")
        .render(
            d=document,
            judged=document["judged"],
            rows=_rows(diagram),
            figures=[
                {"svg": inline_svg(drawn[name], name, caption), "caption": caption, "name": name}
                for name, (_, caption) in figures.items()
            ],
            command=command,
            files=files,
        )
    )
    with DIAGRAM.replacing(target) as place:
        (place / NUMBERS).write_text(to_json(document), encoding="utf-8")
        (place / PAGE).write_text(page, encoding="utf-8")
        for name, svg in drawn.items():
            write_drawn(figures[name][0], svg, place, name)
    return target / PAGE


def to_dict(diagram: DeepDiagram) -> dict[str, Any]:
    """The diagram as plain data."""
    of_layers = ("rd", "slopes", "error", "local", "asymptotic")
    return {
        "schema": SCHEMA,
        "about": {name: plain(value) for name, value in diagram.about.items()},
        "layers": diagram.layers,
        "gamma": diagram.gamma.tolist(),
        "gamma_2": diagram.gamma_2.tolist(),
        "widths": diagram.widths.tolist(),
        "seeds": diagram.seeds,
        **{
            name: {layer: plain(grid) for layer, grid in getattr(diagram, name)._asdict().items()}
            for name in of_layers
        },
        "integration": plain(diagram.integration),
        "rms": plain(diagram.rms),
        "zeros": plain(diagram.zeros()),
        "boundary": plain(diagram.boundary()),
        "judged": [answer(one) for one in deep_judged(diagram)],
    }


def _figures(diagram: DeepDiagram) -> Figures:
    row = int(np.argmin(np.abs(diagram.gamma_2)))
    at = f"γ₂ = {diagram.gamma_2[row]:.3g}"
    slopes = (
        slopes_figure(diagram, row),
        f"Slopes of RD in the width over γ, {at}, with 95 % intervals over the starts. Lines: "
        "theory of infinite width. Dotted: the boundary. Dashed: the input weights of two layers.",
    )
    widths = (
        rd_figure(diagram, row),
        f"RD over the width, {at}. Faint: slopes of the theory through the largest width.",
    )
    if len(diagram.gamma_2) == 1:
        return {"slopes": slopes, "widths": widths}
    maps = (
        maps_figure(diagram),
        "Slopes over the plane, measured above and theory below. Dashed: where the theory's slope "
        "of that layer is 0. Stars: measured zero crossings.",
    )
    return {"maps": maps, "slopes": slopes, "widths": widths}


def slopes_figure(diagram: DeepDiagram, row: int) -> Figure:
    """Slopes of every layer along one row, with the theory."""
    fine, other = np.linspace(*span_of(diagram.gamma), _FINE), diagram.gamma_2[row]
    theory = layer_slopes(fine, other, diagram.hidden)
    quantities = zip(NAMES, diagram.slopes, diagram.error, theory, strict=True)
    layers = {name: Layer(s[row], e[row], t) for name, s, e, t in quantities}
    two = layer_slopes(fine, other, 1).input
    edge = float(diagram.boundary()[row])
    return layers_figure(diagram.gamma, layers, fine, boundary=edge, other=("two layers", two))


def rd_figure(diagram: DeepDiagram, row: int) -> Figure:
    """RD of every layer over the width, at some points of a row."""
    columns = np.unique(np.linspace(0, len(diagram.gamma) - 1, _CURVES).round().astype(int))
    quantities = zip(NAMES, diagram.rd, diagram.asymptotic, strict=True)
    curves = {
        name: [(float(diagram.gamma[k]), rd[:, row, k], float(theory[row, k])) for k in columns]
        for name, rd, theory in quantities
    }
    return layer_widths_figure(diagram.widths, curves)


def maps_figure(diagram: DeepDiagram) -> Figure:
    """Slopes of every layer over the plane, measured and of the theory."""
    across = np.linspace(*span_of(diagram.gamma), _FINE)
    along = np.linspace(*span_of(diagram.gamma_2), _FINE)
    fields = list(layer_slopes(across[None, :], along[:, None], diagram.hidden))
    pairs = zip(diagram.slopes, diagram.asymptotic, strict=True)
    return layer_maps_figure(
        diagram.gamma,
        diagram.gamma_2,
        dict(zip(NAMES, pairs, strict=True)),
        zeros=diagram.zeros(),
        fields=(across, along, fields),
    )


def _rows(diagram: DeepDiagram) -> list[dict[str, Any]]:
    """The table of the page: one row a point."""
    found = []
    for i, j in np.ndindex(diagram.slopes.input.shape):
        quantities = zip(diagram.slopes, diagram.error, diagram.asymptotic, strict=True)
        cells = [
            dict(
                zip(("slope", "error", "theory"), (_text(float(q[i, j])) for q in of), strict=True)
            )
            for of in quantities
        ]
        place = {"gamma": f"{diagram.gamma[j]:.4g}", "gamma_2": f"{diagram.gamma_2[i]:.4g}"}
        found.append(place | {"cells": cells})
    return found


def _text(value: float) -> str:
    return f"{value:.3f}".replace("-", "−") if np.isfinite(value) else ""
