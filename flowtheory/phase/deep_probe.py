r"""The probe of deeper diagrams: how far the weights of every layer of a ReLU network go.

As the probe of two layers (`flowtheory.phase.probe`), in the units of
`flowtheory.phase.deep_point`. The output of the start is subtracted, as if a copy of the network
that is not trained stood beside it, so that runs begin at output 0 at every $\gamma$: without it
$f \sim \kappa m^{H/2}$ at the start, which is not small for $\gamma \le H/2$. Pairs of neurons with
opposite output weights, as two-layer networks have them, would not do: they cancel the gradient of
the layers below as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import jax
import numpy as np
from jaxtyping import Array, Float

from flowtheory.flow.fall import Fallen, fall
from flowtheory.flow.field import Model
from flowtheory.flow.steps import ERROR_FACTOR
from flowtheory.lower.network_model import network_model
from flowtheory.measure.displacement import (
    RelativeDistance,
    maximal_displacement,
    relative_distances,
)
from flowtheory.outcome import Outcome
from flowtheory.phase.data import DATA_SETS, samples
from flowtheory.phase.deep_asymptotic import OfLayers
from flowtheory.phase.deep_point import DeepPoint
from flowtheory.phase.probe import unreached
from flowtheory.precision import float64
from flowtheory.sweep.probe import Cell, Found, Measure, Parameter, Probe

Arrays = dict[str, np.ndarray]


def run_cell(cell: Cell, c: float) -> tuple[Arrays, Fallen[Arrays], float]:
    """One run at one cell: the start, the end, and the loss of zero output.

    Args:
        cell: parameters of `PROBE`.
        c: the step constant.
    """
    data, point = samples(str(cell["data"])), point_of(cell)
    rng = np.random.default_rng([int(cell["seed"]), int(cell["width"])])
    start, model = point.start(data.x.shape[1], rng), network_model(point.network, "half_mse")
    with float64():
        first = np.asarray(_outputs(model, start, data.x))
    seen = point.samples(data.x, data.y, first if cell["centred"] else 0.0)
    whole = 0.5 * point.kappa * float(np.mean((data.y / point.kappa) ** 2))
    steps = round(int(cell["max_steps"]) / c)
    end = fall(model, seen, start, float(cell["loss"]) * whole, c=c, max_steps=steps)
    return start, end, whole


@partial(jax.jit, static_argnames=("model",))
def _outputs(model: Model, params: Arrays, x: Float[Array, "n D"]) -> Float[Array, " n"]:
    """Compiled: operation by operation it takes longer than the run of a narrow network."""
    return model.outputs(params, x)


def point_of(cell: Cell) -> DeepPoint:
    """The point of the diagram at which a cell is."""
    place = float(cell["gamma"]), float(cell["gamma_2"]), int(cell["width"])
    return DeepPoint(*place, int(cell["layers"]), str(cell["activation"]))


def distances(now: Arrays, start: Arrays) -> OfLayers[float]:
    """Relative distances by layer; hidden matrices together, the largest in the operator norm."""
    found = list(relative_distances(now, start).values())
    hidden = found[1:-1]
    sizes = [float(np.linalg.norm(w)) ** 2 for w in list(start.values())[1:-1]]
    moved = sum(s * _frobenius(d) ** 2 for s, d in zip(sizes, hidden, strict=True))
    return OfLayers(
        input=_frobenius(found[0]),
        hidden=math.sqrt(moved / sum(sizes)),
        operator=max(float(d.operator.value) for d in hidden),
        output=_frobenius(found[-1]),
    )


def _frobenius(distance: RelativeDistance) -> float:
    return float(distance.frobenius.value)


def _run(cells: Sequence[Cell]) -> list[Found]:
    return [_found(cell) for cell in cells]


def _found(cell: Cell) -> Found:
    c = float(cell["c"])
    start, end, whole = run_cell(cell, c)
    if end.outcome is not Outcome.EVENT:
        return unreached(end)
    moved, finer = distances(end.params, start), OfLayers(*(math.nan,) * 4)
    if int(cell["width"]) <= int(cell["checked"]):
        again = run_cell(cell, c / 2)[1]
        if again.outcome is not Outcome.EVENT:
            return unreached(again)
        finer = distances(again.params, start)
    values = {f"rd_{name}": getattr(moved, name) for name in OfLayers._fields}
    errors = {
        f"rd_{name}_error": ERROR_FACTOR * abs(getattr(moved, name) - getattr(finer, name))
        for name in OfLayers._fields
    }
    first = next(iter(start))
    rest = {
        "sup_input": max(end.farthest[first] / float(np.linalg.norm(start[first])), moved.input),
        "displacement": maximal_displacement(end.params[first], start[first]).value,
        "loss_end": end.loss / whole,
        "time": end.time,
        "steps": float(end.steps),
    }
    return Found(end.outcome, values | errors | rest)


_SAYS = OfLayers(
    "the input weights",
    "the hidden matrices (Frobenius norm)",
    "the hidden matrices (operator norm)",
    "the output weights",
)

PROBE = Probe(
    name="deep",
    version=2,
    says="how far the weights of every layer of a deeper network go",
    parameters=(
        Parameter("gamma", float, "-log kappa / log m", least=-2.0, most=8.0),
        Parameter("gamma_2", float, "-log(beta_l / beta_1) / log m, l >= 2", 0.0, -4.0, 4.0),
        Parameter("width", int, "neurons m of every hidden layer", least=2, most=10**5),
        Parameter("seed", int, "of the start", 0, least=0),
        Parameter("layers", int, "layers of weights", 3, least=3, most=8),
        Parameter("activation", str, "activation of degree 1, by name", "relu"),
        Parameter("data", str, "data set", "three-points", choices=tuple(DATA_SETS)),
        Parameter("loss", float, "end of the run, relative to zero output", 1e-3, 1e-12, 1.0),
        Parameter("centred", bool, "whether the output of the start is subtracted", True),
        Parameter("c", float, "step constant", 1.0, 1e-4, 1.0),
        Parameter("checked", int, "largest width with error bars", 256, least=0),
        Parameter("max_steps", int, "budget of a run with c = 1; 1/c times that with c", 10**5, 1),
    ),
    measures=(
        *(Measure(f"rd_{n}", f"RD of {s}") for n, s in _SAYS._asdict().items()),
        *(
            Measure(f"rd_{n}_error", f"estimated error of rd_{n}, of widths that are checked")
            for n in OfLayers._fields
        ),
        Measure("sup_input", "largest RD of the input weights over time"),
        Measure("displacement", "largest displacement of a neuron, over the rms of the start"),
        Measure("loss_end", "loss at the end, relative to zero output"),
        Measure("time", "of the end, in the clock of `deep_point`"),
        Measure("steps", "of the run with c"),
    ),
    run=_run,
    bucket=lambda cell: (cell["layers"], cell["activation"], cell["data"], cell["width"]),
    cost=lambda cell: float(cell["width"]) ** 2 * len(samples(str(cell["data"])).y),
    batch=8,
)
