"""The evidence in groups, one a family of an experiment: what the page shows of all its rows."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from flowtheory.report.evidence import ends

Row = dict[str, Any]


def groups(rows: Sequence[Row], largest: int = 10) -> list[dict[str, Any]]:
    """Per (experiment, family): counts, ranges, median and largest ratio, and the worst rows."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["experiment"], row["family"]), []).append(row)
    return [_group(key, members, largest) for key, members in found.items()]


def _group(key: tuple[str, str], rows: list[Row], largest: int) -> dict[str, Any]:
    measured = sorted(
        (row for row in rows if row["ratio"] is not None), key=lambda row: -row["ratio"]
    )
    ratios = [row["ratio"] for row in measured]
    names = dict.fromkeys(name for row in rows for name in row["parameters"])
    ranges = {name: ends(row["parameters"].get(name) for row in rows) for name in names}
    kinds = dict.fromkeys(name for row in rows for name in row["counts"])
    counts = {name: sum(row["counts"].get(name, 0) for row in rows) for name in kinds}
    return {
        "experiment": key[0],
        "family": key[1],
        "cases": len(rows),
        "median": median(ratios) if ratios else None,
        "worst": ratios[0] if ratios else None,
        "rows": measured[:largest],
        "parameters": {name: found for name, found in ranges.items() if found},
        "counts": counts,
    }
