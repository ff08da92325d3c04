"""The report of a phase diagram: a page whose cells can be pointed at, figures, numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flowtheory.phase.asymptotic import regime_of
from flowtheory.phase.diagram import Diagram
from flowtheory.phase.judgement import Judged, judged
from flowtheory.phase.trained import Trained
from flowtheory.plot.phase import COLOURS
from flowtheory.report.evidence import plain, to_json
from flowtheory.report.page import environment
from flowtheory.report.pictures import Picture, pictures
from flowtheory.report.place import Place
from flowtheory.report.svg import inline_svg, svg_of, write_drawn

SCHEMA = "flowtheory/phase-diagram/1"
PAGE, NUMBERS = "index.html", "diagram.json"
DIAGRAM = Place("report", NUMBERS, SCHEMA, "--report", "flowtheory phase-diagram --help")
_SIDE, _LABELS = 22, 9
_FIXED = ("activation", "data", "loss", "eps")


def write_diagram(
    diagram: Diagram,
    directory: str | Path,
    *,
    command: str,
    trained: Sequence[Sequence[Trained]] = (),
) -> Path:
    """Write `index.html`, `diagram.json`, and the figures as PNG and SVG; all of it or nothing.

    Args:
        diagram: what was measured.
        directory: made if missing; a former report in it is replaced.
        command: what reproduces it.
        trained: networks of the same widths at some points, for feature maps; one group a point.

    Returns:
        The page.

    Raises:
        OutputError: the place cannot be written, or holds something else.
    """
    target, answers = DIAGRAM.check(directory), judged(diagram)
    shown, notes = pictures(diagram, trained)
    files = [f"{name}.{suffix}" for name in shown for suffix in ("png", "svg")]
    document = to_dict(diagram, answers) | {"command": command, "files": [PAGE, NUMBERS, *files]}
    drawn = {name: svg_of(picture.figure) for name, picture in shown.items()}
    page = _page(document, _cells(diagram), shown, drawn, notes)
    with DIAGRAM.replacing(target) as place:
        (place / NUMBERS).write_text(to_json(document), encoding="utf-8")
        (place / PAGE).write_text(page, encoding="utf-8")
        for name, svg in drawn.items():
            write_drawn(shown[name].figure, svg, place, name)
    return target / PAGE


def _page(
    document: dict[str, Any],
    cells: list[dict[str, Any]],
    shown: Mapping[str, Picture],
    drawn: Mapping[str, str],
    notes: list[str],
) -> str:
    from markupsafe import Markup

    figures = [
        {
            "name": name,
            "title": picture.title,
            "svg": Markup(inline_svg(drawn[name], name, picture.title)),
            "caption": picture.caption,
            "folded": picture.folded,
            "files": [f"{name}.{suffix}" for suffix in ("png", "svg")],
        }
        for name, picture in shown.items()
    ]
    axes = max(len(document["gamma"]), len(document["gamma_prime"]))
    return (
        environment()
        .get_template("diagram.html.j2")
        .render(
            d=document,
            cells=cells,
            numbers=json.dumps(cells).replace("</", "<\\/"),
            pictures=figures,
            notes=notes,
            side=_SIDE,
            step=math.ceil(axes / _LABELS),
        )
    )


def to_dict(diagram: Diagram, answers: tuple[Judged, ...]) -> dict[str, Any]:
    """The diagram as plain data."""
    theory = diagram.prediction
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
        "displacement": plain(diagram.displacement),
        "carriers": plain(diagram.carriers),
        "prediction": {
            "name": theory.name,
            "slopes": plain(theory.slopes.hidden),
            "zeta": plain(theory.zeta),
            "rms": plain(theory.left(diagram.slopes.hidden)),
        },
        "rms": plain(diagram.rms),
        "zeros": plain(diagram.zeros()),
        "boundary": plain(diagram.boundary()),
        "judged": [answer(one) for one in answers],
    }


def answer(one: Judged) -> dict[str, Any]:
    """One verdict as plain data."""
    numbers = {"left": plain(one.left), "other": plain(one.other)}
    return one._asdict() | numbers | {"verdict": one.verdict.value}


def _cells(diagram: Diagram) -> list[dict[str, Any]]:
    """What the page says of every cell, the row with the largest gamma' first."""
    import matplotlib as mpl
    from matplotlib.colors import to_hex

    slopes, activation = diagram.slopes.hidden, diagram.activation
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
                    "index": [i, j],  # as in the arrays of diagram.json
                    "colour": colour,
                    "gamma": f"{gamma:.4g}",
                    "gamma_prime": f"{other:.4g}",
                    "slope": f"{slope:z.3f}" if reached else "not reached",
                    "error": _text(diagram.error[i, j]),
                    "output": _text(diagram.slopes.output[i, j]),
                    "asymptotic": _text(diagram.asymptotic.hidden[i, j]),
                    "predicted": _text(diagram.prediction.slopes.hidden[i, j]),
                    "displacement": _text(diagram.displacement[i, j]),
                    "carriers": [f"{n:.3g}" for n in diagram.carriers[:, i, j]],
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
    """How the widest run of a cell is made again."""
    axes = f"[{gamma:.12g}], [{other:.12g}], [{int(diagram.widths[-1])}]"
    fixed = "".join(f", {name}={diagram.about[name]!r}" for name in _FIXED if name in diagram.about)
    return f"two_layer_study({axes}{fixed})"


def _text(value: float) -> str:
    return f"{value:z.3f}" if np.isfinite(value) else ""
