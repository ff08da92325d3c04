r"""`GradientFlow`: the exact gradient flow of a network on data, as a user has it.

flow = ft.GradientFlow(net, loss="mse", x=x, y=y)
run = flow.solve(flow.init(scale=1e-12, seed=0), until=ft.loss_below(0.5))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from flowtheory.clock import Clock, Reduction
from flowtheory.engine.observables import DEFAULT, observe, split
from flowtheory.errors import DataError, ParameterError
from flowtheory.flow.descend import DEFAULT as SETTINGS
from flowtheory.flow.descend import descend
from flowtheory.flow.recorder import Progress
from flowtheory.flow.run import Run
from flowtheory.flow.settings import Settings
from flowtheory.flow.smooth import SmoothFlow
from flowtheory.flow.until import NEVER, Until
from flowtheory.lower.smooth import free_widths, loss_clock, parameter_shapes, smooth_functions
from flowtheory.precision import as_float64
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.loss import Loss, find_loss
from flowtheory.symbolic.network import Network

WIDTH = 100
"""Neurons of a hidden layer whose width is not given."""

Params = dict[str, Any]


@dataclass(frozen=True, eq=False, init=False)
class GradientFlow:
    r"""The exact gradient flow $\dot\theta = -\nabla L(\theta)$ of a network on data.

    Attributes:
        network: the network, in index notation.
        loss: the loss of one sample.
        data: arrays by name: `x`, `y`, and the constants of the network.
        clock: reduction of the loss over samples, and its slope at zero output.
    """

    network: Network
    loss: Loss
    data: Mapping[str, np.ndarray]
    clock: Clock
    _smooth: SmoothFlow = field(repr=False)

    def __init__(
        self,
        network: Network,
        loss: str | Expr | Loss = "mse",
        *,
        reduction: Reduction | None = None,
        **data: Any,
    ) -> None:
        """Put a network, a loss and data together.

        Args:
            network: any network of the symbolic layer.
            loss: a loss, the name of one, or an expression in y and f.
            reduction: "sum" or "mean" over samples; by default that of the loss.
            **data: arrays by name, such as x of shape (n, D) and y of shape (n,).

        Raises:
            DataError: an array is missing, not finite, or shapes clash.
            UnknownNameError: no such loss.
            ParameterError: the network has symbols without a value.
        """
        found = find_loss(loss)
        _require_numbers(network)
        reduction = reduction or found.reduction
        arrays = {name: as_float64(value, name) for name, value in data.items()}
        _require_known(network, arrays)
        functions = smooth_functions(network, found, reduction)
        smooth = SmoothFlow(functions, arrays, loss_clock(found, reduction))
        parameter_shapes(network, arrays, dict.fromkeys(free_widths(network), 1))
        for name, value in (
            ("network", network),
            ("loss", found),
            ("data", smooth.data),
            ("clock", smooth.clock),
            ("_smooth", smooth),
        ):
            object.__setattr__(self, name, value)

    def init(
        self,
        scale: float | Mapping[str, float] = 1.0,
        seed: int | np.random.Generator = 0,
        width: int | Mapping[str, int] = WIDTH,
    ) -> Params:
        r"""Parameters with independent entries $\varepsilon\,\mathcal N(0, 1)$.

        Args:
            scale: $\varepsilon$, or one for every tensor by name.
            seed: of the random numbers, or a generator.
            width: neurons of every hidden layer, or of each by the name of its size.

        Raises:
            ParameterError: a scale or a width that is not positive, or an unknown name.
        """
        names = free_widths(self.network)
        widths = dict(width) if isinstance(width, Mapping) else dict.fromkeys(names, width)
        _require_widths(widths)
        shapes = parameter_shapes(
            self.network, self.data, {**dict.fromkeys(names, WIDTH), **widths}
        )
        scales = _scales(scale, tuple(shapes))
        rng = np.random.default_rng(seed)
        return {name: scales[name] * rng.standard_normal(shape) for name, shape in shapes.items()}

    def energy(self, params: Params) -> float:
        """The loss $L$ at `params`, in the clock's reduction."""
        return self._smooth.energy(self._checked(params))

    def vector_field(self, params: Params) -> Params:
        r"""$-\nabla L$ at `params`, by name."""
        return self._smooth.vector_field(self._checked(params))

    def plateau(self, params: Params) -> float:
        r"""The loss at $\theta = 0$, the level of the first plateau."""
        return self._smooth.plateau(self._checked(params))

    def solve(
        self,
        params: Params,
        t_end: float = math.inf,
        *,
        t_start: float = 0.0,
        until: Until = NEVER,
        watch: Until = NEVER,
        times: Float[np.ndarray, " k"] | None = None,
        save: str | Iterable[str] | Callable[..., Mapping[str, Any]] = DEFAULT,
        rtol: float = SETTINGS.rtol,
        atol: float | None = None,
        log_time: bool = False,
        estimate: bool = True,
        settings: Settings | None = None,
        progress: Progress | None = None,
    ) -> Run:
        r"""Integrate from `params` to `t_end` or to an event.

        Args:
            params: parameters at `t_start`, by name; `init` makes some.
            t_end: final time, in the flow's clock; may be left out if `until` ends the run.
            t_start: time of `params`.
            until: what ends the run: `ft.loss_below(...)`, `ft.plateau_left(...)`, `ft.event(...)`.
            watch: events that are noted in `Run.events` while the run goes on.
            times: times to save at; by default a row is saved whenever the loss, the norm or (in a
                decade of) time has changed by a sixteenth.
            save: names of `flowtheory.engine.observables.OBSERVABLES`, or a JAX function
                (params, data) -> dict.
            rtol: relative tolerance of a step, neuron by neuron.
            atol: absolute tolerance; by default far below the smallest neuron of the start.
            log_time: integrate in log(1 + t), for a loss with an exponential tail on separable data
                and t_end >> 1; never for a square loss.
            estimate: whether to make the second, coarser run that gives `Run.error_estimate`.
            settings: method and budgets besides; by default the method is chosen stretch by
                stretch, and `Run.stages` says which was used where, and why.
            progress: called now and then with (t, log10 loss, outcome so far).

        Raises:
            DataError: parameters that do not fit the network and the data, or are not finite.
            ParameterError: times or tolerances that make no sense.
        """
        names, own = split(save)
        return descend(
            self._smooth,
            self._checked(params),
            t_end,
            t_start=t_start,
            until=until,
            watch=watch,
            times=times,
            observe=observe(self._smooth.functions, names, own),
            log_time=log_time,
            settings=replace(settings or SETTINGS, rtol=rtol, atol=atol),
            estimate=estimate,
            progress=progress,
        )

    def _checked(self, params: Params) -> Params:
        """`params` as float64 arrays of the right shapes."""
        names = tuple(map(str, self.network.bases))
        if not isinstance(params, Mapping) or set(params) != set(names):
            seen = sorted(params) if isinstance(params, Mapping) else type(params).__name__
            raise DataError(
                f"the parameters are {seen}",
                expected=f"arrays by name: {', '.join(names)}",
                fix="start from flow.init(scale=..., seed=...)",
            )
        arrays = {name: as_float64(params[name], name) for name in names}
        widths = _widths(self.network, arrays)
        for name, shape in parameter_shapes(self.network, self.data, widths).items():
            if arrays[name].shape != shape:
                raise DataError(
                    f"{name} has shape {arrays[name].shape}",
                    expected=f"{shape} for these data and widths {widths}",
                    fix="start from flow.init(scale=..., seed=..., width=...)",
                )
        return arrays


def _widths(network: Network, arrays: Params) -> dict[str, int]:
    """The widths that parameter arrays have, by name of the size."""
    free = free_widths(network)
    found: dict[str, int] = {}
    for entry in network.parameters:
        extents, array = tuple(map(str, entry.base.shape)), arrays[str(entry.base)]
        if len(extents) != array.ndim:
            raise DataError(
                f"{entry.base} has shape {array.shape}",
                expected=f"an array of shape ({', '.join(extents)})",
                fix="start from flow.init(scale=..., seed=..., width=...)",
            )
        for extent, length in zip(extents, array.shape, strict=True):
            if extent in free:
                found.setdefault(extent, length)
    return found


def _scales(scale: float | Mapping[str, float], names: tuple[str, ...]) -> dict[str, float]:
    scales = dict(scale) if isinstance(scale, Mapping) else dict.fromkeys(names, float(scale))
    missing = sorted(set(names) ^ set(scales))
    if missing:
        raise ParameterError(
            f"scales are given for {', '.join(sorted(scales))}",
            expected=f"one number, or one for each of {', '.join(names)}",
            fix="scale=1e-6",
        )
    for name, value in scales.items():
        if not (math.isfinite(value) and value > 0):
            raise ParameterError(
                f"the scale of {name} is {value!r}",
                expected="a finite number > 0",
                fix="zero is a stationary point of the flow: scale=1e-6, down to 1e-300",
            )
    return scales


def _require_widths(widths: Mapping[str, int]) -> None:
    for name, value in widths.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ParameterError(
                f"the width {name} is {value!r}", expected="an integer >= 1", fix="width=100"
            )


def _require_numbers(network: Network) -> None:
    if network.symbols:
        raise ParameterError(
            f"{network.name} has the symbol {', '.join(map(str, network.symbols))}",
            expected="a network whose only unknowns are its parameters",
            fix="give the slope as a number, for example 'leaky_relu(0.1)'",
        )


def _require_known(network: Network, arrays: Mapping[str, np.ndarray]) -> None:
    known = set(map(str, network.data))
    unknown = sorted(set(arrays) - known)
    if unknown:
        raise DataError(
            f"the data {', '.join(unknown)} belong to nothing in {network.name}",
            expected=f"arrays {', '.join(sorted(known))}",
            fix="check the spelling",
        )
