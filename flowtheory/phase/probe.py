r"""The probe of phase diagrams: how far the weights of a two-layer network go.

The flow of a network with the scales of a point $(\gamma, \gamma')$ is followed in normalized units
(`flowtheory.phase.point`), until the loss has fallen to a fraction of that of zero output, by
fixed-type steps through the kinks (`flowtheory.flow.fall`). It is done twice, with the step
constants $2c$ and $c$: the second is the answer, and 1.5 times the difference its error bar.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from flowtheory.flow.fall import Fallen, fall
from flowtheory.flow.field import TwoLayer
from flowtheory.flow.steps import ERROR_FACTOR
from flowtheory.measure.amplitude import amplitudes, participation_ratio
from flowtheory.measure.displacement import maximal_displacement, relative_distance
from flowtheory.measure.projection import linear_directions, projection
from flowtheory.outcome import Outcome
from flowtheory.phase.data import DATA_SETS, Samples, samples
from flowtheory.phase.functions import model_of
from flowtheory.phase.point import Point
from flowtheory.sweep.probe import Cell, Found, Measure, Parameter, Probe


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
    end = fall(model_of(point.activation), seen, start, float(cell["loss"]) * whole, c=c)
    return start, end, data, whole


def point_of(cell: Cell) -> Point:
    """The point of the diagram at which a cell is."""
    gamma, other = float(cell["gamma"]), float(cell["gamma_prime"])
    return Point(gamma, other, int(cell["width"]), str(cell["activation"]), float(cell["eps"]))


def _run(cells: Sequence[Cell]) -> list[Found]:
    return [_found(cell) for cell in cells]


def _found(cell: Cell) -> Found:
    c = float(cell["c"])
    start, rough, *_ = run_cell(cell, 2 * c)
    _, end, data, whole = run_cell(cell, c)
    if end.outcome is not Outcome.EVENT:
        return Found(end.outcome, {"steps": float(end.steps)}, end.outcome.reason)
    moved, coarse = _distances(end.params, start), _distances(rough.params, start)
    sizes = TwoLayer(*(float(np.linalg.norm(p)) for p in start))
    W = end.params.W
    directions = linear_directions(*data)
    return Found(
        end.outcome,
        {
            "rd_w": moved.W,
            "rd_a": moved.v,
            "rd_w_error": ERROR_FACTOR * abs(moved.W - coarse.W),
            "rd_a_error": ERROR_FACTOR * abs(moved.v - coarse.v),
            "sup_w": max(float(end.farthest.W) / sizes.W, moved.W),
            "sup_a": max(float(end.farthest.v) / sizes.v, moved.v),
            "displacement": maximal_displacement(W, start.W).value,
            "carriers": participation_ratio(amplitudes(W)).value,
            "ratio_z": math.sqrt(projection(W, directions.z).ratio.value),
            "ratio_ls": math.sqrt(projection(W, directions.least_squares).ratio.value),
            "loss": end.loss / whole,
            "time": end.time,
            "steps": float(end.steps),
        },
    )


def _distances(now: TwoLayer, start: TwoLayer) -> TwoLayer:
    pairs = zip(now, start, strict=True)
    return TwoLayer(*(relative_distance(a, b).frobenius.value for a, b in pairs))


PROBE = Probe(
    name="two-layer",
    version=1,
    says="how far the weights of a two-layer network go",
    parameters=(
        Parameter("gamma", float, "-log kappa / log m", least=-2.0, most=8.0),
        Parameter("gamma_prime", float, "-log kappa' / log m", least=-6.0, most=6.0),
        Parameter("width", int, "hidden neurons m", least=2, most=10**8),
        Parameter("seed", int, "of the start", 0, least=0),
        Parameter("activation", str, "activation, by name", "relu"),
        Parameter("data", str, "data set", "three-points", choices=tuple(DATA_SETS)),
        Parameter("loss", float, "end of the run, relative to zero output", 1e-3, 1e-12, 1.0),
        Parameter("paired", bool, "antisymmetric initialization", True),
        Parameter("eps", float, "standard deviation of w (smooth activations)", 1.0, 1e-100, 1e3),
        Parameter("c", float, "step constant", 0.5, 1e-4, 0.5),
    ),
    measures=(
        Measure("rd_w", "RD of the input weights at the end"),
        Measure("rd_a", "RD of the output weights at the end"),
        Measure("rd_w_error", "estimated error of rd_w"),
        Measure("rd_a_error", "estimated error of rd_a"),
        Measure("sup_w", "largest RD of the input weights over time"),
        Measure("sup_a", "largest RD of the output weights over time"),
        Measure("displacement", "largest displacement of a neuron, over the rms of the start"),
        Measure("carriers", "N_eff: neurons that carry the norm of the input weights", "neurons"),
        Measure("ratio_z", "part of the input weights along z"),
        Measure("ratio_ls", "part of the input weights along the least-squares vector"),
        Measure("loss", "loss at the end, relative to zero output"),
        Measure("time", "of the end, in the clock of kappa times the normalized time"),
        Measure("steps", "of the finer run"),
    ),
    run=_run,
    bucket=lambda cell: (cell["activation"], cell["data"], cell["width"]),
    cost=lambda cell: float(cell["width"]) * len(samples(str(cell["data"])).y),
    batch=32,
)
