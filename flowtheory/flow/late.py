r"""Late times: from the end of a run on, in $\log(1+t)$.

After alignment the loss of an exponential-tailed flow falls like $1/(t \log t)$, and all margins
grow like $\log t$: in $\log(1+t)$ the field stays of order one, and the number of steps grows with
the number of decades only. Kinks are still watched (under Assumption 1 there are none left).

The norms grow like $(\log t)^{1/2}$ while the part of the weights across their limit direction need
not grow, so directions and the stable rank approach their limits like $(\log t)^{-1/2}$ or
$(\log t)^{-1}$: extrapolate in that variable, from times like 1e50 (1e290 can be reached).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from flowtheory.errors import ParameterError
from flowtheory.flow.kinked import solve
from flowtheory.flow.observe import Observe, spectrum
from flowtheory.flow.problem import GradientFlow
from flowtheory.flow.recorder import Progress
from flowtheory.flow.schedule import log_times
from flowtheory.flow.settings import Settings
from flowtheory.flow.trajectory import Trajectory
from flowtheory.flow.until import NEVER, Until


def continue_late(
    flow: GradientFlow,
    run: Trajectory,
    t_end: float,
    *,
    until: Until = NEVER,
    times: Float[np.ndarray, " k"] | None = None,
    observe: Observe = spectrum,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> Trajectory:
    r"""Continue `run` to `t_end` in logarithmic time.

    Args:
        flow: the flow that `run` is a trajectory of.
        run: a successful run; its final parameters and pattern are the start.
        t_end: final time, in the flow's clock; 1e8 is ordinary.
        until: stop earlier.
        times: times to save at; 16 a decade by default.
        observe: what to save; by default $|W|_2^2$ and the stable rank.
        settings: tolerances, method and budgets.
        progress: called now and then with (t, log10 loss, outcome so far).

    Returns:
        A trajectory of its own, from `run.t_end` on.

    Raises:
        ParameterError: `run` did not end well, or `t_end` is not after it.
    """
    if not run.outcome.ok:
        raise ParameterError(
            f"the run to continue ended as {run.outcome.name} at t = {run.t_end:g}",
            expected="a run with run.outcome.ok",
            fix=run.outcome.reason,
        )
    return solve(
        flow,
        run.params,
        t_end,
        pattern=run.pattern,
        t_start=run.t_end,
        until=until,
        times=log_times(run.t_end, t_end) if times is None else times,
        observe=observe,
        log_time=True,
        settings=settings,
        progress=progress,
    )
