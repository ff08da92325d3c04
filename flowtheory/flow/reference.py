r"""An independent path for small systems: the same field through SciPy's integrators.

It shares nothing with the engine but the field: no step control, no events, no coordinates. Use it
to cross-check a run; it is slow, and its events are as good as SciPy's (one sign test a step).
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import jax
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from flowtheory.errors import ParameterError
from flowtheory.flow.smooth import Params, SmoothFlow, descent
from flowtheory.precision import float64

Peer = Literal["DOP853", "Radau", "LSODA", "RK45", "BDF"]

_ATOL = 1e-4
_LONGEST = 1e12


class Reference(NamedTuple):
    """What SciPy says.

    Attributes:
        time: the final time, or that of the loss level; inf if the level was not met.
        params: parameters there.
        evaluations: of the field.
        message: SciPy's own, if it failed; else empty.
    """

    time: float
    params: Params
    evaluations: int
    message: str


def reference(
    flow: SmoothFlow,
    params: Params,
    t_end: float = _LONGEST,
    *,
    loss: float | None = None,
    method: Peer = "DOP853",
    rtol: float = 1e-12,
    atol: float | None = None,
) -> Reference:
    r"""Integrate a small flow with `scipy.integrate.solve_ivp`.

    Args:
        flow: the flow.
        params: the start, at t = 0.
        t_end: final time.
        loss: stop where the loss falls to this.
        method: SciPy's integrator.
        rtol: relative tolerance.
        atol: absolute tolerance; by default 1e-4 `rtol` of the smallest start entry that is not 0.

    Raises:
        ParameterError: neither a final time nor a loss.
    """
    from scipy.integrate import solve_ivp

    if loss is None and t_end >= _LONGEST:
        raise ParameterError(
            "neither t_end nor loss is given",
            expected="where to stop",
            fix="reference(flow, params, 10.0), or loss=0.1",
        )
    with float64():
        flat, back = ravel_pytree(flow.start(params))
        start = np.asarray(flat)
        entries = np.abs(start[start != 0])
        functions, data = flow.functions, flow.data
        force = jax.jit(lambda flat: ravel_pytree(descent(functions, back(flat), data))[0])
        energy = jax.jit(lambda flat: functions.energy(back(flat), data))

        def field(_: float, flat: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
            return np.asarray(force(flat))

        def level(_: float, flat: Float[np.ndarray, " N"]) -> float:
            return float(energy(flat)) - (loss or 0.0)

        setattr(level, "terminal", True)  # noqa: B010  (how solve_ivp takes its options)
        found = solve_ivp(
            field,
            (0.0, t_end),
            start,
            method=method,
            rtol=rtol,
            atol=_ATOL * rtol * float(entries.min()) if atol is None else atol,
            events=None if loss is None else level,
        )
        end = jax.tree.map(np.asarray, back(jax.numpy.asarray(found.y[:, -1])))
    met = loss is None or bool(found.t_events[0].size)
    time = float(found.t[-1]) if met else math.inf
    return Reference(time, end, int(found.nfev), "" if found.success else str(found.message))
