"""Sliding along kinks: closed forms, event-exact propagation, Euler steps, invariants, orders."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flow.problems import balanced, make

from flowtheory import Outcome
from flowtheory.errors import ParameterError
from flowtheory.exact import propagate
from flowtheory.flow import GradientFlow, Settings, TwoLayer, solve
from flowtheory.flow.slides import KinkedTrajectory
from flowtheory.flow.surfaces import Surfaces, SwitchKind
from flowtheory.lower import gradient_flow
from flowtheory.symbolic import leaky_relu

# The third datum is never active: all small problems have three data and share their compilation.
X3, Y3 = np.array([[1.0, 0.5], [0.0, 1.0], [-1.0, 0.0]]), np.array([1.0, -1.0, 1.0])
SQUARE = Settings(rtol=1e-9, method="tsit5")
FINE = Settings(rtol=1e-11, method="tsit5")


def square(seed: int) -> tuple[GradientFlow, TwoLayer]:
    """Mean square loss, m = 30, d = 4, n = 16, Gaussian data and labels, init 0.1."""
    rng = np.random.default_rng(seed)
    flow = make(rng.normal(size=(16, 4)), rng.normal(size=16), "half_square", "mean")
    return flow, TwoLayer(0.1 * rng.normal(size=(30, 4)), 0.1 * rng.normal(size=30))  # type: ignore[arg-type]


def flat(params: TwoLayer) -> np.ndarray:
    return np.append(np.ravel(params.W), params.v)


@pytest.fixture(scope="module")
def slid() -> KinkedTrajectory:
    flow, start = square(2)
    return solve(flow, start, 20.0, settings=SQUARE)


def test_the_two_point_closed_form() -> None:
    r"""On $x_2^\perp$ Filippov's field is $e_1$ with share 1/2, and the growth rate is 1."""
    start = balanced(1e-9 * np.array([[1.0, 0.3]]))
    run = solve(make(X3, Y3), start, 6.0, settings=FINE)
    assert run.outcome is Outcome.REACHED_T
    assert run.kinds.tolist() == [SwitchKind.SLIDE_BEGINS]
    effective = propagate(X3, Y3, start.W, start.v)
    np.testing.assert_allclose(run.switches.time, effective.time, rtol=1e-12)
    np.testing.assert_allclose(run.shares, [[1.0, 0.5, 0.0]], rtol=1e-10)
    late = run.times > run.switches.time[0]
    assert np.all(run["W"][late, 0, 1] == 0)
    growth = np.diff(np.log(run["v"][late, 0])) / np.diff(run.times[late])
    np.testing.assert_allclose(growth, 1.0, rtol=1e-9)


def test_the_leaky_closed_form() -> None:
    r"""With slope a on the left: $1/2 = a + (1-a)\lambda$ on the kink."""
    flow = gradient_flow(X3[:2], Y3[:2], activation=leaky_relu(0.2))  # type: ignore[arg-type]
    start = balanced(1e-9 * np.array([[1.0, 0.0]]))
    on = np.array([[False, True]])
    run = solve(flow, start, 4.0, sliding=on, settings=FINE)
    np.testing.assert_array_equal(run.sliding, on)
    np.testing.assert_allclose(run.shares, [[1.0, 0.375]], rtol=1e-10)


def test_many_neurons_on_several_surfaces_agree_with_event_exact_propagation() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(40, 16)), rng.choice([-1.0, 1.0], 40)
    start = balanced(1e-9 * rng.normal(size=(8, 16)), rng.choice([-1.0, 1.0], 8))
    end = 0.3
    run = solve(make(x, y), start, end, settings=FINE)
    paths = propagate(x, y, start.W, start.v, times=[end])
    assert run.outcome is Outcome.REACHED_T
    assert run.sliding.sum(axis=1).max() >= 7
    assert set(run.kinds) == set(SwitchKind)
    before = paths.time <= end
    neuron = np.repeat(np.arange(8), np.diff(paths.offsets))
    theirs = np.stack([neuron, paths.datum, paths.kind])[:, before]
    ours = np.stack([run.switches.neuron, run.switches.datum, run.kinds])
    order = np.lexsort((*ours[1:], run.switches.time, ours[0]))
    other = np.lexsort((*theirs[1:], paths.time[before], theirs[0]))
    np.testing.assert_array_equal(ours[:, order], theirs[:, other])
    np.testing.assert_allclose(run.switches.time[order], paths.time[before][other], rtol=1e-8)
    W = np.asarray(run.params.W)
    direction = W / np.linalg.norm(W, axis=1)[:, None]
    np.testing.assert_allclose(direction, paths.samples.direction[:, 0], atol=1e-9)


def euler(flow: GradientFlow, start: TwoLayer, end: float, steps: int) -> np.ndarray:
    """The differential inclusion by explicit Euler steps, in NumPy."""
    W, v, dt = np.array(start.W), np.array(start.v), end / steps
    for _ in range(steps):
        q = W @ flow.x.T
        on = q > 0
        r = (flow.y - v @ (on * q)) / flow.n
        W, v = W + dt * v[:, None] * ((on * r) @ flow.x), v + dt * (on * q) @ r
    return flat(TwoLayer(W, v))  # type: ignore[arg-type]


def test_square_loss_agrees_with_euler_steps() -> None:
    flow, start = square(2)
    run = solve(flow, start, 5.0, settings=SQUARE)
    assert np.count_nonzero(run.kinds == SwitchKind.SLIDE_BEGINS) > 10
    ours = flat(run.params)
    coarse, fine = (euler(flow, start, 5.0, n) for n in (10_000, 20_000))
    size = np.linalg.norm(ours)
    errors = [np.linalg.norm(e - ours) / size for e in (coarse, fine, 2 * fine - coarse)]
    # First order; what is left after extrapolation is chatter, about one Euler step.
    assert 1.6 < errors[0] / errors[1] < 2.5
    assert errors[0] < 5e-5
    assert errors[2] < 3e-5


def test_what_holds_exactly_along_a_slide(slid: KinkedTrajectory) -> None:
    assert slid.outcome is Outcome.REACHED_T
    assert slid.sliding.sum() > 20
    assert set(slid.kinds) == set(SwitchKind)
    W, v = map(np.asarray, slid.saved_params())
    gap = v**2 - np.sum(W**2, axis=2)
    assert np.abs(gap - gap[0]).max() < 2e-8 * np.max(v**2 + np.sum(W**2, axis=2))
    assert np.all(np.diff(slid.loss) < 0)
    q = np.asarray(slid.params.W) @ square(2)[0].x.T
    assert np.abs(q[slid.sliding]).max() < 1e-14
    assert np.all((slid.shares[slid.sliding] > 0) & (slid.shares[slid.sliding] < 1))
    # Off the kinks the book-kept pattern is the one in the weights.
    np.testing.assert_array_equal(slid.pattern[~slid.sliding], (q > 0)[~slid.sliding])


def test_balancedness_to_rounding() -> None:
    flow, start = square(2)
    run = solve(flow, start, 5.0, settings=Settings(rtol=1e-13, method="tsit5"))
    W, v = map(np.asarray, run.saved_params())
    gap = v**2 - np.sum(W**2, axis=2)
    assert np.abs(gap - gap[0]).max() < 1e-12


def test_without_sliding_switches_pile_up(
    slid: KinkedTrajectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(slid.kinds) < 300

    def cross(self: Surfaces, j: int, view: Any, i: int = -1, crossing: Any = None) -> bool:
        self.pattern[j, i] = ~self.pattern[j, i]
        return True

    monkeypatch.setattr(Surfaces, "settle", cross)
    flow, start = square(2)
    run = solve(flow, start, 20.0, settings=Settings(1e-9, method="tsit5", max_switches=1000))
    assert run.outcome is Outcome.EVENT_LIMIT
    first = slid.switches.time[slid.kinds == SwitchKind.SLIDE_BEGINS][0]
    assert run.t_end == pytest.approx(first, rel=1e-6)


def test_a_run_continues_from_its_own_end(slid: KinkedTrajectory) -> None:
    flow, start = square(2)
    half = solve(flow, start, 9.0, settings=SQUARE)
    assert half.sliding.any()
    rest = solve(
        flow,
        half.params,
        20.0,
        t_start=9.0,
        pattern=half.pattern,
        sliding=half.sliding,
        settings=SQUARE,
    )
    size = np.linalg.norm(flat(slid.params))
    assert np.linalg.norm(flat(rest.params) - flat(slid.params)) < 1e-7 * size
    np.testing.assert_array_equal(rest.sliding, slid.sliding)
    kinds = np.concatenate([half.kinds, rest.kinds])
    np.testing.assert_array_equal(kinds, slid.kinds)
    with pytest.raises(ParameterError, match="sliding has shape"):
        solve(flow, start, 1.0, sliding=np.zeros((2, 2), dtype=bool))
    with pytest.raises(ParameterError, match="cosine"):
        solve(flow, start, 1.0, sliding=np.ones((30, 16), dtype=bool))


def test_order_through_kinks_and_slides() -> None:
    flow, start = square(2)
    start = TwoLayer(3 * start.W, 3 * start.v)
    end = 4.0

    def state(n: int, rtol: float) -> np.ndarray:
        # Loose tolerance: every step is cut by the next of n equally spaced save points.
        times = np.linspace(0, end, n + 1)
        run = solve(flow, start, end, times=times, settings=Settings(rtol, method="tsit5"))
        assert run.statistics.rejected == 0 or rtol < 1e-3
        assert np.count_nonzero(run.kinds >= SwitchKind.SLIDE_BEGINS) > 15
        return np.append(flat(run.params), run.switches.time)

    reference = state(8, 1e-13)
    counts = np.array([24, 32, 48, 64, 96, 128])
    errors = [np.linalg.norm(state(n, 1e-2) - reference) for n in counts]
    slope = np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert abs(-slope - 5) < 0.5


def test_an_output_weight_that_changes_sign_while_sliding() -> None:
    r"""$v = v_0\cosh t - \sinh t$ on the kink of $x_2$: zero at artanh $v_0$, then repelling."""
    x, y = np.array([[-1.0, 0.5], [0.0, -1.0], [1.0, 0.0]]), np.array([-1.0, -1.0, 1.0])
    flow, eps = make(x, y), 1e-7
    start = TwoLayer(eps * np.array([[-1.0, 0.0]]), eps * np.array([0.5]))  # type: ignore[arg-type]
    sides = {"pattern": np.array([[1, 0, 0]]), "sliding": np.array([[0, 1, 0]])}
    run = solve(flow, start, 3.0, settings=FINE, **sides)
    assert run.outcome is Outcome.NONUNIQUE
    assert run.t_end == pytest.approx(np.arctanh(0.5), rel=1e-12)
    # Both sides are solutions from there: w leaves to the side that is chosen.
    for on in (True, False):
        pattern = np.array([[True, on, False]])
        after = solve(flow, run.params, 3.0, t_start=run.t_end, pattern=pattern, settings=FINE)
        assert after.outcome is Outcome.REACHED_T
        moved = np.asarray(after.params.W)[0] @ x[1]
        assert (moved > 0) == on
        assert abs(moved) > 0.1 * eps


@pytest.mark.parametrize(
    ("copies", "labels", "shares"),
    [
        # 1/2 = 2 share: both copies slide with half the share of one.
        ([1, 1], [-1, -1], [1, 0.25, 0.25]),
        # 1/2 + (1 - share) = share: x is attracting from above, -x from below.
        ([1, -1], [-1, -1], [1, 0.75, 0.25]),
        ([1, -2], [-1, -1], [1, 0.5 + 1 / 3, 0.5 - 1 / 3]),
        # The jumps cancel: the kink is crossed, and -x takes over where x leaves.
        ([1, -1], [-1, 1], [1, 0, 1]),
    ],
)
def test_data_on_one_kink_act_as_one(
    copies: list[float], labels: list[float], shares: list[float]
) -> None:
    x = np.vstack([X3[:1], np.outer(copies, X3[1])])
    flow = make(x, np.array([1.0, *labels]))
    run = solve(flow, balanced(1e-9 * np.array([[1.0, 0.3]])), 2.0, settings=FINE)
    assert run.outcome is Outcome.REACHED_T
    np.testing.assert_allclose(run.shares, [shares], atol=1e-9)
    np.testing.assert_array_equal(run.sliding[0], (run.shares[0] > 0) & (run.shares[0] < 1))


def test_a_neuron_that_leaves_its_last_datum_is_dead_and_does_not_slide() -> None:
    """Its field is 0 on the inactive side, exactly: not what rounding leaves of one."""
    flow = make(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([-1.0, 1.0]))
    start = TwoLayer(np.array([[0.1, -1.0]]), np.array([1.2]))  # type: ignore[arg-type]
    run = solve(flow, start, 2.0, settings=FINE)
    assert run.outcome is Outcome.REACHED_T
    assert [*run.kinds] == [SwitchKind.DEACTIVATED]
    assert not run.sliding.any()
    assert not run.pattern.any()
