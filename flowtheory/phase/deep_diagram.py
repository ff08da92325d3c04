r"""A measured diagram of deeper networks: slopes of RD in the width, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from flowtheory.phase.deep_asymptotic import Grid, OfLayers, boundary, layer_slopes
from flowtheory.phase.diagram import zero_crossings
from flowtheory.phase.slopes import log_slopes, rms, slope_errors
from flowtheory.phase.table import ordered, require_known

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, eq=False)
class DeepDiagram:
    r"""Slopes over a grid of $\gamma$ (columns) and $\gamma_2$ (rows), for every kind of layer.

    Attributes:
        gamma: the columns.
        gamma_2: the rows.
        widths: $m$ of every hidden layer.
        seeds: how many starts a point and width.
        layers: $L$, of weights.
        rd: geometric means of RD over the seeds, shape (widths, gamma_2, gamma).
        slopes: of log RD in log m, shape (gamma_2, gamma).
        error: half the 95 % intervals of the slopes over the seeds; NaN for one seed.
        local: slopes between neighbouring widths, shape (widths - 1, gamma_2, gamma).
        asymptotic: the theory of infinite width.
        integration: largest relative error of RD from the integration, over all runs and layers.
        about: what is the same in all cells.
    """

    gamma: Float[np.ndarray, " gamma"]
    gamma_2: Float[np.ndarray, " gamma_2"]
    widths: Float[np.ndarray, " widths"]
    seeds: int
    layers: int
    rd: OfLayers[Grid]
    slopes: OfLayers[Grid]
    error: OfLayers[Grid]
    local: OfLayers[Grid]
    asymptotic: OfLayers[Grid]
    integration: float
    about: dict[str, Any]

    @property
    def hidden(self) -> int:
        """$H$, the number of hidden layers."""
        return self.layers - 1

    @property
    def left(self) -> OfLayers[Grid]:
        """Measured less asymptotic slopes."""
        return OfLayers(*(m - a for m, a in zip(self.slopes, self.asymptotic, strict=True)))

    @property
    def rms(self) -> float:
        """Root mean square of `left`, over all layers and points."""
        return rms(np.stack(self.left))

    def zeros(self) -> Float[np.ndarray, " gamma_2"]:
        r"""$\gamma$ at which the slope of $W_1$ crosses 0, row by row; NaN for none."""
        return zero_crossings(self.gamma, self.slopes.input)

    def boundary(self) -> Float[np.ndarray, " gamma_2"]:
        r"""$\gamma$ at which the theory's slope of $W_1$ crosses 0."""
        return boundary(self.gamma_2, self.hidden)


def deep_diagram(found: xr.Dataset) -> DeepDiagram:
    """The diagram of a sweep with the axes gamma, gamma_2, width and seed.

    Args:
        found: what `flowtheory.sweep.results` gives for a `deep_study`.

    Raises:
        DataError: fewer than three widths or two values of gamma, an axis that is missing, or no
            point that was reached at every width.
    """
    table = ordered(found, "gamma_2")
    gamma, gamma_2 = table["gamma"].values, table["gamma_2"].values
    widths, layers = table["width"].values.astype(float), int(found.attrs["layers"])
    logs = OfLayers(*(np.log(table[f"rd_{name}"].values) for name in OfLayers._fields))
    means = OfLayers(*(log.mean(axis=-1) for log in logs))
    slopes = OfLayers(*(log_slopes(mean, widths) for mean in means))
    require_known(slopes.input)
    steps = np.diff(np.log(widths))[:, None, None]
    return DeepDiagram(
        gamma=gamma,
        gamma_2=gamma_2,
        widths=widths,
        seeds=table.sizes["seed"],
        layers=layers,
        rd=OfLayers(*(np.exp(mean) for mean in means)),
        slopes=slopes,
        error=OfLayers(*(slope_errors(log, widths) for log in logs)),
        local=OfLayers(*(np.diff(mean, axis=0) / steps for mean in means)),
        asymptotic=layer_slopes(gamma[None, :], gamma_2[:, None], layers - 1),
        integration=_integration(table),
        about=dict(found.attrs),
    )


def _integration(table: xr.Dataset) -> float:
    names = [f"rd_{name}" for name in OfLayers._fields]
    bars = np.stack([table[f"{name}_error"].values / table[name].values for name in names])
    return float(np.nanmax(bars)) if np.isfinite(bars).any() else float("nan")
