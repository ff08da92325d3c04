"""The report of a phase diagram: a page whose cells can be pointed at, figures, numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flowtheory.phase.asymptotic import regime_of
from flowtheory.phase.diagram import Diagram
from flowtheory.phase.judgement import Judged, judged
from flowtheory.phase.named import limits
from flowtheory.plot.phase import COLOURS, phase_figure, widths_figure
from flowtheory.report.evidence import plain, to_json
from flowtheory.report.page import environment
from flowtheory.report.place import Place
from flowtheory.report.svg import inline_svg, write_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEMA = "flowtheory/phase-diagram/1"
PAGE, NUMBERS = "index.html", "diagram.json"
DIAGRAM = Place("report", NUMBERS, SCHEMA, "--report", "flowtheory phase-diagram --help")
_SIDE, _LABELS, _CUTS = 22, 9, 5


def write_diagram(diagram: Diagram, directory: str | Path, *, command: str) -> Path:
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
    target, answers = DIAGRAM.check(directory), judged(diagram)
    figures = {"diagram": diagram_figure(diagram), "widths": cut_figure(diagram)}
    files = [f"{name}.{suffix}" for name in figures for suffix in ("png", "svg")]
    document = to_dict(diagram, answers) | {"command": command, "files": [PAGE, NUMBERS, *files]}
    cells = _cells(diagram)
    page = (
        environment()
        .get_template("diagram.html.j2")
        .render(
            d=document,
            judged=document["judged"],
            cells=cells,
            numbers=json.dumps(cells).replace("</", "<\\/"),
            figure=inline_svg(figures["diagram"], "diagram", "Measured and predicted slopes"),
            lines=inline_svg(figures["widths"], "widths", "RD over the width"),
            side=_SIDE,
            step=math.ceil(max(len(diagram.gamma), len(diagram.gamma_prime)) / _LABELS),
            command=command,
            files=files,
        )
    )
    with DIAGRAM.replacing(target) as place:
        (place / NUMBERS).write_text(to_json(document), encoding="utf-8")
        (place / PAGE).write_text(page, encoding="utf-8")
        for file in files:
            write_figure(figures[file.partition(".")[0]], place / file)
    return target / PAGE


def to_dict(diagram: Diagram, answers: tuple[Judged, ...]) -> dict[str, Any]:
    """The diagram as plain data."""
    return {
        "schema": SCHEMA,
        "about": {name: plain(value) for name, value in diagram.about.items()},
        "gamma": diagram.gamma.tolist(),
        "gamma_prime": diagram.gamma_prime.tolist(),
        "widths": diagram.widths.tolist(),
        "seeds": diagram.seeds,
        "slopes": {"w": plain(diagram.slopes.hidden), "a": plain(diagram.slopes.output)},
        "error": plain(diagram.error),
        "local": plain(diagram.local),
        "rd": plain(diagram.rd),
        "integration": plain(diagram.integration),
        "asymptotic": plain(diagram.asymptotic.hidden),
        "fitted": plain(diagram.fitted.slopes.hidden),
        "zeta": diagram.fitted.zeta,
        "rms": plain(diagram.rms),
        "fitted_rms": plain(diagram.fitted.rms),
        "zeros": plain(diagram.zeros()),
        "boundary": plain(diagram.boundary()),
        "judged": [_answer(one) for one in answers],
    }


def _answer(one: Judged) -> dict[str, Any]:
    numbers = {"left": plain(one.left), "other": plain(one.other)}
    return one._asdict() | numbers | {"verdict": one.verdict.value}


def diagram_figure(diagram: Diagram) -> Figure:
    """Three maps: measured, predicted at the same widths, and measured less asymptotic."""
    maps = {
        r"measured $S_w$": diagram.slopes.hidden,
        rf"predicted, $\zeta = {diagram.fitted.zeta:.2g}$": diagram.fitted.slopes.hidden,
        "measured less asymptotic": diagram.left,
    }
    places: dict[tuple[float, float], list[str]] = {}
    for name, point in limits(str(diagram.about.get("activation", "relu"))).items():
        places.setdefault(point, []).append(_short(name))
    points = {", ".join(names): point for point, names in places.items()}
    return phase_figure(
        diagram.gamma, diagram.gamma_prime, maps, zeros=diagram.zeros(), points=points
    )


def cut_figure(diagram: Diagram) -> Figure:
    r"""RD over the width at points of the row nearest to $\gamma' = 0$."""
    row = int(np.argmin(np.abs(diagram.gamma_prime)))
    columns = np.unique(np.linspace(0, len(diagram.gamma) - 1, _CUTS).round().astype(int))
    columns = [k for k in columns if np.isfinite(diagram.slopes.hidden[row, k])]
    other = diagram.gamma_prime[row]
    curves = [
        (
            f"({diagram.gamma[k]:.3g}, {other:.3g})",
            diagram.rd[0, :, row, k],
            float(diagram.slopes.hidden[row, k]),
        )
        for k in columns
    ]
    predicted = [float(diagram.asymptotic.hidden[row, k]) for k in columns]
    return widths_figure(diagram.widths, curves, predicted)


def _cells(diagram: Diagram) -> list[dict[str, Any]]:
    """What the page says of every cell, the row with the largest gamma' first."""
    import matplotlib as mpl
    from matplotlib.colors import to_hex

    slopes, activation = diagram.slopes.hidden, str(diagram.about.get("activation", "relu"))
    largest = float(np.nanmax(np.abs(slopes)))
    colours, kinds = mpl.colormaps[COLOURS], diagram.kinds
    found = []
    for row, i in enumerate(reversed(range(len(diagram.gamma_prime)))):
        for j, gamma in enumerate(diagram.gamma):
            other, slope = float(diagram.gamma_prime[i]), slopes[i, j]
            reached = bool(np.isfinite(slope))
            colour = to_hex(colours(0.5 + 0.5 * slope / largest)) if reached else "#9a9a9a"
            found.append(
                {
                    "row": row,
                    "column": j,
                    "colour": colour,
                    "gamma": f"{gamma:.4g}",
                    "gamma_prime": f"{other:.4g}",
                    "slope": f"{slope:.3f}" if reached else "not reached",
                    "error": _text(diagram.error[i, j]),
                    "output": _text(diagram.slopes.output[i, j]),
                    "asymptotic": _text(diagram.asymptotic.hidden[i, j]),
                    "fitted": _text(diagram.fitted.slopes.hidden[i, j]),
                    "kind": str(kinds[i, j]),
                    "regime": regime_of(float(gamma), other, activation).name,
                    "widths": [int(m) for m in diagram.widths],
                    "rd": [f"{rd:.4g}" for rd in diagram.rd[0, :, i, j]],
                    "local": [_text(value) for value in diagram.local[:, i, j]],
                    "call": _call(diagram, float(gamma), other),
                }
            )
    return found


def _call(diagram: Diagram, gamma: float, other: float) -> str:
    """How one run of a cell is made again."""
    width = int(diagram.widths[-1])
    return f"two_layer_study([{gamma:.6g}], [{other:.6g}], [{width}])"


def _text(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else ""


def _short(name: str) -> str:
    known = {"ntk": "NTK", "he": "He", "lecun": "LeCun", "xavier": "Xavier", "pytorch": "PyTorch"}
    return known.get(name, name)
