r"""The first descent from a small start: plateau in closed form, then few nodes for many neurons.

For multiplicity 1 every neuron obeys $\dot\theta = A\theta$ as long as the outputs are small
(`flowtheory.flow.neurons`), so that the plateau need not be integrated, whatever its length:

1. *Skip.* $\theta_j(T) = e^{AT}\theta_j(0)$ up to the hand-over $T_h$, where the outputs take back
   the fraction $\eta_h$ of the force, and the first-order correction of `flowtheory.flow.level`
   for what that leaves out; the error is of second order, $O(\eta_h^2)$.
2. *Compress.* Continued in closed form to a virtual time $T_v$ where that fraction is 1e-4, the
   neurons lie near a line: `flowtheory.flow.quadrature` makes $K$ + few weighted nodes of them
   there, which are pulled back to $T_h$ and integrated. The state at $T_v$ itself is never used.
3. *Judge.* Beside the nodes run a coarser rule of them and a copy moved by `NOISE`. From both the
   error of the time is estimated (`Errors`); where it is above what was asked for, the rest is
   spread over all its directions instead of bundled into one node, and if that is not enough all
   neurons are integrated from the hand-over.

The fraction is $\eta = \lambda E/(2 w\sum_i|\rho_i|^2)$ with $E = \sum_j|\theta_j|^2$: the first
order of $\sum_i\langle\rho_i, f_i\rangle/\sum_i|\rho_i|^2$ once the leading mode dominates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.errors import DataError, ParameterError
from flowtheory.flow import level as loop
from flowtheory.flow.field import Samples
from flowtheory.flow.neurons import Linearisation, Neurons, linearise
from flowtheory.flow.quadrature import Compression, Nodes, compress
from flowtheory.outcome import Outcome
from flowtheory.precision import as_float64, float64

Reduced = Literal["bundled", "spread", "skipped", "full"]
r"""How the neurons were integrated: as nodes, with the rest in one node (`bundled`) or in all its
directions (`spread`); all of them from the hand-over on (`skipped`) or from the start (`full`)."""

VIRTUAL = 1e-4
"""Fraction of the force taken back at the virtual time."""

NOISE = 1e-7
"""Relative size of the displacement whose effect is measured."""

_STEP_SHARE = 0.05
_EARLIEST = 1e-12
_CORE = 4
_LADDER: tuple[Reduced, ...] = ("bundled", "spread", "skipped")


class Errors(NamedTuple):
    r"""The parts of the error estimate, in units of time.

    Attributes:
        steps: errors of the Runge-Kutta steps times the measured effect of a displacement.
        hand_over: square of the first-order correction, times the same.
        nodes: difference of the times of the two rules; 0 where all neurons were integrated.
        rest: what one node for all of the rest may miss, its share of the energy at the end over
            $\lambda$.
        roundoff: of the sum of times.
    """

    steps: float = 0.0
    hand_over: float = 0.0
    nodes: float = 0.0
    rest: float = 0.0
    roundoff: float = 0.0

    @property
    def total(self) -> float:
        """Their sum."""
        return float(sum(self))


@dataclass(frozen=True, eq=False)
class Saddle:
    r"""A flow of weighted neurons with its linear part at the origin.

    Attributes:
        neurons: outputs and loss; keep the object, compiled code is found by its functions.
        data: samples.
        linear: the flow of one neuron at the origin.
    """

    neurons: Neurons
    data: Samples
    linear: Linearisation

    @classmethod
    def of(cls, neurons: Neurons, data: Samples, size: int) -> Saddle:
        """The saddle of neurons of `size` parameters each."""
        return cls(neurons, data, linearise(neurons, data, size))


@dataclass(frozen=True, eq=False)
class Start:
    r"""Neurons $\theta_j(0) = e^{u}c_jV^T$ in the modes $V$ of $A$.

    Attributes:
        saddle: the flow.
        modal: $c$, shape (m, p).
        log_scale: $u$.
    """

    saddle: Saddle
    modal: Float[np.ndarray, "m p"]
    log_scale: float

    @classmethod
    def of(cls, saddle: Saddle, theta: Float[np.ndarray, "m p"], log_scale: float = 0.0) -> Start:
        r"""A start at $e^{u}$ times `theta`; any $u$, such as that of a scale of 1e-300.

        Raises:
            DataError: The neurons are zero, not finite, or of another size than the flow's.
        """
        theta = as_float64(theta, "theta")
        size = len(saddle.linear.rates)
        if theta.ndim != 2 or theta.shape[1] != size or not np.any(theta):
            raise DataError(
                f"theta has shape {theta.shape}" if np.any(theta) else "all neurons are zero",
                expected=f"one neuron of {size} parameters a row, not all zero",
                fix="stack the parameters of a neuron in a row",
            )
        return cls(saddle, theta @ saddle.linear.modes, float(log_scale))

    def at(self, time: float) -> Float[np.ndarray, "m p"]:
        r"""$e^{u + \lambda_a t}c_{ja}$: the linear flow, in modes."""
        return self.modal * np.exp(self.saddle.linear.rates * time + self.log_scale)

    def skip_to(self, time: float) -> Float[np.ndarray, "m p"]:
        r"""$\theta_j(t)$ of the linear flow."""
        return self.at(time) @ self.saddle.linear.modes.T

    def time_of(self, fraction: float) -> float:
        r"""When the linear flow has $\eta$ = `fraction`; 0 if it starts there, inf if it never is.

        Newton's iteration on $\ln E(t)$, which is convex: from a time where the leading mode alone
        has that energy, it descends to the root.
        """
        linear = self.saddle.linear
        with np.errstate(divide="ignore"):
            parts = np.log(np.sum(self.modal**2, axis=0)) + 2 * self.log_scale
        target = math.log(2 * fraction * linear.pull / linear.rate)
        if not math.isfinite(parts[-1]):
            return math.inf
        time = max(0.0, (target - parts[-1]) / (2 * linear.rate))
        for _ in range(20):
            exponents = parts + 2 * linear.rates * time
            share = np.exp(exponents - exponents.max())
            excess = math.log(share.sum()) + float(exponents.max()) - target
            change = excess / (2 * float(linear.rates @ share) / float(share.sum()))
            if time == 0.0 or abs(change) <= 1e-9 * time:
                break
            time = max(0.0, time - change)
        return time


@dataclass(frozen=True, eq=False)
class Descent:
    r"""When and how a flow came down from its plateau.

    Attributes:
        outcome: `EVENT` at the level, `REACHED_T` at the end time before it, `STEP_LIMIT` or
            `NONFINITE`.
        time: the time of that.
        error: estimate of the error of `time`.
        errors: its parts.
        method: how the neurons were integrated.
        hand_over: $T_h$, up to where the linear flow was followed in closed form.
        loss: at the end.
        nodes: the nodes at the end; all neurons with weights 1 for `skipped` and `full`.
        compression: what the nodes stand for; None if they are the neurons.
        evaluations: of the field of the nodes, of the last method.
        tried: the methods that were tried, with their error estimates.
    """

    outcome: Outcome
    time: float
    error: float
    errors: Errors
    method: Reduced
    hand_over: float
    loss: float
    nodes: Nodes
    compression: Compression | None
    evaluations: int
    tried: tuple[tuple[Reduced, float], ...] = ()


@dataclass(frozen=True, eq=False)
class _Goal:
    """What is asked for."""

    loss: float
    end: float
    rtol: float
    max_steps: int


def descend(
    start: Start,
    loss: float,
    *,
    end: float = math.inf,
    rtol: float = 1e-8,
    method: Reduced | None = None,
    max_steps: int = 20_000,
) -> Descent:
    r"""Follow a flow from a small start until its loss is `loss`, by the cheapest way that holds.

    Args:
        start: The neurons.
        loss: Loss to stop at; `-math.inf` for none.
        end: Time to stop at.
        rtol: Relative error asked for the time. The ways are tried from the cheapest on until the
            estimate is below it; the last one is returned as it is.
        method: The only way to try.
        max_steps: Budget of steps of each.

    Raises:
        ParameterError: A goal that cannot be reached from this start, or an `rtol` out of range.
    """
    _require(start, loss, end, rtol)
    goal = _Goal(loss, end, rtol, max_steps)
    ways = _ways(start, rtol) if method is None else (method,)
    tried: tuple[tuple[Reduced, float], ...] = ()
    sensitivity = None
    found = None
    for way in ways:
        found, sensitivity = _by(way, start, goal, sensitivity)
        tried = (*tried, (way, found.error))
        if found.outcome.ok and found.error <= rtol * found.time:
            break
    assert found is not None
    return replace(found, tried=tried)


def _require(start: Start, loss: float, end: float, rtol: float) -> None:
    if not 1e-12 <= rtol <= 1e-2:
        raise ParameterError(f"rtol is {rtol!r}", expected="1e-12 to 1e-2", fix="1e-8")
    if not end > 0 or (end == math.inf and loss == -math.inf):
        raise ParameterError(
            f"end is {end!r}, loss {loss!r}", expected="a time > 0 or a loss", fix="give one"
        )
    if loss >= start.saddle.linear.loss:
        raise ParameterError(
            f"loss is {loss:.6g}, that of the output 0 is {start.saddle.linear.loss:.6g}",
            expected="a loss below that of the output 0",
            fix="a fraction of `start.saddle.linear.loss`",
        )


def _ways(start: Start, rtol: float) -> tuple[Reduced, ...]:
    """The ways worth trying, from the cheapest on."""
    linear = start.saddle.linear
    if not (linear.condenses and math.isfinite(start.time_of(VIRTUAL))):
        return ("full",)
    few = len(start.modal) <= 2 * (_CORE + start.modal.shape[1])
    return _LADDER[2:] if few else _LADDER


def _by(
    way: Reduced, start: Start, goal: _Goal, sensitivity: float | None
) -> tuple[Descent, float]:
    """One way, and the measured effect of a relative displacement on the time."""
    linear = start.saddle.linear
    hand_over, compression = 0.0, None
    if way != "full":
        eta = max(_EARLIEST, math.sqrt(_STEP_SHARE * goal.rtol))
        hand_over = min(start.time_of(eta), goal.end)
    if way in ("bundled", "spread"):
        virtual = max(start.time_of(VIRTUAL), hand_over)
        compression = compress(start.at(virtual), _CORE, even=linear.even)
        groups = _groups(compression, _coarser(compression, start.at(virtual), linear.even), way)
        back = np.exp(linear.rates * (hand_over - virtual))
        groups = [Nodes(g.theta * back, g.weights) for g in groups]
    else:
        groups = [Nodes(start.at(hand_over), np.ones(len(start.modal)))]
    if compression is not None or sensitivity is None:
        groups.append(_displaced(groups[0]))
    landed = _land(start.saddle, groups, hand_over, goal)
    return _judge(way, start, goal, hand_over, compression, landed, sensitivity, groups)


def _coarser(fine: Compression, theta: np.ndarray, even: bool) -> Compression:
    size = max(1, len(fine.core.weights) - 1)
    return compress(theta, size, even=even)


def _groups(fine: Compression, coarse: Compression, way: Reduced) -> list[Nodes]:
    if way == "bundled":
        return [fine.bundled(), coarse.core]
    return [fine.nodes(), coarse.spread()]


def _displaced(nodes: Nodes) -> Nodes:
    """Each node longer by `NOISE` of itself, and moved by as much in a fixed direction."""
    size = np.linalg.norm(nodes.theta, axis=1, keepdims=True)
    aside = np.cos(1.0 + 2.0 * np.arange(nodes.theta.size)).reshape(nodes.theta.shape)
    aside *= size * math.sqrt(2.0 / nodes.theta.shape[1])
    return Nodes(nodes.theta * (1 + NOISE) + NOISE * aside, nodes.weights)


def _land(saddle: Saddle, groups: list[Nodes], hand_over: float, goal: _Goal) -> loop.Landed:
    size = max(len(g.weights) for g in groups)
    p = len(saddle.linear.rates)
    theta, weights = np.zeros((len(groups), size, p)), np.zeros((len(groups), size))
    for k, g in enumerate(groups):
        theta[k, : len(g.weights)], weights[k, : len(g.weights)] = g
    speed = saddle.linear.rate
    begin = loop.Start(
        theta, weights, saddle.linear.rates, saddle.linear.modes, np.float64(hand_over)
    )  # type: ignore[arg-type]
    step = 0.5 / speed if saddle.linear.condenses else 1e-3
    aim = loop.Goal(
        *map(np.float64, (goal.loss, goal.end - hand_over, _STEP_SHARE * goal.rtol, step)),
        np.int64(goal.max_steps),
    )  # type: ignore[arg-type]
    with float64():
        landed = loop.run(saddle.neurons, saddle.data, begin, aim, hand_over > 0)
        return loop.Landed(*map(np.asarray, landed))


def _judge(way, start, goal, hand_over, compression, landed, sensitivity, groups):
    linear = start.saddle.linear
    time = hand_over + float(landed.time)
    behind = np.asarray((landed.loss - landed.loss[0]) / -landed.slope)
    if len(groups) > 1 and (compression is None or len(groups) > 2):
        sensitivity = max(abs(float(behind[-1])) / NOISE, 1 / abs(linear.rate))
    nodes = Nodes(landed.nodes[0, : len(groups[0].weights)], groups[0].weights)
    rest = 0.0
    if way == "bundled":
        energy = nodes.weights * np.sum(nodes.theta**2, axis=1)
        rest = float(energy[-1] / energy.sum()) / linear.rate
    errors = Errors(
        sensitivity * float(landed.drift),
        sensitivity * float(landed.defect) ** 2,
        abs(float(behind[1])) if compression is not None else 0.0,
        rest,
        4 * 2.0**-52 * time * math.sqrt(1 + float(landed.accepted)),
    )
    steps = int(landed.accepted) + int(landed.rejected)
    if not np.isfinite(landed.nodes).all():
        outcome = Outcome.NONFINITE
    elif steps >= goal.max_steps:
        outcome = Outcome.STEP_LIMIT
    else:
        outcome = Outcome.REACHED_T if time >= goal.end else Outcome.EVENT
    return (
        Descent(
            outcome, time, errors.total, errors, way, hand_over, float(landed.loss[0]), nodes,
            compression, loop.STAGES * steps,
        ),
        sensitivity,
    )
