r"""Balancedness and low rank of deep matrix factorization, and what tanh makes of the first.

Linear layers keep $W_{l+1}^TW_{l+1} - W_lW_l^T$. From balanced layers the singular values of the
product follow $\dot\sigma_r = -L(\sigma_r^2)^{1-1/L}u_r^T\nabla\ell(W)v_r$, so that small ones wait
and the product gains rank one step at a time. With tanh the norms drift at the rate
$-2\sum g_l(\sigma(z_l) - \sigma'(z_l)z_l)$, of the power $L + 2l$ of the scale of the weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
import sympy as sp
from jaxtyping import Float

from flowtheory.clock import Clock
from flowtheory.engine.gradient_flow import GradientFlow
from flowtheory.engine.run import Run
from flowtheory.flow.until import Until, loss_below
from flowtheory.judge import Equality, Evidence, Slope
from flowtheory.laws.claim import Claim, axis
from flowtheory.laws.frames import Matrix, orthogonal, random_frames
from flowtheory.laws.record import Experiment, Law, Settings, Statement, SymbolInfo
from flowtheory.lower import lower
from flowtheory.measure import LossStage
from flowtheory.precision import float64
from flowtheory.symbolic import (
    Derivation,
    Line,
    closed_laws,
    effective_flow,
    find_loss,
    fully_connected,
    imbalance_identity,
    matrix_factorization,
    with_activation,
)
from flowtheory.symbolic.activation import ANY_ACTIVATION
from flowtheory.symbolic.expression import Expr
from flowtheory.symbolic.loss import LABEL, OUTPUT, AnyLoss

L, l = sp.symbols("L l", integer=True, positive=True)  # noqa: E741  (the layer, as everywhere)
sigma, eps = sp.symbols("sigma eps", positive=True)
slope, outer, inner, defect = sp.symbols("g Delta_outer Delta_inner D", real=True)
rate, drift = sp.symbols("R R_I", real=True)
strengths = sp.symbols("s_1:4", positive=True)
level, rank = sp.symbols("Lambda_r rho_r", positive=True)

RATE = -L * (sigma**2) ** (1 - 1 / L) * slope
DRIFT = -2 * defect
MODES, HIDDEN, TANH_LAYERS = 3, 4, 3
LEVEL = 1e-3  # agreement of a plateau's loss
SMALL = 0.02  # below this scale the drift is a power of it, up to 1 + O(eps^2)


def plateau_level(r: int) -> Expr:
    """The loss when the product is the best approximation of rank r."""
    return sp.Add(*(s**2 for s in strengths[r:])) / 2


def effective_rank(r: int) -> Expr:
    r"""$e^{H}$, $H$ the entropy of the first r singular values over their sum."""
    shares = [s / sp.Add(*strengths[:r]) for s in strengths[:r]]
    return sp.exp(-sp.Add(*(share * sp.log(share) for share in shares)))


def tanh_drift(layer: int) -> Expr:
    r"""$\frac{d}{dt}(|W_{l+1}|^2 - |W_l|^2)$ of the tanh network, from the identity."""
    loss = find_loss("half_square")
    general = imbalance_identity(fully_connected(TANH_LAYERS, ANY_ACTIVATION), layer)
    return with_activation(general.rate, "tanh").replace(
        AnyLoss, lambda y, f, m: loss.derivative(int(m)).xreplace({LABEL: y, OUTPUT: f})
    )


def derive() -> Derivation:
    """The invariants of the engine, the rate of the singular values, the identity for tanh."""
    flow = effective_flow(matrix_factorization(3), "half_square")
    identity = imbalance_identity(fully_connected(TANH_LAYERS, ANY_ACTIVATION), 1)
    laws = [
        Line(f"invariant {i}", law.quantity, str(law))
        for i, law in enumerate(closed_laws(flow.network), 1)
    ]
    return Derivation(
        "Balancedness and low rank of deep matrix factorization",
        (
            Line("network", sp.Eq(sp.Symbol("f"), flow.network.output), "three factors"),
            *laws,
            Line("singular values", sp.Eq(rate, RATE), "from balanced layers; g = u^T grad l(W) v"),
            Line("two layers", sp.Eq(rate, RATE.subs(L, 2)), "small ones grow exponentially"),
            Line("three layers", sp.Eq(rate, RATE.subs(L, 3)), "and as a power, which waits"),
            Line("any activation", identity.statement, "Euler's identity and its defect"),
        ),
    )


def conserved(settings: Settings) -> Iterator[Evidence]:
    """How the two Gram matrices at each hidden layer change along runs from large starts."""
    depths = settings.effort.pick((3,), (2, 3, 4), (2, 3, 4, 5))
    rng = np.random.default_rng(settings.seed)
    for done, depth in enumerate(depths):
        for _ in range(settings.effort.pick(2, 3, 8)):
            flow = GradientFlow(
                matrix_factorization(depth), "half_square", y=rng.standard_normal((MODES, MODES))
            )
            start = flow.init(scale=float(rng.uniform(0.3, 0.8)), seed=rng, width=HIDDEN)
            run = flow.solve(start, until=loss_below(1e-3), save="parameters", rtol=1e-11)
            for row in (len(run.times) // 2, -1):
                now = {name: run.observables[name][row] for name in start}
                yield from _changes(_layers(flow, start), _layers(flow, now), rng, settings.seed)
        settings.progress("conserved Gram matrices", done + 1, len(depths))


def _changes(
    before: Sequence[Matrix], now: Sequence[Matrix], rng: np.random.Generator, seed: int
) -> Iterator[Evidence]:
    """The changes at every hidden layer, seen by a random symmetric form."""
    for layer, ((a, b), (c, d)) in enumerate(
        zip(pairwise(before), pairwise(now), strict=True), start=1
    ):
        probe = rng.standard_normal((len(a), len(a)))
        form = (probe + probe.T) / 2
        above, below = np.sum(form * (d.T @ d - b.T @ b)), np.sum(form * (c @ c.T - a @ a.T))
        yield Evidence(
            "conserved", f"L = {len(before)}",
            {"L": len(before), "l": layer, "Delta_inner": float(below)},
            float(above), seed=seed,
        )  # fmt: skip


def rates(settings: Settings) -> Iterator[Evidence]:
    """Rates of the singular values of the product at random balanced layers, by the full field."""
    depths = settings.effort.pick((2, 3), (2, 3, 4, 6), (2, 3, 4, 5, 6, 8))
    rng = np.random.default_rng([settings.seed, 1])
    for done, depth in enumerate(depths):
        moment = rng.standard_normal((MODES, MODES))
        flow = GradientFlow(matrix_factorization(depth), "half_square", y=moment)
        for _ in range(settings.effort.pick(2, 6, 20)):
            sizes = (MODES, *[HIDDEN] * (depth - 1), MODES)
            gains = np.sort(10.0 ** (rng.uniform(-4, 0.3, MODES) / depth))[::-1]
            layers = random_frames(sizes, rng).layers(tuple(gains))
            yield from _rates(flow, moment, layers, settings.seed)
        settings.progress("rates of singular values", done + 1, len(depths))


def _rates(
    flow: GradientFlow, moment: Matrix, layers: Sequence[Matrix], seed: int
) -> Iterator[Evidence]:
    names = [str(base) for base in flow.network.bases]  # type: ignore[union-attr]
    field = flow.vector_field(dict(zip(names, layers, strict=True)))
    moves = [
        end_to_end([*layers[:m], field[name], *layers[m + 1 :]]) for m, name in enumerate(names)
    ]
    product, change = end_to_end(layers), np.sum(moves, axis=0)
    rounding = 1e-15 * float(np.abs(change).max())
    u, values, vt = np.linalg.svd(product)
    for r, value in enumerate(values):
        parameters = {
            "L": len(layers),
            "sigma": float(value),
            "g": float(u[:, r] @ (product - moment) @ vt[r]),
        }
        found = float(u[:, r] @ change @ vt[r])
        yield Evidence("rates", f"L = {len(layers)}", parameters, found, error=rounding, seed=seed)


def stages(settings: Settings) -> Iterator[Evidence]:
    """Plateaus of runs from small starts: the loss, and the effective rank of the product."""
    rng = np.random.default_rng([settings.seed, 2])
    repeats = settings.effort.pick(2, 5, 12)
    for done in range(repeats):
        values = rng.uniform(1.5, 2.5) * np.cumprod([1.0, *rng.uniform(0.35, 0.6, MODES - 1)])
        moment = (orthogonal(MODES, rng) * values) @ orthogonal(MODES, rng)
        flow = GradientFlow(matrix_factorization(3), "half_square", y=moment)
        start = flow.init(scale=1e-3, seed=rng, width=HIDDEN)
        end = loss_below(1e-4 * float(values[-1]) ** 2)
        run = _resolved(flow, start, end)
        for r, stage in enumerate(_plateaus(run), start=1):
            row = int(np.argmin(np.abs(run.loss - stage.level)))
            now = {name: run.observables[name][row] for name in start}
            found = np.linalg.svd(end_to_end(_layers(flow, now)), compute_uv=False)
            given = {f"s_{i + 1}": float(s) for i, s in enumerate(values)} | {"r": r}
            for what, value in (("level", stage.level), ("rank", _entropic(found))):
                error = stage.error if what == "level" else 0.0
                yield Evidence(
                    "stages", f"{what}, r = {r}", given, value, error=error, seed=settings.seed
                )
        settings.progress("stages of low rank", done + 1, repeats)


def _resolved(flow: GradientFlow, start: dict[str, Any], end: Until) -> Run:
    """The run, made again with more rows on the plateaus where they do not tell the level."""
    # Integrated from the start on: the compiled loop of `conserved` serves here too.
    options: dict[str, Any] = {"until": end, "save": "parameters", "rtol": 1e-11, "skip": False}
    run = flow.solve(start, **options)
    rough = [stage for stage in _plateaus(run) if stage.error > LEVEL * stage.level / 2]
    if not rough:
        return run
    more = [np.linspace(stage.start, stage.end, 100) for stage in rough]
    return flow.solve(start, times=np.unique(np.concatenate([run.times, *more])), **options)


def _plateaus(run: Run) -> list[LossStage]:
    """Those between two descents."""
    return [stage for stage in run.loss_stages if stage.kind == "plateau"][1:]


def _entropic(values: Float[np.ndarray, " k"]) -> float:
    shares = values / values.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))


def end_to_end(layers: Sequence[Matrix]) -> Matrix:
    """W_L ... W_1."""
    return reduce(lambda below, above: above @ below, layers)


def _layers(flow: GradientFlow, params: Mapping[str, Any]) -> list[Matrix]:
    """The layers in their order, the input's first."""
    return [np.asarray(params[str(base)]) for base in flow.network.bases]  # type: ignore[union-attr]


def drifts(settings: Settings) -> Iterator[Evidence]:
    """A tanh network of three layers at random weights: how fast its norms lose their balance."""
    rng = np.random.default_rng([settings.seed, 3])
    x, y = rng.standard_normal((6, 3)), rng.standard_normal(6)
    flow = GradientFlow(fully_connected(TANH_LAYERS, "tanh"), "half_square", x=x, y=y)
    names = [str(base) for base in flow.network.bases]  # type: ignore[union-attr]
    arguments = (*flow.network.bases, *flow.network.data)  # type: ignore[union-attr]
    identities = [lower(tanh_drift(layer), arguments) for layer in (1, 2)]
    scales = np.geomspace(1.0, 0.004, settings.effort.pick(10, 14, 26))
    for done in range(settings.effort.pick(2, 5, 20)):
        direction = flow.init(seed=rng, width=5)
        for scale in scales:
            params = {name: scale * value for name, value in direction.items()}
            field = flow.vector_field(params)
            grow = [2 * float(np.sum(params[n] * field[n])) for n in names]
            for layer, identity in enumerate(identities, start=1):
                with float64():
                    rate_now = float(identity(*(params[n] for n in names), *flow.data.values()))
                found = grow[layer] - grow[layer - 1]
                error = 2e-15 * (abs(grow[layer]) + abs(grow[layer - 1]))
                given = {"eps": float(scale), "l": layer, "D": -rate_now / 2}
                seed = 1000 * settings.seed + done
                what, value = ("size", abs(found)) if scale < SMALL else ("rate", found)
                yield Evidence(
                    "drifts", f"{what}, layer {layer}", given, value, error=error, seed=seed
                )
        settings.progress("drift of tanh", done + 1, settings.effort.pick(2, 5, 20))


def _rank_claims(r: int) -> tuple[Claim, Claim]:
    """After r stages: the loss, and the effective rank."""
    return (
        Claim(
            f"the plateau after {r} stage{'s' * (r > 1)} has the loss of rank {r}", "stages",
            Equality(LEVEL), plateau_level(r),
            {
                "one rank less": plateau_level(r - 1),
                "one rank more": plateau_level(r + 1) + strengths[-1] ** 2 / 100,
                "without the factor 1/2": 2 * plateau_level(r),
            },
            families=(f"level, r = {r}",), axis="s_1",
        ),
        Claim(
            f"there the product has effective rank {r}", "stages",
            Equality(1e-2), effective_rank(r),
            {
                "all modes together": effective_rank(MODES),
                "one rank more": effective_rank(r + 1),
            },
            families=(f"rank, r = {r}",), axis="s_1",
        ),
    )  # fmt: skip


def _drift_claim(layer: int) -> Claim:
    """The order of the drift in the scale of the weights."""
    power = TANH_LAYERS + 2 * layer
    return Claim(
        f"tanh, layer {layer}: the drift is of order {power}", "drifts",
        Slope(axis(sp.log(eps)), tolerance=0.02, log=True), eps**power,
        {
            "the order of the rates of the norms": eps**TANH_LAYERS,
            "as with a quadratic term": eps ** (TANH_LAYERS + layer),
            "one power more": eps ** (power + 1),
        },
        families=(f"size, layer {layer}",), axis="eps",
    )  # fmt: skip


SOURCE = "flowtheory, docs/laws/balancedness"

LAW = Law(
    name="balancedness",
    title="balancedness and low rank of deep matrix factorization",
    statements=(
        Statement("conserved", "published", sp.Eq(outer, inner),
                  "Arora, Cohen, Hazan, ICML 2018, arXiv:1802.06509",
                  "W_(l+1)^T W_(l+1) and W_l W_l^T change by the same matrix"),
        Statement("singular values", "published", sp.Eq(rate, RATE, evaluate=False),
                  "Arora, Cohen, Hu, Luo, NeurIPS 2019, arXiv:1905.13655",
                  "balanced layers; g = u_r^T grad l(W) v_r"),
        Statement("plateaus", "derived", sp.Eq(level, plateau_level(2)), SOURCE,
                  "after two stages of three: the best approximation of that rank"),
        Statement("drift", "derived", sp.Eq(drift, DRIFT), SOURCE,
                  "D = sum of g_l (sigma(z_l) - sigma'(z_l) z_l) over samples and units; 0 for "
                  "linear layers and for ReLU"),
    ),
    symbols=(
        SymbolInfo(outer, "change of W_(l+1)^T W_(l+1)", "gain**2"),
        SymbolInfo(inner, "change of W_l W_l^T", "gain**2"),
        SymbolInfo(rate, "rate of the singular value", "gain**(3*L - 2)"),
        SymbolInfo(sigma, "singular value of the product", "gain**L"),
        SymbolInfo(slope, "u_r^T grad l(W) v_r at the product W", "gain**L"),
        SymbolInfo(L, "number of layers", "1"),
        SymbolInfo(level, "loss on a plateau", "gain**(2*L)"),
        *(SymbolInfo(s, "singular value of the target", "gain**L") for s in strengths),
        SymbolInfo(drift, "rate of |W_(l+1)|^2 - |W_l|^2", "loss"),
        SymbolInfo(defect, "sum of g_l (sigma - sigma' z)", "loss"),
    ),
    assumptions=(),
    clock=Clock("sum", 1.0),
    experiments=(
        Experiment("conserved", "Gram matrices along runs", conserved),
        Experiment("rates", "rates of singular values at balanced layers", rates),
        Experiment("stages", "plateaus of runs from 1e-3", stages),
        Experiment("drifts", "norms of a tanh network", drifts),
    ),
    controls=(),
    claims=(
        Claim(
            "W_(l+1)^T W_(l+1) changes as W_l W_l^T", "conserved",
            Equality(1e-7, absolute=1e-8), inner,
            {"their sum is conserved": -inner, "each is conserved": sp.Integer(0),
             "half as fast, as for quadratic units": inner / 2},
            axis="Delta_inner",
        ),
        Claim(
            "sigma' = -L (sigma^2)^(1 - 1/L) g", "rates", Equality(1e-8, absolute=1e-13), RATE,
            {
                "the exponent 2 - 1/L": -L * sigma ** (2 - 1 / L) * slope,
                "without the factor L": RATE / L,
                "L + 1 layers": RATE.subs(L, L + 1),
                "linear: one layer": -slope,
            },
            axis="sigma",
        ),
        *_rank_claims(1),
        *_rank_claims(2),
        Claim(
            "tanh: the norms drift at the rate -2 D", "drifts", Equality(1e-6), DRIFT,
            {"the other sign": -DRIFT, "half of it": DRIFT / 2, "conserved": sp.Integer(0)},
            families=("rate, layer 1", "rate, layer 2"), axis="eps",
        ),
        _drift_claim(1),
        _drift_claim(2),
    ),
    not_shown=(
        "that every start of small scale learns rank by rank: a few Gaussian ones are shown",
        "strengths that nearly agree, which are learnt together",
        "targets of which only some entries are seen (matrix completion)",
    ),
    references=(
        "S. Arora, N. Cohen, E. Hazan. On the optimization of deep networks. ICML 2018. "
        "arXiv:1802.06509.",
        "S. Arora, N. Cohen, W. Hu, Y. Luo. Implicit regularization in deep matrix factorization. "
        "NeurIPS 2019. arXiv:1905.13655.",
        "Z. Li, Y. Luo, K. Lyu. Towards resolving the implicit bias of gradient descent for matrix "
        "factorization: greedy low-rank learning. ICLR 2021. arXiv:2012.09839.",
    ),
    docs="docs/laws/balancedness.md",
    derive=derive,
)  # fmt: skip
