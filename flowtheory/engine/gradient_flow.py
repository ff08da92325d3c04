r"""`GradientFlow`: the exact gradient flow of a network on data, as a user has it.

flow = ft.GradientFlow(net, loss="mse", x=x, y=y)
run = flow.solve(flow.init(scale=1e-12, seed=0), until=ft.loss_below(0.5))
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from flowtheory.clock import Clock, Reduction
from flowtheory.engine.asked import Asked, identity
from flowtheory.engine.checkpoint import EVERY, Checkpoint, read_asked
from flowtheory.engine.condensed import condenses, saddle, solve_condensed
from flowtheory.engine.given import (
    require_function,
    require_known,
    require_no_file,
    require_numbers,
    require_widths,
    scales_of,
    widths_of,
)
from flowtheory.engine.join import ended, joined
from flowtheory.engine.kinked import Wanted, is_located, kinked_flow, solve_kinked
from flowtheory.engine.many import Ensemble, solve_many
from flowtheory.engine.observables import DEFAULT, observe, split
from flowtheory.engine.passage import Passage, passage
from flowtheory.engine.plateau import SMALL, HandOver, hand_over, largest_entry, lead
from flowtheory.engine.run import Run
from flowtheory.errors import DataError, ParameterError
from flowtheory.flow.descend import DEFAULT as SETTINGS
from flowtheory.flow.descend import descend
from flowtheory.flow.euler import Descended, gradient_descent
from flowtheory.flow.march import march_through
from flowtheory.flow.plateau import Saddle
from flowtheory.flow.recorder import Progress
from flowtheory.flow.run import Run as Integrated
from flowtheory.flow.schedule import save_times
from flowtheory.flow.settings import Settings
from flowtheory.flow.smooth import SmoothFlow
from flowtheory.flow.task import NOTHING, Faint, Task, require_task
from flowtheory.flow.until import NEVER, Until
from flowtheory.lower.own_function import function_flow
from flowtheory.lower.smooth import (
    data_sizes,
    free_widths,
    loss_clock,
    parameter_shapes,
    smooth_functions,
)
from flowtheory.precision import as_float64
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.loss import Loss, find_loss
from flowtheory.symbolic.network import Network

WIDTH = 100
"""Neurons of a hidden layer whose width is not given."""

_INIT = int.from_bytes(b"init")  # names the stream of random starts

Params = dict[str, Any]
NetworkFunction = Callable[[Any, Any], Any]


@dataclass(frozen=True, eq=False, init=False)
class GradientFlow:
    r"""The exact gradient flow $\dot\theta = -\nabla L(\theta)$ of a network on data.

    Attributes:
        network: the network in index notation, or a JAX function (params, x) -> f.
        loss: the loss of one sample.
        data: arrays by name: `x`, `y`, and the constants of the network.
        clock: reduction of the loss over samples, and its slope at zero output.
    """

    network: Network | NetworkFunction
    loss: Loss
    data: Mapping[str, np.ndarray]
    clock: Clock
    _smooth: SmoothFlow = field(repr=False)

    def __init__(
        self,
        network: Network | NetworkFunction,
        loss: str | Expr | Loss = "mse",
        *,
        reduction: Reduction | None = None,
        **data: Any,
    ) -> None:
        """Put a network, a loss and data together.

        Args:
            network: any network of the symbolic layer, or a JAX function of (params, x) that
                returns the outputs f, of shape (n,) or (n, C); define it at module level.
            loss: a loss, the name of one, or an expression in y and f.
            reduction: "sum" or "mean" over samples; by default that of the loss.
            **data: arrays by name, such as x of shape (n, D) and y of shape (n,).

        Raises:
            DataError: an array is missing, not finite, or shapes clash.
            UnknownNameError: no such loss.
            ParameterError: the network has symbols without a value.
        """
        found = find_loss(loss)
        reduction = reduction or found.reduction
        arrays = {name: as_float64(value, name) for name, value in data.items()}
        if isinstance(network, Network):
            require_numbers(network)
            require_known(network, arrays)
            functions = smooth_functions(network, found, reduction)
            parameter_shapes(network, arrays, dict.fromkeys(free_widths(network), 1))
        else:
            require_function(network, arrays)
            functions = function_flow(network, found, reduction, arrays["y"].ndim > 1)
        smooth = SmoothFlow(functions, arrays, loss_clock(found, reduction))
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
            seed: of the random numbers, in a stream of their own: data drawn from
                `numpy.random.default_rng(seed)` are independent of them. Or a generator.
            width: neurons of every hidden layer, or of each by the name of its size.

        Raises:
            ParameterError: a scale or a width that is not positive, or an unknown name.
        """
        if not isinstance(self.network, Network):
            raise ParameterError(
                "the shapes of the parameters of a JAX function are not known",
                expected="a network of the symbolic layer",
                fix="make the start yourself: arrays in any nesting of dictionaries",
            )
        names = free_widths(self.network)
        widths = dict(width) if isinstance(width, Mapping) else dict.fromkeys(names, width)
        require_widths(widths)
        shapes = parameter_shapes(
            self.network, self.data, {**dict.fromkeys(names, WIDTH), **widths}
        )
        scales = scales_of(scale, tuple(shapes))
        rng = _stream(seed)
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

    def gradient_descent(
        self, params: Params, step: float, *, loss: float, max_steps: int = 10_000_000
    ) -> Descended:
        r"""Gradient descent $\theta \leftarrow \theta - \eta\nabla L$ until the loss is low enough.

        Args:
            params: the start, by name.
            step: $\eta$, in the flow's clock.
            loss: the level to stop at.
            max_steps: budget.

        Raises:
            DataError: parameters that do not fit the network and the data, or are not finite.
            ParameterError: a step or a level that makes no sense.
        """
        return gradient_descent(
            self._smooth, self._checked(params), step, loss, max_steps=max_steps
        )

    def solve(
        self,
        params: Params,
        t_end: float = math.inf,
        *,
        t_start: float = 0.0,
        until: Until = NEVER,
        watch: Until = NEVER,
        times: Float[np.ndarray, " k"] | None = None,
        save: str | Iterable[str] | Callable[..., Mapping[str, Any]] | None = DEFAULT,
        rtol: float = SETTINGS.rtol,
        atol: float | None = None,
        log_time: bool = False,
        estimate: bool = True,
        skip: bool = True,
        settings: Settings | None = None,
        progress: Progress | None = None,
        checkpoint: str | Path | None = None,
        every: float = EVERY,
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
                (params, data) -> dict; None if only the end is wanted, which lets a small start of
                two smooth layers be integrated as a few weighted neurons.
            rtol: relative tolerance of a step, neuron by neuron.
            atol: absolute tolerance; by default far below the smallest neuron of the start.
            log_time: integrate in log(1 + t), for a loss with an exponential tail on separable data
                and t_end >> 1; never for a square loss.
            estimate: whether to make the second, coarser run that gives `Run.error_estimate`.
            skip: whether a small start may be carried through the first plateau by the leading
                flow, with events and rows on its path and its error added to the estimate; without,
                it is integrated.
            settings: method and budgets besides; by default the method is chosen stretch by
                stretch, and `Run.stages` says which was used where, and why.
            progress: called now and then with (t, log10 loss, outcome so far).
            checkpoint: a file that the run is written to as it goes; if it exists, the run is
                taken up from there.
            every: seconds between two checkpoints, at least.

        Raises:
            DataError: parameters that do not fit the network and the data, or are not finite.
            ParameterError: times or tolerances that make no sense, or the checkpoint of another
                run.
            FileFormatError: a checkpoint that is damaged, or no checkpoint.
        """
        names, own = split(() if save is None else save)
        params = self._checked(params)
        settings = replace(settings or SETTINGS, rtol=rtol, atol=atol)
        saved = observe(self._smooth.functions, names, own)
        rules, accuracy = (until, watch, times, own or names), (log_time, estimate, skip, settings)
        asked = Asked(params, t_start, t_end, *rules, *accuracy)
        if isinstance(self.network, Network) and self.network.surfaces:
            keeper = self._keeper(checkpoint, every, asked)
            run = self._through_kinks(asked, saved, progress, keeper)
            return Run.of(run, self._about())
        if save is None and skip and t_start == 0 and watch == NEVER and not log_time:
            found = self._condensed(params, t_end, until, rtol)
            if found is not None:
                require_no_file(checkpoint)
                return Run.of(found, self._about())
        given = None if times is None else save_times(times, t_start, t_end)
        task = Task(self._smooth, t_end, until, watch, given, saved, log_time, settings)
        require_task(task, t_start)
        began = time.monotonic()
        passed = self._passed(task, params, t_start) if skip and not log_time else None
        if passed is not None and passed.ended:
            seconds = time.monotonic() - began
            return Run.of(ended(task, params, t_start, passed, seconds), self._about())
        keeper = self._keeper(checkpoint, every, asked)
        if keeper and passed and passed.ahead.faint:
            passed = None  # a checkpoint holds one run, not one that is begun again
        more = (estimate, progress, keeper)
        try:
            run = self._descended(task, params, t_start, passed, *more)
        except Faint:
            run = self._descended(task, params, t_start, None, *more)
        return Run.of(run, self._about())

    def solve_many(self, starts: Iterable[Params], **options: Any) -> Ensemble:
        """Integrate from many starts, which may differ in width; see `flowtheory.solve_many`.

        Args:
            starts: parameters, as `init` makes them.
            **options: of `flowtheory.solve_many`: `t_end`, `until`, `rtol`, ...
        """
        return solve_many([(self, params) for params in starts], **options)

    def _descended(
        self,
        task: Task,
        params: Params,
        t_start: float,
        passed: Passage | None,
        estimate: bool,
        progress: Progress | None,
        keeper: Checkpoint | None,
    ) -> Integrated:
        """The run from the start, or from where the leading flow carried it, as one run."""
        run = descend(
            task.flow,
            params if passed is None else passed.ahead.params,
            task.t_end,
            t_start=t_start if passed is None else t_start + passed.ahead.time,
            before=NOTHING if passed is None else passed.before,
            until=task.until,
            watch=task.watch,
            times=task.times if passed is None else passed.later(task.times, t_start),
            observe=task.observe,
            log_time=task.log_time,
            settings=task.settings,
            estimate=estimate,
            progress=progress,
            keeper=keeper,
        )
        return run if passed is None else joined(task, params, t_start, passed, run)

    def _through_kinks(
        self, asked: Asked, saved: Any, progress: Progress | None, keeper: Checkpoint | None
    ) -> Integrated:
        """A run of a network with kinks: located where that can be, else stepped through."""
        assert isinstance(self.network, Network)
        smooth, params = self._smooth, dict(asked.params)
        until, watch, times = asked.until, asked.watch, asked.times
        if not is_located(self.network):
            options = asked.t_end, until, watch, times, saved, asked.log_time, asked.settings
            task, t_start = Task(smooth, *options), asked.t_start
            return march_through(task, params, t_start, progress=progress, keeper=keeper)
        level = smooth.plateau(params)
        stop, note = (
            replace(rule, events=tuple(e.resolved(level) for e in rule.events))
            for rule in (until, watch)
        )
        wanted = Wanted(
            asked.t_end,
            asked.t_start,
            stop,
            note,
            times,
            asked.settings,
            asked.estimate,
            asked.log_time,
            asked.skip,
            progress,
        )
        flow = kinked_flow(self.network, self.loss, self.clock.reduction, self.data)
        return solve_kinked(flow, smooth, saved, params, wanted, keeper)

    def _condensed(
        self, params: Params, t_end: float, until: Until, rtol: float
    ) -> Integrated | None:
        """The end alone, by a few weighted neurons; None where that does not apply."""
        network, smooth = self.network, self._smooth
        if not (isinstance(network, Network) and condenses(network, self.loss)):
            return None
        if largest_entry(params) > SMALL:
            return None
        level = smooth.plateau(params)
        stop = Until(tuple(e.resolved(level) for e in until.events), until.classified)
        at = self._saddle
        return solve_condensed(smooth, at, params, t_end, stop, rtol)

    @cached_property
    def _saddle(self) -> Saddle:
        assert isinstance(self.network, Network)
        return saddle(self.network, self.loss, self._smooth)

    def _passed(self, task: Task, params: Params, t_start: float) -> Passage | None:
        """The first plateau, where the leading flow carries the start through it."""
        ahead = self._hand_over(params, task.settings.rtol, task.t_end - t_start)
        return ahead and passage(ahead, task, params, t_start)

    def _hand_over(self, params: Params, rtol: float, span: float) -> HandOver | None:
        """The end of the first plateau, if the leading flow can carry the start there."""
        if not isinstance(self.network, Network) or largest_entry(params) > SMALL:
            return None
        leading = lead(self.network, self.loss, self.clock.reduction)
        return leading and hand_over(leading, self._smooth, params, rtol, 0.999 * span)

    def resume(
        self,
        checkpoint: str | Path,
        *,
        until: Until | None = None,
        watch: Until | None = None,
        save: str | Iterable[str] | Callable[..., Mapping[str, Any]] | None = None,
        max_steps: int | None = None,
        time_limit: float | None = None,
        every: float = EVERY,
        progress: Progress | None = None,
    ) -> Run:
        """Take up the run that a checkpoint holds, with all its options.

        Args:
            checkpoint: the file; it is written on.
            until: as given to `solve`, if it has a function of your own, which no file can hold.
            watch: likewise.
            save: likewise.
            max_steps: a new budget for the whole run.
            time_limit: wall time in seconds, counted from now.
            every: seconds between two checkpoints, at least.
            progress: called now and then with (t, log10 loss, outcome so far).

        Raises:
            FileFormatError: the file is missing, damaged, no checkpoint, or of a later version.
            ParameterError: it is the checkpoint of another network, loss or data, or a function of
                your own is missing.
        """
        asked = read_asked(checkpoint, until=until, watch=watch, save=save)
        budgets = {"max_steps": max_steps, "time_limit": time_limit}
        given = {name: value for name, value in budgets.items() if value is not None}
        return self.solve(
            dict(asked.params),
            asked.t_end,
            t_start=asked.t_start,
            until=asked.until,
            watch=asked.watch,
            times=asked.times,
            save=asked.save,
            rtol=asked.settings.rtol,
            atol=asked.settings.atol,
            log_time=asked.log_time,
            estimate=asked.estimate,
            skip=asked.skip,
            settings=replace(asked.settings, **given),
            progress=progress,
            checkpoint=checkpoint,
            every=every,
        )

    def _keeper(self, path: str | Path | None, every: float, asked: Asked) -> Checkpoint | None:
        if path is None:
            return None
        if not isinstance(self.network, Network):
            require_no_file(path)
        assert isinstance(self.network, Network)
        known = identity(self.network, self.loss, self.clock.reduction, self.data, asked)
        return Checkpoint(path, every, asked, known)

    def _about(self) -> dict[str, Any]:
        """What was integrated, in words."""
        if isinstance(self.network, Network):
            samples, name = data_sizes(self.network, self.data).get("n"), self.network.name
        else:
            samples, name = len(self.data["y"]), getattr(self.network, "__name__", "function")
        return {"network": name, "loss": self.loss.name, "samples": samples}

    def _checked(self, params: Params) -> Params:
        """`params` as float64 arrays of the right shapes."""
        if not isinstance(self.network, Network):
            return self._smooth.start(params)
        names = tuple(map(str, self.network.bases))
        if not isinstance(params, Mapping) or set(params) != set(names):
            seen = sorted(params) if isinstance(params, Mapping) else type(params).__name__
            raise DataError(
                f"the parameters are {seen}",
                expected=f"arrays by name: {', '.join(names)}",
                fix="start from flow.init(scale=..., seed=...)",
            )
        arrays = {name: as_float64(params[name], name) for name in names}
        widths = widths_of(self.network, arrays)
        for name, shape in parameter_shapes(self.network, self.data, widths).items():
            if arrays[name].shape != shape:
                raise DataError(
                    f"{name} has shape {arrays[name].shape}",
                    expected=f"{shape} for these data and widths {widths}",
                    fix="start from flow.init(scale=..., seed=..., width=...)",
                )
        return arrays


def _stream(seed: int | np.random.Generator) -> np.random.Generator:
    """The random numbers of starts: data drawn with the same seed must not be equal to weights."""
    if isinstance(seed, np.random.Generator):
        return seed
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_INIT,)))
