"""How many evaluations of the field do the late times of a smooth flow cost?

    python benchmarks/late_times.py [--problems A B logistic] [--json PATH]

Ours (stabilised methods) and the peers (diffrax: Tsit5 and Dopri8) in one run, at equal error of
the log of the loss at the end. A peer's steps count 6 and 13 evaluations, rejected steps included;
for ours a Jacobian-vector product counts as two evaluations.

A and B: two-layer tanh networks, m = 200, d = 10, n = 50, half mean square; A starts rich (weights
of size 0.03), B lazy (a factor m^(-1/2), weights of size 1); from half the loss of the zero function
to 1e-10 of it. logistic: two-layer linear network on separable data with small margin, to t = 1e12.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

from flowtheory import float64
from flowtheory.flow import solve_stabilised

TOLERANCES = 10.0 ** -np.arange(3.0, 10.0)
TARGETS = (1e-2, 1e-3, 1e-4, 1e-6, 1e-8)


@dataclass(frozen=True)
class Problem:
    """A flow from `start` over a time `span`; `log_time` for ours."""

    name: str
    field: Callable[[Any, Any], Any]
    log_loss: Callable[[Any, Any], Any]
    start: Any
    args: Any
    span: tuple[float, float]
    log_time: bool = False


@dataclass(frozen=True)
class Row:
    """One run."""

    problem: str
    method: str
    rtol: float
    evaluations: int
    error: float
    seconds: float
    outcome: str


def tanh_outputs(params, x, scale):
    W, v = params
    return scale * (v @ jnp.tanh(W @ x.T))


def tanh_loss(params, args):
    x, y, scale = args
    return jnp.mean((tanh_outputs(params, x, scale) - y) ** 2) / 2


def tanh_log_loss(params, args):
    return jnp.log(tanh_loss(params, args))


def tanh_field(params, args):
    return jax.tree.map(jnp.negative, jax.grad(tanh_loss)(params, args))


def linear_log_loss(params, args):
    W, v = params
    return jax.nn.logsumexp(jnp.log(jax.nn.softplus(-(args @ W.T @ v)))) - jnp.log(len(args))


def linear_loss(params, args):
    W, v = params
    return jnp.mean(jax.nn.softplus(-(args @ W.T @ v)))


def linear_field(params, args):
    return jax.tree.map(jnp.negative, jax.grad(linear_loss)(params, args))


def tanh_problem(name: str, seed: int, size: float, scale: float) -> Problem:
    """Labels: a linear function plus noise of size 0.2, inputs of norm 1."""
    m, d, n = 200, 10, 50
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    u = rng.standard_normal(d)
    y = x @ u / np.linalg.norm(u) + 0.2 * rng.standard_normal(n)
    start = (size * rng.standard_normal((m, d)), size * rng.standard_normal(m))
    args = (x, y, np.float64(scale))
    plateau = float(np.log(np.mean(y**2) / 2))
    _, start = until(start, args, plateau + np.log(0.5), 1e6)
    span, _ = until(start, args, plateau + np.log(1e-10), 1e6)
    return Problem(name, tanh_field, tanh_log_loss, start, args, (0.0, span))


def until(start, args, level: float, end: float) -> tuple[float, Any]:
    """Time and state at which the log loss has fallen to `level`, by ROCK4 and bisection."""
    times = np.geomspace(1e-2, end, 200)
    run = solve_stabilised(tanh_field, start, end, args, times=times, rtol=1e-8)
    with float64():
        logs = np.array([tanh_log_loss(jax.tree.map(lambda a: a[i], run.states), args)
                         for i in range(len(run.times))])
    k = int(np.argmax(logs < level))
    t = float(np.exp(np.interp(-level, -logs[k - 1 : k + 1], np.log(run.times[k - 1 : k + 1]))))
    final = solve_stabilised(tanh_field, start, t, args, rtol=1e-8)
    return t, jax.tree.map(lambda a: a[-1], final.states)


def logistic_problem(seed: int, offset: float) -> Problem:
    """Signed inputs with a margin of about `offset`."""
    m, d, n = 20, 5, 20
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((n, d))
    u = rng.standard_normal(d)
    u /= np.linalg.norm(u)
    z += np.outer(np.maximum(offset - z @ u, 0) * (1 + rng.random(n)), u)
    start = (0.1 * rng.standard_normal((m, d)), 0.1 * rng.standard_normal(m))
    return Problem("logistic", linear_field, linear_log_loss, start, z, (0.0, 1e12), True)


@partial(jax.jit, static_argnames=("field", "solver", "log_time"))
def peer(field, solver, log_time, start, args, span, rtol, atol):
    def rate(t, y, args):
        F = field(y, args)
        return jax.tree.map(lambda a: jnp.exp(t) * a, F) if log_time else F

    return diffrax.diffeqsolve(
        diffrax.ODETerm(rate), solver, span[0], span[1], None, start, args,
        stepsize_controller=diffrax.PIDController(rtol, atol, pcoeff=0.3, icoeff=0.4),
        adjoint=diffrax.ForwardMode(), max_steps=4_000_000, throw=False,
    )  # fmt: skip
