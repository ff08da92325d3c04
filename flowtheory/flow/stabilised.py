r"""Late times of smooth flows: adaptive steps with as many stages as stability needs.

The loop around `stages`: the spectral radius $\rho$ of the Jacobian by a power iteration on
Jacobian-vector products, the step length $h$ by the error estimate alone, the number of stages by
$h\rho$. Compiled once for one field and one set of shapes.

The power iteration starts from a random vector, then from the last eigenvector with a random
part added: the field itself is no good start, since late in a run it has no component along the
stiff directions (an estimate 300 times too small was seen).

In log time, $u = \log(1 + t)$ and $dy/du = e^u F(y)$, $u$ is part of the state, so that every stage
sees its own $e^u$; with one $e^u$ for a whole step the order would be lost.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int

from flowtheory.errors import DataError, ParameterError
from flowtheory.flow.schedule import save_times
from flowtheory.flow.settings import Settings
from flowtheory.flow.stages import SCHEMES, Stabilised, Step, Vector
from flowtheory.outcome import Outcome
from flowtheory.precision import as_float64, float64

_ATOL_FRACTION = 1e-4
_MARGIN, _CHANGE, _PRODUCTS, _MIXED = 1.2, 0.01, 60, 0.1
_REUSE = 25
_SAFETY, _SHRINK, _GROW = 0.85, 0.1, 8.0
_ALPHA, _BETA = 0.8, 0.3


class Effort(NamedTuple):
    """What a run cost.

    Attributes:
        accepted: steps taken.
        rejected: steps tried in vain.
        evaluations: of the field, rejected steps included.
        products: Jacobian-vector products of the spectral radius, each about two evaluations.
        stages: the most evaluations in one step.
    """

    accepted: Any
    rejected: Any
    evaluations: Any
    products: Any
    stages: Any


class LateRun(NamedTuple):
    r"""What `solve_stabilised` returns.

    Attributes:
        times: the times saved, the last one the end (or the last one passed before it failed).
        states: the states at these times, stacked along a new first axis, NumPy arrays.
        outcome: `REACHED_T`, `STEP_LIMIT`, `STIFF` (a step below the resolution of the time, as in
            a blow-up) or `NONFINITE`.
        error: the sum over the steps of the estimated local error, as a root mean square over
            the entries. It bounds the error of the last state as far as the flow contracts (a
            loss that is convex along the path), apart from the first step's own stiff modes.
        radius: the last estimate of the spectral radius of the Jacobian (in t).
        effort: what it cost.
    """

    times: Float[np.ndarray, " k"]
    states: Any
    outcome: Outcome
    error: float
    radius: float
    effort: Effort


class _Radius(NamedTuple):
    """Estimated spectral radius, its vector, and how many steps ago it was made."""

    value: Float[Array, ""]
    vector: Vector
    age: Int[Array, ""]


class _Carry(NamedTuple):
    """State of the loop; the compiled function returns its last value."""

    s: Float[Array, ""]
    y: Vector
    f: Vector
    h: Float[Array, ""]
    radius: _Radius
    last: Float[Array, ""]
    error: Float[Array, ""]
    saved: Int[Array, ""]
    buffer: Float[Array, "k N"]
    effort: Effort
    outcome: Int[Array, ""]


_RUNNING, _DONE, _STUCK, _NONFINITE = range(4)
_OUTCOMES = (Outcome.STEP_LIMIT, Outcome.REACHED_T, Outcome.STIFF, Outcome.NONFINITE)


def spectral_radius(
    field: Callable[[Vector], Vector], y: Vector, guess: Vector
) -> tuple[Float[Array, ""], Vector, Int[Array, ""]]:
    r"""Power iteration on the Jacobian of `field` at `y`, to a change of 1 %.

    Returns:
        $|Jv|$ of the last unit vector $v$ (at most $\rho$ for a symmetric $J$; take a margin), that
        vector, and the number of products.
    """
    product = jax.linearize(field, y)[1]

    def go_on(carry: tuple) -> Bool[Array, ""]:
        rho, old, _, count = carry
        return (count < _PRODUCTS) & (jnp.abs(rho - old) > _CHANGE * rho)

    def body(carry: tuple) -> tuple:
        rho, _, v, count = carry
        image = product(v)
        norm = jnp.linalg.norm(image)
        return norm, rho, jnp.where(norm > 0, image / jnp.where(norm > 0, norm, 1.0), v), count + 1

    v = guess / jnp.linalg.norm(guess)
    start = (jnp.inf * jnp.ones_like(y[0]), jnp.zeros_like(y[0]), v, jnp.zeros((), jnp.int64))
    first = body(start)
    rho, _, v, count = lax.while_loop(go_on, body, (first[0], jnp.zeros_like(y[0]), *first[2:]))
    return rho, v, count


class _Loop:
    """The functions of one run, closed over its data while it is being traced."""

    def __init__(
        self,
        field: Callable[[Vector], Vector],
        method: Stabilised,
        log_time: bool,
        rtol: Float[Array, ""],
        atol: Float[Array, ""],
        saves: Float[Array, " k"],
    ) -> None:
        self.scheme, self.log_time = SCHEMES[method], log_time
        self.inner, self.rtol, self.atol, self.saves = field, rtol, atol, saves

    def field(self, y: Vector) -> Vector:
        """Derivative of the state, which ends with u in log time."""
        if not self.log_time:
            return self.inner(y)
        return jnp.append(jnp.exp(y[-1]) * self.inner(y[:-1]), 1.0)

    def radius(self, y: Vector, old: _Radius, steps: Int[Array, ""]) -> tuple[_Radius, Array]:
        """Of the block of the state proper: the rest of the Jacobian in log time has none."""
        n = old.vector.size
        mixed = _MIXED * _unit(jax.random.normal(jax.random.key(steps), (n,), y.dtype))
        value, vector, count = spectral_radius(
            lambda x: self.field(jnp.concatenate([x, y[n:]]))[:n], y[:n], old.vector + mixed
        )
        return _Radius(_MARGIN * value, vector, jnp.zeros_like(old.age)), count

    def body(self, carry: _Carry) -> _Carry:
        tried = carry.effort.accepted + carry.effort.rejected
        radius, products = lax.cond(
            carry.radius.age >= _REUSE,
            lambda: self.radius(carry.y, carry.radius, tried),
            lambda: (carry.radius, jnp.zeros_like(tried)),
        )
        limit = self.saves[carry.saved]
        h = jnp.minimum(carry.h, self.scheme.reach / radius.value)
        clipped = carry.s + h >= limit
        h = jnp.where(clipped, limit - carry.s, h)
        n = self.scheme.choose(h * radius.value)
        step = self.scheme.step(self.field, carry.y, carry.f, h, n)
        effort = carry.effort._replace(
            evaluations=carry.effort.evaluations + n,
            products=carry.effort.products + products,
            stages=jnp.maximum(carry.effort.stages, n),
        )
        s = jnp.where(clipped, limit, carry.s + h)
        return self.judge(carry._replace(radius=radius, effort=effort), step, s, h)

    def judge(self, carry: _Carry, step: Step, s: Float[Array, ""], h: Float[Array, ""]) -> _Carry:
        n = carry.radius.vector.size
        size = jnp.maximum(jnp.abs(carry.y[:n]), jnp.abs(step.y[:n]))
        error = _rms(step.error[:n] / (self.atol + self.rtol * size))
        finite = jnp.isfinite(error) & jnp.all(jnp.isfinite(step.f))
        error = jnp.where(finite, jnp.maximum(error, 1e-8), jnp.inf)
        order = self.scheme.estimate
        factor = _SAFETY * error ** (-_ALPHA / order) * carry.last ** (_BETA / order)
        accepted = self.accept(carry, step, s, h * jnp.clip(factor, _SHRINK, _GROW), error)
        plain = jnp.clip(_SAFETY * error ** (-1 / order), _SHRINK, _SAFETY)
        rejected = self.reject(carry, h * plain, finite)
        return jax.tree.map(lambda a, b: jnp.where(error <= 1, a, b), accepted, rejected)

    def accept(
        self, carry: _Carry, step: Step, s: Float[Array, ""], h: Array, error: Array
    ) -> _Carry:
        n = carry.radius.vector.size
        y = step.y.at[n:].set(s)
        reached = s >= self.saves[carry.saved]
        saved = carry.saved + reached
        row = jnp.where(reached, carry.saved, len(self.saves))  # out of bounds: dropped
        clipped = s < carry.s + carry.h
        return carry._replace(
            s=s,
            y=y,
            f=step.f,
            # A step cut short by a save point says nothing against the step proposed before.
            h=jnp.where(clipped, jnp.maximum(h, carry.h), h),
            radius=carry.radius._replace(age=carry.radius.age + 1),
            last=jnp.where(clipped, carry.last, jnp.maximum(error, 1e-4)),
            error=carry.error + _rms(step.error[:n]),
            saved=saved,
            buffer=carry.buffer.at[row].set(y[:n], mode="drop"),
            effort=carry.effort._replace(accepted=carry.effort.accepted + 1),
            outcome=jnp.where(saved == len(self.saves), _DONE, _RUNNING),
        )

    def reject(self, carry: _Carry, h: Float[Array, ""], finite: Bool[Array, ""]) -> _Carry:
        lost = h <= 4 * jnp.finfo(h.dtype).eps * jnp.abs(carry.s) + jnp.finfo(h.dtype).tiny
        stuck = jnp.where(finite, _STUCK, _NONFINITE)
        # The Jacobian may have grown: look again, unless that was just done.
        age = jnp.where(carry.radius.age > 0, _REUSE, 0)
        return carry._replace(
            h=h,
            radius=carry.radius._replace(age=age),
            effort=carry.effort._replace(rejected=carry.effort.rejected + 1),
            outcome=jnp.where(lost, stuck, _RUNNING),
        )

    def first(self, s: Float[Array, ""], y: Vector) -> _Carry:
        state = jnp.append(y, s) if self.log_time else y
        zero, one = jnp.zeros((), jnp.int64), jnp.ones((), jnp.int64)
        f = self.field(state)
        unknown = _Radius(jnp.zeros_like(s), jnp.zeros_like(y), zero)
        radius, products = self.radius(state, unknown, zero)
        h = jnp.minimum(self.saves[-1] - s, 1 / radius.value)
        effort = Effort(zero, zero, one, products, zero)
        rows = jnp.zeros((len(self.saves), y.size), y.dtype)
        return _Carry(
            s, state, f, h, radius, jnp.ones_like(s), jnp.zeros_like(s), zero, rows, effort, zero
        )


def _unit(v: Vector) -> Vector:
    return v / jnp.linalg.norm(v)


def _rms(v: Vector) -> Float[Array, ""]:
    return jnp.sqrt(jnp.mean(v**2))


@partial(jax.jit, static_argnames=("field", "method", "log_time"))
def _run(
    field: Callable[[Any, Any], Any],
    method: Stabilised,
    log_time: bool,
    start: Any,
    args: Any,
    clock: Float[Array, ""],
    saves: Float[Array, " k"],
    tolerances: tuple[Float[Array, ""], Float[Array, ""]],
    max_steps: Int[Array, ""],
) -> tuple[_Carry, Any, Any]:
    """The last value of the loop, the saved states and the last state in the user's shape."""
    flat, restore = ravel_pytree(start)

    def vector(y: Vector) -> Vector:
        return ravel_pytree(field(restore(y), args))[0]

    loop = _Loop(vector, method, log_time, *tolerances, saves)

    def go_on(carry: _Carry) -> Bool[Array, ""]:
        spent = carry.effort.accepted + carry.effort.rejected >= max_steps
        return (carry.outcome == _RUNNING) & ~spent

    carry = lax.while_loop(go_on, loop.body, loop.first(clock, flat))
    return carry, jax.vmap(restore)(carry.buffer), restore(carry.y[: flat.size])


def solve_stabilised(
    field: Callable[[Any, Any], Any],
    start: Any,
    end: float,
    args: Any = None,
    *,
    method: Stabilised = "rock4",
    rtol: float = 1e-6,
    atol: float | None = None,
    log_time: bool = False,
    t_start: float = 0.0,
    times: Float[np.ndarray, " k"] | None = None,
    max_steps: int = 100_000,
) -> LateRun:
    r"""Integrate $\dot y = F(y)$ to a fixed time when $F$ is smooth and its Jacobian stiff.

    Meant for the late phase of a gradient flow (a Jacobian whose spectrum is nearly real), from
    about $\rho\,(\text{time left}) > 10^3$ on. A step is accepted when the root mean square of
    error / (`atol` + `rtol` |y|) over the entries of the state is at most 1.

    Args:
        field: $F$ as a JAX function of (state, args); one compilation serves one function object
            and one set of shapes.
        start: the state at `t_start`, arrays in any nesting of tuples and dictionaries.
        end: the final time.
        args: arrays that `field` takes besides.
        method: 'rock4' (order 4), or 'rkc2' (order 2), which is cheaper below 3 digits.
        rtol: relative tolerance of a step, in [1e-14, 1e-2].
        atol: absolute tolerance; by default 1e-4 `rtol` times the root mean square of the start.
            Late in a run the updates are small: with 1e-2 `rtol` the test passes all of them, and
            the log of the loss is lost.
        log_time: integrate in $\log(1 + t)$; for losses with an exponential tail only.
        t_start: the time of the start, >= 0.
        times: times to save at, in [`t_start`, `end`]; a step ends at each. The end is added.
        max_steps: budget of attempted steps.

    Raises:
        ParameterError: times out of order, or a tolerance or method out of its domain.
        DataError: the start is not finite, or zero.
    """
    saves = save_times([] if times is None else times, t_start, end)  # type: ignore[arg-type]
    start = jax.tree.map(lambda a: as_float64(a, "start"), start)
    tolerances = _tolerances(start, rtol, atol, method, max_steps)
    clock = np.log1p if log_time else np.asarray
    with float64():
        carry, states, last = _run(
            field,
            method,
            log_time,
            start,
            args,
            np.float64(clock(t_start)),
            np.float64(clock(saves)),
            tolerances,
            np.int64(max_steps),
        )
        carry, states, last = jax.tree.map(np.asarray, (carry, states, last))
    return _report(carry, states, last, saves, log_time)


def _report(
    carry: _Carry, states: Any, last: Any, saves: Float[np.ndarray, " k"], log_time: bool
) -> LateRun:
    """The saved part of the buffer, and where it stopped if that was before the end."""
    done, outcome = int(carry.saved), _OUTCOMES[int(carry.outcome)]
    now = float(np.expm1(carry.s)) if log_time else float(carry.s)
    times, states = saves[:done], jax.tree.map(lambda a: a[:done], states)
    if not outcome.ok:
        times = np.append(times, now)
        states = jax.tree.map(lambda a, b: np.concatenate([a, b[None]]), states, last)
    effort = Effort(*map(int, carry.effort))
    radius = float(carry.radius.value) / _MARGIN
    radius = radius / (1 + now) if log_time else radius
    return LateRun(times, states, outcome, float(carry.error), radius, effort)


def _tolerances(
    start: Any, rtol: float, atol: float | None, method: str, max_steps: int
) -> tuple[np.float64, np.float64]:
    """Checked tolerances; the absolute one in the units of the state."""
    Settings(rtol=rtol, max_steps=max_steps)
    if method not in SCHEMES:
        raise ParameterError(
            f"method is {method!r}", expected="'rkc2' or 'rock4'", fix="leave it out"
        )
    entries = np.concatenate([np.ravel(a) for a in jax.tree.leaves(start)])
    size = float(np.sqrt(np.mean(entries**2)))
    if size == 0:
        raise DataError(
            "the start is zero", expected="a start off the fixed point", fix="scale it to order 1"
        )
    if atol is None:
        return np.float64(rtol), np.float64(_ATOL_FRACTION * rtol * size)
    if not (np.isfinite(atol) and 0 < atol <= rtol * size):
        raise ParameterError(
            f"atol is {atol!r} for a state of root mean square {size:.3g}",
            expected=f"0 < atol <= rtol * size = {rtol * size:.3g}",
            fix="leave atol out",
        )
    return np.float64(rtol), np.float64(atol)
