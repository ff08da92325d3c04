"""The figures of a law that draws none of its own: prediction and measurement of each claim."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flowtheory.judge import Evidence
from flowtheory.laws.claim import Claim
from flowtheory.plot.comparison import comparison_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def claim_figures(
    claims: Sequence[Claim], evidence: Sequence[Evidence]
) -> dict[str, tuple[Figure, str]]:
    """Name -> (figure, caption) of every claim with an axis and a measured row."""
    figures = {}
    for claim in claims:
        rows = claim.held_against(evidence, claim.prediction)
        rows = [row for row in rows if not math.isnan(row.measured)]
        if claim.axis and rows:
            caption = f"{claim.name}. Lines or crosses: the prediction; nothing is fitted to it."
            name = re.sub(r"[^a-z0-9]+", "-", claim.name.lower()).strip("-")
            figures[name[:60]] = (comparison_figure(rows, claim.axis), caption)
    return figures
