"""The figures of the alignment law, from its evidence and curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from flowtheory.laws.alignment_time import formulas
from flowtheory.laws.alignment_time.in_cone import DELTA, THETA_0
from flowtheory.laws.record import ExperimentResult, Verification
from flowtheory.plot.bound import bound_figure
from flowtheory.plot.directions import directions_figure
from flowtheory.plot.order import order_figure
from flowtheory.plot.slopes import Slope, in_cone_figure, slopes_figure
from flowtheory.plot.training import training_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BOUNDED = ("random", "attack", "attaining", "real")
_SERIES = (
    ("F1, two points", "two-points", 1.0, np.log(2.0)),
    ("F2, four points", "four-points", 2.0, np.log(2.0)),
)


def alignment_time_figures(verification: Verification) -> dict[str, tuple[Figure, str]]:
    """Name -> (figure, caption); the first one decides the verdict."""
    results = verification.results
    figures = {
        "bound": (_bound(verification), _BOUND),
        "slopes": (_slopes(results["attaining"]), _SLOPES),
        "in-cone": (_in_cone(results["in-cone"]), _IN_CONE),
        "finite-eps": (_order(results["finite-eps"]), _ORDER),
        "directions": (_directions(results["directions"]), _DIRECTIONS),
    }
    curves = results["training"].curves
    if curves:
        figures["training"] = (training_figure(curves, stages=_stages(curves)), _TRAINING)
    return figures


_BOUND = (
    "Times to the last pattern switch, times the least norm of the data, against the bounds. Left: "
    "over mu; right: over n at one mu. Below: ratio to the bound that applies to each row (parts "
    "(b) and (c), the a-posteriori bound for images), never above 1. Starts in S_-, to whose bound "
    "part (c) adds a term, are shown below only."
)
_SLOPES = (
    "The attaining families: T X_min is a straight line in ln(1/mu), of slope 1 (two points) and "
    "2 (four points). Faint: a power mu^(-1/2) through the first point. Below: what is left over."
)
_IN_CONE = (
    "Alignment inside the cone, from 60 degrees to cosine 0.999, equicorrelated data, clock of the "
    "mean loss. Here, and only for mu n >> 1, time grows as mu^(-1/2)."
)
_ORDER = (
    "Shift of a slow neuron's switch time at finite initialization scale eps, beside a fast "
    "neuron: second order in eps."
)
_DIRECTIONS = (
    "Neurons of both signs in the plane before, during and after alignment (effective flow). Grey "
    "neurons are dead; the length of a stick shows ln|w|."
)
_TRAINING = (
    "The published experiment on images: 50 neurons, entries N(0, 1e-12), logistic loss, both "
    "layers trained. Bands: least and largest cosine over the neurons of that sign."
)


def _bound(verification: Verification) -> Figure:
    rows = [
        row
        for name in _BOUNDED
        for row in verification.results[name].rows
        if row.experiment != "real, typical time"
    ]
    return bound_figure(
        rows,
        sharper=formulas.bound,
        published=formulas.published_literal,
        ns=(10, 1000),
        weaker=formulas.absolute_bound,
        level=0.01,
    )


def _slopes(result: ExperimentResult) -> Figure:
    series = []
    for label, name, slope, intercept in _SERIES:
        rows = {row["mu"]: row for row in result.rows if row.family == name}
        mu = np.array(sorted(rows))
        time = np.array([rows[m].measured for m in mu])
        series.append(Slope(label, mu, time, slope, intercept))
    return slopes_figure(series)


def _in_cone(result: ExperimentResult) -> Figure:
    rows = result.rows
    turned = float(formulas.in_cone_time(THETA_0, np.arccos(1 - DELTA), 1.0))
    return in_cone_figure(
        np.array([row["n"] for row in rows]),
        np.array([row["mu"] for row in rows]),
        np.array([row.measured for row in rows]),
        collapsed=lambda mu_n: turned / np.sqrt(1 + 1 / mu_n),
    )


def _order(result: ExperimentResult) -> Figure:
    rows = [row for row in result.rows if row.note == "exponential loss"]
    eps = np.array([row["eps"] for row in rows])
    error = np.array([abs(row.measured - row.predicted) for row in rows])
    return order_figure(eps, error, result.fits[0])


def _directions(result: ExperimentResult) -> Figure:
    curves = result.curves
    x_min = np.linalg.norm(curves["x"], axis=1).min()
    return directions_figure(
        curves["x"],
        curves["y"],
        curves["times"] * x_min,
        np.swapaxes(curves["directions"], 0, 1),
        np.swapaxes(curves["log_norms"], 0, 1),
        curves["signs"],
    )


def _stages(curves) -> list[tuple[str, float, float]]:
    """Early alignment until |W|^2 has grown a hundredfold, growth until the loss has halved."""
    time, size, loss = curves["time"], curves["squared_spectral_norm"], curves["loss"]
    grown = time[np.argmax(size > 100 * size[0])]
    halved = time[np.argmax(loss < 0.5 * loss[0])]
    return [("alignment", time[0], grown), ("growth", grown, halved), ("fit", halved, time[-1])]
