r"""After alignment: the O(1/t) bound on the loss, and the limit of the stable rank."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from flowtheory.data import LabelledData, family
from flowtheory.flow import Settings as Accuracy
from flowtheory.flow import (
    Trajectory,
    all_classified,
    continue_late,
    solve,
    weights_and_spectrum,
)
from flowtheory.judge import Equality, Evidence, UpperBound
from flowtheory.laws.alignment_time import formulas
from flowtheory.laws.record import ExperimentResult, Settings
from flowtheory.laws.rows import evidence
from flowtheory.lower import gradient_flow
from flowtheory.measure import max_margin

EPS = 1e-3
# The stable rank approaches its limit like a power of 1/ln t. On unit norms, as here, it is much
# closer at t = 1e4; on data of unequal norms it may be off by a tenth at t = 1e8.
RANK_TOLERANCE = 5e-3


def after_alignment(settings: Settings) -> ExperimentResult:
    """A small separable example from alignment to late times, exponential loss."""
    horizon = settings.effort.pick(1e4, 1e6, 1e8)
    case = family("random-cone")(
        n=4, dimension=3, mu=0.474, h=6, labels="alternating", norm_spread=0.0, seed=settings.seed
    )
    data = case.data
    late = trained(data, case.w0, horizon)
    settings.progress("after alignment", 1, 1)
    decay = _decay_rows(late, data)
    rank = _rank_row(late, data)
    peak = peak_rank(late, data)
    note = "largest stable rank after the loss has halved; limit at most 2"
    two = evidence("stable rank", data, 2.0 + EPS, peak, h=6, eps=EPS, note=note)
    findings = (
        UpperBound().judge("L(t) <= L(t2)/(L(t2) alpha (t - t2) + 1) after alignment", decay),
        Equality(RANK_TOLERANCE).judge("stable rank tends to its closed form", [rank]),
        UpperBound().judge("stable rank at most 2 + O(eps)", [two]),
    )
    curves = {"time": late.times, "loss": late.loss, "stable_rank": late["stable_rank"]}
    return ExperimentResult((*decay, rank, two), findings=findings, curves=curves)


def trained(data: LabelledData, w0: Float[np.ndarray, "h D"], horizon: float) -> Trajectory:
    """Both classes' neurons from a start at `EPS` through alignment to a late time.

    Its outcome is not ok if not all data are classified by time 60.
    """
    flow = gradient_flow(data.x, data.y)
    sign = np.where(np.arange(len(w0)) % 2 == 0, 1.0, -1.0)
    w0 = _populated(w0, data)
    start = flow.start(EPS * w0, EPS * sign * np.linalg.norm(w0, axis=1))
    observed: dict[str, Any] = {"observe": weights_and_spectrum, "settings": Accuracy(rtol=1e-10)}
    aligned = solve(flow, start, 60.0, until=all_classified(), **observed)
    return continue_late(flow, aligned, horizon, **observed) if aligned.outcome.ok else aligned


def peak_rank(late: Trajectory, data: LabelledData) -> float:
    """The largest stable rank once the loss has halved."""
    return float(np.max(late["stable_rank"][late.loss < 0.5 * data.n]))


def _populated(w0: np.ndarray, data: LabelledData) -> np.ndarray:
    """Starts tilted towards their own class sum, so that both cones are populated."""
    axes = np.where(
        (np.arange(len(w0)) % 2 == 0)[:, None], data.x_plus[None, :], data.x_minus[None, :]
    )
    return w0 + 0.5 * np.linalg.norm(w0, axis=1, keepdims=True) * axes / np.linalg.norm(
        axes, axis=1, keepdims=True
    )


def grown(late: Trajectory, data: LabelledData) -> int:
    """Row of t_2, the first saved time at which an output of each sign exceeds 1/4."""
    params = late.saved_params()
    hidden = np.maximum(np.einsum("khd,nd->khn", params.W, data.x), 0.0)
    margins = data.y * np.einsum("kh,khn->kn", params.v, hidden)
    both = (margins[:, data.y > 0].max(axis=1) > 0.25) & (margins[:, data.y < 0].max(axis=1) > 0.25)
    return int(np.argmax(both)) if both.any() else len(both)


def _decay_rows(late: Trajectory, data: LabelledData) -> list[Evidence]:
    """The bound from t_2 on."""
    alpha = float(formulas.rate_alpha(data.mu, data.x_min, data.x_max))
    first = grown(late, data)
    rows = []
    for k in range(first + 1, len(late.times), max(1, (len(late.times) - first) // 24)):
        bound = formulas.decay_bound(late.loss[first], alpha, late.times[k] - late.times[first])
        note = f"t = {late.times[k]:.4g}"
        rows.append(evidence("O(1/t)", data, bound, late.loss[k], h=6, eps=EPS, note=note))
    return rows


def _rank_row(late: Trajectory, data: LabelledData) -> Evidence:
    u_plus, g_plus = max_margin(data.x[data.y > 0])
    u_minus, g_minus = max_margin(data.x[data.y < 0])
    limit = float(formulas.stable_rank_limit(u_plus @ u_minus, g_plus, g_minus))
    note = f"at t = {late.t_end:.3g}"
    return evidence(
        "stable rank limit", data, limit, late["stable_rank"][-1], h=6, eps=EPS, note=note
    )
