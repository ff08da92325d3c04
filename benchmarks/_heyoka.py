"""A peer of `ensemble.py`: heyoka's Taylor method, compiled once, one lane after the other.

The weights are integrated in units of eps, which is a parameter: heyoka's tolerance is absolute for
states below 1. The event is a terminal one on the loss.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

END = 1e4


def by_heyoka(
    width: int, dimension: int, samples: int, tolerance: float
) -> Callable[[dict[str, Any], tuple[Any, Any], Any, float], np.ndarray] | None:
    """(starts, data, eps, drop) -> times of a loss of `drop` times its start; None: no heyoka."""
    try:
        import heyoka as hy  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        print(f"no heyoka: {error}")
        return None
    inputs, at_x, at_y = range(samples), samples * dimension, samples * dimension + samples
    eps, level = hy.par[at_y], hy.par[at_y + 1]
    w = [[hy.make_vars(f"w_{j}_{k}") for k in range(dimension)] for j in range(width)]
    v = [hy.make_vars(f"v_{j}") for j in range(width)]
    x = [[hy.par[i * dimension + k] for k in range(dimension)] for i in inputs]

    def sum_of(a: list[Any], b: list[Any]) -> Any:
        return hy.sum([one * other for one, other in zip(a, b, strict=True)])

    s = [[hy.tanh(eps * sum_of(row, x[i])) / eps for i in inputs] for row in w]
    e = [hy.par[at_x + i] - eps**2 * sum_of(v, [row[i] for row in s]) for i in inputs]
    field = []
    for row, out, active in zip(w, v, s, strict=True):
        pull = [out * (1 - eps**2 * active[i] ** 2) * e[i] / samples for i in inputs]
        field += [(row[k], sum_of(pull, [x[i][k] for i in inputs])) for k in range(dimension)]
    field += [(out, sum_of(active, e) / samples) for out, active in zip(v, s, strict=True)]
    below = hy.t_event(sum_of(e, e) / samples - level)
    run = hy.taylor_adaptive(
        field,
        np.zeros(len(field)),
        t_events=[below],
        tol=tolerance,
        pars=np.zeros(at_y + 2),
        compact_mode=True,
    )

    def one(W: Any, out: Any, x: Any, y: Any, scale: float, drop: float) -> float:
        run.time = 0.0
        run.reset_cooldowns()
        run.state[:] = np.append(np.ravel(W), out) / scale
        run.pars[:] = [*np.ravel(x), *y, scale, drop * np.mean(y**2)]
        run.propagate_until(END)
        return run.time

    def times(starts: dict[str, Any], data: tuple[Any, Any], scales: Any, drop: float) -> Any:
        lanes = zip(starts["W"], starts["v"], *data, scales, strict=True)
        return np.array([one(*lane, drop) for lane in lanes])

    return times
