r"""A measured phase diagram: slopes of RD in the width, with intervals, from a sweep's results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from flowtheory.errors import ParameterError
from flowtheory.phase.asymptotic import asymptotic_slopes
from flowtheory.phase.borders import boundary
from flowtheory.phase.data import Samples
from flowtheory.phase.prediction import Prediction, predict
from flowtheory.phase.slopes import Grid, Slopes, log_slopes, rms, slope_errors, width_slopes
from flowtheory.phase.table import ordered, require_known

if TYPE_CHECKING:
    import xarray as xr

LAZY, CRITICAL, CONDENSED, UNKNOWN = "lazy", "critical", "condensed", "not reached"
_MEASURES = ("rd_w", "rd_a", "displacement", "carriers")
LEAST_TOLERANCE = 0.05
"""A slope below it is called critical: finite widths shift slopes by so much."""


@dataclass(frozen=True, eq=False)
class Diagram:
    r"""Slopes over a grid of $\gamma$ (columns) and $\gamma'$ (rows).

    Attributes:
        gamma: the columns.
        gamma_prime: the rows.
        widths: $m$.
        seeds: how many starts a point and width.
        rd: geometric means over the seeds of RD, first of the input, then of the output weights.
        slopes: of log RD in log m.
        local: the same between neighbouring widths.
        displacement: slopes of the largest displacement of a neuron.
        carriers: $N_{\mathrm{eff}}$, geometric means over the seeds.
        error: half the 95 % interval of $S_w$ over the seeds, the errors of integration included;
            NaN for one seed.
        integration: largest relative error of RD from the integration, over all runs.
        asymptotic: the theory of infinite width.
        prediction: the theory at these widths.
        about: what is the same in all cells.
    """

    gamma: Float[np.ndarray, " gamma"]
    gamma_prime: Float[np.ndarray, " gamma_prime"]
    widths: Float[np.ndarray, " widths"]
    seeds: int
    rd: Float[np.ndarray, "2 widths gamma_prime gamma"]
    slopes: Slopes
    local: Float[np.ndarray, "widths-1 gamma_prime gamma"]
    displacement: Grid
    carriers: Float[np.ndarray, "widths gamma_prime gamma"]
    error: Grid
    integration: float
    asymptotic: Slopes
    prediction: Prediction
    about: dict[str, Any]

    @property
    def left(self) -> Grid:
        """Measured less asymptotic $S_w$."""
        return self.slopes.hidden - self.asymptotic.hidden

    @property
    def rms(self) -> float:
        """Root mean square of `left`."""
        return rms(self.left)

    @property
    def kinds(self) -> np.ndarray:
        """'lazy', 'critical' or 'condensed' for every point, by the sign of $S_w$.

        Critical is what lies within twice its error of 0, and within `LEAST_TOLERANCE`.
        """
        error = np.where(np.isnan(self.error), 0.0, self.error)
        tolerance, slope = np.maximum(LEAST_TOLERANCE, 2 * error), self.slopes.hidden
        kinds = np.where(slope > tolerance, CONDENSED, np.where(slope < -tolerance, LAZY, CRITICAL))
        return np.where(np.isnan(slope), UNKNOWN, kinds)

    def zeros(self) -> Float[np.ndarray, " gamma_prime"]:
        r"""$\gamma$ at which $S_w$ crosses 0, by linear interpolation in each row; NaN for none."""
        return zero_crossings(self.gamma, self.slopes.hidden)

    def boundary(self) -> Float[np.ndarray, " gamma_prime"]:
        r"""$\gamma$ at which the theory's $S_w$ crosses 0; NaN for none."""
        return boundary(self.gamma_prime, self.activation)

    @property
    def activation(self) -> str:
        """Of the networks."""
        return str(self.about.get("activation", "relu"))


def diagram(found: xr.Dataset, data: Samples) -> Diagram:
    """The diagram of a sweep with the axes gamma, gamma_prime, width and seed.

    Args:
        found: what `flowtheory.sweep.results` gives.
        data: on which the networks were trained.

    Raises:
        DataError: fewer than three widths or two points of an axis, an axis that is missing, or no
            point that was reached at every width.
    """
    table = ordered(found, "gamma_prime")
    gamma, other = table["gamma"].values, table["gamma_prime"].values
    widths = table["width"].values.astype(float)
    logs = np.log(np.stack([table[name].values for name in _MEASURES]))
    rd, means = np.exp(logs[:2].mean(axis=-1)), logs[2:].mean(axis=-1)
    slopes = width_slopes(rd, widths)
    require_known(slopes.hidden)
    local = np.diff(np.log(rd[0]), axis=0) / np.diff(np.log(widths))[:, None, None]
    bars = table["rd_w_error"].values / table["rd_w"].values
    integration = float(np.nanmax(bars)) if np.isfinite(bars).any() else np.nan
    activation = str(found.attrs.get("activation", "relu"))
    return Diagram(
        gamma=gamma,
        gamma_prime=other,
        widths=widths,
        seeds=table.sizes["seed"],
        rd=rd,
        slopes=slopes,
        local=local,
        displacement=log_slopes(means[0], widths),
        carriers=np.exp(means[1]),
        error=slope_errors(logs[0], widths),
        integration=integration,
        asymptotic=asymptotic_slopes(gamma, other, activation),
        prediction=predict(slopes.hidden, gamma, other, widths, data, found.attrs),
        about=dict(found.attrs),
    )


def zero_crossings(
    gamma: Float[np.ndarray, " gamma"], slopes: Grid
) -> Float[np.ndarray, " gamma_prime"]:
    r"""Where each row of slopes first passes from below 0 to above, by linear interpolation.

    Args:
        gamma: increasing.
        slopes: one row a value of $\gamma'$.

    Raises:
        ParameterError: `gamma` does not increase.
    """
    if np.any(np.diff(gamma) <= 0):
        raise ParameterError(
            "gamma does not increase", expected="increasing values", fix="sort the axis"
        )
    found = np.full(len(slopes), np.nan)
    for row, values in enumerate(slopes):
        rises = np.flatnonzero((values[:-1] <= 0) & (values[1:] > 0))
        if len(rises):
            k = rises[0]
            part = -values[k] / (values[k + 1] - values[k])
            found[row] = gamma[k] + part * (gamma[k + 1] - gamma[k])
    return found
