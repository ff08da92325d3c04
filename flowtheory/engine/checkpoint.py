r"""Checkpoints: a run in the making, written between stretches, and taken up again.

A checkpoint holds what the run was asked for, rows so far and all that the rest depends on. It is
replaced whole, so that a process that is killed at any moment leaves the last one. Chunk ends clip
no step: a run that is taken up makes the steps that it would have made.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from flowtheory.engine.asked import Asked, asked_again
from flowtheory.errors import OutputError, ParameterError
from flowtheory.files import plain, read_file, require_writable, sweep, write_file
from flowtheory.flow.position import Frozen, Kept, Position, Standing, Written
from flowtheory.flow.run import Happened, Stage
from flowtheory.flow.smooth import Moving
from flowtheory.outcome import Outcome

KIND, VERSION = "checkpoint", 2
EVERY = 60.0
"""Seconds between two checkpoints, at least."""

_SHARE = 20.0  # writing may take a twentieth of the time
_ARRAYS = ("signs", "crossed", "marks")
_SHOWN = 60


class Checkpoint:
    """The keeper of one run: writes it down, and knows what is written."""

    def __init__(self, path: str | Path, every: float, asked: Asked, known: Mapping[str, str]):
        """Open a checkpoint, or make a new one.

        Args:
            path: the file.
            every: seconds between two writings, at least.
            asked: what the run is asked for.
            known: what tells it from others, see `identity`.

        Raises:
            FileFormatError: the file there is no checkpoint, or damaged.
            OutputError: the place cannot be written.
            ParameterError: a checkpoint of another run lies there, or `every` is negative.
        """
        if not (math.isfinite(every) and every >= 0):
            raise ParameterError(
                f"every is {every!r}", expected="seconds, finite and >= 0", fix="60 (default)"
            )
        self.path, self.every, self.asked, self.known = Path(path), every, asked, dict(known)
        self.parts: dict[str, Written] = {}
        if self.path.exists():
            manifest, arrays = read_file(path, KIND, VERSION)
            _require_same(self.path, manifest["identity"], self.known)
            for part, said in manifest["parts"].items():
                self.parts[part] = _unpacked(said, _below(f"{part}/", arrays))
        require_writable(self.path)
        sweep(self.path)
        self._written, self._pause = time.monotonic(), every

    def former(self, part: str) -> Written | None:
        """What is written of a part of the run."""
        return self.parts.get(part)

    def keep(self, part: str, frozen: Callable[[], Written], *, last: bool) -> None:
        """Write a part down if it is due, or is the last of it."""
        now = time.monotonic()
        if not last and now - self._written < self._pause:
            return
        found, before = frozen(), self.parts.get(part)
        if before is not None and _stands(found) == _stands(before):
            return
        self.parts[part] = found
        self._write()
        self._written = time.monotonic()
        self._pause = max(self.every, _SHARE * (self._written - now))

    def _write(self) -> None:
        arrays = {f"start/{name}": array for name, array in self.asked.params.items()}
        if self.asked.times is not None:
            arrays["save_times"] = np.asarray(self.asked.times, dtype=np.float64)
        for part, frozen in self.parts.items():
            arrays |= {f"{part}/{name}": array for name, array in _arrays(frozen).items()}
        manifest = {
            "flowtheory": version("flowtheory"),
            "identity": self.known,
            "options": self.asked.options(),
            "budgets": self.asked.budgets(),
            "parts": {part: _said(frozen) for part, frozen in self.parts.items()},
        }
        try:
            write_file(self.path, KIND, VERSION, manifest, arrays)
        except OutputError as error:
            # Hours of work are not thrown away because a disk is full.
            warnings.warn(f"no checkpoint: {error.wrong}; the run goes on", stacklevel=2)


def read_asked(path: str | Path, **again: Any) -> Asked:
    """What the run of a checkpoint was asked for.

    Args:
        path: the file.
        **again: `until`, `watch` and `save`, where these are functions of the user's own.

    Raises:
        FileFormatError: the file is missing, no checkpoint, or damaged.
        ParameterError: a function of the user's own is missing.
    """
    manifest, arrays = read_file(path, KIND, VERSION)
    return asked_again(manifest, _below("start/", arrays), arrays.get("save_times"), **again)


def _stands(written: Written) -> Any:
    """What is the same only for a run that has not moved."""
    if isinstance(written, Kept):
        return {name: value for name, value in written.numbers.items() if name != "seconds"}
    return written.standing


def _arrays(frozen: Written) -> dict[str, np.ndarray]:
    if isinstance(frozen, Kept):
        return {name: np.asarray(array) for name, array in frozen.arrays.items()}
    position, rows = frozen.position, dict(frozen.rows)
    drift = rows.pop("drift")
    guess = {} if position.guess is None else position.guess.params
    return {
        "times": frozen.times,
        **{f"guess/{name}": np.asarray(array) for name, array in guess.items()},
        **{name: np.asarray(getattr(position, name)) for name in _ARRAYS},
        **{f"params/{name}": np.asarray(array) for name, array in position.params.items()},
        **{f"rows/{name}": np.asarray(array) for name, array in rows.items()},
        **{f"drift/{k}": np.asarray(array) for k, array in enumerate(drift.values())},
    }


def _said(frozen: Written) -> dict[str, Any]:
    if isinstance(frozen, Kept):
        return {"kept": frozen.numbers}
    numbers, standing = frozen.position._asdict(), frozen.standing
    # The spectral radius is found again.
    for name in ("params", "method", "radius", "guess", *_ARRAYS):
        del numbers[name]
    return {
        "position": {k: v if isinstance(v, int) else plain(v) for k, v in numbers.items()},
        "drift": list(frozen.rows["drift"]),
        "happened": [[e.name, plain(e.time), bool(e.rising)] for e in frozen.happened],
        "outcome": standing.outcome.value if standing.outcome else None,
        "blow_up_time": plain(standing.blow_up_time),
        "due": standing.due,
        "looked": standing.looked,
        "stretches": standing.stretches,
        "stages": [
            [v if isinstance(v, int | str) else plain(v) for v in s] for s in standing.stages
        ],
        "entered": [plain(standing.entered[0]), standing.entered[1]],
        "why": standing.why,
        "method": frozen.position.method,
    }


def _unpacked(said: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Written:
    if "kept" in said:
        return Kept(said["kept"], dict(arrays))
    position: dict[str, Any] = {
        k: v if isinstance(v, int) else float(v) for k, v in said["position"].items()
    }
    rows: dict[str, Any] = _below("rows/", arrays)
    rows["drift"] = {name: arrays[f"drift/{k}"] for k, name in enumerate(said["drift"])}
    position |= {name: arrays[name] for name in _ARRAYS}
    guess = _below("guess/", arrays)
    position["guess"] = Moving(guess, np.float64(0)) if guess else None  # type: ignore[arg-type]
    standing = Standing(
        Outcome(said["outcome"]) if said["outcome"] else None,
        float(said["blow_up_time"]),
        said["due"],
        said["looked"],
        said["stretches"],
        tuple(
            Stage(method, float(start), float(end), evaluations, float(error), why)
            for method, start, end, evaluations, error, why in said["stages"]
        ),
        (float(said["entered"][0]), said["entered"][1]),
        said["why"],
    )
    return Frozen(
        Position(**position, params=_below("params/", arrays), method=said["method"]),
        arrays["times"],
        rows,
        tuple(Happened(name, float(t), rising) for name, t, rising in said["happened"]),
        standing,
    )


def _below(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)}


def _require_same(path: Path, there: Mapping[str, str], here: Mapping[str, str]) -> None:
    """Raise `ParameterError` unless two runs agree in everything that tells runs apart."""
    # What an earlier version did not write was always the same in it.
    unlike = [name for name in here if there.get(name, here[name]) != here[name]]
    if not unlike:
        return
    first = unlike[0]
    shown = [side.get(first, "nothing") for side in (there, here)]
    digests = first in ("data", "start", "times to save at")
    values = "" if digests else f": {shown[0][:_SHOWN]} there, {shown[1][:_SHOWN]} here"
    raise ParameterError(
        f"{path} is the checkpoint of another run: it differs in {', '.join(unlike)}{values}",
        expected="the network, loss, data, start and options that it was written with",
        fix="give the former ones, another path, or delete the file to begin anew",
        more="docs/runs.md",
    )
