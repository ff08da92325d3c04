r"""One comparison: the full flow at scale $\varepsilon$ against the leading flow.

With $\theta = \varepsilon u$ and $\tau = \varepsilon^{k-2}t$ the full flow is
$u' = -\varepsilon^{1-k}\nabla L(\varepsilon u)$, of order 1 at every scale: a tolerance relative to
$u$ is one relative to $\varepsilon$ for $\theta$.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float

from flowtheory.flow import solve_smooth
from flowtheory.laws.leading_flow_error.cases import DIMENSION, SAMPLES, WIDTH, Case
from flowtheory.lower import lower_field
from flowtheory.precision import float64
from flowtheory.symbolic.effective import EffectiveFlow
from flowtheory.symbolic.field import gradient_flow
from flowtheory.symbolic.network import total_loss

WRONG_FACTOR = 1.1
HORIZON = 0.4  # in units of the time in which the leading flow moves by its own length, over k - 1

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Sweep:
    r"""Errors of one start over several scales, at one $\tau$.

    Attributes:
        eps: the scales.
        error: $|\theta/\varepsilon - \bar\theta|/|\bar\theta|$; NaN where a flow did not arrive.
        constant: $C = |\delta|/|\bar\theta|$ from the first variation, without any scale.
        wrong: the error against the flow of `WRONG_FACTOR` times the potential.
        samples: the number of data.
    """

    eps: Float[np.ndarray, " k"]
    error: Float[np.ndarray, " k"]
    constant: float
    wrong: Float[np.ndarray, " k"]
    samples: int


@dataclass(frozen=True)
class System:
    """The compiled fields of a case; `following` is the gap after the first one, at most q."""

    degree: int
    gap: int
    following: int
    names: tuple[str, ...]
    sizes: tuple[tuple[str, ...], ...]
    slope: Callable[[np.ndarray], np.ndarray]
    leading: Callable[[Any, Any], Any]
    both: Callable[[Any, Any], Any]
    full: Callable[[Any, Any], Any]


@lru_cache(maxsize=32)
def system(case: Case) -> System:
    """The leading field, with its first variation along the next term, and the full field."""
    flow = case.flow()
    network = case.network
    first = lower_field(flow.field, (flow.weight.base, network.inputs.base))
    following = flow.expansion[flow.degree + flow.gap]
    second = lower_field(gradient_flow(following, network.parameters), network.data)
    loss = total_loss(network, case.loss)
    everything = lower_field(gradient_flow(loss, network.parameters), network.data)

    def leading(u: Any, args: Any) -> Any:
        weight, x, _ = args
        return first(u, weight, x)

    def both(state: Any, args: Any) -> Any:
        import jax

        (u, delta), (_, x, y) = state, args
        rate, variation = jax.jvp(lambda point: leading(point, args), (u,), (delta,))
        source = second(u, x, y)
        return rate, {name: variation[name] + source[name] for name in variation}

    def full(u: Any, args: Any) -> Any:
        eps, x, y = args
        rate = everything({name: eps * array for name, array in u.items()}, x, y)
        return {name: eps ** (1 - flow.degree) * array for name, array in rate.items()}

    return System(
        degree=flow.degree,
        gap=flow.gap,
        following=_following(flow),
        names=tuple(map(str, network.bases)),
        sizes=tuple(tuple(map(str, base.shape)) for base in network.bases),
        slope=lambda y: y * float(case.loss.reference_slope),
        leading=leading,
        both=both,
        full=full,
    )


def _following(flow: EffectiveFlow) -> int:
    """The relative order of what is left beside the error of order q; its square is always left."""
    second = flow.degree + flow.gap
    later = (power - second for power in flow.expansion.powers if power > second)
    return min(flow.gap, *later, flow.gap)


def sweep(
    case: Case, eps: Float[np.ndarray, " k"], seed: int, images: tuple | None = None
) -> Sweep:
    """Draw data and a start of order 1, and compare the two flows at every scale."""
    parts, rng = system(case), np.random.default_rng(seed)
    x, y = _draw(rng) if images is None else images
    u = _start(parts, x.shape[1], rng)
    weight = parts.slope(y)
    with float64():
        rate = parts.leading(u, (weight, x, y))
    end = HORIZON * _norm(u) / _norm(rate) / (parts.degree - 1)
    zero = {name: np.zeros_like(array) for name, array in u.items()}
    reached = solve_smooth(parts.both, (u, zero), end, (weight, x, y))
    (limit, delta), ok = reached.state, reached.outcome.ok
    # The flow of a H at the time tau is that of H at a tau.
    off = solve_smooth(parts.both, (u, zero), WRONG_FACTOR * end, (weight, x, y)).state[0]
    error, wrong = [], []
    for scale in eps:
        run = solve_smooth(parts.full, u, end, (np.float64(scale), x, y))
        good = ok and run.outcome.ok
        error.append(_distance(run.state, limit) if good else np.nan)
        wrong.append(_distance(run.state, off) if good else np.nan)
    constant = _norm(delta) / _norm(limit)
    return Sweep(np.asarray(eps), np.array(error), constant, np.array(wrong), len(y))


def _draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x = rng.normal(size=(SAMPLES, DIMENSION)) / np.sqrt(DIMENSION)
    return x, rng.permutation(np.where(np.arange(SAMPLES) < 4, 1.0, -1.0))


def _start(parts: System, dimension: int, rng: np.random.Generator) -> Arrays:
    """Gaussian entries, every neuron of norm about 1."""
    found = {}
    for name, sizes in zip(parts.names, parts.sizes, strict=True):
        shape = [dimension if size == "D" else WIDTH for size in sizes]
        found[name] = rng.normal(size=shape) / np.sqrt(shape[-1])
    return found


def _norm(arrays: Any) -> float:
    return float(np.sqrt(sum(np.sum(np.asarray(array) ** 2) for array in arrays.values())))


def _distance(a: Arrays, b: Arrays) -> float:
    return _norm({name: a[name] - b[name] for name in b}) / _norm(b)
