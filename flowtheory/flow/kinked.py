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
import time
from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from flowtheory.errors import ParameterError
from flowtheory.flow.field import (
    Model,
    Samples,
    TwoLayer,
    energy,
    frozen,
    margins,
    neuron_norms,
    rate_bound,
)
from flowtheory.flow.integrate import STAGES
from flowtheory.flow.loop import Carry, stretch
from flowtheory.flow.observe import Observe, weights
from flowtheory.flow.pattern import OPEN, classify
from flowtheory.flow.problem import GradientFlow
from flowtheory.flow.recorder import SAVES, Progress, Recorder
from flowtheory.flow.schedule import save_times
from flowtheory.flow.settings import Explicit, Settings
from flowtheory.flow.slides import KinkedTrajectory
from flowtheory.flow.sliding import Cell, kink_levels, rate, rounding, slopes, unit_field
from flowtheory.flow.standing import rests
from flowtheory.flow.surfaces import Crossing, Surfaces, Target, View, switch_kinds
from flowtheory.flow.system import Start, Status, Stops, System, Tolerance
from flowtheory.flow.trajectory import Statistics, Switches
from flowtheory.flow.until import NEVER, Until, require_escape
from flowtheory.outcome import Outcome
from flowtheory.precision import float64

_FIRST_STEP = 1e-2
# At rest the shares of fitted data are rounding, so that their kinks switch for ever.
_MAY_REST = (Outcome.REACHED_T, Outcome.CHATTERING, Outcome.EVENT_LIMIT)
_OFF_PATTERN = 1e-12
_OFF_SURFACE = 1e-8
_APART = 1e-12  # of the time: events closer than this are at one time
_SOON, _MORE, _MOST = 10, 4.0, 1e8  # back within so many steps: its noise, by this factor, up to
_AT_ORIGIN = 1e-10  # |w_j| over |v_j| where events without end are those of the origin


def solve(
    flow: GradientFlow,
    params: TwoLayer,
    t_end: float,
    *,
    pattern: Bool[np.ndarray, "h n"] | None = None,
    sliding: Bool[np.ndarray, "h n"] | None = None,
    t_start: float = 0.0,
    until: Until = NEVER,
    ahead: float = 0.0,
    times: Float[np.ndarray, " k"] | None = None,
    observe: Observe = weights,
    escape: float = 0.1,
    log_time: bool = False,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> KinkedTrajectory:
    r"""Integrate the exact gradient flow through its kinks, with every switch located.

    Args:
        flow: network, loss, data and clock.
        params: parameters at `t_start`.
        t_end: final time, in the flow's clock.
        pattern: activation pattern for small t > `t_start`, shape (h, n); by default the strict
            one. Needed for a start on a kink that moves to its active side.
        sliding: data that are slid along at the start, shape (h, n); none by default. The weights
            are put on their kinks, and the sets are checked against Filippov's field.
        t_start: time of `params`.
        until: stop earlier, at a loss or when every neuron is classified.
        ahead: how long `until` is waited for after `t_end`, for the verdict that it will not be
            met; 0 for no verdict.
        times: times to save at; log-spaced by default. Start and end are always saved.
        observe: what to save, a JAX function (params, x, y) -> dict of arrays.
        escape: level of $\max_i|f(x_i)|$ whose first crossing is recorded as `escape_time`.
        log_time: integrate in $\log(1+t)$; for long horizons.
        settings: tolerances, method and budgets.
        progress: called now and then with (t, log10 loss, outcome so far).

    Returns:
        The trajectory. Outcomes: `REACHED_T`; `EVENT` (`until` was met); `NONUNIQUE` (an output
        weight changed sign while its neuron slid: the kinks became repelling, see `surfaces`; or
        an input weight reached the origin, where all kinks meet);
        `CONVERGED` or `STALLED` (`until` will not be met within `ahead` of the end);
        `CHATTERING` (switches at one time without end); `EVENT_LIMIT`; `STEP_LIMIT`; `TIME_LIMIT`;
        `STIFF`; `NONFINITE`.

    Raises:
        DataError: parameters that do not fit the data, or are not finite.
        ParameterError: times, tolerances or a pattern that make no sense.
    """
    require_escape(escape)
    params = flow.start(np.asarray(params.W), np.asarray(params.v))
    run = _Run(
        flow,
        *_start_sides(flow, params, pattern, sliding),
        save_times(times, t_start, t_end),
        t_start,
        until,
        ahead,
        observe,
        escape,
        log_time,
        settings or Settings(),
        progress,
    )
    return run.finish()


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
        if not surfaces.settle(j, _view(flow, surfaces, params, j)):
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


class _Piece(NamedTuple):
    """What the flow takes between two switches; a level that is not `armed` is ignored.

    Attributes:
        data: samples.
        cell: frozen pattern and sliding sets.
        escape: largest |f| of the early phase.
        loss: loss to stop at.
        armed: (escape, loss).
    """

    data: Samples
    cell: Cell
    escape: Float[Array, ""]
    loss: Float[Array, ""]
    armed: Bool[Array, " 2"]


@cache
def _system(model: Model) -> System:
    """The flow within a cell; levels: those of the kinks, escape, loss."""

    def field(params: TwoLayer, piece: _Piece) -> TwoLayer:
        return rate(model, piece.data, piece.cell, params)

    def levels(params: TwoLayer, piece: _Piece) -> Float[Array, " levels"]:
        outputs = frozen(model, piece.data, piece.cell.pattern)
        escape = 1 - jnp.max(jnp.abs(outputs(params))) / piece.escape
        loss = jnp.log(energy(model, piece.data, outputs, params) / piece.loss)
        rest = jnp.where(piece.armed, jnp.stack([escape, loss]), 1.0)
        return jnp.concatenate([kink_levels(model, piece.data, piece.cell, params), rest])

    return System(field, neuron_norms, levels)


@partial(jax.jit, static_argnames=("model",))
def _start_values(
    model: Model, data: Samples, pattern: Float[Array, "h n"], params: TwoLayer
) -> tuple[Array, Array, Array]:
    """Largest output, loss and rate bound at the start of a run."""
    outputs = frozen(model, data, pattern)
    peak = jnp.max(jnp.abs(outputs(params)))
    return peak, energy(model, data, outputs, params), rate_bound(model, data, params)


@partial(jax.jit, static_argnames=("model",))
def _unit_field(
    model: Model,
    data: Samples,
    pattern: Float[Array, "h n"],
    slope: Float[Array, "h n"],
    params: TwoLayer,
    j: Array,
) -> tuple[Array, Array, Array]:
    c, g = unit_field(model, data, pattern, params)
    return c[j], g, rounding(model, data, params, slope)[j]


def _view(flow: GradientFlow, surfaces: Surfaces, params: TwoLayer, j: int) -> View:
    """What the decision about neuron j needs to know."""
    pattern = surfaces.pattern.astype(np.float64)
    sides = pattern, surfaces.left + surfaces.jump * pattern
    with float64():
        found = _unit_field(flow.model, flow.samples, *sides, params, np.int64(j))
        c, g, noise = map(np.asarray, found)
    return View(np.asarray(params.W)[j], -1.0 if params.v[j] < 0 else 1.0, c, g, noise)


class _Run:
    """One run: the host's side of the loop."""

    def __init__(
        self,
        flow: GradientFlow,
        params: TwoLayer,
        surfaces: Surfaces,
        saves: Float[np.ndarray, " k"],
        t_start: float,
        until: Until,
        ahead: float,
        observe: Observe,
        escape: float,
        log_time: bool,
        settings: Settings,
        progress: Progress | None,
    ) -> None:
        self.began = time.monotonic()
        self.flow, self.params, self.surfaces = flow, params, surfaces
        self.saves, self.until, self.ahead = saves, until, ahead
        self.recorder = Recorder(flow, observe, progress)
        self.escape, self.log_time, self.settings = escape, log_time, settings
        self.pair: Explicit = settings.pair
        self.data = flow.samples
        with float64():
            self.atol = settings.absolute(np.asarray(neuron_norms(params)))
        self.t, self.s = t_start, self._to_s(t_start)
        self.switches: list[tuple[float, int, int, bool, int]] = []
        self.still, self.last_event = 0, -math.inf
        self.visits: dict[tuple[int, int], int] = {}
        self.saved = self.accepted = self.rejected = self.landed = self.stretches = 0
        self.escape_time = math.inf
        self.outcome: Outcome | None = None
        with float64():
            peak, loss, rate = map(float, _start_values(flow.model, self.data, *self._state()))
        rate *= math.exp(self.s) if log_time else 1.0
        # A rate of 0: all neurons are dead, any step will do.
        self.h = _FIRST_STEP / rate if rate > 0 else saves[-1] - t_start
        self._begin(peak, loss)

    def _begin(self, peak: float, loss: float) -> None:
        """Events that have happened before the run begins."""
        if not math.isfinite(self.h) or not math.isfinite(loss):
            self.outcome = Outcome.NONFINITE
        if peak >= self.escape:
            self.escape_time = self.t
        if self.until.loss is not None and loss <= self.until.loss:
            self.outcome = Outcome.EVENT
        self._stop_if_classified()
        self.recorder.add_one(self.t, self.params)

    def finish(self) -> KinkedTrajectory:
        while self.outcome is None:
            self.recorder.report(self.t, self.params, None)
            self._advance()
        if self.outcome in _MAY_REST and self.ahead > 0:
            where = self.flow, self._piece().cell, self.params
            self.outcome = rests(*where, self.ahead, self.until.loss) or self.outcome
        if self.recorder.times[-1] < self.t:
            self.recorder.add_one(self.t, self.params)
        self.recorder.report(self.t, self.params, self.outcome)
        return self._result()

    def _advance(self) -> None:
        budget = self.settings.max_steps - self.accepted - self.rejected
        if budget <= 0:
            self.outcome = Outcome.STEP_LIMIT
            return
        if time.monotonic() - self.began > self.settings.time_limit:
            self.outcome = Outcome.TIME_LIMIT
            return
        with float64():
            carry = stretch(
                _system(self.flow.model),
                self.pair,
                self.log_time,
                self._piece(),
                self._stops(min(budget, self.settings.chunk)),
                Tolerance(np.float64(self.settings.rtol), np.float64(self.atol)),  # type: ignore[arg-type]
                Start(np.float64(self.s), self.params, np.float64(self.h)),  # type: ignore[arg-type]
            )
            self._take(jax.tree.map(np.asarray, carry))

    def _piece(self) -> _Piece:
        armed = np.array([math.isinf(self.escape_time), self.until.loss is not None])
        levels = np.float64(self.escape), np.float64(self.until.loss or 1.0)
        cell = self.surfaces.cell(np.where(np.asarray(self.params.v) < 0, -1.0, 1.0))
        return _Piece(self.data, cell, *levels, armed)  # type: ignore[arg-type]

    def _stops(self, steps: int) -> Stops:
        saves = np.full(SAVES, np.inf)
        coming = self.saves[self.saved : self.saved + SAVES]
        saves[: len(coming)] = [self._to_s(t) for t in coming]
        return Stops(np.float64(self._to_s(self.saves[-1])), saves, np.int64(steps))  # type: ignore[arg-type]

    def _take(self, carry: Carry) -> None:
        """Book what a stretch did."""
        self.s, self.h, self.params = float(carry.s), float(carry.h), carry.state
        self.t = math.expm1(self.s) if self.log_time else self.s
        self.accepted += int(carry.accepted)
        self.rejected += int(carry.rejected)
        self.landed += int(carry.landed)
        self.stretches += 1
        count = int(carry.rows.saved)
        self.recorder.add(self.saves[self.saved : self.saved + count].tolist(), carry.rows.buffer)
        self.saved += count
        match Status(int(carry.status)):
            case Status.END:
                self.t, self.outcome = float(self.saves[-1]), Outcome.REACHED_T
            case Status.EVENT:
                self._event(int(carry.target))
            case Status.STEP_TOO_SMALL:
                self.outcome = Outcome.STIFF
            case Status.NONFINITE:
                self.outcome = Outcome.NONFINITE

    def _event(self, target: int) -> None:
        found = self.surfaces.decode(target)
        if found is not None:
            self._switch(found)
        elif target == self.surfaces.levels:
            self.escape_time = self.t
        else:
            self.outcome = Outcome.EVENT

    def _switch(self, found: Target) -> None:
        j = found.neuron
        if found.crossing is None:
            self.outcome = Outcome.NONUNIQUE  # attracting kinks become repelling
            return
        self._ease(j, found.datum)
        before, rank = self._sides(j), self.surfaces.rank(j)
        view = _view(self.flow, self.surfaces, self.params, j)
        if not self.surfaces.settle(j, view, found.datum, found.crossing):
            self.outcome = Outcome.NONUNIQUE
            return
        W = np.array(self.params.W)
        W[j] = self.surfaces.project(j, W[j])
        self.params = self.params._replace(W=W)
        self._log(j, before)
        line = found.crossing is Crossing.KINK and 0 < rank == W.shape[1] - 1
        if line or self.surfaces.rank(j) == W.shape[1]:
            self.outcome = Outcome.NONUNIQUE  # a line meets one more kink at the origin only
            return
        limit = self.settings.max_switches
        if len(self.switches) >= (2 * self.flow.n * len(W) + 100 if limit is None else limit):
            self.outcome = Outcome.EVENT_LIMIT
        self._stop_if_classified()

    def _ease(self, j: int, i: int) -> None:
        """Allow for more noise in the shares of a neuron that comes back to a kink at once.

        Where what pushes it is fitted, its field is what steps and rounding leave of a residual.
        """
        soon = self.accepted - self.visits.get((j, i), -_SOON) < _SOON
        eased = min(_MORE * self.surfaces.ease[j], _MOST)
        self.surfaces.ease[j] = eased if soon else 1.0
        self.visits[j, i] = self.accepted

    def _sides(self, j: int) -> tuple[np.ndarray, np.ndarray]:
        return self.surfaces.pattern[j].copy(), self.surfaces.sliding[j].copy()

    def _log(self, j: int, before: tuple[np.ndarray, np.ndarray]) -> None:
        # Counted for events that leave all sides as they are too: these would never end.
        moved = self.t - self.last_event > _APART * abs(self.t)
        self.still, self.last_event = (0 if moved else self.still + 1), self.t
        if self.still > 4 * self.surfaces.pattern.size + 16:
            w, v = self.params.W[j], self.params.v[j]
            lost = np.max(np.abs(w)) <= _AT_ORIGIN * abs(v)
            self.outcome = Outcome.NONUNIQUE if lost else Outcome.CHATTERING
        after = self._sides(j)
        for i, kind in switch_kinds(before, after):
            self.switches.append((self.t, j, i, bool(after[0][i]), int(kind)))

    def _stop_if_classified(self) -> None:
        if self.until.classified:
            sides = self.surfaces
            classes = classify(sides.pattern, np.asarray(self.params.v), self.flow.y)
            if np.all(classes != OPEN) and not np.any(sides.sliding):
                self.outcome = Outcome.EVENT

    def _state(self) -> tuple[Float[np.ndarray, "h n"], TwoLayer]:
        return self.surfaces.pattern.astype(np.float64), self.params

    def _to_s(self, t: float) -> float:
        return math.log1p(t) if self.log_time else float(t)

    def _shares(self) -> Float[np.ndarray, "h n"]:
        sides = self.surfaces
        shares = sides.pattern.astype(np.float64)
        for j in map(int, np.flatnonzero(sides.sliding.any(axis=1))):
            shares[j] = sides.shares(j, _view(self.flow, sides, self.params, j))
        return shares

    def _result(self) -> KinkedTrajectory:
        columns = list(zip(*self.switches, strict=True)) or [()] * 5
        types = (np.float64, np.int64, np.int64, np.bool_, np.int64)
        *switches, kinds = (np.array(c, t) for c, t in zip(columns, types, strict=True))
        attempts = self.accepted + self.rejected + self.landed
        return KinkedTrajectory(
            times=np.array(self.recorder.times),
            observables=self.recorder.columns(),
            errors={},
            params=self.params,
            pattern=self.surfaces.pattern,
            switches=Switches(*switches),
            kinds=kinds,
            sliding=self.surfaces.sliding,
            shares=self._shares(),
            escape_time=self.escape_time,
            escape_level=self.escape,
            outcome=self.outcome or Outcome.REACHED_T,
            clock=self.flow.clock,
            method=self.pair + (" in log(1 + t)" if self.log_time else ""),
            rtol=self.settings.rtol,
            atol=self.atol,
            statistics=Statistics(
                self.accepted,
                self.rejected,
                attempts * STAGES[self.pair],
                self.stretches,
                time.monotonic() - self.began,
            ),
        )
