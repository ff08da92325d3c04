r"""The first descent from a small start: plateau in closed form, then few nodes for many neurons.

For multiplicity 1 the plateau need not be integrated, whatever its length:

1. *Skip.* $\theta_j(T_h) = e^{AT_h}\theta_j(0)$ up to the hand-over, where the outputs take back
   the fraction $\eta_h$ of the force (`flowtheory.flow.plateau`), and the first-order correction
   of `flowtheory.flow.level` for what that leaves out; the error is $O(\eta_h^2)$.
2. *Compress.* Continued in closed form to a virtual time where $\eta$ = `VIRTUAL`, the neurons lie
   near a line: `flowtheory.flow.quadrature` makes few weighted nodes of them there, which are
   pulled back to $T_h$ and integrated. The state at the virtual time itself is never used.
3. *Judge.* Beside the nodes run a coarser rule of them, and a copy displaced by `NOISE`. They give
   the error of the time (`Errors`). Where it is above what was asked for, what the rule leaves
   over is given nodes in all directions instead of one, and if that is not enough all neurons are
   integrated from the hand-over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from flowtheory.blas import one_thread
from flowtheory.errors import ParameterError
from flowtheory.flow import level as loop
from flowtheory.flow.neurons import Groups
from flowtheory.flow.plateau import Start
from flowtheory.flow.quadrature import Compression, Nodes, compress
from flowtheory.outcome import Outcome
from flowtheory.precision import float64

Reduced = Literal["bundled", "spread", "skipped", "full"]
r"""How the neurons were integrated: as nodes, with what the rule leaves over in one node
(`bundled`) or in all directions (`spread`); all of them from the hand-over on (`skipped`) or from
the start (`full`)."""

VIRTUAL = 1.0
"""Fraction of the force taken back at the virtual time."""

NOISE = 1e-7
"""Relative size of the displacement whose effect is measured."""

_STEP_SHARE = 0.1  # tolerance of a step over that of the time
_HAND_OVER_SHARE = 0.1
_SAFETY = {True: 2.0, False: 5.0}  # on the difference of two rules, as for the cores
_COARSEST = 1e-3
_TAIL = 10.0  # of the neurons: largest square over mean square
_RETRIES = 3
_EARLIEST = 1e-12
_FIRST_STEP = 0.5
_CORES = {True: ((3, 2), (6, 5)), False: ((6, 5),)}  # where theta and -theta do the same, or not
_HOPELESS = 0.1
_ROUNDOFF = 2.0**-52
_NOTHING = 1e-100


class Errors(NamedTuple):
    r"""The parts of the error estimate of a time, in its unit.

    Attributes:
        steps: relative errors of the Runge-Kutta steps times the effect of a displacement.
        hand_over: 10 times the mean square of the first-order correction, times the same.
        nodes: difference of the times of the two rules, times 2 where $\theta$ and $-\theta$ do the
            same and 5 elsewhere; 0 where all neurons were integrated.
        rest: what one node for all that the rule leaves over may miss: its share of
            $\sum|\theta|^2$ at the end, over $\lambda$.
        roundoff: of the sums.
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


class Rebuilt(NamedTuple):
    r"""All neurons, rebuilt.

    Attributes:
        theta: $\theta_j$, shape (m, p).
        error: of each, estimated.
    """

    theta: Float[np.ndarray, "m p"]
    error: Float[np.ndarray, " m"]


class Attempt(NamedTuple):
    """A way that was tried, and the error of the time that it was estimated to have."""

    method: Reduced
    error: float


@dataclass(frozen=True, eq=False)
class Condensed:
    r"""When and how a flow came down from its plateau.

    Attributes:
        outcome: `EVENT` at the level, `REACHED_T` at the end time before it, `STEP_LIMIT` or
            `NONFINITE`.
        time: the time of that.
        errors: parts of the estimate of its error.
        method: how the neurons were integrated.
        hand_over: $T_h$, up to where the linear flow was followed in closed form.
        loss: at the end.
        theta: the nodes at the end; the neurons for `skipped` and `full`.
        weights: $\omega$ of the nodes.
        steps: accepted and rejected steps.
        rtol: relative error asked for.
        tried: what was tried, this one included.
    """

    outcome: Outcome
    time: float
    errors: Errors
    method: Reduced
    hand_over: float
    loss: float
    theta: Float[np.ndarray, "K p"]
    weights: Float[np.ndarray, " K"]
    steps: tuple[int, int]
    rtol: float
    tried: tuple[Attempt, ...]
    _start: Start
    _rules: tuple[tuple[Nodes, np.ndarray], ...]
    _drift: float

    @property
    def error(self) -> float:
        """The estimated error of `time`; infinite if the run failed."""
        return self.errors.total if self.outcome.ok else math.inf

    @cached_property
    def neurons(self) -> Rebuilt:
        """All neurons at `time`; for `bundled` nodes by a second run, which keeps all directions.

        Their errors are estimated by the difference of what the two rules give, plus that of the
        steps.
        """
        if self.method in ("skipped", "full"):
            found = self.theta
            difference = np.zeros(len(found))
        elif self.method == "spread":
            (fine, at), (coarse, other) = self._rules
            found = fine.rebuild(at)
            difference = np.linalg.norm(found - coarse.rebuild(other), axis=1)
        else:
            again = condense(self._start, -math.inf, end=self.time, rtol=self.rtol, method="spread")
            return again.neurons
        return Rebuilt(found, difference + self._drift * np.linalg.norm(found, axis=1))


class _Goal(NamedTuple):
    """What is asked for."""

    loss: float
    end: float
    rtol: float
    max_steps: int


def condense(
    start: Start,
    loss: float,
    *,
    end: float = math.inf,
    rtol: float = 1e-8,
    method: Reduced | None = None,
    max_steps: int = 20_000,
) -> Condensed:
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
        ParameterError: A loss that is not below that of the plateau, or an option out of range.
    """
    _require(start, loss, end, rtol)
    if method not in (None, "full") and not start.saddle.linear.condenses:
        raise ParameterError(
            f"method is {method!r}, but the neurons do not leave the origin along a linear flow",
            expected="a saddle of multiplicity 1",
            fix="method='full', or leave it out",
        )
    # On products this small the threads of a busy machine cost milliseconds.
    with one_thread():
        return _condense(start, _Goal(float(loss), float(end), rtol, max_steps), method)


def _condense(start: Start, goal: _Goal, method: Reduced | None) -> Condensed:
    driver = _Driver(start, goal)
    tried: list[Attempt] = []
    found = None
    for way, core in driver.ways(method):
        if found is not None and way == "bundled" and found.errors.rest > driver.allowed(found):
            continue  # more nodes in the core do not help
        found = driver.by(way, core)
        tried.append(Attempt(way, found.error))
        if found.error <= driver.allowed(found):
            break
    assert found is not None
    return replace(found, tried=tuple(tried))


def _require(start: Start, loss: float, end: float, rtol: float) -> None:
    if not 1e-12 <= rtol <= 1e-2:
        raise ParameterError(f"rtol is {rtol!r}", expected="1e-12 to 1e-2", fix="1e-8")
    if not end > 0 or (end == math.inf and loss == -math.inf):
        raise ParameterError(
            f"end is {end!r}, loss {loss!r}", expected="a time > 0 or a loss", fix="give one"
        )
    if not loss < start.saddle.linear.loss:
        raise ParameterError(
            f"loss is {loss:.6g}, that of the output 0 is {start.saddle.linear.loss:.6g}",
            expected="a loss below that of the output 0",
            fix="a fraction of `start.saddle.linear.loss`",
        )


class _Driver:
    """The ways from one start to one goal."""

    def __init__(self, start: Start, goal: _Goal) -> None:
        self.start, self.goal, self.linear = start, goal, start.saddle.linear
        self.sensitivity: float | None = None
        self._compressed: dict[tuple[int, ...], tuple[Compression, ...]] = {}

        # The fraction taken back is the size of the correction; without the symmetry its square is.
        self.fraction = math.sqrt(_HAND_OVER_SHARE * goal.rtol)
        if not self.linear.even:
            self.fraction = min(self.fraction, len(start.modal) * self.fraction**2)

    @property
    def hand_over(self) -> float:
        time = self.start.time_of(max(_EARLIEST, self.fraction))
        return min(time, self.goal.end * (1 - 1e-3))

    @cached_property
    def virtual(self) -> float:
        return max(self.start.time_of(VIRTUAL), self.hand_over)

    def compressions(self, core: tuple[int, ...]) -> tuple[Compression, ...]:
        """Those of the sizes of a core, made when first asked for: the first core often does."""
        if core not in self._compressed:
            made = compress(self.condensed, core, even=self.linear.even)
            self._compressed[core] = made
        return self._compressed[core]

    @cached_property
    def condensed(self) -> Float[np.ndarray, "m p"]:
        """The neurons at the virtual time, in modes."""
        theta = self.start.at(self.virtual)
        return np.where(np.abs(theta) < _NOTHING, 0.0, theta)  # subnormal numbers are slow

    def allowed(self, found: Condensed) -> float:
        """Error to accept; estimates from rules that differ by more than this are too rough."""
        few = found.method in ("bundled", "spread")
        return (min(self.goal.rtol, _COARSEST) if few else self.goal.rtol) * found.time

    def ways(self, method: Reduced | None) -> list[tuple[Reduced, tuple[int, ...]]]:
        """The ways worth trying, from the cheapest on, with the sizes of the cores."""
        start, linear = self.start, self.linear
        cores = _CORES[linear.even]
        if method is not None:
            return [(method, cores[-1])]
        if not (linear.condenses and math.isfinite(self.virtual)):
            return [("full", ())]
        width, size = start.modal.shape
        last: list[tuple[Reduced, tuple[int, ...]]] = [("skipped", ())]
        share = self.compressions(cores[0])[0].share
        if width <= 2 * (cores[-1][0] + size) or share > _HOPELESS:
            return last
        last.insert(0, ("spread", cores[-1]))
        # The estimate of a bundle is at least about this share at the virtual time.
        if share / linear.rate <= 10 * self.goal.rtol * self.virtual:
            last = [*(("bundled", core) for core in cores), *last]
        return last

    def flows(self, way: Reduced, core: tuple[int, ...], hand_over: float) -> list[Nodes]:
        """The rules at the hand-over: a fine one, and a coarse one where the neurons are nodes."""
        if way not in ("bundled", "spread"):
            here = self.start.at(hand_over)
            return [Nodes(here, np.ones(len(here)), np.zeros((0, 0)))]
        fine, coarse = self.compressions(core)
        back = np.exp(self.linear.rates * (hand_over - self.virtual))
        bundled = way == "bundled"
        # Where theta and -theta do the same, what a bundle misses is below its share of the energy.
        plain = bundled and self.linear.even
        rules = (fine.around(bundled), coarse.core if plain else coarse.clustered(bundled))
        return [rule._replace(theta=rule.theta * back) for rule in rules]

    def by(self, way: Reduced, core: tuple[int, ...]) -> Condensed:
        """Integrate one way; again from an earlier hand-over, if that is what limits it."""
        found = self.once(way, core)
        for _ in range(_RETRIES):
            excess = found.errors.hand_over / (_HAND_OVER_SHARE * self.allowed(found))
            if excess <= 3 or found.hand_over == 0 or not found.outcome.ok:
                break
            self.fraction /= excess
            found = self.once(way, core)
        return found

    def once(self, way: Reduced, core: tuple[int, ...]) -> Condensed:
        """Integrate one way from the hand-over, and estimate its error."""
        hand_over = 0.0 if way == "full" else self.hand_over
        flows = self.flows(way, core, hand_over)
        copies = [flows[-1]] if self.sensitivity is None else []
        landed = self.land(flows, copies, hand_over)
        behind = np.abs((landed.loss - landed.loss[0]) / landed.slope[0])
        if copies:
            reference = len(flows) - 1
            moved = abs(landed.loss[-1] - landed.loss[reference]) / abs(landed.slope[reference])
            floor = 1 / self.linear.rate if self.linear.condenses else 0.0
            self.sensitivity = max(float(moved) / NOISE, floor)
        sensitivity = self.sensitivity or 0.0
        time = hand_over + float(landed.time)
        states = np.split(landed.nodes, np.cumsum([len(f.weights) for f in flows]))
        fine = flows[0]
        rest = 0.0
        if way == "bundled":
            energy = fine.weights * np.sum(states[0] ** 2, axis=1)
            rest = float(energy[-1] / energy.sum()) / self.linear.rate
        errors = Errors(
            sensitivity * float(landed.drift),
            sensitivity * _TAIL * float(landed.defect) ** 2,
            _SAFETY[self.linear.even] * float(behind[1]) if len(flows) > 1 else 0.0,
            rest,
            4 * _ROUNDOFF * time * math.sqrt(1 + float(landed.accepted)),
        )
        rules = tuple(zip(flows, states, strict=False)) if len(flows) > 1 else ()
        return Condensed(
            outcome=self.outcome(landed),
            time=time,
            errors=errors,
            method=way,
            hand_over=hand_over,
            loss=float(landed.loss[0]),
            theta=states[0],
            weights=fine.weights,
            steps=(int(landed.accepted), int(landed.rejected)),
            rtol=self.goal.rtol,
            tried=(),
            _start=self.start,
            _rules=rules,
            _drift=float(landed.drift),
        )

    def land(self, flows: list[Nodes], copies: list[Nodes], hand_over: float) -> loop.Landed:
        """The compiled loop for flows side by side, the copies displaced after the hand-over."""
        linear, goal = self.linear, self.goal
        still = [np.zeros_like(f.theta) for f in flows]
        aside = np.concatenate([*still, *(_aside(f.theta) for f in copies)])
        flows = [*flows, *copies]
        theta = np.concatenate([f.theta for f in flows])
        owner = np.repeat(np.arange(len(flows)), [len(f.weights) for f in flows])
        members = (owner == np.arange(len(flows))[:, None]).astype(np.float64)
        groups = Groups(members * np.concatenate([f.weights for f in flows]), members)
        launch = loop.Launch(theta, groups, linear.rates, linear.modes, hand_over, aside)
        step = _FIRST_STEP / linear.rate if linear.condenses else 1e-3
        span, rtol = goal.end - hand_over, _STEP_SHARE * goal.rtol
        numbers = map(np.float64, (goal.loss, span, rtol, step))
        aim = loop.Goal(*numbers, max_steps=np.int64(goal.max_steps))
        saddle = self.start.saddle
        with float64():
            landed = loop.run(saddle.neurons, saddle.data, launch, aim, hand_over > 0)
            return loop.Landed(*map(np.asarray, landed))

    @staticmethod
    def outcome(landed: loop.Landed) -> Outcome:
        """How the loop ended."""
        if not (np.isfinite(landed.nodes).all() and np.isfinite(landed.loss).all()):
            return Outcome.NONFINITE
        if not landed.done:
            return Outcome.STEP_LIMIT
        return Outcome.EVENT if landed.fell else Outcome.REACHED_T


def _aside(theta: np.ndarray) -> np.ndarray:
    """`NOISE` of each node along itself, and as much in a fixed direction."""
    size = np.linalg.norm(theta, axis=1, keepdims=True)
    turn = np.cos(1.0 + 2.0 * np.arange(theta.size)).reshape(theta.shape)
    return NOISE * (theta + size * turn * math.sqrt(2.0 / theta.shape[1]))
