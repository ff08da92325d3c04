r"""Experiments on real images: subsets that satisfy Assumption 1, at several mu and n.

The worst-case bound is loose here, because $|x_a|$ is of order $n$ and not of order 1. Two
comparisons have teeth: the a-posteriori bound, in which $X_{min}$ is replaced by the least $|x_a|$
that a neuron visited, and the typical time of section "typical times" of the law's page.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flowtheory.data import LabelledData, gaussian_starts, separable_subset
from flowtheory.errors import DataError
from flowtheory.judge import Evidence, UpperBound
from flowtheory.laws.alignment_time import formulas
from flowtheory.laws.alignment_time.comparison import Comparison, a_posteriori, align, compare
from flowtheory.laws.record import ExperimentResult, Settings
from flowtheory.laws.rows import evidence

_LEVELS = (0.02, 0.05, 0.1, 0.2)


def real_data(settings: Settings) -> ExperimentResult:
    """The bound, the a-posteriori bound and the typical time on subsets of real images."""
    if settings.data is None:
        return ExperimentResult(summary={"skipped": "synthetic data only (--data synthetic)"})
    h = settings.effort.pick(12, 24, 200)
    subsets, whole_name = _subsets(settings), settings.data.name
    worst: list[Evidence | None] = []
    informed: list[Evidence | None] = []
    typical: list[Evidence] = []
    quantiles: list[dict[str, Any]] = []
    for k, (data, note) in enumerate(subsets):
        comparison = compare(gaussian_starts(data, h=h, seed=settings.seed, family=whole_name))
        worst.append(comparison.row("real", seed=settings.seed, note=note))
        informed.append(
            comparison.row(
                "real, a posteriori",
                predicted=a_posteriori(comparison),
                seed=settings.seed,
                note=note,
            )
        )
        typical.append(_typical(comparison, settings.seed, note))
        quantiles.append(_quantiles(comparison, note))
        settings.progress("real images", k + 1, len(subsets) + 1)
    whole = _whole(settings, h)
    below = [row for row in worst if row is not None]
    below_informed = [row for row in informed if row is not None]
    settings.progress("real images", len(subsets) + 1, len(subsets) + 1)
    largest = max(below, key=lambda row: row["n"])
    loose = (
        f"worst case: at n = {largest['n']:.0f} the slowest takes {largest.ratio:.1e} of it, "
        "since |x_a| is of order n and not X_min"
    )
    sharp = "X_min replaced by the least |x_a| that the neuron visited"
    findings = (
        UpperBound().judge("real images: T X_min below its bound", below, loose),
        UpperBound().judge("real images: T below the a-posteriori bound", below_informed, sharp),
    )
    return ExperimentResult(
        tuple(below + below_informed + typical),
        findings=findings,
        summary={"whole": whole, "quantiles": quantiles},
    )


def _subsets(settings: Settings) -> list[tuple[LabelledData, str]]:
    """Maximal subsets at several mu, then random parts of one of them at several n."""
    assert settings.data is not None
    rng = np.random.default_rng(settings.seed)
    found: list[tuple[LabelledData, str]] = []
    for level in _LEVELS:
        try:
            found.append((separable_subset(settings.data, level), f"maximal subset, mu >= {level}"))
        except DataError:
            continue  # no subset of both classes at this level: the range says what was tested
    if not found:
        raise DataError(
            "no subset of the real data satisfies Assumption 1",
            expected=f"at least two images of both classes with cosines >= {min(_LEVELS)}",
            fix="centre the images, choose another class pair, or use --data synthetic",
        )
    largest = found[min(1, len(found) - 1)][0]
    for size in (20, 60, largest.n // 2):
        if size < largest.n:
            chosen = np.sort(rng.choice(largest.n, size=size, replace=False))
            part = largest.subset(chosen, name=largest.name)
            if part.n_plus and part.n_minus:
                found.append((part, f"random part, n = {size}"))
    return found


def _typical(comparison: Comparison, seed: int, note: str) -> Evidence:
    """The median time against the typical-time scaling at the mean cosine and mean norm."""
    data, times = comparison.case.data, comparison.times
    unit = data.signed / data.norms[:, None]
    mean_cosine = float((np.sum(np.sum(unit, axis=0) ** 2) - data.n) / (data.n * (data.n - 1)))
    scale = float(formulas.typical_time(data.n, mean_cosine, data.dimension))
    to_dimensionless = data.x_min / float(np.mean(data.norms))
    return evidence(
        "real, typical time",
        data,
        scale * to_dimensionless,
        times.quantiles("pattern")["median"] * data.x_min,
        family=comparison.case.family,
        h=comparison.case.h,
        seed=seed,
        counts=times.counts,
        note=f"{note}; median neuron, mean cosine {mean_cosine:.3f}",
    )


def _quantiles(comparison: Comparison, note: str) -> dict[str, Any]:
    """The three alignment times over live neurons, in the reference clock."""
    times, data = comparison.times, comparison.case.data
    found = {name: times.quantiles(name) for name in ("pattern", "cosine", "phi")}
    return {"data": note, "n": data.n, "mu": data.mu, **found, **times.counts}


def _whole(settings: Settings, h: int) -> dict[str, float | int | str]:
    """All images of the pair, Assumption 1 or not: phi and cosines only, no bound applies."""
    data = settings.data
    assert data is not None
    times = align(gaussian_starts(data, h=h, seed=settings.seed))
    own = sum(cone.value == "own" for cone in times.cone)
    return {
        "data": data.name,
        "n": data.n,
        "mu": data.mu,
        "violating_fraction": data.violating_fraction,
        "median_phi_time": times.quantiles("phi")["median"],
        "neurons": h,
        "ended_in_own_cone": own,
        **times.counts,
    }
