"""Runs of small networks: amplitudes on a plateau, and over windows of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from flowtheory.clock import Reduction
from flowtheory.engine.gradient_flow import GradientFlow, Params
from flowtheory.engine.run import Run
from flowtheory.flow.until import loss_below, plateau_left
from flowtheory.judge import Evidence
from flowtheory.laws.linear_growth import growth as linear_growth
from flowtheory.laws.record import Settings
from flowtheory.laws.samples import regression
from flowtheory.measure import amplitudes as measured_amplitudes
from flowtheory.symbolic import fully_connected

NETWORK = fully_connected(2, "tanh")
SAMPLES, DIMENSION, WIDTH = 12, 2, 10


def amplitudes(rows: Mapping[str, np.ndarray]) -> Float[np.ndarray, "rows m"]:
    r"""$A_j$ at every row, sorted."""
    pairs = zip(rows["W"], rows["v"], strict=True)
    return np.sort([measured_amplitudes(w, v) for w, v in pairs], axis=-1)


def squared_distance(
    one: Float[np.ndarray, "*rows m"], other: Float[np.ndarray, "*rows m"]
) -> Float[np.ndarray, "*rows"]:
    r"""$W_2^2$ between samples of equal size, sorted along the last axis."""
    return np.mean((one - other) ** 2, axis=-1)


def growth(settings: Settings) -> Iterator[Evidence]:
    """The mean amplitude on a plateau, and its distance from where it started."""
    for case in range(settings.effort.pick(2, 6, 20)):
        rng = np.random.default_rng([settings.seed, case])
        flow = _problem(rng)
        start = flow.init(scale=settings.effort.pick(1e-12, 1e-12, 1e-24), seed=rng, width=WIDTH)
        run = flow.solve(start, until=plateau_left(1e-3), save="parameters", rtol=1e-9)
        rate, sorted_ = linear_growth(flow).rate, amplitudes(run.observables)
        away = np.mean(np.abs(sorted_ - sorted_[0]), axis=1)
        mean = sorted_.mean(axis=1)
        for family, values, first in (("from zero", mean, 5.0), ("from the start", away, 10.0)):
            kept = np.flatnonzero(rate * run.times > first)
            for i in kept[:: max(1, len(kept) // 12)]:
                unit = float(values[kept[0]] * np.exp(-rate * run.times[kept[0]]))
                yield Evidence(
                    experiment="growth",
                    family=family,
                    parameters={"tau": rate * float(run.times[i]), "A_0": unit, "n": SAMPLES},
                    measured=float(values[i]) / unit,
                    error=1e-7 * float(values[i]) / unit,
                    seed=1000 * settings.seed + case,
                )
        settings.progress("growth", case + 1, settings.effort.pick(2, 6, 20))


def windows(settings: Settings) -> Iterator[Evidence]:
    """All windows between saved rows; of each run the largest ratios, and some at random."""
    cases = settings.effort.pick(4, 16, 60)
    for case in range(cases):
        rng = np.random.default_rng([settings.seed, 100 + case])
        flow = _problem(rng, "sum" if case % 2 else "mean")
        aligned = case % 4 < 2
        scale = 10.0 ** rng.uniform(-3, -1)
        run = descended(flow, _start(flow, rng, scale, aligned))
        yield from _rows(run, rng, "aligned" if aligned else "random", settings.seed)
        settings.progress("windows", case + 1, cases)


def _problem(rng: np.random.Generator, reduction: Reduction = "mean") -> GradientFlow:
    x, y = regression(rng, SAMPLES, DIMENSION)
    return GradientFlow(NETWORK, "half_mse", reduction=reduction, x=x, y=y)


def _start(flow: GradientFlow, rng: np.random.Generator, scale: float, aligned: bool) -> Params:
    start = flow.init(scale=scale, seed=rng, width=WIDTH)
    if aligned:
        z = flow.data["y"] @ flow.data["x"]
        start["W"] = np.outer(start["v"], z / np.linalg.norm(z))
    return start


def descended(flow: GradientFlow, start: Params, spacing: float | None = None) -> Run:
    r"""A run until two fifths of the loss at zero output are gone, or 60 units of $1/\lambda$.

    Rows are the steps, or `spacing` units of $1/\lambda$ apart: steps are where rounding has them.
    """
    level = 0.6 * flow.plateau(start)
    unit = 1 / linear_growth(flow).rate
    times = None if spacing is None else unit * np.arange(spacing, 60, spacing)
    return flow.solve(
        start, 60 * unit, until=loss_below(level), times=times, save="parameters", rtol=1e-10
    )


def ratios(run: Run) -> tuple[Float[np.ndarray, "r r"], Float[np.ndarray, "r r"]]:
    """Of all windows (row, column): the distance over the bound, and the loss that is lost."""
    sorted_ = amplitudes(run.observables)
    lost = run.loss[:, None] - run.loss[None, :]
    length = run.times[None, :] - run.times[:, None]
    bound = length * lost / sorted_.shape[1]
    found = squared_distance(sorted_[:, None], sorted_[None, :])
    # Below, the difference of two losses is rounding.
    good = (length > 0) & (lost > 1e-6 * run.loss[0])
    return np.where(good, found / np.where(good, bound, 1.0), 0.0), np.where(good, lost, 0.0)


def _rows(run: Run, rng: np.random.Generator, family: str, seed: int) -> Iterator[Evidence]:
    ratio, lost = ratios(run)
    pairs = np.argwhere(lost > 0)
    best = pairs[np.argsort(-ratio[tuple(pairs.T)])[:10]]
    some = pairs[rng.choice(len(pairs), min(30, len(pairs)), replace=False)]
    for i, j in np.concatenate([best, some]):
        yield replace(window(run, int(i), int(j)), family=family, seed=seed)


def window(run: Run, i: int, j: int) -> Evidence:
    """Between two saved rows: the squared distance, and what its bound depends on."""
    sorted_ = amplitudes(run.observables)
    distance = float(squared_distance(sorted_[i], sorted_[j]))
    # The tolerance of a step moves amplitudes by up to this.
    moved = 1e-9 * float(np.max(sorted_[j]))
    return Evidence(
        experiment="windows",
        family="",
        parameters={
            "s": float(run.times[i]),
            "t": float(run.times[j]),
            "L_s": float(run.loss[i]),
            "L_t": float(run.loss[j]),
            "m": sorted_.shape[1],
        },
        measured=distance,
        error=2 * np.sqrt(distance) * moved + moved**2,
    )
