r"""Attacks on what holds after alignment: the O(1/t) bound on the loss, and the stable rank.

The numbers of a case: directions of the signed data (two of each class in $\mathbb R^3$, least
cosine at least 0.05) and logarithms of their norms. The start is one for all: the late stages know
it by which cones are populated alone.
"""

from __future__ import annotations

import numpy as np
import sympy as sp
from jaxtyping import Float

from flowtheory.data import LabelledData
from flowtheory.flow import Trajectory
from flowtheory.judge import Evidence
from flowtheory.laws.alignment_time import formulas as f
from flowtheory.laws.alignment_time.after import EPS, grown, peak_rank, trained
from flowtheory.laws.alignment_time.attacks import LAW, PARALLEL, data_of
from flowtheory.laws.attack import Attack
from flowtheory.laws.rows import evidence

_SAMPLES, _DIMENSION, _NEURONS = 4, 3, 6
_MU, _HORIZON = 0.05, 1e4
_LIMIT = sp.Integer(2) + EPS
_BOX = ((-1.0, 1.0),) * (_SAMPLES * _DIMENSION) + ((0.0, 1.0),) * _SAMPLES
_START = np.random.default_rng(5).standard_normal((_NEURONS, _DIMENSION))


def late_attacks() -> tuple[Attack, ...]:
    """On the published bound of the loss, and on the limit of the stable rank."""
    return (
        Attack(
            "O(1/t), from where it has halved L_2", LAW, f.DECAY, True, _BOX, _decayed, (0, 1, 10),
            attained=False,
            detail="no family attains it: the loss falls as 1/(t ln t), and alpha has a factor 32",
        ),
        Attack("stable rank after alignment", LAW, _LIMIT, True, _BOX, _ranked, (0, 1, 10)),
    )  # fmt: skip


def _decayed(numbers: Float[np.ndarray, " numbers"]) -> Evidence | None:
    """The largest ratio over the times at which the bound is at most half of the loss at t_2."""
    data = _data(numbers)
    late = _run(data)
    first = grown(late, data) if late is not None else 0
    if late is None or first >= len(late.times) - 1:
        return None
    alpha = float(f.rate_alpha(data.mu, data.x_min, data.x_max))
    elapsed = late.times - late.times[first]
    bound = np.asarray(f.decay_bound(late.loss[first], alpha, np.maximum(elapsed, 0.0)))
    kept = np.flatnonzero(bound <= 0.5 * late.loss[first])
    if not kept.size:
        return None
    k = int(kept[np.argmax(late.loss[kept] / bound[kept])])
    at = {"L_2": late.loss[first], "alpha": alpha, "Delta_t": elapsed[k]}
    return _evidence(data, float(late.loss[k]), {name: float(v) for name, v in at.items()})


def _ranked(numbers: Float[np.ndarray, " numbers"]) -> Evidence | None:
    data = _data(numbers)
    late = _run(data)
    return None if late is None else _evidence(data, peak_rank(late, data), {})


def _data(numbers: Float[np.ndarray, " numbers"]) -> LabelledData:
    directions, logs = np.split(numbers, [_SAMPLES * _DIMENSION])
    return data_of(directions, logs, _MU)


def _run(data: LabelledData) -> Trajectory | None:
    """To a late time; None for data in one direction, or that are not classified in time."""
    if data.mu > PARALLEL:
        return None
    late = trained(data, _START, _HORIZON)
    return late if late.outcome.ok else None


def _evidence(data: LabelledData, measured: float, more: dict[str, float]) -> Evidence:
    row = evidence("", data, np.nan, measured, h=_NEURONS, eps=EPS)
    return Evidence("", "", {**row.parameters, **more}, measured, counts=row.counts)
