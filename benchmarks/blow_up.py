"""How fast is the blow-up of a three-layer effective flow, and how much faster than a plain solver?

    python benchmarks/blow_up.py [--width 100] [--repeats 7] [--json [PATH]] [--quick]

The leading flow of a d-m-m-1 network at eps = 1e-3, until the norm of the parameters has grown
1e6-fold. The peers integrate the same field in plain time: diffrax Tsit5 with an event on the norm,
and `scipy.integrate.solve_ivp` (DOP853) with one, at the loosest of their tolerances whose error is
below 1e-8. Errors are relative errors of the time against DOP853 at rtol 1e-13. All of them are
warm, in one process, in turn; medians.
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
from _goals import Line, goal_table
from _report import Table
from scipy.integrate import solve_ivp

import flowtheory as ft
from flowtheory.lower import LeadingBlowUp

GROWTH = 1e6
EPS = 1e-3
PEER_TOLERANCES = (1e-8, 1e-9, 1e-10)


def problem(width: int, d: int = 20, n: int = 100) -> tuple[dict, dict]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, d))
    data = {"x": x, "y": x @ rng.normal(size=d) / n}
    shapes = {"W1": (width, d), "W2": (width, width), "v": (width,)}
    params = {k: EPS * rng.normal(size=s) / math.sqrt(s[-1]) for k, s in shapes.items()}
    return params, data


def by_diffrax(params: dict, z: np.ndarray, rtol: float) -> Callable[[], float]:
    def norm2(p: dict) -> jax.Array:
        return jnp.sum(jnp.stack([jnp.sum(a**2) for a in p.values()]))

    level = GROWTH**2 * sum(float(np.sum(a**2)) for a in params.values())

    def rate(t: Any, p: dict, z: Any) -> dict:
        c = p["W1"] @ z
        b = p["W2"].T @ p["v"]
        return {"W1": jnp.outer(b, z), "W2": jnp.outer(p["v"], c), "v": p["W2"] @ c}

    def event(t: Any, y: dict, args: Any, **_: Any) -> jax.Array:
        return jnp.log(norm2(y) / level)

    @jax.jit
    def solve(p: dict, z: Any) -> Any:
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(rate),
            diffrax.Tsit5(),
            t0=0.0,
            t1=1e9,
            dt0=None,
            y0=p,
            args=z,
            saveat=diffrax.SaveAt(t1=True),
            stepsize_controller=diffrax.PIDController(rtol=rtol, atol=rtol * 1e-3 * EPS),
            event=diffrax.Event(event, _root_finder()),
            adjoint=diffrax.ForwardMode(),
            max_steps=100_000,
            throw=False,
        )
        return solution.ts[-1]  # type: ignore[index]

    def run() -> float:
        with ft.float64():
            return float(solve(jax.tree.map(jnp.asarray, params), jnp.asarray(z)))

    return run


def _root_finder() -> Any:
    import optimistix

    return optimistix.Newton(1e-10, 1e-10)


def by_scipy(params: dict, z: np.ndarray, rtol: float) -> Callable[[], float]:
    (m, d), size = params["W1"].shape, params["W1"].size
    start = np.concatenate([params["W1"].ravel(), params["W2"].ravel(), params["v"]])
    level = GROWTH**2 * float(start @ start)

    def rate(t: float, y: np.ndarray) -> np.ndarray:
        W1, W2, v = y[:size].reshape(m, d), y[size:-m].reshape(m, m), y[-m:]
        c = W1 @ z
        return np.concatenate([np.outer(W2.T @ v, z).ravel(), np.outer(v, c).ravel(), W2 @ c])

    def event(t: float, y: np.ndarray) -> float:
        return math.log(float(y @ y) / level)

    event.terminal = True  # type: ignore[attr-defined]

    def run() -> float:
        found = solve_ivp(
            rate, (0.0, 1e9), start, "DOP853", rtol=rtol, atol=rtol * 1e-3 * EPS, events=event
        )
        return float(found.t_events[0][0])

    return run


def by_torch(params: dict, z: np.ndarray, rtol: float) -> Callable[[], float] | None:
    """None, with a line, where PyTorch is not installed."""
    try:
        import torch  # pyright: ignore[reportMissingImports]
        from torchdiffeq import odeint_event  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        print(f"no PyTorch peer: {error}")
        return None
    at = torch.tensor(z)
    begin = tuple(torch.tensor(a) for a in params.values())
    level = math.log(GROWTH**2 * sum(float(np.sum(a**2)) for a in params.values()))

    def rate(_: Any, p: Any) -> Any:
        W1, W2, v = p
        c = W1 @ at
        return torch.outer(W2.T @ v, at), torch.outer(v, c), W2 @ c

    def event(_: Any, p: Any) -> Any:
        return torch.log(sum((a**2).sum() for a in p)) - level

    def run() -> float:
        options = {"rtol": rtol, "atol": rtol * 1e-3 * EPS}
        with torch.no_grad():
            start = torch.tensor(0.0, dtype=torch.float64)
            found, _ = odeint_event(rate, begin, start, event_fn=event, **options)
        return float(found)

    return run


def by_us(params: dict, data: dict, **options: Any) -> Callable[[], float]:
    eff = ft.effective_flow(ft.fully_connected(3, "tanh"), "half_square")
    solver = LeadingBlowUp(eff)
    prepared = solver.prepare(data)

    def run() -> float:
        found = solver(params, prepared, **options)
        return found.time_of_growth(math.log(GROWTH)).estimate * math.exp(found.log_unit)

    return run


def timed(run: Callable[[], float], repeats: int) -> tuple[float, float, float]:
    began = time.perf_counter()
    value = run()
    first, seconds = time.perf_counter() - began, []
    for _ in range(repeats):
        began = time.perf_counter()
        value = run()
        seconds.append(time.perf_counter() - began)
    return first, median(seconds), value


def goal_lines(rows: dict[str, dict[str, float]]) -> Iterator[Line]:
    """Each peer at the loosest tolerance whose error is below 1e-8, at its last one else."""
    ours = rows["ours 1e-8"]
    bare = rows["ours 1e-8, without error bar"]["s"] / ours["s"]
    limit = (
        f"per-step cost: small matrices in a compiled loop, {ours['s'] * 1e3:.1f} ms; without the "
        f"second run of the error bar {bare:.2f} of that"
    )
    for peer in ("diffrax Tsit5", "torchdiffeq dopri5"):
        found = [row for name, row in rows.items() if name.startswith(peer)]
        row = next((row for row in found if row["error"] <= 1e-8), found[-1] if found else None)
        if row:
            times, errors = (ours["s"], row["s"]), (ours["error"], row["error"])
            yield Line("P3", peer, *times, *errors, limit)


def main() -> None:
    parser = _report.arguments("Blow-up of a three-layer effective flow.")
    parser.add_argument("--width", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    if options.quick:
        options.width, options.repeats = 10, 1
    params, data = problem(options.width)
    z = data["y"] @ data["x"]
    exact = by_scipy(params, z, 1e-13)()
    tiny = {name: value * 1e-297 for name, value in params.items()}
    lines: dict[str, Callable[[], float]] = {
        "ours 1e-8, without error bar": by_us(params, data, rtol=1e-8, check=False, gain=6.0),
        "ours 1e-8": by_us(params, data, rtol=1e-8, gain=6.0),
        "ours 1e-11 (default)": by_us(params, data),
        "ours 1e-11, eps 1e-300": by_us(tiny, data),
    }
    for rtol in PEER_TOLERANCES[: 1 if options.quick else None]:
        lines[f"diffrax Tsit5 {rtol:g}"] = by_diffrax(params, z, rtol)
        lines[f"scipy DOP853 {rtol:g}"] = by_scipy(params, z, rtol)
    torch_run = by_torch(params, z, 1e-8)
    if torch_run:
        lines["torchdiffeq dopri5 1e-08"] = torch_run
    rows = {}
    for name, run in lines.items():
        first, seconds, value = timed(run, options.repeats)
        scale = 1e-297 if "e-300" in name else 1.0
        error = abs(value * scale / exact - 1)
        rows[name] = {"first_s": first, "s": seconds, "error": error}
        print(f"{name:<32} {first:8.3f} s first {seconds * 1e3:9.3f} ms  error {error:.1e}")
    ours = rows["ours 1e-8"]["s"]
    for peer in ("diffrax", "scipy"):
        good = [
            row["s"] for name, row in rows.items() if name.startswith(peer) and row["error"] <= 1e-8
        ]
        if good:
            print(f"ratio to {peer}: {min(good) / ours:.1f}")
    columns = ("method", "first s", "s", "error")
    table = [(name, *row.values()) for name, row in rows.items()]
    goals = goal_table(list(goal_lines(rows)))
    _report.write(
        options.json, __doc__, [goals, Table("Runs", columns, table)], quick=options.quick
    )


if __name__ == "__main__":
    main()
