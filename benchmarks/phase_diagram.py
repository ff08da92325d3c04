"""A corner of the two-layer phase diagram: ours, and gradient descent as it is published.

    python benchmarks/phase_diagram.py [--widths 256 1024 4096] [--json [PATH]] [--quick]

Nine points of the (gamma, gamma') plane, ReLU, three points of a line, antisymmetric start, down to
1e-3 of the loss of output 0: the relative distance RD of the input weights at each width, and its
slope in the width. Peers: gradient descent in JAX (one compiled loop) and, where it is installed,
in PyTorch (eager, with gradients by hand), by the protocol of Luo et al. 2021: a learning rate that
is halved, and the run begun again, whenever the loss rises; at most 8e5 steps. Its first learning
rate is four times the bound of stability at the start. "at equal accuracy" halves the learning rate
further, until the slopes are as near to the reference as ours. Reference: ours with a twentieth of
the step. All times count every run of a slope, those begun again too; JAX is warm, data and starts
are the same.

What a sweep costs: seconds of all cells over the width (one point), over the points of the grid and
over the seeds (256 neurons), warm; exponents are slopes of log cost against log size by least
squares, with 99 % intervals.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import _report
import jax
import jax.numpy as jnp
import numpy as np
from _report import Table

import flowtheory as ft
from flowtheory.judge import fit_slope
from flowtheory.phase.probe import PROBE, run_cell
from flowtheory.phase.slopes import log_slopes

GAMMAS, PRIMES = (0.7, 1.0, 1.3), (-0.3, 0.0, 0.3)
LOSS, BUDGET, FINER = 1e-3, 800_000, 0.05
FIRST = 4.0  # learning rate over the bound of stability at the start
SIZES: dict[str, tuple[int, ...]] = {
    "width": (2048, 4096, 8192, 16384, 32768, 65536),
    "points of the grid": (9, 25, 49, 81, 169),
    "seeds": (1, 2, 4, 8, 16),
}
Cell = dict[str, Any]


class Problem(NamedTuple):
    """A cell in normalized units, as a peer sees it: w' = r v x 1(w x > 0)/n, v' = r (w x)+/n."""

    x: np.ndarray
    y: np.ndarray
    output: float
    W: np.ndarray
    v: np.ndarray


class Descent(NamedTuple):
    """RD of one run, and the steps of all attempts."""

    rd: float
    steps: int


def cell_of(gamma: float, gamma_prime: float, width: int) -> Cell:
    fixed: Cell = {p.name: p.default for p in PROBE.parameters}
    return fixed | {"gamma": gamma, "gamma_prime": gamma_prime, "width": width, "loss": LOSS}


def problem_of(cell: Cell) -> Problem:
    start, _, data, _ = run_cell(cell | {"loss": 1.0}, 1.0)
    kappa, ratio = (float(cell["width"]) ** -cell[name] for name in ("gamma", "gamma_prime"))
    return Problem(data.x, data.y, kappa / ratio, np.asarray(start.W), np.asarray(start.v))


def distance(end: Any, start: Any) -> float:
    return float(np.linalg.norm(end - start) / np.linalg.norm(start))


def ours(cell: Cell, c: float = 1.0) -> Descent:
    start, end, _, _ = run_cell(cell, c)
    assert end.outcome.ok, end.outcome
    return Descent(distance(np.asarray(end.params.W), np.asarray(start.W)), end.steps)


@partial(jax.jit, static_argnames=())
def _descend(W: Any, v: Any, x: Any, y: Any, output: Any, rate: Any) -> Any:
    def residual(W: Any, v: Any) -> tuple[Any, Any]:
        hidden = jnp.maximum(W @ x.T, 0.0)
        return y - output * (v @ hidden), hidden

    def step(carry: Any) -> Any:
        W, v, k, r, hidden, _ = carry
        pull = (v[:, None] * (hidden > 0)) * r
        W, v = W + rate / len(y) * (pull @ x), v + rate / len(y) * (hidden @ r)
        after, hidden = residual(W, v)
        return W, v, k + 1, after, hidden, jnp.sum(after**2) > jnp.sum(r**2)

    def go(carry: Any) -> Any:
        return (jnp.sum(carry[3] ** 2) > LOSS * jnp.sum(y**2)) & ~carry[5] & (carry[2] < BUDGET)

    r, hidden = residual(W, v)
    W, v, k, r, _, rose = jax.lax.while_loop(go, step, (W, v, 0, r, hidden, False))
    return W, k, rose | (k >= BUDGET) | ~jnp.isfinite(jnp.sum(r))


def by_jax(p: Problem, rate: float) -> tuple[np.ndarray, int, bool]:
    W, k, failed = _descend(p.W, p.v, p.x, p.y, p.output, rate)
    return np.asarray(W), int(k), bool(failed)


def by_torch(p: Problem, rate: float) -> tuple[np.ndarray, int, bool]:
    import torch  # pyright: ignore[reportMissingImports]

    x, y = torch.from_numpy(p.x), torch.from_numpy(p.y)
    W, v, target = torch.tensor(p.W), torch.tensor(p.v), LOSS * float(p.y @ p.y)
    hidden = torch.relu(W @ x.T)
    r = y - p.output * (v @ hidden)
    loss = float(r @ r)
    with torch.no_grad():
        for k in range(BUDGET):
            if loss <= target:
                return W.numpy(), k, False
            pull = (v[:, None] * (hidden > 0)) * r
            W, v = W + rate / len(y) * (pull @ x), v + rate / len(y) * (hidden @ r)
            hidden = torch.relu(W @ x.T)
            r = y - p.output * (v @ hidden)
            before, loss = loss, float(r @ r)
            if not loss <= before:
                return W.numpy(), k + 1, True
    return W.numpy(), BUDGET, True


def bound(p: Problem) -> float:
    """2 over the largest eigenvalue of the kernel at the start, the stable learning rate."""
    hidden = np.maximum(p.W @ p.x.T, 0.0)
    slopes = p.v[:, None] * (hidden > 0)
    kernel = hidden.T @ hidden + (slopes.T @ slopes) * (p.x @ p.x.T)
    return 2 * len(p.y) / (p.output * float(np.linalg.eigvalsh(kernel)[-1]))


def descent(run: Callable[..., tuple[np.ndarray, int, bool]], p: Problem, finer: int) -> Descent:
    """The published protocol, its first learning rate divided by 2^finer."""
    rate, steps = FIRST * bound(p) / 2**finer, 0
    while True:
        W, k, failed = run(p, rate)
        steps += k
        if not failed:
            return Descent(distance(W, p.W), steps)
        rate /= 2
        if rate < 1e-12 * bound(p):
            return Descent(math.nan, steps)


class Measured(NamedTuple):
    """Slopes over the points, seconds, steps of all runs."""

    slopes: np.ndarray
    seconds: float
    steps: int


def measured(run: Callable[[Cell], Descent], widths: list[int]) -> Measured:
    rd, steps, seconds = np.empty((len(widths), len(GAMMAS) * len(PRIMES))), 0, 0.0
    for i, width in enumerate(widths):
        for j, point in enumerate(product(GAMMAS, PRIMES)):
            began = time.perf_counter()
            found = run(cell_of(*point, width))
            seconds += time.perf_counter() - began
            rd[i, j], steps = found.rd, steps + found.steps
    return Measured(log_slopes(np.log(rd), np.array(widths, float)), seconds, steps)


def peers() -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {"jax gradient descent": by_jax}
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        print(f"no PyTorch peer: {error}")
        return found
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    return found | {"torch gradient descent": by_torch}


def main() -> None:
    parser = _report.arguments("A corner of the phase diagram, ours and gradient descent.")
    parser.add_argument("--widths", type=int, nargs="+", default=[256, 1024, 4096])
    options = parser.parse_args()
    widths = [16, 32, 64] if options.quick else options.widths
    with ft.float64():
        measured(ours, widths)  # compiles
        exact = measured(partial(ours, c=FINER), widths)
        mine = measured(ours, widths)
        rows = [_row("ours", mine, exact, mine)]
        error = _error(mine, exact)
        for name, run in peers().items():
            problems = {}

            def start(cell: Cell, problems: dict = problems) -> Problem:
                key = (cell["gamma"], cell["gamma_prime"], cell["width"])
                if key not in problems:
                    problems[key] = problem_of(cell)
                return problems[key]

            measured(lambda c, run=run, start=start: _once(run, start(c)), widths)  # compiles
            for finer in range(12):
                made = measured(
                    lambda c, run=run, start=start, finer=finer: descent(run, start(c), finer),
                    widths,
                )
                equal = _error(made, exact) <= error
                if finer == 0 or equal:
                    kind = "at equal accuracy" if equal else "as published"
                    rows.append(_row(f"{name}, {kind}", made, exact, mine))
                if equal or (name.startswith("torch") and made.seconds > 600):
                    break
    sizes = {axis: tuple(few[:3]) for axis, few in SIZES.items()} if options.quick else SIZES
    spent = {axis: [(size, *_spent(axis, size)) for size in sizes[axis]] for axis in sizes}
    slopes = [_exponent(axis, found) for axis, found in spent.items()]
    columns = ("method", "s", "steps", "error of S_w", "ratio")
    points = f"{len(GAMMAS) * len(PRIMES)} points, widths {', '.join(map(str, widths))}"
    tables = [
        Table(points, columns, rows),
        Table("Cost", ("size", "exponent", "low", "high", "expected"), slopes),
        Table(
            "Runs",
            ("size", "value", "cells", "s"),
            [(axis, *row) for axis, found in spent.items() for row in found],
        ),
    ]
    _report.write(options.json, __doc__, tables, quick=options.quick)


def _spent(axis: str, size: int) -> tuple[int, float]:
    """Cells of a sweep of this size, and the seconds that they take."""
    cells = list(_cells(axis, size))
    PROBE.run(cells[:1])  # compiles
    began = time.perf_counter()
    PROBE.run(cells)
    return len(cells), time.perf_counter() - began


def _cells(axis: str, size: int) -> Iterator[Cell]:
    if axis == "width":
        yield cell_of(1.0, 0.0, size)
        return
    side = math.isqrt(size) if axis.startswith("points") else 3
    for gamma, other in product(np.linspace(0.6, 1.4, side), np.linspace(-0.4, 0.4, side)):
        for seed in range(size if axis == "seeds" else 1):
            yield cell_of(float(gamma), float(other), 256) | {"seed": seed}


def _exponent(axis: str, found: list[tuple[int, int, float]]) -> tuple:
    sizes, _, seconds = zip(*found, strict=True)
    fit = fit_slope(np.log(sizes), np.log(seconds), name=axis, predicted=1)
    print(f"seconds ~ ({axis})^{fit.value:.2f} [{fit.low:.2f}, {fit.high:.2f}]; expected 1")
    return (axis, fit.value, fit.low, fit.high, 1)


def _once(run: Callable[..., Any], p: Problem) -> Descent:
    """Compiles, and is not counted."""
    run(p, 1e300)
    return Descent(1.0, 0)


def _error(made: Measured, exact: Measured) -> float:
    return float(np.sqrt(np.mean((made.slopes - exact.slopes) ** 2)))


def _row(name: str, made: Measured, exact: Measured, mine: Measured) -> tuple:
    error = _error(made, exact)
    ratio = made.seconds / mine.seconds
    print(f"{name:<45} {made.seconds:8.3f} s {made.steps:9d} steps  error {error:.1e}  {ratio:.1f}")
    return (name, made.seconds, made.steps, error, ratio)


if __name__ == "__main__":
    main()
