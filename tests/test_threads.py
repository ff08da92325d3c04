"""How many threads a worker process has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
from flowtheory.threads import single_threaded
single_threaded()
import jax.numpy as jnp
from pathlib import Path
jnp.ones(3).block_until_ready()
names = [(task / "comm").read_text() for task in Path("/proc/self/task").iterdir()]
print(sum("XLA" in name for name in names))
"""


def threads(**given: str) -> int:
    """How many XLA has in a worker that has used JAX."""
    environment = {k: v for k, v in os.environ.items() if k not in ("NPROC", "XLA_FLAGS")} | given
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted in /proc")
def test_a_worker_has_one_thread_to_compute_in_unless_the_user_says_otherwise() -> None:
    """Left alone, XLA takes one thread a core of the machine in each of the workers."""
    assert threads() == 1
    assert threads(NPROC="3") == 3
