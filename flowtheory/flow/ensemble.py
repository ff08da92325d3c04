r"""Many gradient flows at once: seeds, initialization scales, data sets.

Each lane has its own time, step length, tolerance and named outcome. On a CPU the lanes are sorted
by predicted cost and dealt to one thread a core, each of which keeps a few slots full (see
`lanes`); on an accelerator all lanes run in one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from flowtheory.errors import DataError, ParameterError
from flowtheory.flow.crew import Crew, crew_for, work
from flowtheory.flow.dop853 import STAGES
from flowtheory.flow.lanes import Code, Ends, Problem, Queue
from flowtheory.flow.settings import Settings
from flowtheory.outcome import Outcome
from flowtheory.precision import float64

_ATOL_FRACTION = 1e-3
_OUTCOMES = {
    Code.EVENT: Outcome.EVENT,
    Code.END: Outcome.REACHED_T,
    Code.STEP_LIMIT: Outcome.STEP_LIMIT,
    Code.STUCK: Outcome.STIFF,
    Code.BLEW_UP: Outcome.BLEW_UP,
    Code.NONFINITE: Outcome.NONFINITE,
    Code.STATIONARY: Outcome.STATIONARY,
    Code.RESTS: Outcome.STALLED,
}


class Lane(NamedTuple):
    """One lane of a `Many`; the attributes are the same."""

    params: Any
    time: float
    outcome: Outcome
    time_error: float
    accepted: int
    evaluations: int


class Many(NamedTuple):
    r"""What `solve_many` returns; every array has a first axis of lanes, in the caller's order.

    Attributes:
        params: the last parameters, NumPy arrays in the nesting of the starts.
        times: the last times; of an event if `outcomes` says so.
        outcomes: `EVENT`, `REACHED_T`, `STATIONARY` (the rate is zero at the start), `BLEW_UP`
            (the norm grew $10^6$-fold and more, and doubles within $10^{-9}$ of the time: `times`
            is the time of the blow-up to that), `STIFF`, `STEP_LIMIT`, `NONFINITE` (in the
            start or the lane's data, or met by every shorter step), or `STALLED` for a lane that
            came to rest (see `rest`).
        time_errors: sum over the steps of the estimated local error divided by the length of the
            rate: by how much the errors shift the path in time, as far as they lie along it. The
            estimate is that of the step control, usually far above the error made.
        accepted: steps taken.
        evaluations: of the rate, in all attempts.
        changes: of the last step that was tried, relative to the largest group.
    """

    params: Any
    times: Float[np.ndarray, " lanes"]
    outcomes: tuple[Outcome, ...]
    time_errors: Float[np.ndarray, " lanes"]
    accepted: Int[np.ndarray, " lanes"]
    evaluations: Int[np.ndarray, " lanes"]
    changes: Float[np.ndarray, " lanes"]

    @property
    def ok(self) -> Bool[np.ndarray, " lanes"]:
        """Where the outcome is a success."""
        return np.array([outcome.ok for outcome in self.outcomes])

    def lane(self, i: int) -> Lane:
        """The results of lane `i`."""
        return Lane(
            jax.tree.map(lambda a: a[i], self.params),
            float(self.times[i]),
            self.outcomes[i],
            float(self.time_errors[i]),
            int(self.accepted[i]),
            int(self.evaluations[i]),
        )


def tensor_norms(params: Any) -> Any:
    """The 2-norm of each array (scaled before it is squared): the default groups of errors."""

    def norm(a: Any) -> Any:
        largest = jnp.max(jnp.abs(a), initial=0.0)
        unit = a / jnp.where(largest > 0, largest, 1.0)
        return largest * jnp.sqrt(jnp.sum(unit**2))

    return jnp.stack([norm(a) for a in jax.tree.leaves(params)])


def solve_many(
    rate: Callable[[Any, Any], Any],
    level: Callable[[Any, Any], Any] | None,
    starts: Any,
    ends: float | Float[np.ndarray, " lanes"] = np.inf,
    args: Any = None,
    *,
    shared: Any = False,
    t_start: float | Float[np.ndarray, " lanes"] = 0.0,
    rtol: float = 1e-8,
    atol: float | Float[np.ndarray, " lanes"] | None = None,
    sizes: Callable[[Any], Any] = tensor_norms,
    samples: int = 0,
    order_by: Float[np.ndarray, " lanes"] | None = None,
    max_steps: int = 100_000,
    rest: float | Float[np.ndarray, " lanes"] = 0.0,
    moved: float | Float[np.ndarray, " lanes"] = np.inf,
    trust: float = 0.0,
    chunk: int | None = None,
    threads: int | None = None,
) -> Many:
    r"""Integrate $\dot\theta = F(\theta, a)$ for many starts and data, to an event or a time.

    `rate`, `level` and `sizes` are functions of one problem, written without an axis of lanes. One
    compilation serves the same functions, shapes and `chunk` (the number of lanes is rounded up).
    A lane is never influenced by another, except by rounding.

    A step is accepted when for every group $g$ of `sizes` the error is at most
    `atol` + `rtol` $|\theta_g|$. The event is located by Runge-Kutta steps that end at it.

    Args:
        rate: $F$ as a JAX function of (params, args).
        level: a JAX function of (params, args), positive before the event and zero at it, smooth;
            for a loss, `log(loss / target)` needs the fewest steps to land. Without it, a lane runs
            to its end.
        starts: parameters, every array with a first axis of lanes.
        ends: final times, may be infinite if there is a level.
        args: arrays that `rate` and `level` take besides, with a first axis of lanes each.
        shared: True if all arrays of `args` are shared by all lanes (no axis of lanes), or a
            nesting like that of `args` that says so for each.
        t_start: times of the starts (a closed form may have brought them there).
        rtol: relative tolerance of a step, in [1e-14, 1e-2].
        atol: absolute tolerance; by default `rtol` times 1e-3 of the lane's smallest group at the
            start that is not zero.
        sizes: params to the norms of its groups (neurons, say), a vector.
        samples: how many interior points of each step (on a cubic) are tested for the event. None
            are needed for a loss along its own gradient flow, which cannot cross twice.
        order_by: predicted cost of each lane; by default the log of 1 / start size.
        max_steps: budget of attempted steps of a lane.
        rest: a lane ends as `STALLED` before a step that changes it by less than this,
            relative to its largest group: what grows unseen beside what rests is then for the
            caller to see to. By default no lane does.
        moved: what the lanes have changed by, relative to their size, before they begin.
        trust: such a change, counted on, up to which a lane is not held to be at rest.
        chunk: lanes that a thread advances together; by default 8, on an accelerator 4096.
        threads: by default one a core, on an accelerator one.

    Raises:
        ParameterError: an option outside its domain, an infinite end without a level, or an `atol`
            that would swallow the start.
        DataError: axes of lanes that differ, or shared data that are not finite.
    """
    Settings(rtol=rtol, max_steps=max_steps, chunk=chunk or 1)
    starts, lanes = _lanes_of(starts)
    args, axes = _laid_out(args, shared, lanes)
    finite = _finite(starts, args, axes, lanes)
    t, end = _times(t_start, ends, lanes, level is None)
    with float64():
        groups = np.asarray(jax.vmap(lambda p: jnp.ravel(sizes(p)))(starts))
    _require_sizes(starts, groups, finite)
    floor = _absolute(groups, rtol, atol, finite)
    cost = -np.log(_sizes_of(groups)) if order_by is None else np.asarray(order_by, float)
    crew = crew_for(int(finite.sum()), chunk, threads)
    problem = Problem(rate, level, sizes, axes, samples)
    # Failed lanes are not run at all; the costliest of the others come first.
    order = np.flatnonzero(finite)[np.argsort(-cost[finite], kind="stable")]
    before, quiet = (
        np.broadcast_to(_numbers(a, name), t.shape)
        for a, name in ((moved, "moved"), (rest, "rest"))
    )
    limits = np.float64(rtol), np.int64(max_steps), before, quiet, np.float64(trust)
    queue = Queue(starts, args, t, end, floor, *limits)
    return _collect(starts, t, order, _run(problem, queue, order, crew))


def _run(problem: Problem, queue: Queue, order: Int[np.ndarray, " run"], crew: Crew) -> Ends | None:
    return work(problem, queue, order, crew) if len(order) else None


def _collect(
    starts: Any, t: Float[np.ndarray, " lanes"], order: Int[np.ndarray, " run"], ends: Ends | None
) -> Many:
    """Results in the caller's order; lanes that were not run keep their start."""
    lanes = len(t)
    codes, times = np.full(lanes, int(Code.NONFINITE)), t.copy()
    shift, change, counts = np.zeros(lanes), np.zeros(lanes), np.zeros((2, lanes), int)
    leaves, tree = jax.tree.flatten(jax.tree.map(np.copy, starts))
    if ends is not None:
        codes[order], times[order], shift[order] = ends.code, ends.t, ends.shift
        change[order] = ends.change
        counts[:, order] = ends.accepted, STAGES * ends.attempts + 2
        cuts = np.cumsum([a[0].size for a in leaves])[:-1]
        for leaf, part in zip(leaves, np.split(ends.y, cuts, axis=1), strict=True):
            leaf[order] = part.reshape(-1, *leaf.shape[1:])
    outcomes = tuple(_OUTCOMES[Code(code)] for code in codes)
    params = jax.tree.unflatten(tree, leaves)
    return Many(params, times, outcomes, shift, counts[0], counts[1], change)


def solve_buckets(
    rate: Callable[[Any, Any], Any],
    level: Callable[[Any, Any], Any] | None,
    problems: Sequence[tuple[Any, Any]],
    **options: Any,
) -> list[Lane]:
    """As `solve_many`, for problems (start, args) of different shapes: one ensemble a shape.

    Args:
        rate: as in `solve_many`.
        level: as in `solve_many`.
        problems: start and args of each lane, all in the same nesting.
        **options: of `solve_many`, except `shared`, one value for all lanes.

    Raises:
        ParameterError: see `solve_many`.
        DataError: see `solve_many`.
    """
    buckets: dict[Any, list[int]] = {}
    for i, problem in enumerate(problems):
        leaves, tree = jax.tree.flatten(problem)
        buckets.setdefault((tree, tuple(np.shape(a) for a in leaves)), []).append(i)
    results: dict[int, Lane] = {}
    for members in buckets.values():
        starts, args = jax.tree.map(lambda *a: np.stack(a), *(problems[i] for i in members))
        many = solve_many(rate, level, starts, args=args, **options)
        results |= {i: many.lane(place) for place, i in enumerate(members)}
    return [results[i] for i in range(len(problems))]


def _numbers(a: Any, name: str) -> np.ndarray:
    """A float64 array, non-finite entries allowed: they exclude a lane, not the ensemble."""
    try:
        return np.array(a, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{name} cannot be read as numbers ({error})",
            expected="arrays of real numbers",
            fix=f"convert {name} with numpy.asarray(..., dtype=float) first",
        ) from error


def _lanes_of(starts: Any) -> tuple[Any, int]:
    """The starts as arrays, and the number of lanes."""
    starts = jax.tree.map(lambda a: _numbers(a, "starts"), starts)
    counts = {a.shape[0] if a.ndim else None for a in jax.tree.leaves(starts)}
    if len(counts) != 1 or counts & {None, 0}:
        raise DataError(
            f"the arrays of starts have {sorted(map(str, counts))} lanes",
            expected="a first axis of lanes, the same and not empty in every array",
            fix="stack the starts: jax.tree.map(lambda *a: numpy.stack(a), *starts)",
        )
    return starts, counts.pop()  # type: ignore[return-value]


def _laid_out(args: Any, shared: Any, lanes: int) -> tuple[Any, tuple[int | None, ...]]:
    """The args as arrays, and for each leaf 0 (own) or None (shared)."""
    args = jax.tree.map(lambda a: _numbers(a, "args"), args)
    leaves = jax.tree.leaves(args)
    flags = [shared] * len(leaves) if isinstance(shared, bool) else jax.tree.leaves(shared)
    if len(flags) != len(leaves):
        raise ParameterError(
            f"shared has {len(flags)} entries for {len(leaves)} arrays of args",
            expected="True, False, or a nesting like that of args",
            fix="one True or False for each array of args",
        )
    for a, flag in zip(leaves, flags, strict=True):
        if flag and not np.isfinite(a).all():
            raise DataError(
                "an array that all lanes share has non-finite entries",
                expected="finite numbers (a lane's own data may fail, with the lane's outcome)",
                fix="drop or impute these entries",
            )
        if not flag and (a.ndim == 0 or a.shape[0] != lanes):
            raise DataError(
                f"an array of args has shape {a.shape} and there are {lanes} lanes",
                expected="a first axis of lanes",
                fix="stack the data of all lanes, or say shared=True for common data",
            )
    return args, tuple(None if flag else 0 for flag in flags)


def _finite(
    starts: Any, args: Any, axes: tuple[int | None, ...], lanes: int
) -> Bool[np.ndarray, " lanes"]:
    """The lanes whose start and own data are finite."""
    own = [a for a, axis in zip(jax.tree.leaves(args), axes, strict=True) if axis == 0]
    arrays = [a.reshape(lanes, -1) for a in (*jax.tree.leaves(starts), *own)]
    return np.logical_and.reduce([np.isfinite(a).all(axis=1) for a in arrays])


def _times(
    t_start: Any, ends: Any, lanes: int, bounded: bool
) -> tuple[Float[np.ndarray, " lanes"], Float[np.ndarray, " lanes"]]:
    t = np.broadcast_to(_numbers(t_start, "t_start"), lanes).copy()
    end = np.broadcast_to(_numbers(ends, "ends"), lanes).copy()
    if not np.isfinite(t).all() or np.isnan(end).any() or (end < t).any():
        raise ParameterError(
            "an end is before its start, or a time is not a number",
            expected="finite t_start <= ends",
            fix="integrate forwards",
        )
    if bounded and np.isinf(end).any():
        raise ParameterError(
            "an end is infinite and there is no level",
            expected="finite ends, or a level to stop at",
            fix="give ends",
        )
    return t, end


def _require_sizes(
    starts: Any, groups: Float[np.ndarray, "lanes groups"], finite: Bool[np.ndarray, " lanes"]
) -> None:
    moves = np.logical_or.reduce(
        [(a != 0).reshape(len(finite), -1).any(axis=1) for a in jax.tree.leaves(starts)]
    )
    if (moves & finite & ~(groups > 0).any(axis=1)).any():
        raise ParameterError(
            "sizes is zero for a start that is not",
            expected="the norm of every group of parameters",
            fix="below 1e-154 a square is zero: divide by the largest entry before squaring",
        )


def _sizes_of(groups: Float[np.ndarray, "lanes groups"]) -> Float[np.ndarray, " lanes"]:
    """The smallest group of each lane that is not zero (1 if all are)."""
    smallest = np.min(np.where(groups > 0, groups, np.inf), axis=1)
    return np.where(np.isfinite(smallest), smallest, 1.0)


def _absolute(
    groups: Float[np.ndarray, "lanes groups"],
    rtol: float,
    atol: Any,
    finite: Bool[np.ndarray, " lanes"],
) -> Float[np.ndarray, " lanes"]:
    smallest = _sizes_of(groups)
    if atol is None:
        return rtol * _ATOL_FRACTION * smallest
    given = np.broadcast_to(_numbers(atol, "atol"), smallest.shape)
    if not (np.isfinite(given) & (given >= 0) & (given <= rtol * smallest))[finite].all():
        raise ParameterError(
            f"atol is {atol!r} and the smallest group starts at {smallest[finite].min():.3g}",
            expected="0 <= atol <= rtol * size in every lane",
            fix="leave atol out: the tolerance is relative, group by group",
            more="a larger atol swallows the initialization: the run escapes at a wrong time",
        )
    return given.copy()
