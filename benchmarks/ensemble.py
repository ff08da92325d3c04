"""P4: how fast are 256 gradient flows at once, ours and the peers in one run?

    python benchmarks/ensemble.py [--lanes 256] [--peers ...] [--json [PATH]] [--quick]

Two-layer tanh networks, m = 50, d = 5, n = 20, half mean square, each with its own data, weights of
size eps, log-uniform from 1e-12 to 1e-2; asked: the time at which the loss has fallen by 20 %.
The rows "flows" are `ft.solve_many` on 256 `ft.GradientFlow`s, one a lane: a lowered network, small
starts through the plateau in closed form, error estimates; the other rows of ours are the loop of
ensembles alone on a hand-written loss.
Errors are relative errors of that time, against ours at rtol 1e-12 (which the test suite compares
with SciPy). Every peer gets an absolute tolerance of 1e-11 eps; the event of a diffrax run is found
by a root finder. Gradient descent is timed at rate 1e-2 on the eps above 1e-4 and extrapolated by
its number of steps; 1e-3 costs ten times that. heyoka (Taylor series, where it is installed) has
rtol 1e-6, at which its error is below 1e-8. Seconds are the least of a few warm runs, `cpu` the
processor time of all threads (what to compare on a machine that others use); `cold` is the first
run, compilation included.
"""

from __future__ import annotations

import math
import os
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
import optimistix
from _goals import GOALS, Line, goal_table
from _heyoka import by_heyoka
from _report import Table
from scipy.integrate import solve_ivp

import flowtheory as ft
from flowtheory import float64
from flowtheory.flow import solve_many

M, D, N, DROP = 50, 5, 20, 0.8
END = 1e4


@dataclass(frozen=True)
class Row:
    """One method: seconds warm, of all cores together, and cold; errors of the times."""

    method: str
    seconds: float
    cpu: float
    cold: float
    median_error: float
    largest_error: float
    note: str = ""


def loss(params, args):
    x, y = args
    return jnp.mean((params["v"] @ jnp.tanh(params["W"] @ x.T) - y) ** 2) / 2


def rate(params, args):
    return jax.tree.map(jnp.negative, jax.grad(loss)(params, args))


def level(params, args):
    return jnp.log(loss(params, args) / (DROP * jnp.mean(args[1] ** 2) / 2))


def neurons(params):
    return jnp.sqrt(jnp.sum(params["W"] ** 2, axis=1) + params["v"] ** 2)


def problems(lanes: int, seed: int = 0):
    """Starts, args and eps; inputs of norm 1, labels of a single neuron plus noise of size 0.1."""
    rng = np.random.default_rng(seed)
    eps = 10 ** rng.uniform(-12, -2, lanes)
    x = rng.standard_normal((lanes, N, D))
    x /= np.linalg.norm(x, axis=-1, keepdims=True)
    y = np.tanh(np.einsum("lnd,ld->ln", x, rng.standard_normal((lanes, D))))
    y += 0.1 * rng.standard_normal((lanes, N))
    W = eps[:, None, None] * rng.standard_normal((lanes, M, D))
    return {"W": W, "v": eps[:, None] * rng.standard_normal((lanes, M))}, (x, y), eps


def ours(starts, args, eps, rtol=1e-8, **options):
    run = solve_many(rate, level, starts, args=args, sizes=neurons, rtol=rtol, **options)
    assert run.ok.all()
    return run.times


def flows_of(starts, args):
    net = ft.fully_connected(2, "tanh")
    flows = [ft.GradientFlow(net, "half_mse", x=x, y=y) for x, y in zip(*args, strict=True)]
    pairs = zip(starts["W"], starts["v"], strict=True)
    return [(flow, {"W": W, "v": v}) for flow, (W, v) in zip(flows, pairs, strict=True)]


def public(lanes, **options):
    run = ft.solve_many(lanes, until=ft.plateau_left(1 - DROP), **options)
    assert run.ok.all()
    return run.times


def diffrax_one(solver, start, args, eps):
    run = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, p, a: rate(p, a)), solver, 0.0, END, None, start, args,
        stepsize_controller=diffrax.PIDController(1e-8, 1e-11 * eps),
        event=diffrax.Event(
            lambda t, y, args, **_: level(y, args), root_finder=optimistix.Newton(1e-10, 1e-10)
        ),
        adjoint=diffrax.ForwardMode(), max_steps=100_000, throw=False,
    )  # fmt: skip
    assert run.ts is not None
    return run.ts[-1]


SOLVERS = {"tsit5": diffrax.Tsit5(scan_kind="lax"), "dopri8": diffrax.Dopri8(scan_kind="lax")}


@partial(jax.jit, static_argnames="method")
def vmapped(method, starts, args, eps):
    return jax.vmap(partial(diffrax_one, SOLVERS[method]))(starts, args, eps)


@partial(jax.jit, static_argnames="method")
def single(method, start, args, eps):
    return diffrax_one(SOLVERS[method], start, args, eps)


def diffrax_vmapped(method, starts, args, eps):
    with float64():
        return np.asarray(vmapped(method, starts, args, eps))


def unstacked(starts, args, eps):
    leaves, tree = jax.tree.flatten((starts, args, eps))
    return [jax.tree.unflatten(tree, one) for one in zip(*leaves, strict=True)]


def diffrax_loop(method, starts, args, eps):
    with float64():
        return np.array([float(single(method, *one)) for one in unstacked(starts, args, eps)])


def scipy_one(start, args, eps):
    x, y = args

    def field(_, q):
        W, v = q[: M * D].reshape(M, D), q[M * D :]
        s = np.tanh(W @ x.T)
        e = (y - v @ s) / N
        return np.concatenate([((v[:, None] * (1 - s * s) * e) @ x).ravel(), s @ e])

    def event(_, q):
        f = q[M * D :] @ np.tanh(q[: M * D].reshape(M, D) @ x.T)
        return np.log(np.mean((f - y) ** 2) / (DROP * np.mean(y**2)))

    event.terminal = True  # type: ignore[attr-defined]
    q = np.concatenate([start["W"].ravel(), start["v"]])
    run = solve_ivp(field, (0, END), q, "DOP853", rtol=1e-8, atol=1e-11 * eps, events=event)
    return run.t_events[0][0]


def scipy_loop(starts, args, eps):
    return np.array([scipy_one(*one) for one in unstacked(starts, args, eps)])


@jax.jit
def descent(starts, args, eta):
    """Gradient descent of all lanes at once until the last has arrived; times and steps."""

    def body(carry):
        params, k, t, before = carry
        params = jax.tree.map(lambda p, F: p + eta * F, params, jax.vmap(rate)(params, args))
        now = jax.vmap(level)(params, args)
        # The crossing on the chord: the first-order error of the step stays.
        t = jnp.where((before > 0) & (now <= 0), eta * (k + before / (before - now)), t)
        return params, k + 1, t, now

    start = (starts, 0, jnp.full(len(args[1]), jnp.nan), jax.vmap(level)(starts, args))
    return jax.lax.while_loop(lambda c: jnp.any(jnp.isnan(c[2])), body, start)[1:3]


def show(row: Row) -> Row:
    print(f"{row.method:26} {row.seconds:9.3f} {row.cpu:9.3f} {row.cold:8.2f} "
          f"{row.median_error:9.1e} {row.largest_error:9.1e}  {row.note}", flush=True)  # fmt: skip
    return row


def row_of(method: str, spent, cold: float, error, note: str = "") -> Row:
    median, largest = float(np.median(error)), float(np.max(error))
    return Row(method, float(spent[0]), float(spent[1]), float(cold), median, largest, note)


def clocks() -> np.ndarray:
    return np.array([time.perf_counter(), time.process_time()])


def timed(method: str, run: Callable[[], Any], truth, repeats: int) -> Row:
    began = time.perf_counter()
    run()
    cold, best, times = time.perf_counter() - began, np.full(2, np.inf), truth
    for _ in range(repeats):
        before = clocks()
        times = run()
        best = np.minimum(best, clocks() - before)
    error = np.abs(times / truth - 1)
    return show(row_of(method, best, cold, error))


def descent_row(starts, args, eps, truth, eta: float = 1e-2) -> Row:
    """On the large eps only, the rest by the number of steps of the slowest lane."""
    large = eps > 1e-4
    part, data = jax.tree.map(lambda a: a[large], (starts, args))
    with float64():
        before = clocks()
        steps, times = jax.block_until_ready(descent(part, data, eta))
        spent = clocks() - before
    factor = float(truth.max() / (eta * int(steps)) * len(eps) / large.sum())
    error = np.abs(np.asarray(times) / truth[large] - 1)
    note = f"extrapolated by {factor:.1f}"
    return show(row_of(f"gradient descent {eta:g}", spent * factor, spent[0], error, note))


def finer(row: Row) -> Row:
    """Gradient descent at a tenth of the rate: ten times the steps; its error is not known."""
    return show(
        replace(
            row, method="gradient descent 0.001", seconds=10 * row.seconds, cpu=10 * row.cpu,
            median_error=math.nan, largest_error=math.nan,
            note="not run: ten times the steps of 1e-2",
        )
    )  # fmt: skip


def heyoka_rows(lanes, truth) -> list[Row]:
    """One row, its compilation in `cold`; none where heyoka is not installed."""
    began = time.perf_counter()
    solve = by_heyoka(M, D, N, 1e-6)
    if solve is None:
        return []
    built = time.perf_counter() - began
    row = timed("heyoka 1e-6, loop", partial(solve, *lanes, DROP), truth, 1)
    return [replace(row, cold=row.cold + built)]


def goal_lines(rows: list[Row], lanes: int) -> list[Line]:
    """Ours at 1e-8, the fastest of chunks and threads, against each peer; median errors."""
    ours = min(
        (row for row in rows if row.method.startswith("ours 1e-08")), key=lambda r: r.seconds
    )
    busy = ours.cpu / ours.seconds
    limit = (
        f"per-evaluation cost: {ours.cpu / lanes * 1e3:.2f} ms of processor time a lane, "
        f"{busy:.1f} cores busy ({ours.method})"
    )
    lines = []
    for row in rows:
        peer = row.method.replace(" 1e-8,", ",").replace("0.001", "1e-3")
        if ("P4", peer) in GOALS:
            known = not math.isnan(row.median_error)
            errors = (ours.median_error, row.median_error if known else None)
            lines.append(Line("P4", peer, ours.seconds, row.seconds, *errors, limit))
    return lines


def main() -> None:
    parser = _report.arguments("P4: an ensemble, ours and peers.")
    parser.add_argument("--lanes", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--chunks", type=int, nargs="+", default=[8, 16, 32])
    peers = ("tsit5", "dopri8", "loop", "scipy", "heyoka", "descent")
    parser.add_argument("--peers", nargs="*", default=peers, choices=peers)
    options = parser.parse_args()
    if options.quick:
        options.lanes, options.repeats, options.chunks = 6, 1, [4]
    starts, args, eps = lanes = problems(options.lanes)
    truth = ours(*lanes, rtol=1e-12)
    rows = []
    print(f"{'method':26} {'seconds':>9} {'cpu':>9} {'cold':>8} {'median':>9} {'largest':>9}")
    for rtol in (1e-8, 1e-7):
        for chunk in options.chunks:
            for threads in (1, os.cpu_count() or 1):
                name = f"ours {rtol:g}, {chunk} x {threads}"
                run = partial(ours, *lanes, rtol=rtol, chunk=chunk, threads=threads)
                rows.append(timed(name, run, truth, options.repeats))
    flows = flows_of(starts, args)
    for skip in (True, False):
        for threads in (1, os.cpu_count() or 1):
            name = f"flows 1e-8, 8 x {threads}{'' if skip else ', no skip'}"
            run = partial(public, flows, threads=threads, skip=skip)
            rows.append(timed(name, run, truth, options.repeats))
    runs: dict[str, tuple[str, Callable[[], Any]]] = {
        "tsit5": ("diffrax Tsit5 1e-8, vmap", partial(diffrax_vmapped, "tsit5", *lanes)),
        "dopri8": ("diffrax Dopri8 1e-8, vmap", partial(diffrax_vmapped, "dopri8", *lanes)),
        "loop": ("diffrax Dopri8 1e-8, loop", partial(diffrax_loop, "dopri8", *lanes)),
        "scipy": ("scipy DOP853 1e-8, loop", partial(scipy_loop, *lanes)),
    }
    for peer in options.peers:
        if peer == "descent":
            coarse = descent_row(starts, args, eps, truth)
            rows += [coarse, finer(coarse)]
        elif peer == "heyoka":
            rows += heyoka_rows(lanes, truth)
        else:
            rows.append(timed(*runs[peer], truth, 1))
    columns = [field.name for field in fields(Row)]
    found = Table("Runs", columns, [astuple(row) for row in rows])
    goals = goal_table(goal_lines(rows, options.lanes))
    _report.write(options.json, __doc__, [goals, found], quick=options.quick)


if __name__ == "__main__":
    main()
