"""Which figures belong to which law: one row a law; a law without a row has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from flowtheory.laws.record import Verification
from flowtheory.plot.alignment_time import alignment_time_figures
from flowtheory.plot.leading_flow_error import leading_flow_error_figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Figures = Mapping[str, "tuple[Figure, str]"]

GALLERY: Mapping[str, Callable[[Verification], Figures]] = MappingProxyType(
    {
        "alignment-time": alignment_time_figures,
        "leading-flow-error": leading_flow_error_figures,
    }
)


def figures_of(verification: Verification) -> Figures:
    """Name -> (figure, caption) of a verification, the deciding figure first."""
    draw = GALLERY.get(verification.law.name)
    return {} if draw is None else draw(verification)
