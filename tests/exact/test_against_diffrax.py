"""Switch times of event-exact propagation against diffrax with a located event per switch."""

from __future__ import annotations

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optimistix
import pytest

from flowtheory import float64
from flowtheory.exact import balanced, propagate


@jax.jit
def _next_switch(state, a, x, side, watched, horizon):
    """Time until the first watched margin side_i <w, x_i> reaches 0, and the state there."""

    def rate(t, y, args):
        return jnp.append(y[-1] * a, y[:-1] @ a)

    def margin(t, y, args, **kwargs):
        return jnp.min(jnp.where(watched, side * (x @ y[:-1]), jnp.inf))

    event = diffrax.Event(margin, optimistix.Newton(rtol=1e-14, atol=1e-14))
    run = diffrax.diffeqsolve(
        diffrax.ODETerm(rate),
        diffrax.Dopri8(),
        0.0,
        horizon,
        None,
        state,
        saveat=diffrax.SaveAt(t1=True),
        stepsize_controller=diffrax.PIDController(
            # Short steps: the dense output, on which the event is located, is of lower order.
            rtol=1e-14,
            atol=1e-16,
            dtmax=horizon / 6000,
            force_dtmin=False,
        ),
        event=event,
        max_steps=20_000,
        throw=False,
    )
    return run.ts[-1], run.ys[-1], run.event_mask


def diffrax_switches(x, c, w0):
    """Switch times of one balanced neuron on data where nothing slides."""
    state, active, now, times = np.append(w0, np.linalg.norm(w0)), x @ w0 > 0, 0.0, []
    while active.any():
        a = (c * active) @ x
        side = np.where(active, 1.0, -1.0)
        watched = side * (x @ a) < 0
        if not watched.any():
            break
        horizon = 60.0 / np.linalg.norm(a)
        with float64():
            found = _next_switch(*map(jnp.asarray, (state, a, x, side, watched, horizon)))
            time, end, hit = (np.asarray(part) for part in found)
        if not hit:
            break
        now += float(time)
        times.append(now)
        which = np.argmin(np.where(watched, side * (x @ end[:-1]), np.inf))
        active[which] = not active[which]
        state = end / np.linalg.norm(end[:-1])
    return times


@pytest.mark.parametrize("seed", range(8))
def test_switch_times_agree_with_diffrax(seed):
    rng = np.random.default_rng(seed)
    c = np.where(np.arange(6) % 2 == 0, 1.0, -1.0)
    x = c[:, None] * (np.abs(rng.standard_normal((6, 4))) + 0.02)
    w0 = rng.standard_normal((1, 4))
    paths = propagate(x, c, w0, balanced(w0))
    expected = diffrax_switches(x, c, w0[0])
    assert len(expected) == len(paths.time)
    np.testing.assert_allclose(paths.time, expected, rtol=1e-12)
