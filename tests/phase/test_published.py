"""Published slopes of the phase diagram, at widths that a test affords."""

from __future__ import annotations

import numpy as np
import pytest

from flowtheory.laws.diagram_runs import ended
from flowtheory.phase.slopes import log_slopes

WIDTHS = 2.0 ** np.arange(10, 15)


@pytest.mark.parametrize(("gamma", "paper"), [(0.5, -0.506), (1.0, 0.007), (1.75, 0.372)])
def test_slopes_of_luo_et_al(gamma, paper):
    """S_w at gamma' = 0 (JMLR 22, 2021, Fig. 3: -0.506, 0.007, 0.372), of as many neurons each."""
    logs = [
        np.mean(
            [
                np.log(ended(gamma, 0.0, int(m), seed, checked=0)["rd_w"])
                for seed in range(int(2 * WIDTHS[-1] / m))
            ]
        )
        for m in WIDTHS
    ]
    assert log_slopes(np.array(logs), WIDTHS) == pytest.approx(paper, abs=0.02)
