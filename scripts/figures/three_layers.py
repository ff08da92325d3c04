"""Three tanh layers from a small start: the plateau of the loss, and the condensation behind it.

    python scripts/figures/three_layers.py

After Z.-A. Chen and T. Luo, arXiv:2402.15958: the loss stays at that of the zero function, then
falls at once; by then the neurons of the first layer lie on one line.
"""

from __future__ import annotations

import numpy as np
from _draw import arguments, save, show_cosines

import flowtheory as ft
from flowtheory.plot._figure import panels
from flowtheory.plot.style import BLUE, FAINT, styled

SAMPLES, INPUTS, WIDTH, SCALE = 40, 5, 50, 1e-3


@styled
def main() -> None:
    """Integrate to a tenth of the loss at the start, and draw."""
    args = arguments(__doc__)
    rng = np.random.default_rng(args.seed)
    x = rng.standard_normal((SAMPLES, INPUTS))
    y = np.tanh(x @ rng.standard_normal(INPUTS))
    flow = ft.GradientFlow(
        ft.network("fully-connected", 3, "tanh"), loss="half_square", reduction="mean", x=x, y=y
    )
    start = flow.init(scale=SCALE, seed=args.seed, width=WIDTH)
    run = flow.solve(start, until=ft.loss_below(0.05 * float(np.mean(y**2))), save="parameters")
    left = int(np.argmax(run.loss < 0.99 * run.loss[0]))
    figure, ((loss, before, after),) = panels(2.1, 1, 3, width_ratios=(1.3, 1, 1))
    loss.plot(run.times / run.times[left], run.loss / run.loss[0], color=BLUE)
    loss.axvline(1.0, color=FAINT, linewidth=0.6)
    loss.set(xlabel=r"$t / T_{0.01}$", ylabel=r"$L / L(0)$", ylim=(0, 1.05))
    show_cosines(before, run["W1"][0], "at the start")
    image = show_cosines(after, run["W1"][left], "1 % of $L$ gone")
    figure.colorbar(image, ax=after, label="cosine", fraction=0.05)
    save(figure, args.out, "three_layers")


if __name__ == "__main__":
    main()
