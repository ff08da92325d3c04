"""The diagrams that `flowtheory phase-diagram` measures: one entry a network.

An entry turns what was asked into a study, and its results into verdicts and a page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from flowtheory.cli.grids import Asked, counts, values, width_list
from flowtheory.cli.points import networks, read_points

if TYPE_CHECKING:
    import xarray as xr

    from flowtheory.phase import Judged
    from flowtheory.report.place import Place
    from flowtheory.sweep import Study


class Done(NamedTuple):
    """A measured diagram: its verdicts, rms of slopes less the asymptotic ones, and its page."""

    answers: tuple[Judged, ...]
    rms: float
    page: Path


class Kind(NamedTuple):
    """A network's diagram.

    Attributes:
        study: (what was asked) -> the cells, and the command that asks for them.
        place: where its report may go.
        finish: (results, study, directory, command, what was asked) -> what came of it.
    """

    study: Callable[[Asked], tuple[Study, str]]
    place: Callable[[], Place]
    finish: Callable[[xr.Dataset, Study, Path, str, Asked], Done]


def _two_layer_study(asked: Asked) -> tuple[Study, str]:
    from flowtheory.phase import two_layer_study

    asked.refuse("gamma_2")
    grid = {
        "grid": asked.grid or "9x9",
        "gamma": asked.gamma or "0.6:1.4",
        "gamma_prime": asked.gamma_prime or "-0.4:0.4",
        "widths": asked.widths or "256:16384",
    }
    eps = 1.0 if asked.eps is None else asked.eps
    columns, rows = counts(grid["grid"])
    across = values("--gamma", grid["gamma"], columns)
    along = values("--gamma-prime", grid["gamma_prime"], rows)
    widths = width_list(grid["widths"])
    study = two_layer_study(across, along, widths, asked.seeds, eps=eps, **asked.fixed)
    read_points(asked.points, study.fixed)  # refuses before anything runs
    points = "" if asked.points is None else f' --points "{asked.points}"'
    return study, f"{asked.command(grid)} --eps {eps:g}{points}"


def _two_layer_place() -> Place:
    from flowtheory.report.diagram import DIAGRAM

    return DIAGRAM


def _two_layer_finish(
    table: xr.Dataset, study: Study, target: Path, command: str, asked: Asked
) -> Done:
    from flowtheory.phase import diagram, judged, samples
    from flowtheory.report.diagram import write_diagram

    found = diagram(table, samples(str(study.fixed["data"])))
    trained = networks(found, read_points(asked.points, study.fixed), study.fixed)
    page = write_diagram(found, target, command=command, trained=trained)
    return Done(judged(found), found.rms, page)


def _deep_study(layers: int) -> Callable[[Asked], tuple[Study, str]]:
    def study(asked: Asked) -> tuple[Study, str]:
        from flowtheory.phase import DeepPoint, deep_study

        asked.refuse("gamma_prime", "eps", "points")
        DeepPoint(0.0, 0.0, 2, layers, asked.fixed["activation"])  # refuses before anything runs
        columns, rows = counts(asked.grid or "9x1", least_rows=1)
        middle = layers / 2  # the boundary
        grid = {
            "grid": f"{columns}x{rows}",
            "gamma": asked.gamma or f"{middle - 0.6:g}:{middle + 1:g}",
            "gamma_2": asked.gamma_2 or ("-0.4:0.4" if rows > 1 else "0"),
            "widths": asked.widths or "64:512",
        }
        across = values("--gamma", grid["gamma"], columns)
        along = values("--gamma-2", grid["gamma_2"], rows)
        widths = width_list(grid["widths"])
        cells = deep_study(across, along, widths, asked.seeds, layers=layers, **asked.fixed)
        return cells, asked.command(grid)

    return study


def _deep_place() -> Place:
    from flowtheory.report.deep_diagram import DIAGRAM

    return DIAGRAM


def _deep_finish(table: xr.Dataset, study: Study, target: Path, command: str, asked: Asked) -> Done:
    from flowtheory.phase import deep_diagram, deep_judged
    from flowtheory.report.deep_diagram import write_deep_diagram

    found = deep_diagram(table)
    return Done(deep_judged(found), found.rms, write_deep_diagram(found, target, command=command))


DIAGRAMS: Mapping[str, Kind] = {
    "two-layer": Kind(_two_layer_study, _two_layer_place, _two_layer_finish),
    "three-layer": Kind(_deep_study(3), _deep_place, _deep_finish),
    "four-layer": Kind(_deep_study(4), _deep_place, _deep_finish),
}
