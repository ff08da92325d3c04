r"""The exact mode: smooth flow between kinks, every pattern switch located, crossed or slid along.

Between switches the activation pattern is frozen, so the field is smooth and a high-order method
keeps its order. At a switch the pattern's bit is flipped by book-keeping (never by looking at the
sign of $\langle w_j, x_i\rangle$, which is roundoff there) and integration restarts with the step
size it had. Where the field on the other side points back, the neuron slides along the kink
(Filippov), along several of them at once if need be: `sliding` has the field and the levels at
which a slide ends, `surfaces` the decision at an event.
"""

from __future__ import annotations

import math
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from flowtheory.errors import ParameterError
from flowtheory.flow.cells import view_of
from flowtheory.flow.field import TwoLayer, margins
from flowtheory.flow.keeping import RUN, carry
from flowtheory.flow.kinked_task import KinkedTask
from flowtheory.flow.observe import Observe, weights
from flowtheory.flow.position import Keeper
from flowtheory.flow.problem import GradientFlow
from flowtheory.flow.recorder import Progress
from flowtheory.flow.schedule import save_times
from flowtheory.flow.settings import Settings
from flowtheory.flow.slides import KinkedTrajectory
from flowtheory.flow.sliding import slopes
from flowtheory.flow.smooth import resolved
from flowtheory.flow.surfaces import Surfaces
from flowtheory.flow.switching import Switching
from flowtheory.flow.until import NEVER, Until, require_escape
from flowtheory.outcome import Outcome
from flowtheory.precision import float64

_OFF_PATTERN = 1e-12
_OFF_SURFACE = 1e-8


def solve(
    flow: GradientFlow,
    params: TwoLayer,
    t_end: float,
    *,
    pattern: Bool[np.ndarray, "h n"] | None = None,
    sliding: Bool[np.ndarray, "h n"] | None = None,
    t_start: float = 0.0,
    until: Until = NEVER,
    watch: Until = NEVER,
    signs: Float[np.ndarray, " e"] | None = None,
    times: Float[np.ndarray, " k"] | None = None,
    observe: Observe = weights,
    escape: float = 0.1,
    log_time: bool = False,
    settings: Settings | None = None,
    progress: Progress | None = None,
    keeper: Keeper | None = None,
    part: str = RUN,
) -> KinkedTrajectory:
    r"""Integrate the exact gradient flow through its kinks, with every switch located.

    Args:
        flow: network, loss, data and clock.
        params: parameters at `t_start`.
        t_end: final time, in the flow's clock; inf to go on until `until` is met, or for as long as
            it may be: whether the flow rests is looked at now and then.
        pattern: activation pattern for small t > `t_start`, shape (h, n); by default the strict
            one. Needed for a start on a kink that moves to its active side.
        sliding: data that are slid along at the start, shape (h, n); none by default. The weights
            are put on their kinks, and the sets are checked against Filippov's field.
        t_start: time of `params`.
        until: stop earlier, at an event or when every neuron is classified.
        watch: events that are noted in `events` while the run goes on.
        signs: of the events of both at the start, where it is not the first one, see
            `smooth.Watched`; in the order of `smooth.resolved`.
        times: times to save at; log-spaced by default. Start and end are always saved.
        observe: what to save, a JAX function (params, x, y) -> dict of arrays.
        escape: level of $\max_i|f(x_i)|$ whose first crossing is recorded as `escape_time`.
        log_time: integrate in $\log(1+t)$; for long horizons.
        settings: tolerances, method and budgets.
        progress: called now and then with (t, log10 loss, outcome so far).
        keeper: writes the run down as it goes, and knows from where to go on.
        part: what the keeper calls it.

    Returns:
        The trajectory. Outcomes: `REACHED_T`; `EVENT` (`until` was met); `NONUNIQUE` (an output
        weight changed sign while its neuron slid: the kinks became repelling, see `surfaces`; or
        an input weight reached the origin, where all kinks meet);
        `CONVERGED` or `STALLED` (without a final time: `until` will not be met);
        `CHATTERING` (switches at one time without end); `EVENT_LIMIT`; `STEP_LIMIT`; `TIME_LIMIT`;
        `STIFF`; `NONFINITE`.

    Raises:
        DataError: parameters that do not fit the data, or are not finite.
        ParameterError: times, tolerances or a pattern that make no sense.
    """
    require_escape(escape)
    params = flow.start(np.asarray(params.W), np.asarray(params.v))
    if t_end != math.inf or times is not None:
        times = save_times(times, t_start, t_end)
    every = (*until.events, *watch.events)
    relative = any(event.of_plateau for event in every)
    plateau = flow.energy(TwoLayer(*map(np.zeros_like, params))) if relative else math.nan  # type: ignore[arg-type]
    stops = tuple(event.resolved(plateau) for event in until.events)
    task = KinkedTask(
        flow,
        t_start,
        t_end,
        replace(until, events=stops),
        resolved(every, plateau),
        signs,
        times,
        observe,
        escape,
        log_time,
        settings or Settings(),
    )
    run = Switching(task, *_start_sides(flow, params, pattern, sliding))
    carry(run, progress, keeper, part)
    return run.result()


def stand(
    flow: GradientFlow,
    params: TwoLayer,
    t: float,
    outcome: Outcome,
    *,
    pattern: Bool[np.ndarray, "h n"],
    sliding: Bool[np.ndarray, "h n"],
    observe: Observe,
    settings: Settings,
) -> KinkedTrajectory:
    """The run that ends where it begins.

    Args:
        flow: network, loss, data and clock.
        params: parameters.
        t: time.
        outcome: how the run ended.
        pattern: activation pattern, see `solve`.
        sliding: data that are slid along.
        observe: what to save.
        settings: of the run.
    """
    none = np.zeros(0)
    task = KinkedTask(flow, t, math.inf, NEVER, (), none, none, observe, 1.0, False, settings)
    run = Switching(task, *_start_sides(flow, params, pattern, sliding))
    run.outcome = outcome
    return run.result()


def _start_sides(
    flow: GradientFlow,
    params: TwoLayer,
    pattern: np.ndarray | None,
    sliding: np.ndarray | None,
) -> tuple[TwoLayer, Surfaces]:
    """The start, on its surfaces, and the sides of all data."""
    shape = (len(params.v), flow.n)
    slides = np.zeros(shape, dtype=bool) if sliding is None else _sides("sliding", sliding, shape)
    given = flow.pattern(params) if pattern is None else _sides("pattern", pattern, shape)
    sides = given & ~slides
    with float64():
        off = np.asarray(margins(params, flow.samples.x, jnp.asarray(sides)))
        left, right = map(float, slopes(flow.model, jnp.asarray(flow.x)))
    wrong = np.argwhere(~slides & (off < -_OFF_PATTERN))
    if wrong.size and pattern is not None:
        j, i = map(int, wrong[0])
        raise ParameterError(
            f"pattern[{j}, {i}] is {bool(sides[j, i])}, and <w_{j}, x_{i}> has the other sign",
            expected="the pattern of the start; free only where <w, x> = 0",
            fix="leave pattern out unless the start lies on a kink",
        )
    away = np.argwhere(slides & (np.abs(off) > _OFF_SURFACE))
    if away.size:
        j, i = map(int, away[0])
        raise ParameterError(
            f"sliding[{j}, {i}] is True, and the cosine of w_{j} and x_{i} is {off[j, i]:.1e}",
            expected=f"a start on the kink, to {_OFF_SURFACE:g}",
            fix="give the sliding sets that belong to these weights, or none",
        )
    return _settled(flow, params, Surfaces(flow.x, right - left, left, sides, slides))


def _settled(flow: GradientFlow, params: TwoLayer, surfaces: Surfaces) -> tuple[TwoLayer, Surfaces]:
    """Sliding sets checked against the field, and the weights projected on them."""
    W = np.array(params.W)
    for j in map(int, np.flatnonzero(surfaces.sliding.any(axis=1))):
        if not surfaces.settle(j, view_of(flow, surfaces, params, j)):
            raise ParameterError(
                f"neuron {j} cannot slide along the data of its row of `sliding`",
                expected="data for which the shortest field exists",
                fix="give the sliding sets that an earlier run ended with, or none",
            )
        W[j] = surfaces.project(j, W[j])
    return TwoLayer(W, params.v), surfaces  # type: ignore[arg-type]


def _sides(name: str, given: np.ndarray, shape: tuple[int, int]) -> Bool[np.ndarray, "h n"]:
    array = np.array(given, dtype=bool)
    if array.shape != shape:
        raise ParameterError(
            f"{name} has shape {array.shape}",
            expected=f"(h, n) = {shape}",
            fix="one row a neuron",
        )
    return array
