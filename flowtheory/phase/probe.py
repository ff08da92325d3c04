r"""The probe of phase diagrams: how far the weights of a two-layer network go.

The flow of a network with the scales of a point $(\gamma, \gamma')$ is followed in normalized units
(`flowtheory.phase.point`), until the loss has fallen to a fraction of that of zero output, by
fixed-type steps through the kinks (`flowtheory.flow.fall`), with the step constant $c$. Up to the
width `checked` it is done again with $c/2$: 1.5 times the difference is the error bar. It hardly
depends on the width, which is why the widest, and dearest, are done once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.flow.fall import Fallen
from flowtheory.flow.field import TwoLayer
from flowtheory.flow.steps import ERROR_FACTOR
from flowtheory.lower.gradient_flow import two_layer_model
from flowtheory.measure.amplitude import amplitudes, participation_ratio
from flowtheory.measure.displacement import maximal_displacement, relative_distance
from flowtheory.measure.projection import linear_directions, projection
from flowtheory.measure.similarity import clusters
from flowtheory.outcome import Outcome
from flowtheory.phase.data import Samples, samples
from flowtheory.phase.point import Point
from flowtheory.phase.span import fall_in_span
from flowtheory.sweep.probe import Cell, Found, Measure, Parameter, Probe

CARRIED = 0.99
"""The part of the squared norm whose neurons are grouped."""
LARGEST = 256
"""Most neurons that are grouped in one cell."""


def run_cell(cell: Cell, c: float) -> tuple[TwoLayer, Fallen, Samples, float]:
    """One run at one cell: the start, the end, the data, and the loss of zero output.

    Args:
        cell: parameters of `PROBE`.
        c: the step constant.
    """
    data, point = samples(str(cell["data"])), point_of(cell)
    rng = np.random.default_rng([int(cell["seed"]), int(cell["width"])])
    start = point.start(data.x.shape[1], rng, bool(cell["paired"]))
    seen = point.samples(data.x, data.y)
    whole = 0.5 * float(seen.weight) * float(np.sum(seen.y**2))
    model = two_layer_model(point.activation, "half_mse")
    steps = round(int(cell["max_steps"]) / c)
    end = fall_in_span(model, seen, start, float(cell["loss"]) * whole, c=c, max_steps=steps)
    return start, end, data, whole


def point_of(cell: Cell) -> Point:
    """The point of the diagram at which a cell is."""
    gamma, other = float(cell["gamma"]), float(cell["gamma_prime"])
    return Point(gamma, other, int(cell["width"]), str(cell["activation"]), float(cell["eps"]))


def unreached(end: Fallen) -> Found:
    """What is stored of a run that did not end at its level of the loss."""
    return Found(end.outcome, {"steps": float(end.steps)}, end.outcome.reason)


def _run(cells: Sequence[Cell]) -> list[Found]:
    return [_found(cell) for cell in cells]


def _found(cell: Cell) -> Found:
    c = float(cell["c"])
    start, end, data, whole = run_cell(cell, c)
    if end.outcome is not Outcome.EVENT:
        return unreached(end)
    moved, finer = _distances(end.params, start), _Distances(math.nan, math.nan)
    if int(cell["width"]) <= int(cell["checked"]):
        again = run_cell(cell, c / 2)[1]
        if again.outcome is not Outcome.EVENT:
            return unreached(again)
        finer = _distances(again.params, start)
    size_w, size_a = (float(np.linalg.norm(np.asarray(p))) for p in start)
    W, W0 = np.asarray(end.params.W), np.asarray(start.W)
    directions = linear_directions(*data)
    return Found(
        end.outcome,
        {
            "rd_w": moved.w,
            "rd_a": moved.a,
            "rd_w_operator": relative_distance(W, W0).operator.value,
            "rd_w_error": ERROR_FACTOR * abs(moved.w - finer.w),
            "rd_a_error": ERROR_FACTOR * abs(moved.a - finer.a),
            "sup_w": max(end.farthest[0] / size_w, moved.w),
            "sup_a": max(end.farthest[1] / size_a, moved.a),
            "displacement": maximal_displacement(W, W0).value,
            "carriers": participation_ratio(amplitudes(W)).value,
            "orientations": orientations(W),
            "ratio_z": math.sqrt(projection(W, directions.z).ratio.value),
            "ratio_ls": math.sqrt(projection(W, directions.least_squares).ratio.value),
            "loss_end": end.loss / whole,
            "time": end.time,
            "steps": float(end.steps),
        },
    )


def orientations(weights: Float[np.ndarray, "m D"]) -> float:
    """Signed groups (cos > 0.95) of the neurons that carry 99 % of the squared norm.

    Of many carriers the `LARGEST` are looked at: pairs are compared.
    """
    sizes = amplitudes(weights)
    order = np.argsort(-sizes, kind="stable")
    carried = np.cumsum((sizes[order] / sizes[order[0]]) ** 2)
    enough = int(np.searchsorted(carried, CARRIED * carried[-1])) + 1
    return clusters(weights[order[: min(enough, LARGEST)]]).number.value


class _Distances(NamedTuple):
    """RD of the input and of the output weights."""

    w: float
    a: float


def _distances(now: TwoLayer, start: TwoLayer) -> _Distances:
    pairs = zip(now, start, strict=True)
    arrays = ((np.asarray(one), np.asarray(other)) for one, other in pairs)
    return _Distances(*(relative_distance(*pair).frobenius.value for pair in arrays))


PROBE = Probe(
    name="two-layer",
    version=3,
    says="how far the weights of a two-layer network go",
    parameters=(
        Parameter("gamma", float, "-log kappa / log m", least=-2.0, most=8.0),
        Parameter("gamma_prime", float, "-log kappa' / log m", least=-6.0, most=6.0),
        Parameter("width", int, "hidden neurons m", least=2, most=10**8),
        Parameter("seed", int, "of the start", 0, least=0),
        Parameter("activation", str, "activation, by name", "relu"),
        Parameter("data", str, "data set", "three-points", check=samples),
        Parameter("loss", float, "end of the run, relative to zero output", 1e-3, 1e-12, 1.0),
        Parameter("paired", bool, "antisymmetric initialization", True),
        Parameter("eps", float, "standard deviation of w (smooth activations)", 1.0, 1e-100, 1e3),
        Parameter("c", float, "step constant", 1.0, 1e-4, 1.0),
        Parameter("checked", int, "largest width with an error bar", 1024, least=0),
        Parameter("max_steps", int, "budget of a run with c = 1; 1/c times that with c", 10**5, 1),
    ),
    measures=(
        Measure("rd_w", "RD of the input weights at the end"),
        Measure("rd_a", "RD of the output weights at the end"),
        Measure("rd_w_operator", "RD of the input weights at the end, in the operator norm"),
        Measure("rd_w_error", "estimated error of rd_w, of widths that are checked"),
        Measure("rd_a_error", "estimated error of rd_a, of widths that are checked"),
        Measure("sup_w", "largest RD of the input weights over time"),
        Measure("sup_a", "largest RD of the output weights over time"),
        Measure("displacement", "largest displacement of a neuron, over the rms of the start"),
        Measure("carriers", "N_eff: neurons that carry the norm of the input weights", "neurons"),
        Measure("orientations", "signed groups of the neurons that carry 99 % of it", "groups"),
        Measure("ratio_z", "part of the input weights along z"),
        Measure("ratio_ls", "part of the input weights along the least-squares vector"),
        Measure("loss_end", "loss at the end, relative to zero output"),
        Measure("time", "of the end, in the clock of kappa times the normalized time"),
        Measure("steps", "of the run with c"),
    ),
    run=_run,
    bucket=lambda cell: (cell["activation"], cell["data"], cell["width"]),
    cost=lambda cell: float(cell["width"]) * len(samples(str(cell["data"])).y),
    batch=32,
)
