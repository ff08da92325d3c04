r"""`Run`: a result that can be saved, loaded, drawn, and read at a glance."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from flowtheory.clock import Clock
from flowtheory.errors import FileFormatError
from flowtheory.files import plain, read_file, write_file
from flowtheory.flow.run import Checks, Happened, Stage
from flowtheory.flow.run import Run as Integrated
from flowtheory.flow.trajectory import Statistics
from flowtheory.measure.stages import LossStage, loss_stages
from flowtheory.outcome import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KIND, VERSION = "run", 1
_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 24


@dataclass(frozen=True, eq=False, repr=False)
class Run(Integrated):
    r"""An integrated gradient flow: rows, outcome, error estimate, checks.

    Attributes:
        about: what was integrated, in words: `network`, `loss`, `samples`.
    """

    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "about", MappingProxyType(dict(self.about)))

    @classmethod
    def of(cls, run: Integrated, about: Mapping[str, Any]) -> Self:
        """A result of `flow`, with what it is about."""
        return cls(**{f.name: getattr(run, f.name) for f in fields(Integrated)}, about=about)

    def save(self, path: str | Path) -> None:
        """Write the run to an npz file, all of it or nothing; `Run.load` reads it.

        `numpy.load` reads it too: arrays `times`, `observables/NAME` and `params/NAME`.

        Raises:
            OutputError: the place cannot be written.
        """
        from importlib.metadata import version

        arrays = {"times": self.times}
        arrays |= {f"observables/{name}": a for name, a in self.observables.items()}
        arrays |= {f"params/{name}": a for name, a in self.params.items()}
        manifest = {
            "flowtheory": version("flowtheory"),
            "about": dict(self.about),
            **_manifest(self),
        }
        write_file(path, KIND, VERSION, manifest, arrays)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The run that `save` wrote.

        Raises:
            FileFormatError: the file is missing, damaged, no run, or of a later version.
        """
        manifest, arrays = read_file(path, KIND, VERSION)
        try:
            return cls._read(manifest, arrays)
        except (KeyError, ValueError, TypeError) as error:
            raise FileFormatError(
                f"{path} is a run that lacks something ({error})",
                expected="a run that flowtheory wrote",
                fix="copy it again; nothing but Run.save should write it",
            ) from error

    @classmethod
    def _read(cls, manifest: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        return cls(
            times=arrays["times"],
            observables=_below("observables/", arrays),
            params=_below("params/", arrays),
            outcome=Outcome(manifest["outcome"]),
            events=tuple(Happened(name, float(t), up) for name, t, up in manifest["events"]),
            stages=tuple(_read_stage(stage) for stage in manifest["stages"]),
            checks=_checks(manifest["checks"]),
            clock=Clock(manifest["clock"]["reduction"], float(manifest["clock"]["slope"])),
            statistics=Statistics(**manifest["statistics"]),
            about=manifest["about"],
            **{name: float(manifest[name]) for name in _NUMBERS},
        )

    @property
    def loss_stages(self) -> tuple[LossStage, ...]:
        """Plateaus and descents of the loss, see `flowtheory.measure.loss_stages`.

        Rows after a loss that is not finite are left out.
        """
        bad = np.flatnonzero(~np.isfinite(self.loss))
        good = int(bad[0]) if bad.size else len(self.times)
        return loss_stages(self.times[:good], self.loss[:good]) if good > 1 else ()

    def plot(self) -> Figure:
        """Loss, norms, alignment and spectra (what was saved) over log and linear time.

        Descents are shaded, plateaus numbered.
        """
        from flowtheory.plot.run import run_figure

        return run_figure(self.times, self.observables, stages=self.loss_stages, clock=self.clock)

    def summary(self) -> dict[str, Any]:
        """Outcome, times with their error, stages, checks and methods, as JSON can hold them."""
        return {
            **self.about,
            "outcome": self.outcome.value,
            "reason": self.outcome.reason,
            "t_end": plain(self.t_end),
            "error_estimate": plain(self.error_estimate),
            "clock": str(self.clock),
            "loss_start": plain(self.loss[0]),
            "loss_end": plain(self.loss[-1]),
            "rows": len(self.times),
            "loss_stages": [
                {
                    "kind": stage.kind,
                    "start": plain(stage.start),
                    "end": plain(stage.end),
                    "level": plain(stage.level),
                }
                for stage in self.loss_stages
            ],
            **{name: value for name, value in _manifest(self).items() if name in _TOLD},
        }

    def __repr__(self) -> str:
        return f"Run({_when(self)}, {_levels(self)}, {_methods(self)}) {sparkline(self)}"

    def _repr_html_(self) -> str:
        lines = [
            f"<b>{html.escape(_when(self))}</b>",
            f"{html.escape(_levels(self))}, {html.escape(_methods(self))}",
            html.escape(_checked(self)),
        ]
        bars = f'<span style="font-family:monospace">{sparkline(self)}</span>'
        return "<div>" + "<br>".join([*lines, f"{bars} loss"]) + "</div>"


_NUMBERS = ("error_estimate", "blow_up_time", "rtol", "atol")
_TOLD = ("events", "stages", "checks", "statistics", "rtol", "atol", "blow_up_time")


def _manifest(run: Run) -> dict[str, Any]:
    """Everything but the arrays."""
    return {
        "outcome": run.outcome.value,
        "events": [[e.name, plain(e.time), bool(e.rising)] for e in run.events],
        "stages": [_stage(stage) for stage in run.stages],
        "checks": {
            "energy": plain(run.checks.energy),
            "rises": run.checks.rises,
            "drifts": {name: plain(value) for name, value in run.checks.drifts.items()},
        },
        "clock": {"reduction": run.clock.reduction, "slope": plain(run.clock.slope)},
        "statistics": {
            name: value if isinstance(value, int) else plain(value)
            for name, value in run.statistics._asdict().items()
        },
        **{name: plain(getattr(run, name)) for name in _NUMBERS},
    }


def _stage(stage: Stage) -> dict[str, Any]:
    numbers = {name: plain(getattr(stage, name)) for name in ("start", "end", "error")}
    return stage._asdict() | numbers | {"evaluations": int(stage.evaluations)}


def _read_stage(saved: Mapping[str, Any]) -> Stage:
    return Stage(**{**saved, **{name: float(saved[name]) for name in ("start", "end", "error")}})


def _checks(saved: Mapping[str, Any]) -> Checks:
    drifts = {name: float(value) for name, value in saved["drifts"].items()}
    return Checks(float(saved["energy"]), saved["rises"], drifts)


def _below(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def _when(run: Run) -> str:
    """Outcome and time, the error with the time it belongs to."""
    name = run.outcome.value.replace("_", " ")
    if run.outcome is Outcome.BLEW_UP:
        return f"{name} at t = {run.blow_up_time:.6g}"
    if run.outcome is Outcome.EVENT:
        return f"{name} ({run.events[-1].name}) at t = {timed(run.t_end, run.error_estimate)}"
    return f"{name} at t = {run.t_end:.6g}"


def timed(time: float, error: float) -> str:
    """A time with its error: the digits that are known, and two of the error.

    >>> timed(69.6139913110774, 3.66e-8), timed(2.5, float("nan")), timed(2.5, float("inf"))
    ('69.613991311 ± 3.7e-08', '2.5', '2.5, which a second run did not confirm')
    """
    if error == math.inf:
        return f"{time:.10g}, which a second run did not confirm"
    if not (math.isfinite(error) and error > 0):
        return f"{time:.10g}"
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{time:.{min(decimals, 14)}f} ± {error:.1e}"


def _levels(run: Run) -> str:
    return f"loss {run.loss[0]:.4g} → {run.loss[-1]:.4g}"


def _methods(run: Run) -> str:
    names = dict.fromkeys(stage.method for stage in run.stages)
    return f"{', then '.join(names)}, {len(run.times)} rows"


def _checked(run: Run) -> str:
    said = [f"energy identity to {run.checks.energy:.1e} L(0)"]
    if run.outcome is Outcome.REACHED_T and math.isfinite(run.error_estimate):
        said.append(f"final parameters to {run.error_estimate:.1e}")
    if run.checks.drifts:
        worst = max(run.checks.drifts.values())
        said.append(f"conserved quantities to {worst:.1e} |θ|²")
    if run.checks.rises:
        said.append(f"the loss rose {run.checks.rises} times")
    if not run.outcome.ok:
        said.append(run.outcome.reason)
    return "; ".join(said)


def sparkline(run: Run) -> str:
    """The loss over linear time, from its least to its largest value, one character a bin."""
    times, loss = run.times, run.loss
    good = np.isfinite(loss)
    if np.count_nonzero(good) < 2 or times[-1] <= times[0]:
        return ""
    at = np.linspace(times[0], times[-1], _WIDTH)
    values = np.interp(at, times[good], loss[good])
    low, high = float(values.min()), float(values.max())
    unit = (high - low) or 1.0
    ranks = np.minimum((values - low) / unit * len(_BARS), len(_BARS) - 1).astype(int)
    return "".join(_BARS[k] for k in ranks)
