"""How many evaluations of the field do the late times of a smooth flow cost?

    python benchmarks/late_times.py [--problems A B logistic] [--json [PATH]] [--quick]

Ours (stabilised methods) and the peers (diffrax: Tsit5 and Dopri8) in one run, at equal error of
the log of the loss at the end. A peer's steps count 6 and 13 evaluations, rejected steps included;
for ours a Jacobian-vector product counts as two evaluations. "rock4" and "rkc2" are
`solve_stabilised` to the final time; "auto" is `ft.GradientFlow.solve` as a user calls it, for A
and B until the loss is at the reference's at the final time (the error of the time of that, times
the rate of the log loss, is then the error of the log loss), for the logistic problem to the final
time in log time; one run, without the second one of the error estimate.

A and B: two-layer tanh networks, m = 200, d = 10, n = 50, half mean square; A starts rich (weights
of size 0.03), B lazy (a factor m^(-1/2), weights of size 1); from half the loss of the zero
function to 1e-10 of it. logistic: two-layer linear network on separable data of small margin, to
t = 1e12 (ours and the peers in log time).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import astuple, dataclass, fields, replace
from functools import partial
from typing import Any

import _report
import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from _report import Table
from sympy import sqrt

import flowtheory as ft
from flowtheory import float64
from flowtheory.flow import solve_stabilised
from flowtheory.symbolic import Network, two_layer

TARGETS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
TOLERANCES = {
    "auto": (1e-4, 1e-5, 1e-6, 1e-7, 3e-8, 1e-8),
    "rock4": (1e-3, 1e-4, 1e-5, 1e-6, 1e-7),
    "rkc2": (1e-5, 1e-6, 1e-7, 1e-8),
    "tsit5": (1e-5, 1e-6, 1e-7),
    "dopri8": (1e-5, 1e-6),
}
SOLVERS = {
    "tsit5": (diffrax.Tsit5(scan_kind="lax"), 6),
    "dopri8": (diffrax.Dopri8(scan_kind="lax"), 13),
}


@dataclass(frozen=True)
class Problem:
    """A flow from `start` over a time `span`; `falls` if it reaches a loss in finite time."""

    name: str
    field: Callable[[Any, Any], Any]
    log_loss: Callable[[Any, Any], Any]
    start: Any
    args: Any
    span: tuple[float, float]
    flow: ft.GradientFlow
    falls: bool = True
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


def tanh_problem(
    name: str, seed: int, size: float, scale: float, level: float = 1e-10, m: int = 200
) -> Problem:
    """Labels: a linear function plus noise of size 0.2; inputs of norm 1; until loss `level`."""
    d, n = 10, 50
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    u = rng.standard_normal(d)
    y = x @ u / np.linalg.norm(u) + 0.2 * rng.standard_normal(n)
    start = (size * rng.standard_normal((m, d)), size * rng.standard_normal(m))
    args = (x, y, np.float64(scale))
    plateau = float(np.log(np.mean(y**2) / 2))
    _, start = reached(start, args, plateau + np.log(0.5))
    span, _ = reached(start, args, plateau + np.log(level))
    network = two_layer("tanh")
    flow = ft.GradientFlow(scaled(network) if scale < 1 else network, "half_mse", x=x, y=y)
    return Problem(name, tanh_field, tanh_log_loss, start, args, (0.0, span), flow)


def scaled(network: Network) -> Network:
    """The output times h^(-1/2), h the width."""
    width = network.parameters[1].base.shape[0]
    return replace(network, name="lazy " + network.name, output=network.output / sqrt(width))


def reached(start, args, level: float) -> tuple[float, Any]:
    """About when the log loss falls to `level`, and the state then."""
    times = np.geomspace(1e-2, 2e5, 200)
    run = solve_stabilised(tanh_field, start, 2e5, args, times=times, method="rkc2")
    with float64():
        logs = np.array(jax.vmap(lambda p: tanh_log_loss(p, args))(run.states))
    k = int(np.argmax(logs < level))
    t = float(np.exp(np.interp(-level, -logs[k - 1 : k + 1], np.log(times[k - 1 : k + 1]))))
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
    flow = ft.GradientFlow(two_layer("z"), "logistic", reduction="mean", x=z, y=np.ones(n))
    return Problem(
        "logistic", linear_field, linear_log_loss, start, z, (0.0, 1e12), flow, False, log_time=True
    )


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


def peer_run(problem: Problem, method: str, rtol: float) -> tuple[Any, int, str]:
    solver, stages = SOLVERS[method]
    size = np.sqrt(np.mean(np.concatenate([np.ravel(a) for a in problem.start]) ** 2))
    span = np.log1p(problem.span) if problem.log_time else np.array(problem.span)
    with float64():
        out = peer(
            problem.field, solver, problem.log_time, problem.start, problem.args, span, rtol,
            1e-4 * rtol * size,
        )  # fmt: skip
        last = jax.tree.map(lambda a: np.asarray(a[-1]), out.ys)
        fine = bool(out.result == diffrax.RESULTS.successful)
    return last, stages * int(out.stats["num_steps"]), "reached_t" if fine else "failed"


def our_run(problem: Problem, method: Any, rtol: float) -> tuple[Any, int, str]:
    run = solve_stabilised(
        problem.field, problem.start, problem.span[1], problem.args, method=method, rtol=rtol,
        log_time=problem.log_time, max_steps=1_000_000,
    )  # fmt: skip
    cost = run.effort.evaluations + 2 * run.effort.products
    return jax.tree.map(lambda a: a[-1], run.states), cost, run.outcome.value


def user_run(problem: Problem, rtol: float, reference: float) -> tuple[float, int, str]:
    """Error of the log loss, evaluations and outcome of `ft.GradientFlow.solve`."""
    start = dict(zip("Wv", map(np.asarray, problem.start), strict=True))
    flow, end = problem.flow, problem.span[1]
    if not problem.falls:
        run = flow.solve(start, end, rtol=rtol, log_time=problem.log_time, estimate=False)
        error = abs(np.log(run.loss[-1]) - reference)
    else:
        run = flow.solve(start, until=ft.loss_below(np.exp(reference)), rtol=rtol, estimate=False)
        force = flow.vector_field(run.params)
        rate = sum(np.sum(a**2) for a in force.values()) / run.loss[-1]
        error = abs(rate * (run.t_end - end))
    return float(error), run.statistics.evaluations, run.outcome.value


def rows_of(problem: Problem, quick: bool) -> list[Row]:
    def log_loss(params):
        with float64():
            return float(problem.log_loss(params, problem.args))

    reference = log_loss(peer_run(problem, "dopri8", 1e-11)[0])

    def measured(method: str, problem: Problem, rtol: float) -> tuple[float, int, str]:
        if method == "auto":
            return user_run(problem, rtol, reference)
        run = peer_run if method in SOLVERS else our_run
        last, cost, outcome = run(problem, method, rtol)
        return abs(log_loss(last) - reference), cost, outcome

    rows = []
    for method, tolerances in TOLERANCES.items():
        # Compiles; "auto" has to come to its second method for that.
        short = problem if method == "auto" else replace(problem, span=(0, 1e-3 * problem.span[1]))
        measured(method, short, 1e-2 if method != "auto" else 1e-5)
        for rtol in tolerances[:1] if quick else tolerances:
            began = time.perf_counter()
            error, cost, outcome = measured(method, problem, rtol)
            seconds = time.perf_counter() - began
            rows.append(Row(problem.name, method, rtol, cost, error, seconds, outcome))
            print(f"{problem.name:9} {method:7} {rtol:7.0e} {cost:8d} {error:9.1e} {seconds:8.2f}",
                  flush=True)  # fmt: skip
    return rows


def at_equal_error(rows: list[Row]) -> list[dict[str, Any]]:
    """By target: the cheapest run of each method that meets it, and the peers' ratios to ours."""
    table = []
    for target in TARGETS:
        entry: dict[str, Any] = {"problem": rows[0].problem, "target": target}
        for method in TOLERANCES:
            met = [r.evaluations for r in rows if r.method == method and r.error <= target]
            entry[method] = min(met, default=None)
        for method in SOLVERS:
            for ours in ("auto", "rock4"):
                both = entry[method] and entry[ours]
                entry[f"{method}/{ours}"] = round(entry[method] / entry[ours], 2) if both else None
        table.append(entry)
    return table


def main() -> None:
    parser = _report.arguments("Evaluations at late times, ours and peers.")
    parser.add_argument("--problems", nargs="+", default=["B", "logistic", "A"])
    options = parser.parse_args()
    makers: dict[str, Callable[[], Problem]] = {
        "A": lambda: tanh_problem("A", 0, 0.03, 1.0),
        "B": lambda: tanh_problem("B", 5, 1.0, 200**-0.5),
        "logistic": lambda: logistic_problem(4, 0.003),
    }
    names = options.problems
    if options.quick:
        names, makers["A"] = ["A"], lambda: tanh_problem("A", 0, 0.03, 1.0, level=0.1, m=20)
    rows: list[Row] = []
    ratios: list[dict[str, Any]] = []
    print(f"{'problem':9} {'method':7} {'rtol':>7} {'evals':>8} {'dlogL':>9} {'seconds':>8}")
    for name in names:
        found = rows_of(makers[name](), options.quick)
        rows += found
        ratios += at_equal_error(found)
    for entry in ratios:
        print("  ".join(f"{key} {value}" for key, value in entry.items()))
    text = "Evaluations of the cheapest run whose error of the log loss is at most the target."
    equal = [tuple(entry.values()) for entry in ratios]
    columns = [field.name for field in fields(Row)]
    tables = [
        Table("At equal error", list(ratios[0]), equal, text),
        Table("Runs", columns, [astuple(row) for row in rows]),
    ]
    _report.write(options.json, __doc__, tables, quick=options.quick)


if __name__ == "__main__":
    main()
