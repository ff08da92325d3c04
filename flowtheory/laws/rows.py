"""Evidence rows for experiments on labelled data."""

from __future__ import annotations

from collections.abc import Mapping

from flowtheory.data import LabelledData
from flowtheory.judge import Evidence


def evidence(
    experiment: str,
    data: LabelledData,
    predicted: float,
    measured: float,
    *,
    family: str | None = None,
    h: int = 1,
    eps: float = 0.0,
    seed: int | None = None,
    counts: Mapping[str, int] | None = None,
    note: str = "",
) -> Evidence:
    """A row about `data`; without counts all `h` neurons are live."""
    return Evidence(
        experiment=experiment,
        family=family or data.name,
        parameters={"n": data.n, "mu": data.mu, "h": h, "eps": eps},
        seed=seed,
        predicted=float(predicted),
        measured=float(measured),
        counts={"live": h} if counts is None else counts,
        note=note,
    )
