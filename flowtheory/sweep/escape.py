r"""A probe: when two-layer networks leave their first plateau.

Inputs are standard normal, labels $y = \tanh(2\langle x, u\rangle)$ for a random unit vector $u$,
the loss is half the mean square, weights are normal with standard deviation `eps`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from flowtheory.engine.gradient_flow import GradientFlow
from flowtheory.engine.many import solve_many
from flowtheory.flow.until import plateau_left
from flowtheory.sweep.probe import Cell, Found, Measure, Parameter, Probe
from flowtheory.symbolic.network import Network
from flowtheory.symbolic.networks.fully_connected import fully_connected

_SHAPE = ("activation", "width", "samples", "dimension", "fraction")


def _run(cells: Sequence[Cell]) -> list[Found]:
    first = cells[0]
    network = fully_connected(2, str(first["activation"]))
    lanes = [_lane(network, cell) for cell in cells]
    found = solve_many(lanes, until=plateau_left(float(first["fraction"])), threads=1)
    columns = zip(found.outcomes, found.times, found.errors, found.losses, strict=True)
    return [
        Found(outcome, {"time": float(t), "time_error": float(error), "loss": float(loss)})
        for outcome, t, error, loss in columns
    ]


def _lane(network: Network, cell: Cell) -> tuple[GradientFlow, dict[str, np.ndarray]]:
    # Data and start have streams of their own, so that a cell's data do not depend on its width.
    data, start = np.random.default_rng(int(cell["seed"])).spawn(2)
    samples, dimension = int(cell["samples"]), int(cell["dimension"])
    x = data.standard_normal((samples, dimension))
    u = data.standard_normal(dimension)
    flow = GradientFlow(network, "half_mse", x=x, y=np.tanh(2 * x @ u / np.linalg.norm(u)))
    return flow, flow.init(float(cell["eps"]), seed=start, width=int(cell["width"]))


PROBE = Probe(
    name="escape",
    version=1,
    says="time at which a two-layer network leaves its first plateau",
    parameters=(
        Parameter("eps", float, "standard deviation of the weights", least=1e-300),
        Parameter("width", int, "hidden neurons", 100, least=1),
        Parameter("activation", str, "activation, by name", "tanh"),
        Parameter("samples", int, "number of samples", 20, least=1),
        Parameter("dimension", int, "number of inputs", 5, least=1),
        Parameter("fraction", float, "of the plateau's loss that is to go", 0.2, 0.0, 1.0),
        Parameter("seed", int, "of data and start", 0, least=0),
    ),
    measures=(
        Measure("time", "time at which the loss has fallen by the fraction", "1/rate"),
        Measure("time_error", "its estimated error", "1/rate"),
        Measure("loss", "loss at that time", "label**2"),
    ),
    run=_run,
    bucket=lambda cell: tuple(cell[name] for name in _SHAPE),
    cost=lambda cell: float(cell["width"]) * float(cell["samples"]),
)
