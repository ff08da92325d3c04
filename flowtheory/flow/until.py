r"""What a run looks for: events that stop it, or that it notes on its way.

An event is a number $g$ of the state that passes through zero. It is located to root accuracy by a
Runge-Kutta step that ends there, and $g$ is sampled inside every step, so that a double crossing
is not missed.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from flowtheory.errors import ParameterError

Direction = Literal[-1, 0, 1]


class Snapshot(NamedTuple):
    """What an event may look at; what it does not use is not computed.

    Attributes:
        params: parameters by name.
        outputs: network outputs on the data.
        loss: loss in the clock's reduction.
        data: arrays by name, such as x and y.
    """

    params: Any
    outputs: Array
    loss: Float[Array, ""]
    data: Any


Value = Callable[[Snapshot, Float[Array, ""]], Float[Array, ""]]

_AT_ONCE = 256 * sys.float_info.epsilon  # of the time: what rounding of a value makes of a root


@dataclass(frozen=True)
class Event:
    r"""A passage of $g$ through zero.

    Attributes:
        name: what it is called in `run.events`.
        value: $g$ as a JAX function of (snapshot, level); a module-level function is compiled once.
        level: the number that `value` takes besides; a change of it compiles nothing.
        direction: -1 for a fall through zero, 1 for a rise, 0 for both.
        falling: whether $g$ never rises along the flow (as the loss): it is then looked at once a
            step instead of inside it.
        lasting: whether it has happened if the value is past zero at the start (a loss that is low
            enough); otherwise only a passage counts.
        of_plateau: whether `level` is a fraction of the loss of zero output.
    """

    name: str
    value: Value
    level: float = 0.0
    direction: Direction = -1
    falling: bool = False
    lasting: bool = False
    of_plateau: bool = False

    def past(self, value: float) -> bool:
        """Whether it has happened where the value at the start is this."""
        return self.lasting and value * -self.direction <= 0

    def sign(self, value: float) -> float:
        """The sign with which `value` is positive until it passes through zero; 0 if it is past."""
        if self.past(value):
            return 0.0
        return math.copysign(1.0, value) if value else float(-self.direction or 1)

    def passed(self, sign: float) -> tuple[bool, float]:
        """Whether a passage from that sign is one that is asked for, and the sign after it."""
        return self.direction == 0 or sign == -self.direction, 0.0 if self.falling else -sign

    def turned(
        self,
        index: int,
        t: float,
        signs: Float[np.ndarray, " e"],
        crossed: Float[np.ndarray, " e"],
    ) -> tuple[bool, Float[np.ndarray, " e"], Float[np.ndarray, " e"]]:
        """Whether a passage at `t` is to be noted, and signs and times of all events after it.

        A passage at the time of the last one is that one again: a root that rounding blurs.

        Args:
            index: of this event among all.
            t: time of the passage.
            signs: of all, as `sign` has them.
            crossed: time of the last passage of each; -inf for none.
        """
        asked, after = self.passed(signs[index])
        new = t - crossed[index] > _AT_ONCE * abs(t)
        signs, crossed = signs.copy(), crossed.copy()
        signs[index], crossed[index] = after, t
        return bool(asked and new), signs, crossed

    def resolved(self, plateau: float) -> Event:
        """The event with its level in numbers, for the loss `plateau` of zero output."""
        return (
            replace(self, level=self.level * plateau, of_plateau=False) if self.of_plateau else self
        )


@dataclass(frozen=True)
class Until:
    """A stopping rule: whichever comes first. Make one with `loss_below`, `event`, ... and `|`.

    Attributes:
        events: events that stop the run.
        classified: stop when every neuron's pattern is final under Assumption 1.
    """

    events: tuple[Event, ...] = ()
    classified: bool = False

    def __or__(self, other: Until) -> Until:
        """Stop at whichever comes first."""
        return Until(self.events + other.events, self.classified or other.classified)

    @property
    def loss(self) -> float | None:
        """The largest loss that stops the run; None if none does."""
        return max((e.level for e in self.events if e.value is _log_loss), default=None)


NEVER = Until()


def require_escape(level: float) -> None:
    """Raise `ParameterError` unless `level` can be an escape level of max |f|."""
    if not (math.isfinite(level) and level > 0):
        raise ParameterError(
            f"escape is {level!r}",
            expected="a finite level > 0 of max |f|",
            fix="0.1 (default); a level that is never reached, such as 1e9, records nothing",
        )


def loss_below(value: float) -> Until:
    """Stop when the loss falls to `value`; the time is located to root accuracy.

    Raises:
        ParameterError: `value` is not a finite number > 0.
    """
    if not (math.isfinite(value) and value > 0):
        raise ParameterError(
            f"loss_below({value!r})",
            expected="a finite loss > 0",
            fix="a fraction of the loss at zero output, for example 0.5 * n for the exponential",
        )
    return Until(
        (Event(f"loss below {value:g}", _log_loss, float(value), falling=True, lasting=True),)
    )


def plateau_left(fraction: float = 0.2) -> Until:
    r"""Stop when the loss is below $(1 - q)$ times its value at zero output, $q$ = `fraction`.

    Raises:
        ParameterError: `fraction` is not in (0, 1).
    """
    if not 0 < fraction < 1:
        raise ParameterError(
            f"plateau_left({fraction!r})",
            expected="the part of the plateau's loss that is lost, in (0, 1)",
            fix="0.2 for a drop by 20 %",
        )
    name = f"{fraction:.0%} of the plateau's loss gone"
    return Until((Event(name, _log_loss, 1 - fraction, -1, True, True, of_plateau=True),))


def norm_above(value: float) -> Until:
    r"""Stop when $|\theta|$ rises to `value`.

    Raises:
        ParameterError: `value` is not a finite number > 0.
    """
    if not (math.isfinite(value) and value > 0):
        raise ParameterError(
            f"norm_above({value!r})", expected="a finite norm > 0", fix="for example 1.0"
        )
    return Until((Event(f"norm above {value:g}", _log_norm, float(value), 1, lasting=True),))


def event(
    value: Callable[[Snapshot], Float[Array, ""]], direction: Direction = 0, name: str | None = None
) -> Until:
    """Stop when a number of the user's own passes through zero.

    Args:
        value: JAX function of a `Snapshot`; define it at module level, so that it is compiled once.
        direction: -1 for a fall through zero, 1 for a rise, 0 for both.
        name: what the event is called; by default the function's name.

    Raises:
        ParameterError: `value` is no function, or `direction` not one of -1, 0, 1.
    """
    if not callable(value) or direction not in (-1, 0, 1):
        raise ParameterError(
            f"event({value!r}, direction={direction!r})",
            expected="a JAX function of a Snapshot, and -1, 0 or 1",
            fix="event(lambda s: s.params['v'][0], direction=-1)",
        )
    return Until((Event(name or getattr(value, "__name__", "event"), _Own(value), 0.0, direction),))


def all_classified() -> Until:
    """Stop at the switch after which every neuron is in S_+ (v > 0), in S_- (v < 0) or dead."""
    return Until(classified=True)


@dataclass(frozen=True)
class _Own:
    """A user's function, with the signature of `Event.value`; equal for equal functions."""

    function: Callable[[Snapshot], Float[Array, ""]]

    def __call__(self, at: Snapshot, level: Float[Array, ""]) -> Float[Array, ""]:
        return jnp.asarray(self.function(at), jnp.float64)


def _log_loss(at: Snapshot, level: Float[Array, ""]) -> Float[Array, ""]:
    return jnp.log(at.loss / level)


def _log_norm(at: Snapshot, level: Float[Array, ""]) -> Float[Array, ""]:
    # Over the level first: XLA makes (da/l)/(a/l) a product that is 0/0 at 1e-250.
    return jnp.log(norm(jax.tree.map(lambda a: a / level, at.params)))


def norm(params: Any) -> Float[Array, ""]:
    r"""$|\theta|$ over all entries, without underflow of the squares."""
    leaves = [jnp.ravel(a) for a in jax.tree.leaves(params)]
    flat = jnp.concatenate(leaves)
    # The unit cancels, and so does its derivative, which would overflow.
    largest = lax.stop_gradient(jnp.max(jnp.abs(flat)))
    unit = jnp.where(largest > 0, largest, 1.0)
    return unit * jnp.sqrt(jnp.sum((flat / unit) ** 2))
