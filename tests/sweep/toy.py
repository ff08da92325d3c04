"""A probe whose answers are known, and which fails or dies where it is told to."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from flowtheory.outcome import Outcome
from flowtheory.sweep import Found, Measure, Parameter, Probe

BAD, DEADLY = 3.0, 5.0


def _run(cells: Sequence) -> list[Found]:
    found = []
    for cell in cells:
        if cell["log"]:
            with Path(cell["log"]).open("a", encoding="utf-8") as file:
                file.write(f"{cell['x']} {cell['seed']}\n")
        if cell["mode"] == "raise" and cell["x"] == BAD:
            raise ValueError("x is three")
        if cell["mode"] == "die" and cell["x"] == DEADLY:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(cell["seconds"])
        found.append(Found(Outcome.REACHED_T, {"square": cell["x"] ** 2 + cell["seed"]}))
    return found


PROBE = Probe(
    name="toy",
    version=1,
    says="a square",
    parameters=(
        Parameter("x", float, "a number", least=0.0, most=1e3),
        Parameter("seed", int, "added to the square", 0),
        Parameter("mode", str, "what it does", "answer", choices=("answer", "raise", "die")),
        Parameter("seconds", float, "time that a cell takes", 0.0),
        Parameter("log", str, "file to which the cell is added when it is begun", ""),
    ),
    measures=(Measure("square", "x^2 + seed"),),
    run=_run,
    batch=4,
)
