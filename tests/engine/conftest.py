from __future__ import annotations

import pytest
from engine import small

import flowtheory as ft


@pytest.fixture(scope="session")
def flow() -> ft.GradientFlow:
    return small.flow()


@pytest.fixture(scope="session")
def whole(flow: ft.GradientFlow) -> ft.Run:
    """The run that is never interrupted."""
    return small.solve(flow)
