"""The versions of what a result depends on, recorded beside it."""

from __future__ import annotations

import platform
from importlib.metadata import version

RECORDED = ("flowtheory", "jax", "diffrax", "sympy", "numpy", "scipy", "numba", "scikit-learn")


def versions() -> dict[str, str]:
    """Those of Python and of the packages that compute."""
    return {name: version(name) for name in RECORDED} | {"python": platform.python_version()}
