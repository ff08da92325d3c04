"""After alignment: the O(1/t) bound, the true rate, the limit of the stable rank."""

from __future__ import annotations

import numpy as np
import pytest
from flow.problems import balanced, cone

from flowtheory import Outcome
from flowtheory.errors import ParameterError
from flowtheory.flow import (
    GradientFlow,
    Settings,
    Trajectory,
    continue_late,
    solve,
    weights_and_spectrum,
)

EPS = 1e-3


def minimal_norm_point(points: np.ndarray) -> np.ndarray:
    """Of the segment between two points."""
    a, b = points
    fraction = np.clip(-(a @ (b - a)) / ((b - a) @ (b - a)), 0, 1)
    return a + fraction * (b - a)


def limit_rank(flow: GradientFlow) -> float:
    r"""$2/(1 + \sqrt{1 - 4(1-c^2) g_+ g_-/(g_+ + g_-)^2})$ with class margins and their cosine."""
    plus, minus = (minimal_norm_point(flow.x[flow.y == sign]) for sign in (1, -1))
    g_plus, g_minus = np.linalg.norm(plus), np.linalg.norm(minus)
    c = plus @ minus / (g_plus * g_minus)
    return 2 / (1 + np.sqrt(1 - 4 * (1 - c**2) * g_plus * g_minus / (g_plus + g_minus) ** 2))


@pytest.fixture(scope="module", params=[0, 2, 4])
def early(request: pytest.FixtureRequest) -> tuple[GradientFlow, Trajectory]:
    flow, w0, signs = cone(request.param)
    run = solve(flow, balanced(EPS * w0, signs), 100.0)
    assert run.outcome is Outcome.REACHED_T
    return flow, run


def test_loss_bound_at_every_saved_time(early: tuple[GradientFlow, Trajectory]) -> None:
    flow, run = early
    late = continue_late(flow, run, 1e6, observe=weights_and_spectrum)
    assert late.outcome is Outcome.REACHED_T
    assert len(late.switches.time) == 0
    # t_2: both classes have an output above 1/4.
    above = [
        all(np.abs(v @ np.maximum(W @ flow.x[flow.y == s].T, 0)).max() > 0.25 for s in (1, -1))
        for W, v in zip(*run.saved_params(), strict=True)
    ]
    t = np.append(run.times[above], late.times[1:])
    loss = np.append(run.loss[above], late.loss[1:])
    norms = np.linalg.norm(flow.x, axis=1)
    z = (flow.y[:, None] * flow.x) / norms[:, None]
    alpha = ((z @ z.T).min() * norms.min()) ** 2 / (32 * norms.max())
    assert len(t) > 70
    assert t[0] < 20
    assert np.all(loss <= loss[0] / (loss[0] * alpha * (t - t[0]) + 1))
    # The true rate is 1/(t log t): the product moves by little over four decades.
    product = (loss * t * np.log(t))[t > 1e2]
    assert product.max() / product.min() < 1.25
    assert late["stable_rank"].max() < 2
    W = late["W"][-1]
    singular = np.linalg.svd(W, compute_uv=False)
    assert late["stable_rank"][-1] == pytest.approx(np.sum(W**2) / singular[0] ** 2, rel=1e-12)
    assert late["spectral_norm_squared"][-1] == pytest.approx(singular[0] ** 2, rel=1e-12)


def test_stable_rank_tends_to_the_closed_form(early: tuple[GradientFlow, Trajectory]) -> None:
    flow, run = early
    times = np.geomspace(1e3, 1e290, 120)
    late = continue_late(flow, run, times[-1], times=times)
    assert late.outcome is Outcome.REACHED_T
    limit, tail = limit_rank(flow), late.times > 1e50
    distance = np.abs(late["stable_rank"] - limit)
    assert distance[late.times > 1e6].max() < 0.1
    # Norms grow like (log t)^(1/2) and what was there before does not: corrections in its inverse.
    x = np.log(late.times[tail]) ** -0.5
    extrapolated = np.polyfit(x, late["stable_rank"][tail], 3)[-1]
    assert extrapolated == pytest.approx(limit, abs=1e-4)
    assert limit > 1.1


def test_log_time_agrees_with_time(early: tuple[GradientFlow, Trajectory]) -> None:
    flow, run = early
    settings = Settings(rtol=1e-12)
    times = np.linspace(100, 1000, 7)
    straight = solve(
        flow,
        run.params,
        1000.0,
        pattern=run.pattern,
        t_start=run.t_end,
        times=times,
        settings=settings,
    )
    late = continue_late(flow, run, 1000.0, times=times, settings=settings)
    np.testing.assert_allclose(late.loss, straight.loss, rtol=1e-10)
    assert late.t_end == straight.t_end == 1000.0
    assert late.times.tolist() == times.tolist()
    assert "log" in late.method


def test_switches_are_located_in_log_time_too() -> None:
    flow, w0, signs = cone(0)
    start = balanced(EPS * w0, signs)
    plain = solve(flow, start, 100.0)
    logarithmic = solve(flow, start, 100.0, log_time=True)
    np.testing.assert_allclose(logarithmic.switches.time, plain.switches.time, rtol=1e-12)
    assert logarithmic.escape_time == pytest.approx(plain.escape_time, rel=1e-8)


def test_a_failed_run_is_not_continued() -> None:
    flow, w0, signs = cone(0)
    failed = solve(flow, balanced(EPS * w0, signs), 100.0, settings=Settings(max_steps=5))
    assert failed.outcome is Outcome.STEP_LIMIT
    with pytest.raises(ParameterError, match="STEP_LIMIT"):
        continue_late(flow, failed, 1e4)
