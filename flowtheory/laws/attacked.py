"""The experiment that runs the attacks of a law."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from flowtheory.judge import Evidence
from flowtheory.laws.attack import EXPERIMENT, Attack
from flowtheory.laws.record import Experiment, Settings


def attack_experiment(attacks: Sequence[Attack]) -> Experiment:
    """The experiment that runs them all."""

    def run(settings: Settings) -> Iterator[Evidence]:
        for k, attack in enumerate(attacks):
            rng = np.random.default_rng((settings.seed, k))
            yield from attack.search(settings.effort.pick(*attack.generations), rng)
            settings.progress("attacks", k + 1, len(attacks))

    return Experiment(EXPERIMENT, "searches for the worst case of each bound", run)
