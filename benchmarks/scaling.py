"""How does the cost grow with the width, the samples, the dimension, 1/eps and the switches?

    python benchmarks/scaling.py [--axes m n d eps switches] [--json [PATH]] [--quick]

The first descent (time of half the plateau's loss) of a two-layer tanh network, half mean square,
by `ft.GradientFlow.solve`: with the end alone ("end": `save=None`), and with rows saved and an
error estimate ("rows"). One of m = 200, n = 100, d = 20, eps = 1e-6 is varied at a time, data and
start drawn anew. `switches`: a two-layer ReLU network (m varied, n = 16, d = 4, eps = 0.1, to t =
20), all switches located ("located"), and event-exact propagation of as many neurons on 200 points
of dimension 20 ("event-exact").

Exponents are slopes of log cost against log size by least squares, with 99 % intervals; the cost is
in seconds, and for the rows also in evaluations, which do not scatter with the machine. The
expected ones hold for large sizes; below, a cost that does not depend on the size flattens them.
Each axis is a fresh process, for m each size; there memory is the largest resident set, both ways,
less what it was when JAX had been started. Most of it is the compiler's.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from statistics import median
from typing import Any

import _report
import numpy as np
from _report import Table

BASE = {"m": 200, "n": 100, "d": 20, "eps": 1e-6}
AXES: dict[str, tuple[float, ...]] = {
    "m": (100, 300, 1000, 3000, 10_000, 100_000),
    "n": (50, 200, 800, 3200),
    "d": (5, 20, 80, 320),
    "eps": (1e-2, 1e-4, 1e-12, 1e-50, 1e-300),
    "switches": (10, 20, 40, 80),
}
QUICK: dict[str, tuple[float, ...]] = {
    "m": (10, 20, 40),
    "n": (10, 20, 40),
    "d": (2, 4, 8),
    "eps": (1e-4, 1e-12, 1e-300),
    "switches": (3, 6, 12),
}
COLUMNS = ("axis", "size", "way", "seconds", "evaluations", "switches", "memory MB", "outcome")
EXPECTED: dict[tuple[str, str], dict[str, tuple[float, str]]] = {
    ("m", "rows"): {
        "seconds": (1, "an evaluation is 2 m n d multiplications"),
        "evaluations": (0, "the flow has a limit as m grows"),
    },
    ("m", "end"): {"seconds": (1, "all m neurons are read and rebuilt, the flow's nodes are few")},
    ("n", "rows"): {"seconds": (1, "an evaluation is 2 m n d multiplications")},
    ("n", "end"): {"seconds": (1, "an evaluation of the nodes is 2 K n d multiplications")},
    ("d", "rows"): {"seconds": (1, "an evaluation is 2 m n d multiplications")},
    ("d", "end"): {"seconds": (3, "eigenvectors of d + 1 coordinates; K n d an evaluation below")},
    ("eps", "rows"): {
        "seconds": (0, "the plateau is in closed form"),
        "evaluations": (0, "the plateau is in closed form"),
    },
    ("eps", "end"): {"seconds": (0, "the plateau is in closed form")},
    ("switches", "located"): {
        "seconds": (2, "as many evaluations as switches, each over all m neurons"),
        "evaluations": (1, "some evaluations a switch"),
    },
    ("switches", "event-exact"): {"seconds": (1, "a fixed cost an event")},
}
"""By axis and way, for each cost: the exponent for large sizes, and why."""


def peak_mb() -> float:
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def clocked(solve: Callable[[], Any], budget: float = 1.0) -> tuple[float, Any]:
    """Median of warm runs: at least one, at most seven, for about `budget` seconds."""
    found, seconds = solve(), []
    while not seconds or (sum(seconds) < budget and len(seconds) < 7):
        began = time.perf_counter()
        found = solve()
        seconds.append(time.perf_counter() - began)
    return median(seconds), found


def smooth(axis: str, size: float) -> Iterable[dict[str, Any]]:
    import flowtheory as ft

    case = {**BASE, axis: size}
    m, n, d = (int(case[name]) for name in "mnd")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, d))
    y = np.tanh(2 * x @ rng.standard_normal(d) / math.sqrt(d))
    flow = ft.GradientFlow(ft.fully_connected(2, "tanh"), "half_mse", x=x, y=y)
    start = flow.init(scale=case["eps"], seed=0, width=m)
    ways: dict[str, dict[str, Any]] = {"end": {"save": None}, "rows": {}}
    for way, options in ways.items():
        seconds, run = clocked(
            lambda options=options: flow.solve(start, until=ft.plateau_left(0.5), **options)
        )
        count = sum(stage.evaluations for stage in run.stages)
        yield {"way": way, "seconds": seconds, "evaluations": count, "outcome": run.outcome.value}


def kinked(size: int, end: float = 20.0) -> Iterable[dict[str, Any]]:
    from flowtheory.exact import propagate
    from flowtheory.flow import Settings, TwoLayer, solve
    from flowtheory.lower import gradient_flow

    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(16, 4)), rng.normal(size=16)
    W, v = 0.1 * rng.normal(size=(size, 4)), 0.1 * rng.normal(size=size)
    flow = gradient_flow(x, y, loss="half_square", reduction="mean")
    settings = Settings(method="tsit5")
    start = TwoLayer(W, v)  # type: ignore[arg-type]
    seconds, run = clocked(lambda: solve(flow, start, end, settings=settings))
    yield {
        "way": "located",
        "seconds": seconds,
        "evaluations": run.statistics.evaluations,
        "switches": len(run.switches.time),
        "outcome": run.outcome.value,
    }
    X, Y, w0 = rng.normal(size=(200, 20)), rng.normal(size=200), rng.normal(size=(size, 20))
    seconds, paths = clocked(lambda: propagate(X, Y, w0))
    failed = [outcome.value for outcome in paths.outcome if not outcome.ok]
    yield {
        "way": "event-exact",
        "seconds": seconds,
        "switches": len(paths.time),
        "outcome": failed[0] if failed else paths.outcome[0].value,
    }


def child(axis: str, sizes: Iterable[float]) -> None:
    """One axis, in a process of its own; a line of JSON a row."""
    import jax

    jax.numpy.zeros(1).block_until_ready()
    base = peak_mb()
    for size in sizes:
        rows = kinked(int(size)) if axis == "switches" else smooth(axis, size)
        for row in rows:
            row |= {"axis": axis, "size": size}
            if axis == "m":
                row["memory MB"] = peak_mb() - base
            print(json.dumps(row), flush=True)


def spawned(axis: str, sizes: Iterable[float]) -> list[dict[str, Any]]:
    line = [sys.executable, __file__, "--child", axis, "--sizes", *map(str, sizes)]
    rows = []
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for text in process.stdout:
            row = json.loads(text)
            rows.append(row)
            print("  ".join(f"{key} {show(row[key])}" for key in COLUMNS if key in row), flush=True)
    if process.returncode:
        raise SystemExit(f"the axis {axis} ended with status {process.returncode}")
    return rows


def show(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def exponents(rows: list[dict[str, Any]]) -> Iterable[tuple]:
    """Log-log slopes with intervals, beside what is expected."""
    from flowtheory.judge import fit_slope

    for (axis, way), costs in EXPECTED.items():
        chosen = [row for row in rows if row["axis"] == axis and row["way"] == way]
        for cost, (expected, why) in costs.items():
            if len(chosen) < 3:
                continue
            sizes = [_size(row) for row in chosen]
            values = np.log([row[cost] for row in chosen])
            fit = fit_slope(np.log(sizes), values, name=f"{axis} {way}", predicted=expected)
            axis_name = "log(1/eps)" if axis == "eps" else axis
            yield (axis_name, way, cost, fit.value, fit.low, fit.high, expected, why)


def _size(row: dict[str, Any]) -> float:
    if row["axis"] == "eps":
        return -math.log10(row["size"])
    return row["switches"] if row["axis"] == "switches" else row["size"]


def main() -> None:
    parser = _report.arguments("Cost against every size, with exponents.")
    parser.add_argument("--axes", nargs="+", default=list(AXES), choices=list(AXES))
    parser.add_argument("--child", choices=list(AXES), help=argparse.SUPPRESS)
    parser.add_argument("--sizes", nargs="+", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.sizes)
        return
    rows: list[dict[str, Any]] = []
    for axis in options.axes:
        sizes = (QUICK if options.quick else AXES)[axis]
        if axis != "m":
            rows += spawned(axis, sizes)
            continue
        for size in sizes:
            rows += spawned(axis, (size,))
    slopes = list(exponents(rows))
    for axis, way, cost, value, low, high, expected, _ in slopes:
        print(f"{cost} ~ {axis}^{value:.2f} [{low:.2f}, {high:.2f}], {way}; expected {expected}")
    columns = ("size", "way", "cost", "exponent", "low", "high", "expected", "because")
    runs = [tuple(row.get(name) for name in COLUMNS) for row in rows]
    tables = [Table("Exponents", columns, slopes), Table("Runs", COLUMNS, runs)]
    _report.write(options.json, __doc__, tables, quick=options.quick)


if __name__ == "__main__":
    main()
