"""`save=None`: the end of a plateau from a few nodes, as good as the run that keeps everything."""

from __future__ import annotations

import numpy as np
import pytest
from engine.problems import data, tanh_flow

import flowtheory as ft
from flowtheory import Outcome

UNTIL = ft.plateau_left(0.2)
WIDTH = 200


@pytest.mark.parametrize("eps", [1e-6, 1e-300])
def test_time_and_all_neurons_agree_with_the_whole_run(eps: float) -> None:
    flow = tanh_flow()
    first = flow.init(scale=eps, seed=4, width=WIDTH)
    quick = flow.solve(first, until=UNTIL, save=None)
    whole = flow.solve(first, until=UNTIL, rtol=1e-10)
    assert quick.outcome is Outcome.EVENT
    assert quick.stages[1].method.startswith("condensation: ")
    assert int(quick.stages[1].method.split()[1]) < WIDTH / 4
    assert abs(quick.t_end - whole.t_end) <= quick.error_estimate + whole.error_estimate
    assert quick.error_estimate < 1e-7 * quick.t_end
    for name, value in quick.params.items():
        size = np.max(np.abs(whole.params[name]))
        np.testing.assert_allclose(value, whole.params[name], atol=1e-5 * size)
    assert quick.loss[-1] == pytest.approx(whole.loss[-1], rel=1e-7)


def test_where_it_does_not_apply_the_flow_is_integrated() -> None:
    flow = tanh_flow()
    large = flow.solve(flow.init(scale=0.1, width=8), until=UNTIL, save=None)
    assert [stage.method for stage in large.stages] == ["dopri8"]
    x, y = data()
    deep = ft.GradientFlow(ft.fully_connected(3, "tanh"), loss="half_mse", x=x, y=y)
    run = deep.solve(deep.init(scale=1e-6, width=4), until=UNTIL, save=None)
    assert run.outcome is Outcome.EVENT
    assert "condensation" not in run.stages[-1].method
