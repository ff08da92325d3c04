"""What is measured: fates and times of starts, and how the bounds close in on the blow-up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from flowtheory.judge import Evidence
from flowtheory.laws.record import Settings
from flowtheory.laws.starts import Drive, Layers, brackets, observed
from flowtheory.lower import numeric
from flowtheory.outcome import Outcome
from flowtheory.symbolic.brackets import VALUE

DEPTHS = (3, 4, 5)
UPPER = ("tangent_upper", "layers_upper", "energy_upper")
LOWER = ("norm_lower", "layers_lower")
NUMBERS = {
    "tangent_upper": "(i)",
    "norm_lower": "(ii)",
    "layers_lower": "(iii), from below",
    "layers_upper": "(iii), from above",
    "energy_upper": "(iv)",
}


def starts(settings: Settings) -> Iterator[Evidence]:
    """Gaussian starts, each with both signs of H, and balanced aligned ones that attain bounds."""
    pick = settings.effort.pick
    for layers in DEPTHS:
        count = pick(60, 200, 1000) if layers == 3 else pick(16, 60, 200)
        rng = np.random.default_rng((settings.seed, layers))
        for k in range(count):
            drive = Drive.random(layers, float(rng.uniform(0.3, 3)), rng)
            start = drive.gaussian(10.0 ** rng.uniform(-3, 1), rng)
            yield from _both_signs(drive, start, settings.seed)
            if k % 20 == 0:
                yield from _attaining(drive, rng, settings.seed)
                settings.progress(f"starts of {layers} layers", k, count)


def _both_signs(drive: Drive, start: Layers, seed: int) -> Iterator[Evidence]:
    first = next(iter(start))
    for layers in (start, {**start, first: -start[first]}):
        sign = "H > 0" if drive.value(layers) > 0 else "H < 0"
        row, blew_up = _time(drive, layers, f"L = {drive.layers}, {sign}", seed)
        yield Evidence(
            "starts", f"{sign}: fate", {"L": drive.layers}, measured=float(blew_up), seed=seed
        )
        if blew_up:
            yield row


def _time(drive: Drive, start: Layers, family: str, seed: int) -> tuple[Evidence, bool]:
    run = drive.blow_up(start)
    row = Evidence(
        experiment="starts",
        family=family,
        parameters=drive.parameters(start),
        **observed(run),
        seed=seed,
    )
    return row, run.outcome is Outcome.BLEW_UP


def _attaining(drive: Drive, rng: np.random.Generator, seed: int) -> Iterator[Evidence]:
    """Balanced aligned starts of gains below and above 1, which attain all bounds at once."""
    power = rng.uniform(0.3, 2.5)
    for gain in (10.0**-power, 10.0**power):
        start = drive.rank_one([gain] * drive.layers, rng)
        row, _ = _time(drive, start, f"L = {drive.layers}, attaining", seed)
        yield replace(row, parameters={**row.parameters, "x": gain})


def ends(settings: Settings) -> Iterator[Evidence]:
    """The bounds restarted on the way to the blow-up: how fast they close in on it."""
    for layers in DEPTHS:
        rng = np.random.default_rng((settings.seed, layers, 5))
        for k in range(settings.effort.pick(3, 5, 10)):
            drive = Drive.random(layers, float(rng.uniform(0.5, 2)), rng)
            start = drive.gaussian(1.0, rng)
            yield from _on_the_way(drive, start, 100 * settings.seed + k)


def _on_the_way(drive: Drive, start: Layers, seed: int) -> Iterator[Evidence]:
    """T_up - T* at states whose norm has grown by e^g; the time left is that of a run from them."""
    found = brackets(drive.layers)
    symbols = (found.flow.strength, VALUE, *found.flow.gains)
    for name, gains in (
        ("tangent_upper", (3.0, 4.0, 5.0, 6.0)),
        ("layers_upper", (3.0, 4.0, 5.0, 6.0)),
        ("energy_upper", (2.5, 3.0, 3.5, 4.0)),
    ):
        bound = numeric(getattr(found, name), symbols)
        for gain in gains:
            run = drive.blow_up(start, gain=gain, check=False)
            state = run.polar.direction
            at = drive.parameters(state)
            left = drive.blow_up(state, rtol=1e-13, gain=9.0, check=False).blow_up_time.estimate
            excess = bound(*(at[str(one)] for one in symbols)) - left
            unit = float(np.exp(-(drive.layers - 2) * run.gain))
            yield Evidence(
                experiment="ends",
                family=f"L = {drive.layers}, {NUMBERS[name]}",
                parameters={"R": unit * left, "L": drive.layers},
                measured=unit * excess,
                error=unit * 2e-12 * left,
                seed=seed,
            )
