"""Greedy rank of deep matrix factorization: singular values rise one after the other.

    python scripts/figures/matrix_factorization.py

The product of two, three and four layers learns a matrix of rank three from a small start; its
effective rank climbs in steps, the sharper the deeper.
"""

from __future__ import annotations

import numpy as np
from _draw import arguments, save

import flowtheory as ft
from flowtheory.measure import effective_rank
from flowtheory.plot._figure import panels
from flowtheory.plot.style import BLUE, CYCLE, FAINT, styled

SIZE, STRENGTHS = 6, (2.0, 1.3, 0.8)
CASES = {2: 1e-6, 3: 1e-2, 4: 5e-2}


@styled
def main() -> None:
    """Integrate each depth until the matrix is learned, and draw."""
    args = arguments(__doc__)
    rng = np.random.default_rng(args.seed)
    left, right = (np.linalg.qr(rng.standard_normal((SIZE, SIZE)))[0] for _ in range(2))
    rank = len(STRENGTHS)
    moment = left[:, :rank] * STRENGTHS @ right[:, :rank].T
    figure, (values, ranks) = panels(3.4, 2, len(CASES), sharex="col", sharey="row")
    for k, (depth, scale) in enumerate(CASES.items()):
        flow = ft.GradientFlow(
            ft.network("matrix-factorization", depth), loss="half_square", y=moment
        )
        start = flow.init(scale=scale, seed=args.seed, width=SIZE)
        end = flow.solve(start, until=ft.loss_below(1e-4), save="norms", estimate=False).t_end
        times = np.linspace(0, end, 401)[1:]
        run = flow.solve(start, end, times=times, save="parameters", estimate=False)
        names = list(start)
        products = np.array(
            [
                np.linalg.multi_dot([run[name][i] for name in names[::-1]])
                for i in range(len(run.times))
            ]
        )
        singular = np.linalg.svd(products, compute_uv=False)
        for j in range(rank):
            values[k].plot(run.times, singular[:, j], color=CYCLE[j])
            values[k].axhline(STRENGTHS[j], color=FAINT, linewidth=0.5)
        ranks[k].plot(run.times, [effective_rank(p).value for p in products], color=BLUE)
        values[k].set_title(rf"$L$ = {depth}, $\epsilon$ = {scale:g}")
        ranks[k].set_xlabel("$t$")
    values[0].set_ylabel("singular values of the product")
    ranks[0].set_ylabel("effective rank")
    save(figure, args.out, "matrix_factorization")


if __name__ == "__main__":
    main()
