"""How fast is event-exact propagation, and how much faster than an ODE solver with events?

    python benchmarks/effective_flow.py [--mnist DIR] [--neurons 200] [--json [PATH]] [--quick]

All neurons are carried from Gaussian starts to their final cell on centred images of two digits.
The peer is `scipy.integrate.solve_ivp` (DOP853, rtol 1e-10) on one neuron at a time, restarted at
every located switch, on a subset that it can finish; ours does the same subset in the same run.
"""

from __future__ import annotations

import resource
import time
from pathlib import Path

import _report
import numpy as np
from _report import Table
from scipy.integrate import solve_ivp

from flowtheory.data import class_pair, digits, load_mnist, separable_subset
from flowtheory.exact import propagate


def peer(x: np.ndarray, y: np.ndarray, w0: np.ndarray) -> list[float]:
    """Switch times of one balanced neuron by an adaptive solver with one event a datum.

    Crossing only, so the data must satisfy Assumption 1 (nothing slides).
    """
    state = np.append(w0 / np.linalg.norm(w0), 1.0)
    active, now, times = x @ w0 > 0, 0.0, []
    horizon = 40.0 / np.linalg.norm(x, axis=1).min()
    while active.any():
        a = y[active] @ x[active]

        def rate(_, s, a=a):
            return np.append(s[-1] * a, s[:-1] @ a)

        def kink(i, sign):
            def margin(_, s):
                return sign * (s[:-1] @ x[i])

            setattr(margin, "terminal", True)  # noqa: B010  (how solve_ivp takes its options)
            setattr(margin, "direction", -1.0)  # noqa: B010
            return margin

        speed = np.where(active, 1.0, -1.0) * (x @ a)
        watched = np.flatnonzero(speed < 0)
        if not watched.size:
            break
        events = [kink(i, 1.0 if active[i] else -1.0) for i in watched]
        run = solve_ivp(
            rate, (0.0, horizon), state, method="DOP853", rtol=1e-10, atol=1e-13, events=events
        )
        hit = [k for k, found in enumerate(run.t_events) if found.size]
        if not hit:
            break
        now += float(run.t[-1])
        times.append(now)
        state = run.y[:, -1] / np.linalg.norm(run.y[:-1, -1])
        active[watched[hit[0]]] ^= True
    return times


def timed(function, *arguments, **options):
    began = time.perf_counter()
    result = function(*arguments, **options)
    return time.perf_counter() - began, result


def main() -> None:
    parser = _report.arguments("Event-exact propagation against an ODE solver with events.")
    parser.add_argument("--mnist", type=Path, help="directory with the MNIST IDX files")
    parser.add_argument("--neurons", type=int, default=200)
    options = parser.parse_args()
    if options.quick:
        options.neurons = 5
    if options.mnist:
        data = class_pair(*load_mnist(options.mnist, split="test"), 0, 1, source="MNIST")
    else:
        data = digits()
    rng = np.random.default_rng(0)
    w0 = rng.standard_normal((options.neurons, data.dimension))
    compile_s, _ = timed(propagate, data.x[:8], data.y[:8], w0[:2])
    seconds, paths = timed(propagate, data.x, data.y, w0)
    events = len(paths.time)

    part = separable_subset(data, 0.05)
    part = part.subset(np.arange(0, part.n, max(1, part.n // (12 if options.quick else 60))))
    some = w0[:1] if options.quick else w0[:3]
    ours_s, ours = timed(propagate, part.x, part.y, some)
    peer_s, theirs = timed(lambda: [peer(part.x, part.y, w) for w in some])
    error = max(
        float(np.max(np.abs(ours.time[ours.events_of(j)] / np.array(times) - 1), initial=0.0))
        for j, times in enumerate(theirs)
    )
    result = {
        "data": data.name,
        "n": data.n,
        "dimension": data.dimension,
        "neurons": options.neurons,
        "first_call_s": compile_s,
        "seconds": seconds,
        "events": events,
        "events_per_second": events / seconds,
        "outcomes_ok": all(outcome.ok for outcome in paths.outcome),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "subset_n": part.n,
        "subset_events": len(ours.time),
        "subset_ours_s": ours_s,
        "subset_solve_ivp_s": peer_s,
        "ratio_to_solve_ivp": peer_s / ours_s,
        "largest_relative_difference": error,
    }
    for name, value in result.items():
        print(f"{name:<30} {value:.4g}" if isinstance(value, float) else f"{name:<30} {value}")
    table = Table("Propagation", ("what", "value"), list(result.items()))
    _report.write(options.json, __doc__, [table], quick=options.quick)


if __name__ == "__main__":
    main()
