"""How fast is the first descent from a small start with compression, against plain solvers?

    python benchmarks/plateau.py [--eps 1e-6] [--width 1000] [--repeats 5] [--json [PATH]] [--quick]

Problem P1: a two-layer tanh network, m = 1000, d = 20, n = 100, half mean square, weights of size
eps, the time until the loss is half its value at output 0. Peers integrate all neurons from t = 0
with an event on the loss: diffrax (Tsit5, Dopri8), `scipy.integrate.solve_ivp` (RK45, DOP853,
LSODA), gradient descent in JAX, and where PyTorch is installed torchdiffeq's dopri5 and gradient
descent in it, at lr 1e-2 and 1e-3. Each solver has rtol 1e-8 and an absolute tolerance of 1e-8 eps.
Errors are relative errors of the time against DOP853 at rtol 1e-13. All of them are warm, in one
process, in turn; medians. Ours counts everything from the data on: the linearisation, the closed
form, the nodes, the run and its error estimate. The same at eps = 1e-300 against `DOP853`, one run.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import _report
import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optimistix
from _goals import GOALS, Line, goal_table
from _report import Table
from scipy.integrate import solve_ivp

import flowtheory as ft
from flowtheory.flow import Condensed, Neurons, Saddle, Start, TwoLayer, condense, stack
from flowtheory.flow.field import Samples
from flowtheory.lower.networks import of_parameters
from flowtheory.symbolic.network import SAMPLE
from flowtheory.symbolic.networks.fully_connected import two_layer

RTOL = 1e-8
HORIZON = 1e4
NETWORK = two_layer("tanh")
NETWORK_OUTPUTS = of_parameters(NETWORK, NETWORK.output, (NETWORK.inputs.base,), (SAMPLE,))
Timed = Callable[[], float]


def outputs(theta: Any, weights: Any, x: Any) -> Any:
    return NETWORK_OUTPUTS({"W": theta[:, :-1], "v": weights * theta[:, -1]}, x)


def half_square(y: Any, f: Any) -> Any:
    return (y - f) ** 2 / 2


def network_loss(params: Any, x: Any, y: Any) -> Any:
    return jnp.mean(half_square(y, NETWORK_OUTPUTS(params, x)))


NEURONS = Neurons(outputs, half_square)
LOSS = jax.jit(network_loss)
GRADIENT = jax.jit(jax.value_and_grad(network_loss))


def problem(width: int, d: int = 20, n: int = 100) -> tuple[np.ndarray, np.ndarray, TwoLayer]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, d))
    y = np.tanh(2 * x @ rng.standard_normal(d) / math.sqrt(d))
    return x, y, TwoLayer(rng.standard_normal((width, d)), rng.standard_normal(width))  # type: ignore[arg-type]


def ours(x: np.ndarray, y: np.ndarray, params: TwoLayer, log_eps: float) -> Condensed:
    data = Samples(x, y, np.float64(1 / len(y)))  # type: ignore[arg-type]
    saddle = Saddle.of(NEURONS, data, x.shape[1] + 1)
    start = Start.of(saddle, stack(params), log_eps)
    return condense(start, 0.5 * saddle.linear.loss, rtol=RTOL)


def by_scipy(
    x: np.ndarray, y: np.ndarray, params: TwoLayer, eps: float, level: float, **options: Any
) -> float:
    m, d = params.W.shape

    def split(state: np.ndarray) -> dict[str, np.ndarray]:
        return {"W": state[: m * d].reshape(m, d), "v": state[m * d :]}

    def rate(_: float, state: np.ndarray) -> np.ndarray:
        _, slope = GRADIENT(split(state), x, y)
        return -np.concatenate([np.asarray(slope["W"]).ravel(), np.asarray(slope["v"])])

    def above(_: float, state: np.ndarray) -> float:
        return float(LOSS(split(state), x, y)) - level

    setattr(above, "terminal", True)  # noqa: B010  (how solve_ivp takes its options)
    begin = eps * np.concatenate([np.asarray(params.W).ravel(), np.asarray(params.v)])
    run = solve_ivp(rate, (0.0, HORIZON), begin, events=above, **options)
    return float(run.t_events[0][0]) if len(run.t_events[0]) else math.inf


def by_diffrax(
    solver: Any, x: np.ndarray, y: np.ndarray, params: TwoLayer, eps: float, level: float
) -> Timed:
    labels = y

    def field(t: Any, y: Any, args: Any) -> Any:
        return jax.tree.map(jnp.negative, jax.grad(network_loss)(y, x, labels))

    def above(t: Any, y: Any, args: Any, **_: Any) -> Any:
        return network_loss(y, x, labels) - level

    @jax.jit
    def solve(begin: Any) -> Any:
        ended = diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            solver,
            0.0,
            HORIZON,
            None,
            begin,
            saveat=diffrax.SaveAt(t1=True),
            stepsize_controller=diffrax.PIDController(rtol=RTOL, atol=RTOL * eps),
            event=diffrax.Event(above, root_finder=optimistix.Newton(1e-10, 1e-10)),
            max_steps=4096,
            throw=False,
        )
        assert ended.ts is not None
        return ended.ts[-1]

    begin = {"W": eps * np.asarray(params.W), "v": eps * np.asarray(params.v)}
    return lambda: float(solve(begin))


def by_torch(
    x: np.ndarray, y: np.ndarray, params: TwoLayer, eps: float, level: float
) -> Iterator[tuple[str, Timed]]:
    """The two peers that need PyTorch; nothing where it is not installed."""
    try:
        import torch  # pyright: ignore[reportMissingImports]
        from torchdiffeq import odeint_event  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        print(f"no PyTorch peers: {error}")
        return
    torch.set_default_dtype(torch.float64)
    X, Y = torch.tensor(x), torch.tensor(y)
    W0, v0 = eps * torch.tensor(np.asarray(params.W)), eps * torch.tensor(np.asarray(params.v))

    def slopes(W: Any, v: Any) -> tuple[Any, Any, Any]:
        h = torch.tanh(W @ X.T)
        left = (Y - v @ h) / len(Y)
        loss = len(Y) / 2 * (left @ left)
        return loss, ((1 - h * h) * (v[:, None] * left)) @ X, h @ left

    def solve() -> float:
        def above(t: Any, p: Any) -> Any:
            return slopes(*p)[0] - level

        with torch.no_grad():
            start, tolerance = torch.tensor(0.0), {"rtol": RTOL, "atol": RTOL * eps}
            time, _ = odeint_event(
                lambda t, p: slopes(*p)[1:], (W0, v0), start, event_fn=above, **tolerance
            )
        return float(time)

    def descent(rate: float = 1e-2) -> float:
        W, v, steps, before = W0.clone(), v0.clone(), 0, math.inf
        with torch.no_grad():
            while True:
                loss, dW, dv = slopes(W, v)
                if loss < level:
                    return rate * (steps - float((level - loss) / (before - loss)))
                before, steps = loss, steps + 1
                W, v = W + rate * dW, v + rate * dv

    yield "torchdiffeq dopri5", solve
    yield "torch gradient descent 1e-2", descent
    yield "torch gradient descent 1e-3", lambda: descent(1e-3)


def by_descent(
    eta: float, x: np.ndarray, y: np.ndarray, params: TwoLayer, eps: float, level: float
) -> Timed:
    """Gradient descent as one compiled loop; its time is that of the crossing on the chord."""

    @jax.jit
    def descend(begin: Any) -> Any:
        def step(carry: Any) -> Any:
            p, k, now, _ = carry
            slope = jax.grad(network_loss)(p, x, y)
            p = jax.tree.map(lambda a, g: a - eta * g, p, slope)
            return p, k + 1, network_loss(p, x, y), now

        start = (begin, 0, network_loss(begin, x, y), jnp.inf)
        _, k, now, before = jax.lax.while_loop(lambda c: c[2] >= level, step, start)
        return eta * (k - (level - now) / (before - now))

    begin = {"W": eps * np.asarray(params.W), "v": eps * np.asarray(params.v)}
    compiled = descend.lower(begin).compile()
    return lambda: float(compiled(begin))


def peers(
    x: np.ndarray, y: np.ndarray, params: TwoLayer, eps: float, level: float
) -> Iterator[tuple[str, Timed]]:
    case = (x, y, params, eps, level)
    if eps > 1e-200:  # a peer's absolute tolerance of 1e-8 eps must be a number
        yield "diffrax Tsit5", by_diffrax(diffrax.Tsit5(), *case)
        yield "diffrax Dopri8", by_diffrax(diffrax.Dopri8(), *case)
    for method in ("RK45", "DOP853", "LSODA"):
        options = {"method": method, "rtol": RTOL, "atol": RTOL * eps}
        yield f"scipy {method}", lambda options=options: by_scipy(*case, **options)
    if eps > 1e-200:
        yield "jax gradient descent 1e-2", by_descent(1e-2, *case)
        yield "jax gradient descent 1e-3", by_descent(1e-3, *case)
        yield from by_torch(*case)


def clocked(function: Callable[[], Any], repeats: int) -> tuple[float, Any, float]:
    """Median of warm runs, the result, and the first run, which compiles."""
    seconds, result = [], None
    for _ in range(1 + repeats):
        began = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - began)
    return median(seconds[1:] or seconds), result, seconds[0]


def compared(eps: float, width: int, repeats: int, only: str = "") -> dict[str, Any]:
    """Ours and the peers whose name starts with `only`, with errors of the time."""
    x, y, params = problem(width)
    log_eps = math.log(eps)
    seconds, run, first = clocked(lambda: ours(x, y, params, log_eps), 5 * repeats)
    level = run.loss if run.outcome.ok else math.nan
    rows: dict[str, dict[str, Any]] = {}
    with ft.float64():
        # At the loss that ours stopped at, which is the level to roundoff.
        tight = {"method": "DOP853", "rtol": 1e-13, "atol": 1e-13 * eps}
        exact = by_scipy(x, y, params, eps, level, **tight)
        for name, solve in peers(x, y, params, eps, level):
            if name.startswith(only):
                # Descent is compiled ahead, and slow: once.
                slow = "descent" in name or only
                peer, found, compiled = clocked(solve, 0 if slow else repeats)
                rows[name] = {"s": peer, "first_s": compiled, "error": abs(found / exact - 1)}
                print(f"{name:<30} {peer:9.5f} s  error {rows[name]['error']:.1e}", flush=True)
    again, run, _ = clocked(lambda: ours(x, y, params, log_eps), 5 * repeats)
    mean = (seconds + again) / 2
    error = abs(run.time / exact - 1)
    print(f"{'ours, ' + run.method:<30} {mean:9.5f} s  error {error:.1e}", flush=True)
    return {
        "eps": eps,
        "width": width,
        "time": exact,
        "s": mean,
        "first_s": first,
        "error": error,
        "error_estimate": run.error / run.time,
        "method": run.method,
        "nodes": len(run.theta),
        "steps": sum(run.steps),
        "peers": rows,
    }


def goal_lines(problem: str, result: dict[str, Any]) -> list[Line]:
    limit = (
        f"{result['steps']} steps of {result['nodes']} nodes: 13 field evaluations each of 5 us, "
        "half of it two small products with the data, else dispatch of single operations; the "
        "linearisation and the nodes come once"
    )
    return [
        Line(problem, peer, result["s"], row["s"], result["error"], row["error"], limit)
        for peer, row in result["peers"].items()
        if (problem, peer) in GOALS
    ]


def rows_of(result: dict[str, Any]) -> list[tuple]:
    """Ours and each peer: seconds, first run, error, ratio."""
    ours = (f"ours, {result['method']}", *(result[key] for key in ("s", "first_s", "error")), 1.0)
    rest = [
        (name, row["s"], row["first_s"], row["error"], row["s"] / result["s"])
        for name, row in result["peers"].items()
    ]
    return [ours, *rest]


def main() -> None:
    parser = _report.arguments("The first descent, compressed and plain.")
    parser.add_argument("--eps", type=float, default=1e-6)
    parser.add_argument("--width", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    if options.quick:
        options.width, options.repeats = 30, 1
    result = compared(options.eps, options.width, options.repeats)
    tiny = compared(1e-300, options.width, options.repeats, "scipy DOP853")
    columns = ("method", "s", "first s", "error", "ratio")
    keys = ("eps", "width", "time", "error_estimate", "nodes", "steps")
    about = Table("Our run", ("eps", "m", "time", "error estimate", "nodes", "steps"),
                  [tuple(case[key] for key in keys) for case in (result, tiny)])  # fmt: skip
    goals = goal_lines("P1", result) + goal_lines("P1 at eps 1e-300", tiny)
    tables = [
        goal_table(goals),
        Table(f"eps = {options.eps:g}", columns, rows_of(result)),
        Table("eps = 1e-300", columns, rows_of(tiny)),
        about,
    ]
    _report.write(options.json, __doc__, tables, quick=options.quick)


if __name__ == "__main__":
    main()
