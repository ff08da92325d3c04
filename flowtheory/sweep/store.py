r"""Results on disk: one NetCDF file a batch, written whole or not at all, checked when read.

    STORE/store.json                         what the directory is; the version of its layout
    STORE/PROBE-VERSION/BATCH-CHECKSUM.nc    a batch: dimension `cell`, parameters as coordinates
    STORE/damaged/                           files that were found damaged, set aside

A file is named by the keys of its cells and by the first half of its own SHA-256, so that damage is
seen; files are never changed. Two drivers on one store write the same batches, or other ones.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flowtheory.errors import FileFormatError, OutputError
from flowtheory.files import replacing
from flowtheory.outcome import Outcome
from flowtheory.sweep.plan import Batch
from flowtheory.sweep.probe import Found, Probe
from flowtheory.sweep.study import Study

if TYPE_CHECKING:
    import xarray as xr

VERSION = 1
DAMAGED = "damaged"
_MARK = "store.json"
_DOCS = "docs/sweeps.md"


class Store:
    """A directory of results.

    Args:
        place: the directory; made if it does not exist.

    Raises:
        FileFormatError: It holds something else, or a store of a later version.
        OutputError: It cannot be written.
    """

    def __init__(self, place: str | Path) -> None:
        self.place = Path(place).expanduser().absolute()
        mark = self.place / _MARK
        if mark.is_file():
            _require_ours(mark)
            return
        if self.place.exists() and not (self.place.is_dir() and self._is_new()):
            raise FileFormatError(
                f"{self.place} is no store of flowtheory",
                expected="a directory that does not exist yet, is empty, or holds a store",
                fix="give another directory",
                more=_DOCS,
            )
        try:
            self.place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{self.place} cannot be made: {error.strerror}",
                expected="a place that can be written",
                fix="give another directory",
            ) from error
        head = {"format": "flowtheory sweep", "version": VERSION}
        with replacing(mark) as file:
            file.write(json.dumps(head).encode() + b"\n")

    def _is_new(self) -> bool:
        """Whether nothing is in the directory but what another driver is just beginning."""
        names = {path.name for path in self.place.iterdir()}
        return all(name == _MARK or name.startswith(f".{_MARK}.") for name in names)

    def write(self, batch: Batch, found: Sequence[Found], more: Mapping[str, Any]) -> Path:
        """Store a batch; where it is there already, that one stays.

        Args:
            batch: the cells.
            found: what came of each.
            more: attributes of the file, such as versions and seconds.

        Raises:
            OutputError: The place cannot be written, or is full.
        """
        folder = self._folder(batch.home.probe(), batch.home.digest)
        folder.mkdir(exist_ok=True)
        for there in folder.glob(f"{batch.name}-*.nc"):
            if _sound(there.read_bytes(), there):
                return there
        content = _dataset(batch, found, more).to_netcdf(engine="scipy")
        data = bytes(content)
        path = folder / f"{batch.name}-{_checksum(data)}.nc"
        with replacing(path) as file:
            file.write(data)
        return path

    def files(self, study: Study) -> Iterator[xr.Dataset]:
        """The sound batches of the study's probe; others are set aside with a warning."""
        import xarray as xr

        folder = self._folder(study.probe, study.home.digest)
        for path in sorted(folder.glob("*.nc")):
            data = path.read_bytes()
            if not _sound(data, path):
                self._set_aside(path)
                continue
            yield xr.load_dataset(data, engine="scipy")

    def done(self, study: Study, *, failed: bool = True) -> set[str]:
        """Keys of the cells that are there.

        Args:
            study: whose probe is asked about.
            failed: whether those whose code failed count.
        """
        keys: set[str] = set()
        for data in self.files(study):
            names = data["key"].values.astype(str)
            if not failed:
                names = names[~np.isin(data["outcome"].values.astype(str), _FAILED)]
            keys.update(names.tolist())
        return keys

    def _folder(self, probe: Probe, digest: str) -> Path:
        source = f"-{digest[:12]}" if digest else ""
        return self.place / f"{probe.name}-{probe.version}{source}"

    def _set_aside(self, path: Path) -> None:
        folder = self.place / DAMAGED
        folder.mkdir(exist_ok=True)
        path.replace(folder / path.name)
        warnings.warn(
            f"{path.name} is damaged and was moved to {folder}; its cells are to be computed again",
            stacklevel=2,
        )


_FAILED = (Outcome.FAILED.value, Outcome.CRASHED.value)


def _checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _sound(data: bytes, path: Path) -> bool:
    return path.stem.rpartition("-")[2] == _checksum(data)


def _dataset(batch: Batch, found: Sequence[Found], more: Mapping[str, Any]) -> xr.Dataset:
    """The batch as labelled columns."""
    import xarray as xr

    probe = batch.home.probe()
    columns: dict[str, Any] = {
        "outcome": ("cell", np.array([f.outcome.value for f in found])),
        "message": ("cell", np.array([f.message for f in found])),
    }
    for measure in probe.measures:
        numbers = np.array([f.values.get(measure.name, np.nan) for f in found], float)
        about = {"long_name": measure.says, "units": measure.unit}
        columns[measure.name] = ("cell", numbers, about)
    coordinates: dict[str, Any] = {"key": ("cell", np.array(batch.keys))}
    for parameter in probe.parameters:
        values = np.array([cell[parameter.name] for cell in batch.cells])
        about = {"long_name": parameter.says, "units": parameter.unit}
        coordinates[parameter.name] = ("cell", values, about)
    spec = {"probe": probe.name, "version": probe.version, "home": batch.home.address}
    return xr.Dataset(columns, coords=coordinates, attrs={**spec, **more})


def _require_ours(mark: Path) -> None:
    try:
        head = json.loads(mark.read_text(encoding="utf-8"))
        version = head["version"] if head["format"] == "flowtheory sweep" else None
    except (OSError, ValueError, KeyError, TypeError):
        version = None
    if version == VERSION:
        return
    later = isinstance(version, int) and version > VERSION
    raise FileFormatError(
        f"{mark.parent} is a store of version {version}" if later else f"{mark} is damaged",
        expected=f"a store of version {VERSION}",
        fix="use a newer flowtheory" if later else "give another directory",
        more=_DOCS,
    )
