r"""The early flow by event-exact propagation, handed over to the full flow.

While all outputs are negligible, the neurons of $f(x) = \sum_j v_j\,\mathrm{relu}(\langle w_j,
x\rangle)$ decouple: each follows the effective flow with the constant residuals $c_i =
-\partial_{f_i} L$ at $f = 0$, which `flowtheory.exact` carries in closed form through all kinks and
slides, at any initialization scale. What is neglected is the change of the residuals,

$$ \delta c_i(t) = -\partial_{f_i} L(f(t)) - c_i = O(f) = O(\epsilon^2 e^{2\Lambda t}). $$

The error estimate repeats the propagation with the residuals of the hand-over time instead of
those at 0. As $|\delta c|$ grows, the true residuals lie between the two nearly all the time, and
the difference of the two ends, directions and log norms, contains the true amplification by kinks.
It is of first order in $\delta c(t)$ and, because $f$ grows exponentially, in general larger than
the error, by the factor (growth rate of f) x (time of hand-over) where the response is uniform.

Times are in the flow's own clock: its weight is part of $c$.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float

from flowtheory.errors import ParameterError
from flowtheory.exact import EffectivePaths, EventKind, propagate
from flowtheory.flow import GradientFlow, TwoLayer
from flowtheory.flow.field import Model, Samples, residuals
from flowtheory.flow.kinked import solve
from flowtheory.flow.slides import KinkedTrajectory
from flowtheory.flow.sliding import slopes
from flowtheory.outcome import Outcome
from flowtheory.precision import float64

_GRID = 32
_TRIES = 6
_HUGE = 300.0  # exp of it is a float
_MARGIN = 3.0  # of the tolerance, between the change of the residuals and the first guess


@dataclass(frozen=True, eq=False)
class EarlyFlow:
    r"""A network after its event-exact early flow. All arrays are NumPy.

    Attributes:
        time: time of the hand-over, in the flow's clock; 0 if nothing was skipped.
        direction: $w_j/|w_j|$, shape (h, D).
        log_norm: $\ln|w_j|$, the scale included, shape (h,).
        ratio: $v_j/|w_j|$, shape (h,).
        pattern: active data, shape (h, n); False while sliding.
        sliding: data that are slid along, shape (h, n).
        error: estimate of the error of directions and log norms by what was neglected.
        log_output: $\ln \max_i |f_i|$ at the hand-over; -inf if f = 0.
        events: switches and slides before the hand-over.
        reason: why the hand-over is where it is, in words.
    """

    time: float
    direction: Float[np.ndarray, "h D"]
    log_norm: Float[np.ndarray, " h"]
    ratio: Float[np.ndarray, " h"]
    pattern: Bool[np.ndarray, "h n"]
    sliding: Bool[np.ndarray, "h n"]
    error: float
    log_output: float
    events: int
    reason: str

    @property
    def params(self) -> TwoLayer:
        """The parameters as numbers; a neuron below 1e-308 is then 0."""
        W = np.exp(self.log_norm)[:, None] * self.direction
        return TwoLayer(W, self.ratio * np.exp(self.log_norm))  # type: ignore[arg-type]


class SmallScaleRun(NamedTuple):
    """The early flow and what follows it.

    Attributes:
        early: the event-exact part.
        rest: the full flow from the hand-over; None if the hand-over is at the final time.
    """

    early: EarlyFlow
    rest: KinkedTrajectory | None

    @property
    def outcome(self) -> Outcome:
        """How the whole run ended."""
        return Outcome.REACHED_T if self.rest is None else self.rest.outcome


def solve_small_scale(
    flow: GradientFlow,
    W: Float[np.ndarray, "h D"],
    v: Float[np.ndarray, " h"],
    t_end: float,
    *,
    log_scale: float = 0.0,
    tolerance: float = 1e-8,
    **options: Any,
) -> SmallScaleRun:
    """`event_exact_start`, and `flowtheory.flow.solve` from its hand-over to `t_end`.

    Args:
        flow: as in `event_exact_start`, and so are `W`, `v`, `log_scale` and `tolerance`.
        W: input weights.
        v: output weights.
        t_end: final time, in the flow's clock.
        log_scale: logarithm of the factor of all weights.
        tolerance: accepted error of the early flow.
        options: further arguments of `flowtheory.flow.solve`.
    """
    early = event_exact_start(flow, W, v, t_end, log_scale=log_scale, tolerance=tolerance)
    if early.time >= t_end:
        return SmallScaleRun(early, None)
    if early.time > 0:
        options |= {"pattern": early.pattern, "sliding": early.sliding, "t_start": early.time}
    return SmallScaleRun(early, solve(flow, early.params, t_end, **options))


def event_exact_start(
    flow: GradientFlow,
    W: Float[np.ndarray, "h D"],
    v: Float[np.ndarray, " h"],
    t_end: float,
    *,
    log_scale: float = 0.0,
    tolerance: float = 1e-8,
) -> EarlyFlow:
    r"""Carry all neurons to the last time at which the neglected feedback is below `tolerance`.

    Args:
        flow: the flow of a two-layer ReLU network, with any loss.
        W: input weights at t = 0, up to the factor $e^{\mathrm{log\_scale}}$; shape (h, D).
        v: output weights, up to the same factor.
        t_end: the hand-over is not later than this.
        log_scale: logarithm of the factor; `math.log(1e-300)` starts at that scale.
        tolerance: largest accepted error estimate of directions and log norms.

    Returns:
        The state at the hand-over. Where the early flow is not valid at all (large scale, or an
        activation that is not a ReLU) it is the start itself, with the reason.

    Raises:
        DataError: parameters that do not fit the data, or are not finite or zero.
        ParameterError: a final time or tolerance that is not positive.
    """
    for name, value in (("t_end", t_end), ("tolerance", tolerance)):
        if not (np.isfinite(value) and value > 0):
            raise ParameterError(
                f"{name} is {value!r}", expected="a finite number > 0", fix=f"give another {name}"
            )
    early = Early(flow, flow.start(W, v), log_scale)
    if early.refusal:
        return early.nothing(early.refusal)
    return _hand_over(early, t_end, tolerance)


def early_states(
    flow: GradientFlow,
    W: Float[np.ndarray, "h D"],
    v: Float[np.ndarray, " h"],
    times: Float[np.ndarray, " k"],
    *,
    log_scale: float = 0.0,
) -> list[TwoLayer]:
    """The event-exact early flow at given times, none later than the hand-over.

    Args:
        flow: as in `event_exact_start`, and so are `W`, `v` and `log_scale`.
        W: input weights.
        v: output weights.
        times: increasing times.
        log_scale: logarithm of the factor of all weights.
    """
    early = Early(flow, flow.start(W, v), log_scale)
    samples = early.propagate(early.c, times).samples
    sizes = np.exp(samples.log_norm + log_scale)
    return [
        TwoLayer(sizes[:, k, None] * samples.direction[:, k], samples.ratio[:, k] * sizes[:, k])  # type: ignore[arg-type]
        for k in range(len(times))
    ]


def _hand_over(early: Early, t_end: float, tolerance: float) -> EarlyFlow:
    """The latest time, of a grid refined once, at which the estimate holds."""
    linear, logarithmic = np.linspace(0, t_end, _GRID), t_end * np.logspace(-4, -1e-3, _GRID)
    grid = np.sort(np.append(linear, logarithmic))
    coarse = early.propagate(early.c, grid)
    change, limit = early.changes(coarse), tolerance / _MARGIN
    for _ in range(_TRIES):
        paths, last = coarse, _unbroken(change <= limit)
        if 0 <= last < len(grid) - 1:
            paths = early.propagate(early.c, np.linspace(grid[last], grid[last + 1], len(grid)))
            last = _unbroken(early.changes(paths) <= limit)
        if last < 0 or paths.samples.times[last] == 0:
            break
        error = early.difference(paths, last)
        if error <= tolerance:
            whole = paths.samples.times[last] == t_end
            return early.state(paths, last, error, _WHOLE if whole else _HANDED)
        limit *= tolerance / (2 * error)
    return early.nothing(_TOO_LARGE)


_HANDED = "closed form up to the time at which the outputs begin to feed back"
_WHOLE = "closed form up to the final time: the outputs stay negligible"
_TOO_LARGE = "full flow: the outputs are not negligible at the start"


def _unbroken(good: np.ndarray) -> int:
    """Index of the last of the leading True values, -1 if there is none."""
    return int(np.argmin(good)) - 1 if not np.all(good) else len(good) - 1


@partial(jax.jit, static_argnames=("model",))
def _feedback(
    model: Model, data: Samples, params: TwoLayer, scale: Float[Array, " k"]
) -> tuple[Float[Array, "k n"], Float[Array, "k n"]]:
    r"""Outputs of stacked states, and $-\partial_{f_i} L$ at outputs `scale` times as large."""

    def one(state: tuple[TwoLayer, Array]) -> tuple[Array, Array]:
        params, factor = state
        f = model.outputs(params, data.x)
        return f, data.weight * residuals(model, data, factor * f)[0]

    # One after the other: preactivations of one state fit into the cache, those of all do not.
    return lax.map(one, (params, scale))


@partial(jax.jit, static_argnames=("model",))
def _at_zero(model: Model, data: Samples) -> tuple[Array, Array, Array]:
    r"""Slopes on the left and right of the kink, and $-\partial_{f_i} L$ at f = 0."""
    x = jnp.asarray(data.x)
    c = data.weight * residuals(model, data, jnp.zeros_like(data.y))[0]
    return *slopes(model, x), c


class _Feedback(NamedTuple):
    """At samples: f over its own scale, the logarithm of that scale, and the residuals."""

    f: Float[np.ndarray, "k n"]
    log_scale: Float[np.ndarray, " k"]
    residuals: Float[np.ndarray, "k n"]


class Early:
    """One start, and what is computed from its propagation."""

    def __init__(self, flow: GradientFlow, start: TwoLayer, log_scale: float) -> None:
        self.flow, self.start, self.log_scale = flow, start, log_scale
        with float64():
            left, right, c = map(np.asarray, _at_zero(flow.model, flow.samples))
        self.right, self.c = float(right), right * c
        self.refusal = "" if left == 0 < right else _NOT_RELU.format(left, right)
        if not np.any(self.c):
            self.refusal = "full flow: all residuals are zero at f = 0"
        self._known: tuple[EffectivePaths, _Feedback] | None = None

    def propagate(self, c: np.ndarray, times: np.ndarray) -> EffectivePaths:
        """To the last of the times and no further."""
        W, v = np.asarray(self.start.W), np.asarray(self.start.v)
        return propagate(self.flow.x, c, W, v, times=times, until=float(times[-1]))

    def feedback(self, paths: EffectivePaths) -> _Feedback:
        """What the outputs do at the samples; kept for the paths that were asked about last."""
        if self._known is None or self._known[0] is not paths:
            self._known = paths, self._feedback(paths)
        return self._known[1]

    def _feedback(self, paths: EffectivePaths) -> _Feedback:
        samples = paths.samples
        largest = np.max(samples.log_norm, axis=0)
        size = np.exp(samples.log_norm - largest)
        params = TwoLayer(
            np.multiply(size.T[..., None], samples.direction.swapaxes(0, 1), order="C"),  # type: ignore[arg-type]
            (size * samples.ratio).T,  # type: ignore[arg-type]
        )
        log_scale = 2 * (largest + self.log_scale)
        scale = np.exp(np.minimum(log_scale, _HUGE))
        with float64():
            f, r = map(np.asarray, _feedback(self.flow.model, self.flow.samples, params, scale))
        return _Feedback(f, log_scale, self.right * r)

    def changes(self, paths: EffectivePaths) -> Float[np.ndarray, " k"]:
        """Largest relative change of the residuals at every sample; nan where a path ended."""
        change = np.abs(self.feedback(paths).residuals - self.c)
        return np.max(change, axis=1) / np.max(np.abs(self.c))

    def difference(self, paths: EffectivePaths, k: int) -> float:
        """How far the ends are apart with the residuals of the hand-over."""
        later = self.feedback(paths).residuals[k]
        other = self.propagate(later, paths.samples.times[k : k + 1]).samples
        turn = np.abs(other.direction[:, 0] - paths.samples.direction[:, k])
        growth = np.abs(other.log_norm[:, 0] - paths.samples.log_norm[:, k])
        worst = float(np.max([np.max(turn), np.max(growth)]))
        rounding = np.finfo(float).eps * (4 + float(np.max(np.diff(paths.offsets))))
        return max(worst, rounding) if np.isfinite(worst) else np.inf

    def state(self, paths: EffectivePaths, k: int, error: float, reason: str) -> EarlyFlow:
        """The network at the k-th sample."""
        samples, time = paths.samples, float(paths.samples.times[k])
        pattern, sliding = sides_at(paths, time)
        f, log_scale, _ = self.feedback(paths)
        with np.errstate(divide="ignore"):
            log_output = float(np.log(np.max(np.abs(f[k]))) + log_scale[k])
        return EarlyFlow(
            time,
            samples.direction[:, k],
            samples.log_norm[:, k] + self.log_scale,
            samples.ratio[:, k],
            pattern,
            sliding,
            error,
            log_output,
            int(np.count_nonzero(paths.time <= time)),
            reason,
        )

    def nothing(self, reason: str) -> EarlyFlow:
        """The start itself."""
        W, v = np.asarray(self.start.W), np.asarray(self.start.v)
        largest = np.max(np.abs(W), axis=1)
        norm = largest * np.linalg.norm(W / np.where(largest > 0, largest, 1)[:, None], axis=1)
        pattern = self.flow.pattern(self.start)
        with np.errstate(divide="ignore", invalid="ignore"):
            log_norm, direction, ratio = np.log(norm), W / norm[:, None], v / norm
            f = np.max(np.abs(self.flow.predictions(self.start)))
            log_output = float(np.log(f)) + 2 * self.log_scale
        none = np.zeros_like(pattern)
        log_norm = log_norm + self.log_scale
        return EarlyFlow(0.0, direction, log_norm, ratio, pattern, none, 0.0, log_output, 0, reason)


_NOT_RELU = "full flow: slopes {:g} and {:g} at the kink, and the closed form is that of a ReLU"


def sides_at(
    paths: EffectivePaths, time: float
) -> tuple[Bool[np.ndarray, "h n"], Bool[np.ndarray, "h n"]]:
    """Active and sliding data at a time: the last event of every (neuron, datum) before it."""
    pattern = paths.initial_active.copy()
    sliding = np.zeros_like(pattern)
    neuron = np.repeat(np.arange(paths.size), np.diff(paths.offsets))
    past = (paths.time <= time) & (paths.kind != EventKind.SIGN_FLIP)
    # Of repeated places the last assignment stays, and events are in order of time.
    place = neuron[past], paths.datum[past]
    kind = paths.kind[past]
    pattern[place] = (kind == EventKind.ACTIVATED) | (kind == EventKind.SLIDE_ENDS_ACTIVE)
    sliding[place] = kind == EventKind.SLIDE_BEGINS
    return pattern, sliding
