"""What an ensemble is given, checked lane by lane before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Float

from flowtheory.clock import Clock
from flowtheory.errors import DataError, FlowtheoryError, ParameterError
from flowtheory.flow.smooth import SmoothFlow
from flowtheory.flow.until import Until
from flowtheory.symbolic.loss import Loss
from flowtheory.symbolic.network import Network

Params = Any
PerLane = Float[np.ndarray, " lanes"]


@runtime_checkable
class Flow(Protocol):
    """What an ensemble needs to know of a `GradientFlow`."""

    @property
    def network(self) -> Any:
        """The network, or a JAX function."""
        ...

    @property
    def loss(self) -> Loss:
        """The loss of one sample."""
        ...

    @property
    def data(self) -> Mapping[str, np.ndarray]:
        """Arrays by name."""
        ...

    @property
    def clock(self) -> Clock:
        """Reduction of the loss, and its slope."""
        ...

    @property
    def solve(self) -> Callable[..., Any]:
        """One run by itself."""
        ...

    @property
    def _smooth(self) -> SmoothFlow:
        """The functions that are integrated."""
        ...

    def _checked(self, params: Params) -> Params:
        """`params` as float64 arrays, or an error that says what is wrong."""
        ...


Problems = Sequence[tuple[Flow, Params]]


def described(params: Params) -> Any:
    """Nesting and shapes."""
    leaves, tree = jax.tree.flatten(params)
    return tree, tuple(np.shape(a) for a in leaves)


def kind_of(flow: Flow, params: Params) -> Any:
    """What the lanes of a bucket have in common."""
    return flow._smooth.functions, described(params), described(dict(flow.data))


def checked(problems: Problems, nonfinite: str) -> Problems:
    """The problems with float64 starts that fit their flows; no lane runs before all are."""
    if nonfinite not in ("refuse", "mark"):
        raise ParameterError(
            f"nonfinite is {nonfinite!r}", expected="'refuse' or 'mark'", fix="nonfinite='mark'"
        )
    if len(problems) == 0:
        raise DataError(
            "there are no problems", expected="pairs (flow, params)", fix="give at least one"
        )
    known: set[Any] = set()
    found = []
    for i, problem in enumerate(problems):
        try:
            flow, params = _pair(problem)
            found.append((flow, _start(flow, params, nonfinite == "mark", known)))
        except FlowtheoryError as error:
            raise type(error)(
                f"lane {i}: {error.wrong}", expected=error.expected, fix=error.fix, more=error.more
            ) from error
    return found


def _pair(problem: Any) -> tuple[Flow, Params]:
    if not (isinstance(problem, tuple) and len(problem) == 2 and isinstance(problem[0], Flow)):
        raise DataError(
            f"the problem is a {type(problem).__name__}",
            expected="a pair (flow, params)",
            fix="[(flow, flow.init(scale=1e-6, seed=s)) for s in range(10)]",
        )
    if isinstance(problem[0].network, Network) and problem[0].network.surfaces:
        raise ParameterError(
            f"the kinks of a {problem[0].network.name} are not located in an ensemble",
            expected="a smooth network",
            fix="flow.solve(params, until=...) for each of these",
        )
    return problem


def _start(flow: Flow, params: Params, mark: bool, known: set[Any]) -> Params:
    """A start as float64 arrays; in full only the first of its shapes is checked."""
    leaves = jax.tree.leaves(params)
    if not all(isinstance(a, np.ndarray) and a.dtype == np.float64 for a in leaves):
        try:
            params = jax.tree.map(lambda a: np.asarray(a, dtype=np.float64), params)
        except (TypeError, ValueError):
            return flow._checked(params)
        leaves = jax.tree.leaves(params)
    finite = all(np.isfinite(a).all() for a in leaves)
    kind = kind_of(flow, params)
    if kind in known and (finite or mark):
        return params
    if mark and not finite:
        flow._checked(jax.tree.map(lambda a: np.where(np.isfinite(a), a, 1.0), params))
    else:
        params = flow._checked(params)
    known.add(kind)
    return params


def require_levels(until: Until) -> None:
    """Refuse events that are no levels of the loss."""
    other = [event.name for event in until.events if not event.falling]
    if other or until.classified:
        raise ParameterError(
            f"until is {', '.join(other) or 'a classification'}",
            expected="a level of the loss, or a final time",
            fix="ft.loss_below(...), ft.plateau_left(...), or flow.solve for other events",
        )


def ends_of(t_end: Any, lanes: int, until: Until) -> PerLane:
    """The final time of each lane."""
    ends = np.asarray(t_end, dtype=np.float64)
    if ends.ndim > 1 or (ends.ndim == 1 and len(ends) != lanes):
        raise ParameterError(
            f"t_end has shape {ends.shape} and there are {lanes} lanes",
            expected="one number, or one a lane",
            fix=f"an array of shape ({lanes},)",
        )
    if not (ends > 0).all() or (np.isinf(ends).any() and not until.events):
        raise ParameterError(
            f"t_end is {t_end!r}",
            expected="times > 0, finite unless until=... ends the lanes",
            fix="t_end=100.0, or until=ft.plateau_left(0.2)",
        )
    return np.broadcast_to(ends, lanes).copy()
