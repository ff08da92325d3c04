"""Feature maps of two tanh layers at four scales of the start: from lazy to condensed.

    python scripts/figures/tanh_features.py

Grey: at the start. Colour: where the loss is 1 % of that of the zero function. The smaller the
start, the fewer the lines on which the neurons end.
"""

from __future__ import annotations

import numpy as np
from _draw import arguments, save

import flowtheory as ft
from flowtheory.measure import feature_map
from flowtheory.plot._figure import panels
from flowtheory.plot.style import FAINT, VERMILION, styled

SAMPLES, WIDTH, SCALES = 40, 100, (1.0, 0.3, 0.1, 1e-4)


@styled
def main() -> None:
    """Integrate from the same directions at each scale, and draw."""
    args = arguments(__doc__)
    x = np.linspace(-1, 1, SAMPLES)
    data = np.column_stack([x, np.ones_like(x)])
    y = np.tanh(4 * x + 1) - 0.5 * np.tanh(3 * x - 2)
    flow = ft.GradientFlow(
        ft.network("fully-connected", 2, "tanh"), loss="half_square", reduction="mean", x=data, y=y
    )
    until = ft.loss_below(0.01 * 0.5 * float(np.mean(y**2)))
    figure, (maps,) = panels(2.0, 1, len(SCALES))
    for axes, scale in zip(maps, SCALES, strict=True):
        start = flow.init(scale=scale, seed=args.seed, width=WIDTH)
        run = flow.solve(start, 1e6, until=until, save="norms", estimate=False)
        for params, colour in ((start, FAINT), (run.params, VERMILION)):
            found = feature_map(params["W"], params["v"], "product")
            largest = found.amplitude.max()
            axes.plot(found.angle, found.amplitude / largest, "o", color=colour, markersize=2)
        axes.set(title=rf"$\epsilon$ = {scale:g}", xlabel="orientation", xlim=(-np.pi, np.pi))
    maps[0].set_ylabel("amplitude / largest")
    save(figure, args.out, "tanh_features")


if __name__ == "__main__":
    main()
