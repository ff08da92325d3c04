"""Plateau, descent and second plateau of two tanh layers, and the amplitudes of the neurons.

    python scripts/figures/three_stages.py

The stages of the loss (left), the distribution of the amplitudes at their ends (middle), and its
Wasserstein distance from the start with the bound by the loss that is lost (right).
"""

from __future__ import annotations

import numpy as np
from _draw import arguments, save

import flowtheory as ft
from flowtheory.measure import amplitudes, loss_stages, wasserstein_bound
from flowtheory.plot._figure import legend_below, panels
from flowtheory.plot.style import BLUE, CYCLE, FAINT, GREEN, VERMILION, styled

SAMPLES, INPUTS, WIDTH, SCALE = 60, 4, 100, 1e-6
SHARES = (0.999, 0.5, 0.1, 0.01)  # of the loss at zero output


@styled
def main() -> None:
    """Integrate through two descents, and draw."""
    args = arguments(__doc__)
    rng = np.random.default_rng(args.seed)
    x = rng.standard_normal((SAMPLES, INPUTS))
    one, two = np.linalg.qr(rng.standard_normal((INPUTS, 2)))[0].T
    y = np.tanh(x @ one) + 0.4 * np.tanh(2 * x @ two)
    flow = ft.GradientFlow(
        ft.network("fully-connected", 2, "tanh"), loss="half_square", reduction="mean", x=x, y=y
    )
    start = flow.init(scale=SCALE, seed=args.seed, width=WIDTH)
    run = flow.solve(start, 2000.0, save="parameters")
    sizes = np.sort([amplitudes(w, v) for w, v in zip(run["W"], run["v"], strict=True)], axis=1)
    figure, ((loss, spread, moved),) = panels(2.4, 1, 3)
    loss.plot(run.times, run.loss, color=BLUE)
    for stage in loss_stages(run.times, run.loss, drop=0.02):
        loss.axvline(stage.end, color=FAINT, linewidth=0.6)
    loss.set(xlabel="$t$", ylabel="$L$", xscale="log", yscale="log", xlim=(1, run.t_end))
    ranks = (np.arange(WIDTH) + 0.5) / WIDTH
    for colour, share in zip(CYCLE, SHARES, strict=False):
        row = int(np.argmax(run.loss < share * run.loss[0]))
        spread.plot(sizes[row], ranks, color=colour, label=f"{share:g}")
        loss.plot(run.times[row], run.loss[row], "o", color=colour)
    spread.set(xlabel="amplitude $A$", ylabel="share of neurons below $A$", xscale="log")
    spread.legend(title="$L/L(0)$", loc="upper left", fontsize=6, title_fontsize=6)
    neurons = [np.column_stack([v, w]) for w, v in zip(run["W"], run["v"], strict=True)]
    pairs = [
        wasserstein_bound(neurons[0], now, times=(0.0, float(t)), losses=(run.loss[0], loss_now))
        for now, t, loss_now in zip(neurons, run.times, run.loss, strict=True)
    ]
    distance = np.sqrt([pair.distance.value for pair in pairs])
    bound = np.sqrt([max(pair.allowed.value, 0.0) for pair in pairs])
    kept = run.loss < run.loss[0] * (1 - 1e-12)
    moved.plot(run.times[kept], distance[kept], color=VERMILION, label="$W_2$ from the start")
    moved.plot(run.times[kept], bound[kept], color=GREEN, label="bound by the loss")
    moved.set(xlabel="$t$", ylabel="distance", xscale="log", yscale="log", xlim=(1, run.t_end))
    legend_below(figure, moved, columns=2)
    save(figure, args.out, "three_stages")


if __name__ == "__main__":
    main()
