r"""Many gradient flows at once: seeds, scales, data, shapes; one named outcome a lane.

Flows of one network, loss and shape form a bucket. In a bucket, small starts go through the first
plateau in closed form together (`flowtheory.engine.plateaus`), and all lanes are then integrated
by the compiled loop of ensembles (`flowtheory.flow.ensemble`), each with steps of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Int

from flowtheory.engine.admit import (
    Params,
    PerLane,
    Problems,
    checked,
    described,
    ends_of,
    kind_of,
    require_levels,
)
from flowtheory.engine.plateau import Lead, hand_over, lead
from flowtheory.engine.plateaus import HandOvers, Lanes, energies, hand_overs
from flowtheory.engine.rests import Ask, taken, through_rests
from flowtheory.engine.run import Run
from flowtheory.errors import DataError
from flowtheory.flow.descend import DEFAULT as SETTINGS
from flowtheory.flow.diagnose import pace
from flowtheory.flow.settings import Settings
from flowtheory.flow.smooth import Functions, descent
from flowtheory.flow.until import NEVER, Until
from flowtheory.outcome import Outcome
from flowtheory.precision import float64
from flowtheory.symbolic.network import Network

MAX_STEPS = 20_000
"""Attempted steps of a lane; a level that is never reached ends here."""

_BEFORE = 0.999  # of the time to the end: how far a closed form may go
_BLOCK = 1 << 20  # parameters that are carried through a plateau together


@dataclass(frozen=True, eq=False)
class Ensemble:
    r"""The ends of many flows, in the order of the problems.

    Attributes:
        times: the last times, in each flow's clock; of the event where the outcome is `EVENT`.
        errors: estimated errors of `times`: those of the steps, taken along the path, and that of
            the closed form of the plateau. Of a lane that ran to its end time, by how much its
            state is early or late.
        outcomes: named, as in `flowtheory.flow.Many`.
        losses: at the end.
        params: at the end, one nesting of NumPy arrays a lane.
        hand_overs: times up to which the leading flow carried a lane, 0 where it was not used.
        methods: how each lane was integrated, in words.
        steps: accepted steps of each lane after the hand-over.
        evaluations: of the gradient after the hand-over, in all attempts.
        buckets: sets of lanes that were run together.
    """

    times: PerLane
    errors: PerLane
    outcomes: tuple[Outcome, ...]
    losses: PerLane
    params: tuple[Params, ...]
    hand_overs: PerLane
    methods: tuple[str, ...]
    steps: Int[np.ndarray, " lanes"]
    evaluations: Int[np.ndarray, " lanes"]
    buckets: int

    def __len__(self) -> int:
        return len(self.outcomes)

    @property
    def ok(self) -> Bool[np.ndarray, " lanes"]:
        """Where the outcome is a success."""
        return np.array([outcome.ok for outcome in self.outcomes])

    def stacked(self) -> Params:
        """`params` as arrays with a first axis of lanes.

        Raises:
            DataError: the lanes differ in shape.
        """
        shapes = {described(params) for params in self.params}
        if len(shapes) > 1:
            raise DataError(
                f"the lanes have {len(shapes)} different shapes",
                expected="parameters of one shape",
                fix="use ensemble.params, a tuple with one entry a lane",
            )
        return jax.tree.map(lambda *a: np.stack(a), *self.params)

    def table(self, **columns: Iterable[Any]) -> list[dict[str, Any]]:
        """One row a lane, of plain Python values.

        Args:
            **columns: further columns, one value a lane, such as the scales and seeds of a sweep;
                they come first.

        Raises:
            DataError: a column with another number of values.
        """
        given = {name: list(values) for name, values in columns.items()}
        for name, values in given.items():
            if len(values) != len(self):
                raise DataError(
                    f"the column {name} has {len(values)} values and there are {len(self)} lanes",
                    expected="one value a lane",
                    fix=f"build {name} along with the list of problems",
                )
        return [
            {name: values[i] for name, values in given.items()} | self._row(i)
            for i in range(len(self))
        ]

    def _row(self, i: int) -> dict[str, Any]:
        return {
            "outcome": self.outcomes[i].value,
            "ok": self.outcomes[i].ok,
            "time": float(self.times[i]),
            "error": float(self.errors[i]),
            "loss": float(self.losses[i]),
            "hand_over": float(self.hand_overs[i]),
            "method": self.methods[i],
            "steps": int(self.steps[i]),
            "evaluations": int(self.evaluations[i]),
        }

    def __repr__(self) -> str:
        names = [outcome.value for outcome in self.outcomes]
        counts = ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names))
        steps = int(self.steps.sum())
        return f"Ensemble({len(self)} lanes: {counts}; {self.buckets} buckets, {steps} steps)"


class _Ahead(NamedTuple):
    """Where the lanes are when they are to be integrated, and how they came there."""

    times: PerLane
    params: Params
    errors: PerLane
    methods: tuple[str, ...]


class _Options(NamedTuple):
    """What all lanes have in common."""

    until: Until
    ends: PerLane
    rtol: float
    skip: bool
    loop: dict[str, Any]


def solve_many(
    problems: Problems,
    t_end: float | Sequence[float] | PerLane = math.inf,
    *,
    until: Until = NEVER,
    rtol: float = SETTINGS.rtol,
    skip: bool = True,
    nonfinite: Literal["refuse", "mark"] = "refuse",
    max_steps: int = MAX_STEPS,
    chunk: int | None = None,
    threads: int | None = None,
) -> Ensemble:
    r"""Integrate many gradient flows to a level of the loss or to a time.

    Each problem is a flow and its start; flows may differ in data, network, loss and shapes. A
    bucket of one flow and many starts keeps one copy of the data. Whatever happens in a lane stays
    there: its outcome is named, and the other lanes go on. Of a lane no rows are saved; for its
    curve, run `flow.solve` on it.

    Args:
        problems: pairs (flow, params).
        t_end: final time, one for all or one a lane; may be left out if `until` ends the lanes.
        until: `ft.loss_below(...)` or `ft.plateau_left(...)`, resolved lane by lane; of several,
            whichever comes first.
        rtol: relative tolerance of a step, neuron by neuron.
        skip: whether small starts are carried through the first plateau by the leading flow.
        nonfinite: what becomes of a start with NaN or infinite entries: "refuse" raises before
            anything runs, "mark" gives its lane the outcome `NONFINITE`.
        max_steps: attempted steps of a lane; a level that is never reached ends in `STEP_LIMIT`.
        chunk: lanes that a thread advances together; see `flowtheory.flow.solve_many`.
        threads: by default one a core, on an accelerator one.

    Raises:
        DataError: no problems, or a start that does not fit its flow; the lane is named.
        ParameterError: a network with kinks, an event that is no level of the loss, or times and
            tolerances that make no sense.
    """
    problems = checked(problems, nonfinite)
    require_levels(until)
    ends = ends_of(t_end, len(problems), until)
    Settings(rtol=rtol, max_steps=max_steps)  # what it refuses is refused before anything runs
    loop = {"max_steps": max_steps, "chunk": chunk, "threads": threads}
    buckets = _buckets(problems)
    found = [
        _solved([problems[i] for i in members], _Options(until, ends[members], rtol, skip, loop))
        for members in buckets
    ]
    return _in_order(found, np.concatenate(buckets))


def _solved(problems: Problems, options: _Options) -> Ensemble:
    """The lanes of one bucket; those that come to rest where something grows, one by one."""
    lanes = _stacked(problems)
    ahead = _ahead(problems, lanes, options)
    level, targets = None, np.zeros(len(problems))
    if options.until.events:
        level, targets = _level(lanes.functions), _targets(lanes, options.until)
    ask = Ask(_rate(lanes.functions), level, targets, options.ends, options.rtol, options.loop)
    many, alone = through_rests(lanes._replace(params=ahead.params), ahead.times, ask)
    losses = _energies(lanes._replace(params=many.params))
    found = Ensemble(
        times=many.times,
        errors=many.time_errors + ahead.errors,
        outcomes=many.outcomes,
        losses=losses,
        params=tuple(jax.tree.map(lambda a, i=i: a[i], many.params) for i in range(len(problems))),
        hand_overs=ahead.times,
        methods=ahead.methods,
        steps=many.accepted,
        evaluations=many.evaluations,
        buckets=1,
    )
    return _alone(problems, alone, found, options) if alone else found


def _alone(problems: Problems, lanes: list[int], found: Ensemble, options: _Options) -> Ensemble:
    """The results with those of some lanes run by themselves, from their starts."""
    settings = Settings(rtol=options.rtol, max_steps=options.loop["max_steps"])
    outcomes, params, methods = map(list, (found.outcomes, found.params, found.methods))
    names = ("times", "errors", "losses", "hand_overs", "steps", "evaluations")
    numbers = {name: np.array(getattr(found, name)) for name in names}
    for i in lanes:
        flow, start = problems[i]
        run = flow.solve(
            start, float(options.ends[i]), until=options.until, save="norms",
            rtol=options.rtol, skip=options.skip, settings=settings,
        )  # fmt: skip
        cost = run.statistics
        own = (run.t_end, _in_time(flow, run), run.loss[-1], 0.0, cost.accepted, cost.evaluations)
        for name, value in zip(names, own, strict=True):
            numbers[name][i] = value
        outcomes[i], params[i] = run.outcome, run.params
        methods[i] = ALONE + ", then ".join(dict.fromkeys(stage.method for stage in run.stages))
    return replace(
        found, outcomes=tuple(outcomes), params=tuple(params), methods=tuple(methods), **numbers
    )


def _in_time(flow: Any, run: Run) -> float:
    """The error of a run as one of its time."""
    if run.outcome is Outcome.EVENT:
        return run.error_estimate
    moving = pace(flow._smooth, run.params)
    return run.error_estimate / moving if moving > 0 else 0.0


def _ahead(problems: Problems, lanes: Lanes, options: _Options) -> _Ahead:
    """Every lane at its hand-over, or at its start."""
    count, network = len(problems), problems[0][0].network
    leading = None
    if options.skip and isinstance(network, Network):
        leading = lead(network, problems[0][0].loss, problems[0][0].clock.reduction)
    horizons = _BEFORE * options.ends
    if leading is None:
        zero = np.zeros(count)
        return _Ahead(zero, lanes.params, zero, (_PLAIN,) * count)
    if leading.degree > 2:
        return _sundman(leading, problems, options.rtol, horizons)
    width = sum(a[0].size for a in jax.tree.leaves(lanes.params))
    size = max(1, _BLOCK // width)
    blocks = [np.arange(i, min(i + size, count)) for i in range(0, count, size)]
    found = [_linear(lanes, leading.gap, options.rtol, horizons, block) for block in blocks]
    all_ = jax.tree.map(lambda *a: np.concatenate(a), *found)
    return _Ahead(all_.times, all_.params, all_.errors, _methods(all_.used, _CLOSED_FORM))


def _linear(
    lanes: Lanes, gap: int, rtol: float, horizons: PerLane, block: Int[np.ndarray, " k"]
) -> HandOvers:
    padded = _padded(block)
    found = hand_overs(taken(lanes, padded), gap, rtol, horizons[padded])
    return jax.tree.map(lambda a: a[: len(block)], found)


def _sundman(leading: Lead, problems: Problems, rtol: float, horizons: PerLane) -> _Ahead:
    """Degree > 2: the plateau is integrated, lane by lane."""
    found = []
    for (flow, params), horizon in zip(problems, horizons, strict=True):
        good = all(np.isfinite(a).all() for a in params.values())
        found.append(hand_over(leading, flow._smooth, params, rtol, horizon) if good else None)
    starts = [
        params if f is None else f.params for f, (_, params) in zip(found, problems, strict=True)
    ]
    return _Ahead(
        np.array([0.0 if f is None else f.time for f in found]),
        jax.tree.map(lambda *a: np.stack(a), *starts),
        np.array([0.0 if f is None else f.error for f in found]),
        _methods([f is not None for f in found], _SUNDMAN),
    )


ALONE = "alone, since something grows where it rests: "
_PLAIN = "dopri8"
_CLOSED_FORM = "leading flow in closed form, then dopri8"
_SUNDMAN = "leading flow in log-norm and Sundman time, then dopri8"


def _methods(used: Iterable[Any], skipped: str) -> tuple[str, ...]:
    return tuple(skipped if one else _PLAIN for one in used)


def _stacked(problems: Problems) -> Lanes:
    flow = problems[0][0]
    shared = all(other is flow for other, _ in problems)
    data = dict(flow.data)
    if not shared:
        data = {name: np.stack([other.data[name] for other, _ in problems]) for name in data}
    params = jax.tree.map(lambda *a: np.stack(a), *(params for _, params in problems))
    return Lanes(flow._smooth.functions, params, data, shared)


def _padded(lanes: Int[np.ndarray, " k"]) -> Int[np.ndarray, " size"]:
    """Repeated to the next power of two, so that few lengths are ever compiled."""
    size = 1 << (len(lanes) - 1).bit_length()
    return np.concatenate([lanes, np.full(size - len(lanes), lanes[0])])


def _energies(lanes: Lanes) -> PerLane:
    count = len(jax.tree.leaves(lanes.params)[0])
    padded = taken(lanes, _padded(np.arange(count)))
    with float64():
        found = energies(padded.functions, padded.shared, padded.params, padded.data)
        return np.asarray(found)[:count]


def _targets(lanes: Lanes, until: Until) -> PerLane:
    """The loss at which each lane stops: the largest of those asked for."""
    plateau = np.zeros(len(jax.tree.leaves(lanes.params)[0]))
    if any(event.of_plateau for event in until.events):
        plateau = _energies(lanes._replace(params=jax.tree.map(np.zeros_like, lanes.params)))
    levels = [
        event.level * (plateau if event.of_plateau else np.ones_like(plateau))
        for event in until.events
    ]
    return np.max(np.stack(levels), axis=0)


@lru_cache(maxsize=64)
def _rate(functions: Functions) -> Callable[[Any, Any], Any]:
    return lambda params, args: descent(functions, params, args[0])


@lru_cache(maxsize=64)
def _level(functions: Functions) -> Callable[[Any, Any], Any]:
    return lambda params, args: jnp.log(functions.energy(params, args[0]) / args[1])


def _buckets(problems: Problems) -> list[Int[np.ndarray, " k"]]:
    """Lanes with functions and shapes in common."""
    found: dict[Any, list[int]] = {}
    for i, (flow, params) in enumerate(problems):
        found.setdefault(kind_of(flow, params), []).append(i)
    return [np.array(members) for members in found.values()]


def _in_order(found: list[Ensemble], lanes: Int[np.ndarray, " lanes"]) -> Ensemble:
    """The buckets' results in the caller's order."""
    back = np.argsort(lanes)

    def arrays(name: str) -> np.ndarray:
        return np.concatenate([getattr(one, name) for one in found])[back]

    def lists(name: str) -> Any:
        values = [value for one in found for value in getattr(one, name)]
        return tuple(values[i] for i in back)

    return Ensemble(
        times=arrays("times"),
        errors=arrays("errors"),
        outcomes=lists("outcomes"),
        losses=arrays("losses"),
        params=lists("params"),
        hand_overs=arrays("hand_overs"),
        methods=lists("methods"),
        steps=arrays("steps"),
        evaluations=arrays("evaluations"),
        buckets=len(found),
    )
