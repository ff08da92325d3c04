"""Runs that go to stabilised steps by themselves: the rule, the switch, events, the tail."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flow.problems import balanced, cone
from scipy.integrate import solve_ivp

from flowtheory import Outcome, float64
from flowtheory.errors import ParameterError
from flowtheory.flow import Settings, solve
from flowtheory.flow.choice import Seen, choose, time_left
from flowtheory.flow.descend import descend
from flowtheory.flow.drive import Drive, Task, drive
from flowtheory.flow.groups import neuron_sizes
from flowtheory.flow.integrate import BETA, STAGES
from flowtheory.flow.loop import look
from flowtheory.flow.pilot import Leg, Pilot
from flowtheory.flow.radius import MARGIN, unknown
from flowtheory.flow.run import Run
from flowtheory.flow.settings import PAIRS, Explicit
from flowtheory.flow.smooth import Functions, SmoothFlow
from flowtheory.flow.stepper import stepper
from flowtheory.flow.system import Status
from flowtheory.flow.until import Snapshot, event, loss_below

SEEN = Seen("dopri8", 100, 0.2, 13.0, 5.0, 5000.0)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "rock4"),
        ({"rejections": 0.0}, "rock4"),  # h rho is at the limit: that is enough
        ({"span": 3.0}, "rock4"),  # half of the limit and many rejections
        ({"span": 3.0, "rejections": 0.05}, "dopri8"),  # accuracy limits the step
        ({"span": 1.0, "rejections": 0.3}, "dopri8"),  # rejections of another kind
        ({"left": 900.0}, "dopri8"),  # not worth it
        ({"method": "tsit5", "span": 3.0}, "rock4"),
        ({"method": "rock4", "span": 1.0, "stages": 6.0}, "dopri8"),
        ({"method": "rock4", "span": 1.0, "stages": 6.0, "steps": 49}, "rock4"),
        ({"method": "rock4", "span": 2.0, "stages": 6.0}, "rock4"),
        ({"method": "rock4", "span": 30.0, "stages": 11.0}, "rock4"),
    ],
)
def test_rule(change: dict[str, Any], expected: str) -> None:
    choice = choose(SEEN._replace(**change))
    assert choice.method == expected
    assert bool(choice.why) == (expected != change.get("method", "dopri8"))


def test_the_way_back_saves_evaluations() -> None:
    """Where the rule goes back, the explicit pair at its limit needs less for the same time."""
    spans = np.linspace(0.1, 9.8, 98)
    seen = [SEEN._replace(method="rock4", span=z, stages=6.0) for z in spans]
    back = spans[[choose(one).method == "dopri8" for one in seen]]
    assert len(back) > 5
    assert np.all(STAGES["dopri8"] / BETA["dopri8"] < 0.7 * 6 / back)


def test_time_left() -> None:
    assert time_left(2.0, 10.0, 1.0, 1e9, None) == 8.0
    # L = e^{-2t}: |grad L|^2 = 2 L, and from 1 to e^{-6} it takes 3.
    assert time_left(0.0, np.inf, 1.0, 2.0, np.exp(-6)) == pytest.approx(3.0)
    assert time_left(0.0, 1.0, 1.0, 2.0, np.exp(-6)) == 1.0
    assert time_left(0.0, np.inf, 1.0, 0.0, 0.5) == np.inf
    # L = t^{-2}: rate 2/t; from 10 to 1000 it takes 990, at the present rate 46.
    estimate = time_left(10.0, np.inf, 1e-2, 2e-3, 1e-6)
    assert estimate == pytest.approx(np.sqrt(990 * 10 * np.log(100)))
    assert time_left(1.0, np.inf, 1.0, 1e-9, 1e-300) > 1e9  # no overflow


@pytest.mark.parametrize("method", PAIRS)
def test_stability_intervals_of_the_pairs(method: Explicit) -> None:
    """The published numbers, from the steps themselves."""
    with float64():

        def growth(z: Any) -> Any:
            steps = stepper(method, lambda _, y: z * y, lambda tangent: tangent)
            zero, one = jnp.zeros(()), jnp.ones(())
            return steps.step(zero, one, one, steps.first(zero, one, one, None), one)[0]

        z = -np.linspace(0, 1.05, 2101) * BETA[method]
        values = np.abs(np.asarray(jax.vmap(growth)(jnp.asarray(z))))
    inside = -z <= BETA[method] - 1e-3
    assert values[inside].max() <= 1
    assert values[-z >= BETA[method] + 1e-3].min() > 1


def leg(method: Any, status: Status, steps: int, h: float) -> Leg:
    return Leg(method, status, steps, steps // 5, 13 * steps, steps * h, h)


def test_pilot_asks_seldom_and_remembers() -> None:
    asked = []

    def radius() -> float:
        asked.append(1)
        return 10.0

    pilot = Pilot("auto")
    strained = leg("dopri8", Status.STRAINED, 20, 0.1)
    assert pilot.strain("dopri8") < 1 < pilot.strain("rock4")
    assert pilot.consider(strained, radius, lambda: 1e9).method == "dopri8"
    assert len(asked) == 1
    assert pilot.strain("dopri8") == np.inf  # asleep after a look that changed nothing
    assert pilot.consider(strained, radius, lambda: 1e9).method == "dopri8"
    assert len(asked) == 1
    for _ in range(2):
        pilot.consider(leg("dopri8", Status.SAVES_FULL, 20, 0.1), radius, lambda: 1e9)
    assert pilot.strain("dopri8") < 1
    limited = leg("dopri8", Status.STRAINED, 20, 0.5)
    assert pilot.consider(limited, radius, lambda: 1e9).method == "rock4"
    slow = Leg("rock4", Status.CHUNK, 25, 0, 150, 2.0, 0.08)
    assert pilot.consider(slow, radius, lambda: 1e9).method == "rock4"
    assert pilot.consider(slow, radius, lambda: 1e9).method == "dopri8"
    for _ in range(10):  # the way back was just taken
        assert pilot.consider(limited, radius, lambda: 1e9).method == "dopri8"
    fixed = Pilot("tsit5")
    assert fixed.strain("tsit5") == np.inf
    assert fixed.consider(leg("tsit5", Status.CHUNK, 9, 9.0), radius, lambda: 1e9).method == "tsit5"


class Stiff(NamedTuple):
    """A two-layer tanh network on data that it can fit, and its flow by SciPy."""

    flow: SmoothFlow
    start: dict[str, np.ndarray]
    level: float
    rate: Any
    residual: Any
    reference: Any

    def log_loss(self, s: np.ndarray) -> float:
        return float(np.log(np.mean(self.residual(s) ** 2) / 2))


def outputs(params: Any, data: Any) -> Any:
    return params["v"] @ jnp.tanh(params["W"] @ data["x"].T)


def energy(params: Any, data: Any) -> Any:
    return jnp.mean((outputs(params, data) - data["y"]) ** 2) / 2


def share(at: Snapshot) -> Any:
    """The share of a datum in the residual, less a level that it passes three times."""
    residual = at.outputs - at.data["y"]
    return residual[DATUM] / jnp.linalg.norm(residual) - SHARE


DATUM, SHARE = 8, 0.05
FUNCTIONS = Functions(energy, outputs, neuron_sizes((("W", 0, "h"), ("v", 0, "h"))))
M, D, N = 40, 4, 12


@pytest.fixture(scope="module")
def stiff() -> Stiff:
    rng = np.random.default_rng(3)
    data = {"x": rng.standard_normal((N, D)), "y": rng.standard_normal(N)}
    start = {"W": 0.3 * rng.standard_normal((M, D)), "v": 0.3 * rng.standard_normal(M)}
    flow = SmoothFlow(FUNCTIONS, data)
    level = 1e-8 * flow.plateau(start)

    def residual(s: np.ndarray) -> np.ndarray:
        return s[M * D :] @ np.tanh(s[: M * D].reshape(M, D) @ data["x"].T) - data["y"]

    def rate(_: float, s: np.ndarray) -> np.ndarray:
        q = np.tanh(s[: M * D].reshape(M, D) @ data["x"].T)
        r = residual(s) / N
        return -np.append(((s[M * D :, None] * (1 - q**2) * r) @ data["x"]).ravel(), q @ r)

    def low(_: float, s: np.ndarray) -> float:
        return float(np.mean(residual(s) ** 2) / 2 / level - 1)

    def passes(_: float, s: np.ndarray) -> float:
        r = residual(s)
        return float(r[DATUM] / np.linalg.norm(r) - SHARE)

    low.terminal = True  # type: ignore[attr-defined]
    s0 = np.append(start["W"].ravel(), start["v"])
    reference = solve_ivp(
        rate, (0, 1e4), s0, method="DOP853", rtol=1e-12, atol=1e-14,
        events=[low, passes], dense_output=True,
    )  # fmt: skip
    return Stiff(flow, start, level, rate, residual, reference)


@pytest.fixture(scope="module")
def auto(stiff: Stiff) -> Run:
    until, watch = loss_below(stiff.level), event(share)
    return descend(stiff.flow, stiff.start, until=until, watch=watch)


def test_switches_and_meets_scipy(stiff: Stiff, auto: Run) -> None:
    end = stiff.reference.t[-1]
    assert auto.outcome is Outcome.EVENT
    assert [stage.method for stage in auto.stages] == ["dopri8", "rock4"]
    assert "stability" in auto.stages[1].why
    assert auto.stages[0].end == auto.stages[1].start < 0.5 * end
    error = abs(auto.t_end - end)
    assert error < 5e-8 * end
    assert error < auto.error_estimate < 1e-6 * end
    last = np.append(auto.params["W"].ravel(), auto.params["v"])
    assert np.abs(last - stiff.reference.y[:, -1]).max() < 2e-9
    assert stiff.flow.energy(auto.params) == pytest.approx(stiff.level, rel=1e-11)


def test_stages_account_for_all_evaluations(stiff: Stiff, auto: Run) -> None:
    alone = drive(
        Task(stiff.flow, until=loss_below(stiff.level), watch=event(share),
             settings=Settings(rtol=1e-8)), stiff.start,
    )  # fmt: skip
    made = alone.result()
    assert sum(stage.evaluations for stage in made.stages) == made.position.evaluations
    assert made.position.evaluations == sum(stage.evaluations for stage in auto.stages)
    # The explicit pair alone is limited by stability: 0.4 of rho t an evaluation.
    assert stiff.reference.nfev > 4 * made.position.evaluations


def test_event_inside_the_stabilised_part(stiff: Stiff, auto: Run) -> None:
    """Of both directions, sampled inside the step; times and directions against SciPy."""
    assert stiff.reference.t_events[1].size == 3
    passed = [one for one in auto.events if one.name == "share"]
    times = np.array([one.time for one in passed])
    # The share moves by less than 0.02 a unit of time: its errors are what can be compared.
    # The last passage is slower by another factor of 10.
    np.testing.assert_allclose(times, stiff.reference.t_events[1], rtol=1e-5)
    shares = [
        r[DATUM] / np.linalg.norm(r) for r in map(stiff.residual, stiff.reference.sol(times).T)
    ]
    np.testing.assert_allclose(shares, SHARE, atol=2e-6)
    assert max(one.time for one in passed) > auto.stages[1].start
    after = [stiff.residual(stiff.reference.sol(one.time * (1 + 1e-3))) for one in passed]
    assert [one.rising for one in passed] == [r[DATUM] > SHARE * np.linalg.norm(r) for r in after]
    assert {one.rising for one in passed} == {True, False}
    assert auto.events[-1].time == auto.t_end


def test_rows_and_self_checks(stiff: Stiff, auto: Run) -> None:
    exact = [stiff.log_loss(s) for s in stiff.reference.sol(auto.times[:-1]).T]
    np.testing.assert_allclose(np.log(auto.loss[:-1]), exact, atol=1e-5)
    assert auto.checks.rises == 0
    assert auto.checks.energy < 1e-7
    late = auto.times > auto.stages[1].start
    assert np.count_nonzero(late) > 50
    assert np.diff(np.log(auto.loss[late])).min() > -0.5


def test_log_loss_at_the_end_of_the_tail(stiff: Stiff) -> None:
    """At L/L_0 = 1e-10 log L is known to about 40 rtol; the groups alone lose two digits more."""
    end = 440.0
    last = solve_ivp(
        stiff.rate, (stiff.reference.t[-1], end), stiff.reference.y[:, -1],
        method="DOP853", rtol=1e-12, atol=1e-16,
    ).y[:, -1]  # fmt: skip
    exact = stiff.log_loss(last)
    assert np.exp(exact) < 1.1e-2 * stiff.level

    def error(rtol: float, tail: bool) -> tuple[float, int]:
        settings = Settings(rtol=rtol, method="rock4")
        run = Drive(Task(stiff.flow, end, times=np.array([end]), settings=settings), stiff.start)
        if not tail:
            run.systems[1] = run.systems[1]._replace(norm=None)
        while run.outcome is None:
            run.advance()
        found = np.log(stiff.flow.energy(run.position.params))
        return abs(found - exact), run.position.evaluations

    careful = [error(rtol, True) for rtol in (1e-5, 1e-7)]
    careless = [error(rtol, False) for rtol in (1e-5, 1e-7)]
    for rtol, (good, cost), (bad, cheap) in zip((1e-5, 1e-7), careful, careless, strict=True):
        assert good < 100 * rtol
        assert bad > 10 * good
        assert cost < 1.3 * cheap


def test_times_by_the_method_of_order_two(stiff: Stiff) -> None:
    times = np.array([1.0, 30.0, 100.0])
    run = descend(
        stiff.flow, stiff.start, 100.0, times=times, estimate=False,
        settings=Settings(rtol=1e-7, method="rkc2"),
    )  # fmt: skip
    assert run.times.tolist() == [0.0, *times]
    assert [stage.method for stage in run.stages] == ["rkc2"]
    exact = [stiff.log_loss(s) for s in stiff.reference.sol(times).T]
    np.testing.assert_allclose(np.log(run.loss[1:]), exact, atol=1e-4)


def test_spectral_radius_of_a_run(stiff: Stiff, auto: Run) -> None:
    """That of the Hessian; the dissipated integral, which feeds nothing back, does not enter."""
    flow = stiff.flow
    run = Drive(Task(flow, 1.0, times=np.array([1.0])), dict(auto.params))
    with float64():
        flat, back = jax.flatten_util.ravel_pytree(auto.params)
        hessian = jax.hessian(lambda s: energy(back(s), flow.data))(flat)
        exact = np.abs(np.linalg.eigvalsh(np.asarray(hessian))).max()
        args, state = run._watched(), run._moving()
        zero = np.float64(0)
        cold, products = look(run.system, False, args, zero, state, unknown(len(flat) + 1))  # type: ignore[arg-type]
        warm, more = look(run.system, False, args, zero, state, cold)  # type: ignore[arg-type]
    assert exact / MARGIN < float(cold.value) / MARGIN <= exact * (1 + 1e-9)
    assert 0.97 * exact < float(warm.value) / MARGIN <= exact * (1 + 1e-9)
    assert int(products) + int(more) < 60
    assert float(cold.vector[-1]) == 0  # the entry of the integral


RATE, GROWTH, TINY = 100.0, 0.3, 1e-30


def fading(params: Any, data: Any) -> Any:
    r"""$\frac{a}{2} e^{-u}(x-1)^2 - u/10 - \lambda y^2/2 + y^4/4$: stiff first, an escape later."""
    x, u, y = (params[name][0] for name in "xuy")
    wall = data["rate"] * jnp.exp(-u) * (x - 1) ** 2 / 2
    return wall - 0.1 * u - data["growth"] * y**2 / 2 + y**4 / 4


def test_goes_back_where_stiffness_fades() -> None:
    data = {"rate": np.float64(RATE), "growth": np.float64(GROWTH)}
    flow = SmoothFlow(Functions(fading, lambda params, data: params["y"]), data)
    start = {"x": np.array([2.0]), "u": np.array([1e-3]), "y": np.array([TINY])}
    end = 240.0
    run = descend(flow, start, end, estimate=False)
    assert [stage.method for stage in run.stages] == ["dopri8", "rock4", "dopri8"]
    assert "stability" in run.stages[1].why
    assert "accuracy" in run.stages[2].why
    assert [a.end for a in run.stages[:-1]] == [a.start for a in run.stages[1:]]
    # y' = lambda y - y^3 has a closed form; x = 1 to all digits.
    exact = np.sqrt(GROWTH / (1 + (GROWTH / TINY**2 - 1) * np.exp(-2 * GROWTH * end)))
    assert run.params["y"][0] == pytest.approx(exact, rel=1e-6)
    assert abs(run.params["x"][0] - 1) < 1e-9


def test_a_kinked_field_takes_no_stabilised_method() -> None:
    flow, w0, signs = cone(0)
    with pytest.raises(ParameterError, match="kinks"):
        solve(flow, balanced(1e-3 * w0, signs), 1.0, settings=Settings(method="rock4"))
    with pytest.raises(ParameterError, match="method"):
        Settings(method="rock2")  # type: ignore[arg-type]
