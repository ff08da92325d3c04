"""The network and losses by hand, and small problems with known answers."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.integrate import solve_ivp

from flowtheory.clock import Clock, Reduction
from flowtheory.data.families import random_cone
from flowtheory.flow import GradientFlow, TwoLayer


def frozen_outputs(params: TwoLayer, x: Any, pattern: Any) -> Any:
    return params.v @ (pattern * (params.W @ x.T))


def outputs(params: TwoLayer, x: Any) -> Any:
    return params.v @ jax.nn.relu(params.W @ x.T)


def exponential(y: Any, f: Any) -> Any:
    return jnp.exp(-y * f)


def logistic(y: Any, f: Any) -> Any:
    return jax.nn.softplus(-y * f)


def two_logistic(y: Any, f: Any) -> Any:
    return 2 * jax.nn.softplus(-y * f)


def half_square(y: Any, f: Any) -> Any:
    return (y - f) ** 2 / 2


LOSSES = {"exponential": exponential, "logistic": logistic, "two_logistic": two_logistic}
SLOPES = {"exponential": 1.0, "logistic": 0.5, "two_logistic": 1.0, "half_square": 1.0}


def make(
    x: np.ndarray, y: np.ndarray, loss: str = "exponential", reduction: Reduction = "sum"
) -> GradientFlow:
    clock = Clock(reduction, SLOPES[loss])
    return GradientFlow(
        frozen_outputs, outputs, {**LOSSES, "half_square": half_square}[loss], x, y, clock
    )


def balanced(W: np.ndarray, signs: np.ndarray | None = None) -> TwoLayer:
    norms = np.linalg.norm(W, axis=1)
    return TwoLayer(W, norms if signs is None else signs * norms)  # type: ignore[arg-type]


def slow_and_fast(
    eps: float, mu: float = 0.1, loss: str = "exponential"
) -> tuple[GradientFlow, TwoLayer, np.ndarray]:
    r"""Two points, one slow and one fast neuron: the race between alignment and escape.

    $x_1 = (1, 0)$, $x_2 = (\mu, \sqrt{1-\mu^2})$, both positive. The slow neuron starts at
    $\epsilon(0, -1)$, on the kink of $x_1$, which it enters at once; as $\epsilon \to 0$ it reaches
    the kink of $x_2$ at $\mathrm{arccosh}(1/\mu)$. The fast one starts aligned, at
    $\epsilon x_+/|x_+|$. Both balanced, v > 0. Returns the flow, the start and its pattern.
    """
    x = np.array([[1.0, 0.0], [mu, np.sqrt((1 - mu) * (1 + mu))]])
    total = x.sum(axis=0)
    W = eps * np.array([[0.0, -1.0], total / np.linalg.norm(total)])
    params = TwoLayer(W, np.full(2, eps))  # type: ignore[arg-type]
    return make(x, np.ones(2), loss), params, np.array([[True, False], [True, True]])


@cache
def cone(
    seed: int, loss: str = "exponential", reduction: Reduction = "sum", mu: float = 0.3
) -> tuple[GradientFlow, np.ndarray, np.ndarray]:
    """n = 4 data in D = 4 that satisfy Assumption 1, h = 6: flow, start directions, signs of v."""
    case = random_cone(
        n=4, dimension=4, mu=mu, h=6, labels="alternating", norm_spread=0.3, seed=seed
    )
    signs = np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    return make(case.data.x, case.data.y, loss, reduction), case.w0, signs


def scipy_switches(
    flow: GradientFlow, params: TwoLayer, t_end: float
) -> tuple[list[tuple[float, int, int]], np.ndarray]:
    """Switches (t, j, i) and final state for the exponential loss, by SciPy's DOP853 alone."""
    x, y = flow.x, flow.y
    h, D = params.W.shape
    pattern = params.W @ x.T > 0
    t, state = 0.0, np.append(np.ravel(params.W), params.v)
    switches = []

    def rhs(_: float, s: np.ndarray) -> np.ndarray:
        W, v = s[: h * D].reshape(h, D), s[h * D :]
        q = pattern * (W @ x.T)
        r = y * np.exp(-y * (v @ q))
        return np.append(((v[:, None] * pattern * r) @ x).ravel(), q @ r)

    def kink(j: int, i: int) -> Any:
        def g(_: float, s: np.ndarray) -> float:
            return float(s[j * D : (j + 1) * D] @ x[i])

        g.terminal = True  # type: ignore[attr-defined]
        g.direction = -1.0 if pattern[j, i] else 1.0  # type: ignore[attr-defined]
        return g

    pairs = [(j, i) for j in range(h) for i in range(len(y))]
    scale = np.abs(state).max()
    while t < t_end:
        events = [kink(*pair) for pair in pairs]
        out = solve_ivp(
            rhs, (t, t_end), state, method="DOP853", rtol=2.3e-14, atol=1e-16 * scale, events=events
        )
        t, state = out.t[-1], out.y[:, -1]
        for pair, times in zip(pairs, out.t_events, strict=True):
            if len(times):
                pattern[pair] = ~pattern[pair]
                switches.append((float(times[0]), *pair))
    return switches, state
