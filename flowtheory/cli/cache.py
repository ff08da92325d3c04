"""Compiled programs kept on disk, so that a second run of a command need not compile again.

Compilation dominates a first solve (seconds against milliseconds), and JAX stores what it compiled
only if it is told where. The command line tells it; the library never does, because in a user's own
program the directory is the user's to choose.
"""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping
from hashlib import sha256
from pathlib import Path

VARIABLE = "FLOWTHEORY_CACHE_DIR"
OFF = "off"
JAX_DIRECTORY = "JAX_COMPILATION_CACHE_DIR"
THRESHOLDS = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
"""By default JAX drops whatever took less than a second to compile: most of our programs."""


def use_compilation_cache(environment: MutableMapping[str, str]) -> None:
    """Tell JAX, which is not imported yet, where to keep compiled programs.

    A directory that the user gave JAX stays. Without a place that can be written there is no cache.
    """
    wanted = environment.get(VARIABLE)
    if wanted == OFF or JAX_DIRECTORY in environment:
        return
    try:
        place = (Path(wanted) if wanted else user_cache(environment)) / f"jax-{processor()}"
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return
    if not os.access(place, os.W_OK | os.X_OK):
        return
    environment[JAX_DIRECTORY] = str(place.resolve())
    for name, value in THRESHOLDS.items():
        environment.setdefault(name, value)


def user_cache(environment: MutableMapping[str, str]) -> Path:
    """The platform's directory for what a user's programs can make anew."""
    if sys.platform == "win32":
        local = environment.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData/Local") / "flowtheory" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "flowtheory"
    place = Path(environment.get("XDG_CACHE_HOME") or "")
    # A relative path there is to be ignored, says the standard.
    return (place if place.is_absolute() else Path.home() / ".cache") / "flowtheory"


def processor() -> str:
    """A short name of this kind of processor.

    A home directory may be shared by machines of several kinds, and code that was compiled for one
    of them may use instructions that another lacks.
    """
    from platform import machine

    kind = {machine()}
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        kind |= {line for line in lines if line.startswith(("flags", "Features", "model name"))}
    except OSError:
        pass
    return sha256("\n".join(sorted(kind)).encode()).hexdigest()[:12]
