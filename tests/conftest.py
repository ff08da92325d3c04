"""Settings shared by all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# A run of the continuous integration is reproducible; a developer's run explores.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
