r"""The first plateau without integrating the network: the leading flow to a hand-over.

While $|\theta|$ is small, $-\nabla L(\theta) = \nabla H(\theta)\,(1 + O(|\theta|^q))$ with the
leading $H$ of degree $k$ that the symbolic layer derives. For $k = 2$ its flow is linear and has a
closed form; for $k > 2$ it is integrated in log-norm and Sundman time. Neither sees the
initialization scale. At the hand-over the relative defect

$$ d = \max_g \frac{|{-\nabla_g L} - \nabla_g H|}{\lambda\,|\theta_g|} $$

over the groups $g$ (neurons) is measured, $\lambda = \langle\theta, \nabla H\rangle/|\theta|^2$
the rate of growth there. Since $d \propto |\theta|^q$, what was neglected before changes $\theta_g$
by $d/q$ of itself, and with it all later times by $d/(q\lambda)$.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from flowtheory.clock import Reduction
from flowtheory.errors import FlowtheoryError
from flowtheory.flow.coordinates import SundmanFlow, from_polar, inner, to_polar
from flowtheory.flow.growth import grown
from flowtheory.flow.propagator import propagator
from flowtheory.flow.smooth import Functions, SmoothFlow, descent
from flowtheory.flow.trail import Trail, closed_trail, sundman_trail
from flowtheory.lower.leading import LoweredFlow, vector_field
from flowtheory.precision import float64
from flowtheory.symbolic.leading import LeadingFlow, leading_flow
from flowtheory.symbolic.loss import Loss
from flowtheory.symbolic.network import Network

SMALL = 1e-4
"""Starts with an entry above this are integrated from the beginning."""

FAINT = 1e-100
PROBE = 1e-3
SHARE = 0.05  # of the tolerance
WORTH = math.log(3.0)
TRIES = 4
_FAINT = 1e-7  # rounding errors are then 2e-9 of the mode


def largest_entry(params: Any) -> float:
    """The largest modulus of the parameters."""
    return max(float(np.max(np.abs(a), initial=0.0)) for a in jax.tree.leaves(params))


class Lead(NamedTuple):
    """The leading flow of a network under a loss; equal for equal problems, and static in JAX.

    Attributes:
        degree: k.
        gap: q.
        rates: (params, given) -> the rates by name.
        prepare: data by name -> given.
        sundman: the flow in log-norm and Sundman time.
    """

    degree: int
    gap: int
    rates: Callable[[Any, Any], Any]
    prepare: Callable[..., dict[str, Any]]
    sundman: SundmanFlow


class Leading(NamedTuple):
    r"""The leading flow on data.

    Attributes:
        lead: the flow.
        flow: the full flow.
        given: what its rates take from the data.
        rate: (params) -> $\lambda$.
    """

    lead: Lead
    flow: SmoothFlow
    given: Any
    rate: Callable[[Any], float]

    def potential(self, params: Any) -> float:
        """H, by Euler's identity."""
        with float64():
            return float(_potential(self.lead.rates, params, self.given)) / self.lead.degree

    def fallen(self, states: list[Any]) -> Float[np.ndarray, " k"]:
        """By how much the loss has fallen at states of the path, the first of them the start."""
        values = np.array([self.potential(state) for state in states])
        return values - values[0]

    def judged(self, params: Any) -> tuple[float, float]:
        r"""$(d, \lambda)$ at a point; d is infinite where nothing grows.

        d rises with the scale; below `FAINT` it is that of `FAINT`, because at 1e-300 the field
        has denormal numbers, which are rounded to zero.
        """
        more = max(0.0, math.log(FAINT / largest_entry(params)))
        params = jax.tree.map(lambda a: math.exp(more) * a, params)
        speed = self.rate(params)
        if not speed > 0:
            return math.inf, speed
        with float64():
            numbers = (params, self.flow.data, self.given, np.float64(speed))
            defect = float(_defect(self.flow.functions, self.lead.rates, *numbers))
        return defect, math.exp(math.log(speed) - (self.lead.degree - 2) * more)


class HandOver(NamedTuple):
    r"""The end of the leading flow.

    Attributes:
        time: since the start.
        params: there.
        dissipated: by how much the loss has fallen, $H$ there minus $H$ at the start.
        error: what the neglected terms may have changed later times by.
        defect: d.
        leading: the flow that was used.
        trace: () -> the path up to there; None if it leaves the range of float64.
        method: what was used, in words.
        own: the part of `error` that comes from integrating the leading flow.
        dormant: least share of the norm that a growing mode has there.
    """

    time: float
    params: Any
    dissipated: float
    error: float
    defect: float
    leading: Leading
    trace: Callable[[], Trail | None]
    method: str
    own: float = 0.0
    dormant: float = 1.0

    @property
    def why(self) -> str:
        """Why the hand-over is where it is, and what it does not carry."""
        why = f"small start: neglected terms are {self.defect:.0e} of the field at the end"
        if self.faint:
            why += (
                f"; a slower mode has {self.dormant:.0e} of the norm there: no saddle follows at "
                "which it would take over, or the run would have been integrated from its start"
            )
        return why

    @property
    def faint(self) -> bool:
        """Whether rounding errors there may be seen in the times of slower modes."""
        return self.dormant < _FAINT


@lru_cache(maxsize=64)
def lead(network: Network, loss: Loss, reduction: Reduction) -> Lead | None:
    """The leading flow if the network has one without kinks and without a constant to be fitted."""
    if network.surfaces:
        return None
    try:
        flow: LeadingFlow = leading_flow(network, loss, reduction=reduction)
    except FlowtheoryError:
        return None
    if flow.fit is not None or flow.degree < 2:
        return None
    lowered: LoweredFlow = vector_field(flow)

    def rates(params: Any, given: Any) -> Any:
        return lowered(params, given)

    sundman = SundmanFlow(rates, float(flow.degree))
    return Lead(flow.degree, flow.gap, rates, lowered.prepare, sundman)


def hand_over(
    lead: Lead, flow: SmoothFlow, params: Any, rtol: float, horizon: float = math.inf
) -> HandOver | None:
    """Carry a small start to the largest scale at which the leading flow is still good enough.

    Args:
        lead: the leading flow.
        flow: the full flow.
        params: the start.
        rtol: the tolerance of the run; the defect is kept below a twentieth of it.
        horizon: the time that must not be passed.

    Returns:
        None where nothing is gained: a large start, no growth, or a defect that stays too large.
    """
    if largest_entry(params) > SMALL:
        return None
    given = lead.prepare(**flow.data)
    carry = _linear if lead.degree == 2 else _homogeneous
    return carry(lead, flow, params, given, SHARE * rtol, horizon)


def _linear(
    lead: Lead, flow: SmoothFlow, params: Any, given: Any, share: float, horizon: float
) -> HandOver | None:
    names = list(params)
    shapes = [params[name].shape for name in names]
    ends = np.cumsum([params[name].size for name in names])[:-1]

    def back(v: Float[np.ndarray, " N"]) -> dict[str, np.ndarray]:
        parts = zip(names, np.split(v, ends), shapes, strict=True)
        return {name: part.reshape(shape) for name, part, shape in parts}

    def flat(tree: Any) -> Float[np.ndarray, " N"]:
        return np.concatenate([np.ravel(tree[name]) for name in names])

    def product(v: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        with float64():
            return flat(_rates(lead.rates, back(v), given))

    closed = propagator(product, flat(params))
    if not closed.closed or closed.rate <= 0:
        return None

    def state(level: float) -> tuple[float, Any]:
        t = min(closed.time_of(level), horizon)
        return t, (back(closed.at(t)) if math.isfinite(t) else None)

    leading = Leading(lead, flow, given, lambda _: closed.rate)
    found = _search(leading, state, closed.log_size, share)
    if found is None:
        return None

    def trace() -> Trail:
        return closed_trail(closed, back, found.time)

    handed = _handed(leading, params, found, trace, CLOSED_FORM)
    return handed._replace(dormant=closed.dormant(found.time))


def _homogeneous(
    lead: Lead, flow: SmoothFlow, params: Any, given: Any, share: float, horizon: float
) -> HandOver | None:
    start = to_polar(params)
    tick = -(lead.degree - 2) * start.log_norm
    if tick > _LONGEST:
        return None

    errors = []

    def state(level: float) -> tuple[float, Any]:
        if level <= start.log_norm:
            return math.inf, None
        found = grown(lead.sundman, params, level - start.log_norm, given)
        t = found.time * math.exp(tick)
        # An exponent of hundreds leaves the digits of its exponential to its own rounding error.
        errors.append(found.error * math.exp(tick) + _ULP * (abs(tick) + 4) * t)
        return t, (from_polar(found.state) if t <= horizon else None)

    def rate(theta: Any) -> float:
        with float64():
            return float(_growth(lead.rates, theta, given))

    leading = Leading(lead, flow, given, rate)
    found = _search(leading, state, start.log_norm, share)
    if found is None:
        return None

    def trace() -> Trail | None:
        gain = to_polar(found.params).log_norm - start.log_norm
        return sundman_trail(lead.sundman, start, gain, given)

    handed = _handed(leading, params, found, trace, _SUNDMAN)
    return handed._replace(error=handed.error + errors[-1], own=errors[-1])


_ULP = float(np.finfo(np.float64).eps)
_LONGEST = 700.0  # ln of the largest time that float64 holds, less a margin
CLOSED_FORM = "leading flow in closed form"
_SUNDMAN = "leading flow in log-norm and Sundman time"


class _Found(NamedTuple):
    """A hand-over in the making."""

    time: float
    params: Any
    defect: float
    rate: float


def _search(
    leading: Leading,
    state: Callable[[float], tuple[float, Any]],
    log_start: float,
    share: float,
) -> _Found | None:
    """The largest scale with a defect below `share`, from its power law; None if not worth it."""
    level = math.log(PROBE)
    for _ in range(TRIES):
        if level - log_start < WORTH:
            return None
        time, params = state(level)
        if params is None:
            return None
        defect, speed = leading.judged(params)
        if defect <= share:
            return _Found(time, params, defect, speed)
        if not math.isfinite(defect):
            return None
        level -= math.log(1.1 * defect / share) / leading.lead.gap
    return None


def _handed(
    leading: Leading,
    start: Any,
    found: _Found,
    trace: Callable[[], Trail | None],
    method: str,
) -> HandOver:
    error = found.defect / (leading.lead.gap * found.rate)
    fallen = leading.potential(found.params) - leading.potential(start)
    return HandOver(found.time, found.params, fallen, error, found.defect, leading, trace, method)


@partial(jax.jit, static_argnames=("rates",))
def _rates(rates: Callable[..., Any], params: Any, given: Any) -> Any:
    return rates(params, given)


@partial(jax.jit, static_argnames=("rates",))
def _potential(rates: Callable[..., Any], params: Any, given: Any) -> Array:
    """k H, by Euler's identity."""
    return inner(params, rates(params, given))


@partial(jax.jit, static_argnames=("rates",))
def _growth(rates: Callable[..., Any], params: Any, given: Any) -> Array:
    return inner(params, rates(params, given)) / inner(params, params)


@partial(jax.jit, static_argnames=("functions", "rates"))
def _defect(
    functions: Functions,
    rates: Callable[..., Any],
    params: Any,
    data: Any,
    given: Any,
    speed: Array,
) -> Array:
    return worst_defect(functions, params, data, rates(params, given), speed)


def worst_defect(
    functions: Functions, params: Any, data: Any, leading: Any, speed: Array
) -> Float[Array, ""]:
    """The worst group's difference between the full and the leading field, in units of `speed`."""
    off = jax.tree.map(jnp.subtract, descent(functions, params, data), leading)
    size = functions.sizes(params)
    return jnp.max(functions.sizes(off) / jnp.where(size > 0, size, 1.0)) / speed
