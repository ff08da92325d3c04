r"""The published experiment: digits of two classes, centred, a network of 50 neurons, tiny weights.

Entries of W and v are independent N(0, 1e-12) (not balanced, so signs of v may flip; V_+ is
recomputed at every time). The data violate Assumption 1, neurons slide, and every kink is met: the
flow is integrated in the cheap mode, with an error bar from two step sizes. Clock: mean loss.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flowtheory.data import LabelledData, family
from flowtheory.exact import propagate
from flowtheory.flow import Trajectory, solve_steps
from flowtheory.laws.record import ExperimentResult, Settings
from flowtheory.lower import gradient_flow

WIDTH = 50
SCALE = 1e-6


def training(settings: Settings) -> ExperimentResult:
    """Alignment of V_+ with x_+ and of V_- with x_-, loss, stable rank and |W|_2^2 over time."""
    if settings.data is None:
        return ExperimentResult(summary={"skipped": "synthetic data only (--data synthetic)"})
    data = settings.data
    rng = np.random.default_rng(settings.seed)
    flow = gradient_flow(data.x, data.y, loss="logistic", reduction="mean")
    start = flow.start(
        SCALE * rng.standard_normal((WIDTH, data.dimension)), SCALE * rng.standard_normal(WIDTH)
    )
    horizon = _horizon(data)
    run = solve_steps(
        flow,
        start,
        horizon,
        c=settings.effort.pick(0.5, 0.25, 0.1),
        times=np.linspace(0, horizon, 161)[1:],
        observe=alignment,
        progress=lambda t, *_: settings.progress(
            "training on real images", int(100 * t / horizon), 100
        ),
    )
    curves = _curves(run, data)
    last = {name: float(values[-1]) for name, values in curves.items() if np.ndim(values) == 1}
    summary = {
        "outcome": run.outcome.value,
        "clock": str(flow.clock),
        "width": WIDTH,
        "scale": SCALE,
        "loss_error": float(np.max(run.errors["loss"])),
        "at_end": last,
    }
    return ExperimentResult(summary=summary, curves=curves)


def alignment(params: Any, x: Any, y: Any) -> dict[str, Any]:
    """Cosines of the mean, worst and best neuron of V_+ with x_+ and of V_- with x_-; spectrum."""
    import jax.numpy as jnp

    from flowtheory.flow import spectrum

    found = dict(spectrum(params, x, y))
    unit = params.W / jnp.linalg.norm(params.W, axis=1, keepdims=True)
    for name, sign in (("plus", 1.0), ("minus", -1.0)):
        target = jnp.sum(jnp.where((y == sign)[:, None], x, 0.0), axis=0)
        target = target / jnp.linalg.norm(target)
        mine = params.v * sign > 0
        mean = jnp.sum(jnp.where(mine[:, None], params.W, 0.0), axis=0)
        each = unit @ target
        found[f"cos_{name}_mean"] = mean @ target / jnp.linalg.norm(mean)
        found[f"cos_{name}_min"] = jnp.min(jnp.where(mine, each, jnp.inf))
        found[f"cos_{name}_max"] = jnp.max(jnp.where(mine, each, -jnp.inf))
    return found


def _horizon(data: LabelledData) -> float:
    """Escape takes about ln(1/eps)/rate on this clock; twice that shows the fit as well."""
    rate = 0.5 * max(np.linalg.norm(data.x_plus), np.linalg.norm(data.x_minus)) / data.n
    return 2.0 * float(np.log(1 / SCALE) / rate)


def _curves(run: Trajectory, data: LabelledData) -> dict[str, Any]:
    curves: dict[str, Any] = {"time": run.times}
    curves.update({name: np.asarray(run[name]) for name in run.observables})
    curves["squared_spectral_norm"] = curves.pop("spectral_norm_squared")
    curves["clock"] = str(run.clock)
    curves["title_data"] = data.name
    curves["errors"] = {name: np.asarray(run.errors[name]) for name in run.errors}
    return curves


def directions(settings: Settings) -> ExperimentResult:
    """A 2-D example: neurons' directions before, during and after alignment (effective flow)."""
    data = _two_dimensional()
    rng = np.random.default_rng(settings.seed + 3)
    angle = rng.uniform(0, 2 * np.pi, 40)
    w0 = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    sign = np.where(np.arange(40) % 2 == 0, 1.0, -1.0)
    rate = float(np.linalg.norm(data.x_plus))
    times = np.array([0.0, 1.0, 6.0]) / rate
    paths = propagate(data.x, data.y, w0, sign, times=times)
    curves = {
        "x": data.x,
        "y": data.y,
        "times": times,
        "directions": paths.samples.direction,
        "log_norms": paths.samples.log_norm,
        "signs": sign,
    }
    return ExperimentResult(curves=curves)


def _two_dimensional() -> LabelledData:
    """Six separable points of both labels."""
    case = family("fan")(n=6, mu=0.3, labels="alternating")
    return case.data
