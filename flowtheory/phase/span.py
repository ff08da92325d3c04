r"""The flow in the span of the inputs: what is perpendicular to all of them stays as it started.

The gradient of every input weight is a combination of the inputs. With $n$ inputs in $D > n$
dimensions, $X^\top = QR$, the flow of $WQ$ on the inputs $R^\top$ is that of $W$ on $X$: same
outputs, same steps, at the cost of $n$ dimensions.
"""

from __future__ import annotations

import numpy as np

from flowtheory.flow.fall import Fallen, fall
from flowtheory.flow.field import Model, Samples, TwoLayer


def fall_in_span(
    model: Model, samples: Samples, start: TwoLayer, level: float, *, c: float, max_steps: int
) -> Fallen[TwoLayer]:
    """As `flowtheory.flow.fall.fall`, for two layers; in fewer dimensions where inputs are few.

    Args:
        model: a two-layer network and a loss.
        samples: data.
        start: parameters at t = 0.
        level: of the loss, at which the run ends.
        c: step constant.
        max_steps: budget.
    """
    x = np.asarray(samples.x)
    if len(x) >= x.shape[1]:
        return fall(model, samples, start, level, c=c, max_steps=max_steps)
    frame, inputs = np.linalg.qr(x.T)
    whole = np.asarray(start.W)
    inside = whole @ frame
    within = samples._replace(x=inputs.T)  # type: ignore[arg-type]
    found = fall(model, within, start._replace(W=inside), level, c=c, max_steps=max_steps)  # type: ignore[arg-type]
    W = whole + (np.asarray(found.params.W) - inside) @ frame.T
    return found._replace(params=found.params._replace(W=W))  # type: ignore[arg-type]
