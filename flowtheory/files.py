r"""Files of named arrays with a manifest: one npz, written all or nothing, checked when read.

An npz is a zip of npy files, which `numpy.load` reads too. Ours holds `manifest`, a JSON text with
the format's name, the kind of file, its version, and the shape and type of every other array. The
zip carries a CRC of every array, so that a damaged file is recognised.
"""

from __future__ import annotations

import io
import json
import math
import os
import secrets
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from flowtheory.errors import FileFormatError, OutputError

FORMAT = "flowtheory"
MANIFEST = "manifest"
_DOCS = "docs/runs.md"
# Whatever zip, zlib, JSON and npy raise on bytes that are not theirs.
_DAMAGED = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
    OverflowError,
    SyntaxError,
    TypeError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def write_file(
    path: str | Path,
    kind: str,
    version: int,
    manifest: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
) -> None:
    """Write arrays and their manifest to `path`, under a temporary name first.

    After a crash at any moment `path` holds the former file or the new one, whole.

    Args:
        path: the file; its directory must exist.
        kind: what the file is, such as "run".
        version: of the layout of this kind.
        manifest: what JSON can hold; numbers that are not finite as `plain` writes them.
        arrays: by name; no objects.

    Raises:
        OutputError: the place cannot be written.
    """
    listed = {name: [list(a.shape), a.dtype.str] for name, a in arrays.items()}
    head = {"format": FORMAT, "kind": kind, "version": version, **manifest, "arrays": listed}
    text = np.array(json.dumps(head, allow_nan=False, ensure_ascii=False))
    with replacing(path) as file:
        np.savez(file, allow_pickle=False, **{MANIFEST: text, **arrays})  # type: ignore[arg-type]


def read_file(
    path: str | Path, kind: str, version: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The manifest and the arrays of a file that `write_file` wrote.

    Raises:
        FileFormatError: the file is missing, damaged, of another kind, of another program, or of a
            later version.
    """
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(
            f"{path} is no file" if path.exists() else f"{path} does not exist",
            expected=f"a {kind} written by flowtheory",
            fix="check the path",
        )
    try:
        with zipfile.ZipFile(path) as bundle:
            names = [name.removesuffix(".npy") for name in bundle.namelist()]
            if MANIFEST not in names:
                raise _foreign(path, kind)
            manifest = json.loads(str(_array(bundle, MANIFEST)))
            _require_ours(path, manifest, kind, version)
            arrays = {name: _array(bundle, name) for name in manifest["arrays"]}
        for name, (shape, dtype) in manifest["arrays"].items():
            if [*arrays[name].shape] != shape or arrays[name].dtype.str != dtype:
                raise ValueError(f"{name} is not as the manifest says")
    except FileFormatError:
        raise
    except _DAMAGED as error:
        raise _damaged(path, kind, error) from error
    return manifest, arrays


def plain(number: float) -> float | str:
    """A number as strict JSON can hold it; `float` reads it back."""
    number = float(number)
    return number if math.isfinite(number) else repr(number)


@contextmanager
def replacing(path: str | Path) -> Iterator[Any]:
    """A binary file that takes the place of `path` if the block ends well.

    Raises:
        OutputError: the place cannot be written.
    """
    path = Path(path)
    part = path.with_name(f".{path.name[:80]}.{secrets.token_hex(4)}.part")
    try:
        try:
            with part.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
            _settle(path.parent)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _unwritable(path, error) from error


def sweep(path: str | Path) -> None:
    """Remove what writers of `path` that were killed have left behind."""
    path = Path(path)
    for part in path.parent.glob(f".{_escaped(path.name[:80])}.*.part"):
        with suppress(OSError):
            part.unlink()


def require_writable(path: str | Path) -> None:
    """Fail before a long run if `path` cannot be written.

    Raises:
        OutputError: it is a directory, or its directory is missing or cannot be written.
    """
    path = Path(path)
    if path.is_dir():
        raise _unwritable(path, IsADirectoryError(0, "it is a directory"))
    part = path.with_name(f".{path.name[:80]}.{secrets.token_hex(4)}.part")
    try:
        part.touch(exist_ok=False)
        part.unlink()
    except OSError as error:
        raise _unwritable(path, error) from error


def _escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _settle(directory: Path) -> None:
    """Make the rename itself survive a loss of power, where the system can."""
    with suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _array(bundle: zipfile.ZipFile, name: str) -> np.ndarray:
    # All bytes first: only then has the CRC been checked.
    return np.lib.format.read_array(io.BytesIO(bundle.read(f"{name}.npy")), allow_pickle=False)


def _require_ours(path: Path, manifest: Any, kind: str, version: int) -> None:
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise _foreign(path, kind)
    if manifest["kind"] != kind:
        raise FileFormatError(
            f"{path} is a {manifest['kind']}",
            expected=f"a {kind}",
            fix="ft.Run.load reads runs, flow.resume reads checkpoints",
            more=_DOCS,
        )
    if manifest["version"] > version:
        raise FileFormatError(
            f"{path} is a {kind} of version {manifest['version']}, written by flowtheory "
            f"{manifest.get('flowtheory', '?')}",
            expected=f"version {version} or earlier",
            fix="read it with a flowtheory at least as new as the one that wrote it",
            more=_DOCS,
        )


def _foreign(path: Path, kind: str) -> FileFormatError:
    return FileFormatError(
        f"{path} was not written by flowtheory",
        expected=f"a {kind}: an npz with flowtheory's manifest",
        fix="check the path; arrays of your own are read with numpy.load",
        more=_DOCS,
    )


def _damaged(path: Path, kind: str, error: BaseException) -> FileFormatError:
    return FileFormatError(
        f"{path} is damaged or truncated ({str(error) or type(error).__name__})",
        expected=f"a whole {kind} written by flowtheory",
        fix="copy it again, or run again: flowtheory itself never leaves half a file",
        more=_DOCS,
    )


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{path} cannot be written: {error.strerror or error}",
        expected="a file name in an existing, writable directory",
        fix="make the directory, or choose another",
        more=_DOCS,
    )
