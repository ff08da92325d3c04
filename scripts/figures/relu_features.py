r"""Feature maps of a two-layer ReLU network over time, for a target with four kinks.

    python scripts/figures/relu_features.py

After the overview of condensation: the number of lines that matter to the loss grows, 1, 2, ...,
one a descent. Orientation $\mathrm{sign}(b)\arccos(w/|(w, b)|)$ and amplitude of each neuron at
the start and at four later times; below, the loss and the functions.
"""

from __future__ import annotations

import numpy as np
from _draw import arguments, save

import flowtheory as ft
from flowtheory.measure import feature_map
from flowtheory.plot._figure import panels
from flowtheory.plot.style import BLUE, CYCLE, FAINT, INK, styled

SAMPLES, WIDTH, TIMES = 40, 30, (1.0, 30.0, 150.0, 500.0)


def target(x: np.ndarray) -> np.ndarray:
    """Four kinks on [-1, 1]."""
    slopes, kinks = (1.0, -1.5, 2.0, -2.5), (0.0, -0.3, 0.4, 0.8)
    return np.maximum(x[:, None] - kinks, 0) @ slopes


@styled
def main() -> None:
    """Integrate the exact flow through its kinks, and draw."""
    args = arguments(__doc__)
    x = np.linspace(-1, 1, SAMPLES)
    data = np.column_stack([x, np.ones_like(x)])
    flow = ft.GradientFlow(
        ft.network("fully-connected", 2, "relu"),
        loss="half_square",
        reduction="mean",
        x=data,
        y=target(x),
    )
    start = flow.init(scale=1 / WIDTH**2, seed=args.seed, width=WIDTH)
    run = flow.solve(
        start, TIMES[-1], times=np.array(TIMES), save="parameters", rtol=1e-6, estimate=False
    )
    figure, (maps, wide) = panels(3.6, 2, len(TIMES) + 1, sharey="row")
    for k, (axes, t) in enumerate(zip(maps, run.times, strict=True)):
        found = feature_map(run["W"][k], run["v"][k], "product")
        axes.plot(found.angle, found.amplitude, "o", color=BLUE, markersize=2.5)
        axes.set(title=f"t = {t:g}", xlabel="orientation", xlim=(-np.pi, np.pi))
        wide[k].plot(x, target(x), color=FAINT, linewidth=2)
        outputs = np.maximum(data @ run["W"][k].T, 0) @ run["v"][k]
        wide[k].plot(x, outputs, color=CYCLE[1])
        wide[k].set(xlabel="$x$", title=f"L = {run.loss[k]:.2g}")
        wide[k].axhline(0, color=INK, linewidth=0.3)
    maps[0].set_ylabel("amplitude")
    wide[0].set_ylabel("$f(x)$ and target")
    save(figure, args.out, "relu_features")


if __name__ == "__main__":
    main()
