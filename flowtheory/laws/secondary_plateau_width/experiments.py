"""The exact flow of wide networks, from half the first descent to the end of the second plateau."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from flowtheory.engine.gradient_flow import GradientFlow, Params
from flowtheory.flow.until import loss_below
from flowtheory.judge import Evidence
from flowtheory.laws.record import Settings
from flowtheory.laws.secondary_plateau_width.competition import (
    END,
    EVEN,
    ODD,
    Fit,
    Term,
    even_time,
    linear_fit,
    odd_time,
    shares,
)

SAMPLES, CURVATURE = 20, 0.8
_SMALL = 1e-6
_SHAPE = 6400  # what a run of that many neurons takes is less than compiling another shape


def problem(rng: np.random.Generator, term: Term) -> tuple[GradientFlow, Fit]:
    r"""$y = \sin(\omega x)$ on equidistant points of [-1, 1], with $0.8\,x^2$ for $p = 2$."""
    x = np.linspace(-1.0, 1.0, SAMPLES)
    y = np.sin(rng.uniform(2.8, 3.2) * x) + (CURVATURE * x**2 if term is EVEN else 0.0)
    flow = GradientFlow(term.network, "half_mse", x=x[:, None], y=y)
    return flow, linear_fit(x, y, term)


def width(settings: Settings) -> Iterator[Evidence]:
    """Random starts over the width, odd activation."""
    widths = settings.effort.pick((400, 1600), (400, 800, 1600), (400, 800, 1600, 3200, 6400))
    rng = np.random.default_rng([settings.seed, 1])
    repeats = settings.effort.pick(4, 6, 10)
    yield from _widths(ODD, "width", widths, repeats, max(widths), rng, settings)


def even(settings: Settings) -> Iterator[Evidence]:
    """Random starts over the width, an activation with an even term."""
    wide = (400, 1600, 6400, 25600)
    widths = settings.effort.pick(wide[:3], wide, (*wide, 102400))
    rng = np.random.default_rng([settings.seed, 3])
    repeats = settings.effort.pick(5, 6, 6)
    shape = settings.effort.pick(widths[1], _SHAPE, _SHAPE)
    yield from _widths(EVEN, "even", widths, repeats, shape, rng, settings)


def _widths(
    term: Term,
    experiment: str,
    widths: Sequence[int],
    repeats: int,
    shape: int,
    rng: np.random.Generator,
    settings: Settings,
) -> Iterator[Evidence]:
    """Random starts of each width, padded to `shape` neurons where they are fewer."""
    flow, fit = problem(rng, term)
    for k, neurons in enumerate(widths):
        for _ in range(repeats):
            start = flow.init(scale=_SMALL, seed=rng, width=neurons)
            padded = _padded(start, max(neurons, shape))
            yield _row(term, experiment, flow, fit, start, padded, _SMALL, settings.seed)
        settings.progress(f"widths, {experiment}", k + 1, len(widths))


def scale(settings: Settings) -> Iterator[Evidence]:
    """One start, made smaller and smaller."""
    decades = settings.effort.pick((4, 6, 8, 12), (4, 6, 8, 12, 16), (4, 6, 8, 12, 16, 50, 100))
    rng = np.random.default_rng([settings.seed, 2])
    flow, fit = problem(rng, ODD)
    unit = flow.init(seed=rng, width=200)
    pad = settings.effort.pick(1600, 1600, 6400)
    for decade in decades:
        size = 10.0**-decade
        start = {name: size * value for name, value in unit.items()}
        padded = _padded(start, pad)
        yield _row(ODD, "scale", flow, fit, start, padded, size, 1000 * settings.seed)


def _padded(start: Params, neurons: int) -> Params:
    """With neurons of weights 0, which stay there: one shape, compiled once."""
    missing = neurons - len(start["v"])
    return {
        name: np.concatenate([value, np.zeros((missing, *value.shape[1:]))])
        for name, value in start.items()
    }


def _row(
    term: Term,
    experiment: str,
    flow: GradientFlow,
    fit: Fit,
    start: Params,
    padded: Params,
    size: float,
    seed: int,
) -> Evidence:
    at, signs = shares(start, fit)
    gaining = at if term is ODD else at[signs * fit.c > 0]
    first = loss_below((fit.start + fit.level) / 2)
    until = loss_below(END * fit.level)
    run = flow.solve(padded, until=until, watch=first, save="norms", rtol=1e-6, estimate=False)
    met = {event.name: event.time for event in run.events}
    began, ended = met[first.events[0].name], met[until.events[0].name]
    return Evidence(
        experiment=experiment,
        family="tanh, one input" if term is ODD else "with an even term, one input",
        parameters={
            "epsilon": size,
            "m": len(at),
            "c" if term is ODD else "c_2": fit.c,
            "beta": fit.beta,
            "q_max": float(gaining.max()),
            "T_rep": odd_time(at, fit) if term is ODD else even_time(at, signs, fit),
            "lambda": fit.beta * float(np.mean(flow.data["x"] ** 2)),
        },
        measured=ended - began,
        error=1e-5 * (ended - began),
        seed=seed,
    )
