"""What holds exactly along the flow, at every initialization scale."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flow.problems import LOSSES, balanced, cone, make, outputs

from flowtheory import Outcome, float64
from flowtheory.flow import Settings, TwoLayer, all_classified, solve
from flowtheory.flow.field import preactivations, rate_bound
from flowtheory.flow.pattern import ALIGNED, DEAD, OPEN, classify

END = 8.0


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("eps", [0.3, 1e-2, 1e-4, 1e-6])
def test_patterns_are_monotone_under_assumption_1(loss: str, eps: float) -> None:
    for seed in range(4):
        flow, w0, signs = cone(seed, loss)
        run = solve(flow, balanced(eps * w0, signs), 40.0)
        assert run.outcome is Outcome.REACHED_T
        assert run.switch_counts().max() == 1
        # V_+ gains positives and loses negatives, V_- the opposite.
        gained = signs[run.switches.neuron] * flow.y[run.switches.datum] > 0
        np.testing.assert_array_equal(run.switches.on, gained)
        # The book-kept pattern is the one seen in the weights, off the kinks.
        q = flow.preactivations(run.params)
        clear = np.abs(q) > 1e-12 * np.linalg.norm(run.params.W, axis=1)[:, None]
        np.testing.assert_array_equal(run.pattern[clear], (q > 0)[clear])
        assert np.all(np.diff(run.loss) < 0)


@pytest.mark.parametrize("eps", [0.3, 1e-6])
def test_balancedness_is_conserved(eps: float) -> None:
    flow, w0, signs = cone(0)
    v0 = eps * signs * np.array([0.5, 1.0, 2.0, 1.0, 3.0, 0.3])
    run = solve(flow, TwoLayer(eps * w0, v0), 40.0, settings=Settings(rtol=1e-12))  # type: ignore[arg-type]
    W, v = run.saved_params()
    gap = v**2 - np.sum(np.asarray(W) ** 2, axis=2)
    drift = np.abs(gap - gap[0]) / (v**2 + np.sum(np.asarray(W) ** 2, axis=2))
    assert drift.max() < 1e-11


def test_dead_neurons_do_not_move_a_bit() -> None:
    flow, w0, signs = cone(0)
    w0 = w0.copy()
    positive = flow.x.T @ np.maximum(-flow.y, 0) - flow.x.T @ np.maximum(flow.y, 0)
    w0[0] = positive  # sees the negatives only, loses them, dies or turns
    w0[1] = -np.linalg.pinv(flow.x) @ np.ones(4)  # dead from the start
    run = solve(flow, balanced(1e-3 * w0, signs), 40.0)
    assert not run.pattern[1].any()
    W, v = run.saved_params()
    last = run.last_switch_times()
    dead = np.flatnonzero(~run.pattern.any(axis=1))
    assert 1 in dead
    for j in dead:
        after = run.times > last[j]
        assert len(np.unique(W[after, j], axis=0)) == 1
        assert len(np.unique(v[after, j])) == 1
    assert len(np.unique(W[:, 1], axis=0)) == 1


def test_energy_identity() -> None:
    r"""$L(a) - L(b) = \int_a^b |\nabla L|^2 dt$ by Gauss quadrature on saved states."""
    flow, w0, signs = cone(0)
    start = balanced(1e-2 * w0, signs)
    kinks = np.unique(np.round(solve(flow, start, END).switches.time, 14))
    kinks = kinks[np.diff(kinks, prepend=0) > 1e-6]
    edges = np.unique(np.concatenate([kinks, np.linspace(0, END, 9)]))
    nodes, weights = np.polynomial.legendre.leggauss(10)
    middle, half = (edges[1:] + edges[:-1]) / 2, np.diff(edges) / 2
    times = (middle[:, None] + half[:, None] * nodes).ravel()
    run = solve(flow, start, END, times=times, settings=Settings(rtol=1e-12))
    states = [TwoLayer(W, v) for W, v in zip(*run.saved_params(), strict=True)]
    speed = [sum(np.sum(np.square(p)) for p in flow.vector_field(s)) for s in states[1:-1]]
    integral = np.sum((half[:, None] * weights).ravel() * np.array(speed))
    assert integral == pytest.approx(run.loss[0] - run.loss[-1], rel=1e-9)


def test_gram_of_an_aligned_class_grows_by_its_outputs_only() -> None:
    flow, w0, signs = cone(0)
    run = solve(flow, balanced(1e-2 * w0, signs), 100.0, until=all_classified())
    assert run.outcome is Outcome.EVENT
    classes = classify(run.pattern, run.params.v, flow.y)
    assert OPEN not in classes
    later = solve(flow, run.params, 1e3, pattern=run.pattern, t_start=run.t_end)
    assert len(later.switches.time) == 0
    W, v = later.saved_params()
    for sign in (1, -1):
        own = (signs == sign) & (classes == ALIGNED)
        assert own.sum() >= 2
        gram = W[:, own] @ np.swapaxes(W[:, own], 1, 2) - v[:, own, None] * v[:, None, own]
        size = np.sum(np.square(W[-1, own]))
        assert size > 1e3 * np.abs(gram[0]).max()
        assert np.abs(gram - gram[0]).max() < 1e-9 * size


def test_mirror() -> None:
    """Flipping all labels and all signs of v leaves the weights' paths as they are."""
    flow, w0, signs = cone(2)
    mirrored = make(flow.x, -flow.y)
    ours = solve(flow, balanced(1e-3 * w0, signs), END)
    theirs = solve(mirrored, balanced(1e-3 * w0, -signs), END)
    np.testing.assert_allclose(theirs.switches.time, ours.switches.time, rtol=1e-13)
    np.testing.assert_allclose(theirs["W"], ours["W"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(theirs["v"], -ours["v"], rtol=1e-9, atol=1e-12)


def test_classes_of_patterns() -> None:
    y = np.array([1.0, 1.0, -1.0])
    pattern = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0], [1, 0, 0]], dtype=bool)
    v = np.array([1.0, -1.0, -1.0, 1.0, 1.0])
    assert classify(pattern, v, y).tolist() == [ALIGNED, OPEN, ALIGNED, DEAD, OPEN]


def test_preactivations_and_field_of_the_problem() -> None:
    flow, w0, signs = cone(1, "logistic", "mean")
    params = balanced(w0, signs)
    q = flow.preactivations(params)
    np.testing.assert_allclose(flow.predictions(params), params.v @ np.maximum(q, 0), rtol=1e-13)
    loss = np.mean(np.log1p(np.exp(-flow.y * (params.v @ np.maximum(q, 0)))))
    assert flow.energy(params) == pytest.approx(loss, rel=1e-13)
    # Central differences of the energy along the field.
    field, step = flow.vector_field(params), 1e-6
    ahead, behind = (
        TwoLayer(*(p + s * f for p, f in zip(params, field, strict=True))) for s in (step, -step)
    )
    slope = (flow.energy(ahead) - flow.energy(behind)) / (2 * step)
    assert slope == pytest.approx(-sum(np.sum(f**2) for f in field), rel=1e-7)


@pytest.mark.parametrize("scale", [1e-6, 1e-1, 1.0, 3.0])
def test_rate_bound_holds(scale: float) -> None:
    flow, w0, signs = cone(0)
    params = balanced(scale * w0, signs)
    flat = np.append(np.ravel(params.W), params.v)

    def energy(theta: jax.Array) -> jax.Array:
        p = TwoLayer(theta[:-6].reshape(6, 4), theta[-6:])
        return jnp.sum(jnp.exp(-flow.y * outputs(p, flow.x)))

    with float64():
        largest = np.abs(np.linalg.eigvalsh(jax.hessian(energy)(jnp.asarray(flat)))).max()
        bound = float(rate_bound(flow.model, flow.samples, params))
        q = preactivations(params, jnp.asarray(flow.x))
    assert largest <= bound <= 12 * largest
    np.testing.assert_allclose(q, flow.preactivations(params))
