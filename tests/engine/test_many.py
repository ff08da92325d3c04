"""Many flows at once: each as alone, whatever the others are; outcomes that stay in their lane."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from engine.problems import DROP, by_hand, data, scipy_time, start, tanh_flow
from scipy.integrate import solve_ivp

import flowtheory as ft
from flowtheory import Outcome
from flowtheory.engine import many
from flowtheory.errors import DataError, ParameterError
from flowtheory.flow import loss_below
from flowtheory.symbolic import matrix_factorization

EPS = np.geomspace(1e-12, 1e-2, 6)
UNTIL = ft.plateau_left(DROP)


@cache
def starts() -> list[dict[str, np.ndarray]]:
    return [start(eps, seed) for seed, eps in enumerate(EPS)]


@cache
def together() -> ft.Ensemble:
    return tanh_flow().solve_many(starts(), until=UNTIL)


def test_as_one_by_one() -> None:
    found = together()
    assert len(found) == len(EPS)
    assert found.ok.all()
    for i, params in enumerate(starts()):
        run = tanh_flow().solve(params, until=UNTIL, save=(), estimate=False)
        assert found.times[i] == pytest.approx(run.t_end, rel=1e-8)
        assert found.losses[i] == pytest.approx(run.loss[-1], rel=1e-9)
        for name, value in run.params.items():
            np.testing.assert_allclose(
                found.params[i][name], value, atol=1e-6 * np.abs(value).max()
            )


def test_the_times_are_those_of_scipy_within_the_stated_error() -> None:
    eps = (1e-8, 1e-3)
    found = tanh_flow().solve_many([start(e) for e in eps], until=UNTIL)
    for i, e in enumerate(eps):
        exact = scipy_time(e, "DOP853", rtol=1e-12, atol=1e-16 * e)
        assert abs(found.times[i] - exact) <= found.errors[i]
    assert (found.errors < 1e-6 * found.times).all()
    assert [name.startswith("leading flow") for name in found.methods] == [True, False]
    assert found.hand_overs[0] > 0.3 * found.times[0]
    assert found.hand_overs[1] == 0


def test_without_the_closed_form_the_times_are_the_same() -> None:
    found, full = together(), tanh_flow().solve_many(starts(), until=UNTIL, skip=False)
    assert (np.abs(found.times - full.times) <= found.errors + full.errors).all()
    assert set(full.methods) == {"dopri8"}
    assert found.steps[0] < 0.7 * full.steps[0]


def test_permuted_lanes_give_permuted_results() -> None:
    order = np.random.default_rng(0).permutation(len(EPS))
    other = tanh_flow().solve_many([starts()[i] for i in order], until=UNTIL)
    np.testing.assert_allclose(other.times, together().times[order], rtol=1e-12)
    np.testing.assert_allclose(
        other.stacked()["W"], together().stacked()["W"][order], rtol=1e-8, atol=1e-12
    )


def test_other_data_widths_and_networks_in_one_call() -> None:
    x, y = data()
    # Own data in one bucket, one width more, and three layers, whose plateau is a power of eps.
    wide = start(1e-9, 3, 5)
    flows = [ft.GradientFlow(tanh_flow().network, "half_mse", x=x, y=c * y) for c in (1.3, 0.8)]
    deep = ft.GradientFlow(ft.network("deep-linear", 3), "half_mse", x=x, y=np.stack([y, y], 1))
    first = deep.init(scale=1e-6, seed=1, width=4)
    problems = [
        (flows[0], starts()[0]), (deep, first), (tanh_flow(), wide), (flows[1], starts()[5]),
    ]  # fmt: skip
    found = ft.solve_many(problems, until=UNTIL)
    assert found.buckets == 3
    assert found.ok.all()
    for i in (0, 3):  # of the shapes that other tests solve one by one
        flow, params = problems[i]
        run = flow.solve(params, until=UNTIL, save=(), estimate=False)
        assert found.times[i] == pytest.approx(run.t_end, rel=1e-8)
    field, level, q = by_hand(1e-9, 3, 5)
    exact = solve_ivp(field, (0, 2000.0), q, "DOP853", events=level, rtol=1e-12, atol=1e-25)
    assert abs(found.times[2] - exact.t_events[0][0]) <= found.errors[2]
    full = deep.solve_many([first], until=UNTIL, skip=False)
    assert abs(found.times[1] - full.times[0]) <= found.errors[1] + full.errors[0]
    assert found.errors[1] < 1e-6 * found.times[1]
    for params, (_, begun) in zip(found.params, problems, strict=True):
        assert {k: a.shape for k, a in params.items()} == {k: a.shape for k, a in begun.items()}
    assert "Sundman" in found.methods[1]
    with pytest.raises(DataError, match="different shapes"):
        found.stacked()


def test_a_failing_lane_harms_no_other() -> None:
    x, y = data()
    torn = np.concatenate([x[:5], x[:5]]), np.concatenate([np.ones(5), -np.ones(5)])
    hopeless = ft.GradientFlow(tanh_flow().network, "half_mse", x=torn[0], y=torn[1])
    broken = start(1e-6) | {"v": np.full(12, np.nan)}
    still = {name: np.zeros_like(a) for name, a in start(1.0).items()}
    level = loss_below(0.9 * tanh_flow().plateau(start(1.0)))
    same = ft.GradientFlow(tanh_flow().network, "half_mse", x=x, y=y)
    lanes = [
        (same, starts()[2]), (hopeless, start(1e-6)), (same, broken), (same, starts()[4]),
        (same, still),
    ]  # fmt: skip
    found = ft.solve_many(lanes, until=level, nonfinite="mark", max_steps=300)
    alone = ft.solve_many([lanes[0], lanes[3]], until=level)
    assert found.outcomes == (
        Outcome.EVENT, Outcome.STEP_LIMIT, Outcome.NONFINITE, Outcome.EVENT, Outcome.STATIONARY,
    )  # fmt: skip
    np.testing.assert_allclose(found.times[[0, 3]], alone.times, rtol=1e-12)
    for mine, other in zip((0, 3), alone.params, strict=True):
        np.testing.assert_allclose(found.params[mine]["W"], other["W"], rtol=1e-8, atol=1e-12)
    # The loss of contradictory labels is at least 1/2, and the lane says how far it came.
    assert found.losses[1] >= 0.5 > level.events[0].level


def test_to_a_time() -> None:
    ends = np.array([5.0, 7.0, 3.0, 5.0, 2.0, 1.0])
    found = tanh_flow().solve_many(starts(), t_end=ends)
    assert set(found.outcomes) == {Outcome.REACHED_T}
    assert np.array_equal(found.times, ends)
    for i, (eps, seed) in enumerate(zip(EPS, range(6), strict=True)):
        field, _, q = by_hand(eps, seed)
        exact = solve_ivp(field, (0, ends[i]), q, "DOP853", rtol=1e-12, atol=1e-16 * eps).y[:, -1]
        mine = np.concatenate([found.params[i]["W"].ravel(), found.params[i]["v"]])
        np.testing.assert_allclose(mine, exact, atol=1e-7 * np.abs(exact).max())


def test_the_table_has_one_row_a_lane() -> None:
    rows = together().table(eps=EPS, seed=range(6))
    assert len(rows) == 6
    assert list(rows[0])[:4] == ["eps", "seed", "outcome", "ok"]
    assert rows[3]["time"] == together().times[3]
    assert rows[3]["outcome"] == "event"
    assert repr(together()).startswith("Ensemble(6 lanes: 6 event; 1 buckets")
    with pytest.raises(DataError, match="column eps has 5 values"):
        together().table(eps=EPS[:5])


def kinked() -> Any:
    flow = ft.GradientFlow(ft.fully_connected(2, "relu"), "half_mse", x=data()[0], y=data()[1])
    return flow, flow.init(scale=1e-3, width=12)


BAD: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    "NaN": (lambda: (tanh_flow(), start(1e-6) | {"v": np.full(12, np.nan)}), {}, DataError,
            "lane 1: v"),
    "shape": (lambda: (tanh_flow(), {"W": np.ones((12, 4)), "v": np.ones(12)}), {}, DataError,
              "lane 1: W has shape"),
    "names": (lambda: (tanh_flow(), {"W": np.ones((12, 3))}), {}, DataError, "lane 1: the para"),
    "text": (lambda: (tanh_flow(), {"W": "a", "v": np.ones(2)}), {}, DataError, "lane 1: W"),
    "no pair": (lambda: start(1e-6), {}, DataError, "lane 1: the problem is a dict"),
    "kinks": (kinked, {}, ParameterError, "lane 1: the kinks"),
    "event": (lambda: (tanh_flow(), start(1e-6)), {"until": ft.norm_above(1.0)}, ParameterError,
              "norm above"),
    "no end": (lambda: (tanh_flow(), start(1e-6)), {"until": many.NEVER}, ParameterError, "t_end"),
    "ends": (lambda: (tanh_flow(), start(1e-6)), {"t_end": np.ones(3)}, ParameterError, "2 lanes"),
    "mark": (lambda: (tanh_flow(), start(1e-6)), {"nonfinite": "drop"}, ParameterError, "drop"),
    "rtol": (lambda: (tanh_flow(), start(1e-6)), {"rtol": 1.0}, ParameterError, "rtol"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_before_anything_runs(name: str, monkeypatch: Any) -> None:
    def ran(*_: Any) -> None:
        raise AssertionError("a lane ran")

    monkeypatch.setattr(many, "_solved", ran)
    problem, options, error, text = BAD[name]
    with pytest.raises(error, match=text):
        ft.solve_many([(tanh_flow(), start(1e-6)), problem()], **{"until": UNTIL} | options)


def test_no_problems() -> None:
    with pytest.raises(DataError, match="no problems"):
        tanh_flow().solve_many([], until=UNTIL)


def test_a_lane_that_rests_where_something_grows_is_taken_alone() -> None:
    """At 1e-20 the second mode shares its neurons with the first, far below its tolerance."""
    strengths = np.diag([2.0, 0.5])
    flow = ft.GradientFlow(matrix_factorization(2), "half_square", y=strengths)
    until = ft.loss_below(0.5**2 / 8)
    starts = [flow.init(scale=scale, seed=1, width=3) for scale in (1e-20, 1e-2)]
    found = flow.solve_many(starts, until=until)
    assert found.ok.all()
    assert found.methods[0].startswith(many.ALONE)
    for i, params in enumerate(starts):
        run = flow.solve(params, until=until, save=(), skip=False, rtol=1e-11)
        assert found.times[i] == pytest.approx(run.t_end, rel=3e-8)
        assert found.errors[i] < 1e-6 * run.t_end
    # To a level of the first descent no lane comes to rest, and none is alone.
    early = flow.solve_many(starts, until=ft.loss_below(1.0))
    assert not any(name.startswith(many.ALONE) for name in early.methods)
    # At the minimum nothing grows: a lane that rests there goes on with the others.
    late = flow.solve_many([flow.init(scale=1.0, seed=1, width=3)], until=ft.loss_below(1e-9))
    assert late.ok.all()
    assert not late.methods[0].startswith(many.ALONE)
