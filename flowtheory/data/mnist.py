r"""MNIST, or any image set in the same files, from a path or from OpenML."""

from __future__ import annotations

import warnings
from http.client import HTTPException
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from flowtheory.data.idx import read_images, read_labels
from flowtheory.errors import FileFormatError, ParameterError

Split = Literal["train", "test", "all"]
Images = Float[np.ndarray, "N D"]
Classes = Int[np.ndarray, " N"]

_PREFIXES: dict[str, tuple[str, ...]] = {
    "train": ("train",),
    "test": ("t10k",),
    "all": ("train", "t10k"),
}
_GREY_LEVELS = 255.0


def load_mnist(path: str | Path, split: Split = "all") -> tuple[Images, Classes]:
    r"""Images, flattened and scaled to [0, 1], and classes, from IDX files.

    Args:
        path: an images file, whose labels file lies beside it under the corresponding name; or a
            directory with `train-images-idx3-ubyte` and/or `t10k-images-idx3-ubyte` and the
            corresponding labels (`-idx1-`). `.idx3-` for `-idx3-` and a final `.gz` are accepted.
        split: which files of a directory to read; 'all' reads those that are there, the training
            set first.

    Raises:
        FileFormatError: files that are not there, do not fit together, or that
            `flowtheory.data.idx` rejects.
        ParameterError: an unknown `split`.
    """
    if split not in _PREFIXES:
        raise ParameterError(
            f"split = {split!r}", expected="'train', 'test' or 'all'", fix="check the spelling"
        )
    path = Path(path).expanduser()  # after "mnist:" a shell leaves the tilde alone
    files = _images_in(path, split) if path.is_dir() else [path]
    pairs = [_load_pair(images) for images in files]
    if len({images.shape[1] for images, _ in pairs}) > 1:
        raise FileFormatError(
            f"the training and the test images in {path} have different sizes",
            expected="images of one size",
            fix="read one of them with split='train' or split='test'",
        )
    return (
        np.concatenate([images for images, _ in pairs]),
        np.concatenate([labels for _, labels in pairs]),
    )


def fetch_mnist() -> tuple[Images, Classes]:
    """All 70,000 MNIST images from OpenML (data set 554), as `load_mnist` returns them.

    scikit-learn keeps the download in its data home, so only the first call needs a network.

    Raises:
        FileFormatError: the download failed.
    """
    from sklearn.datasets import fetch_openml

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "A network error occurred")  # the error below tells
            # liac-arff: the pandas parser would add a dependency.
            images, labels = fetch_openml(
                data_id=554, as_frame=False, parser="liac-arff", return_X_y=True, n_retries=1
            )
    except (OSError, HTTPException, ValueError) as error:  # no network; a wrong answer
        raise FileFormatError(
            f"MNIST could not be fetched from OpenML: {error}",
            expected="a network connection to openml.org",
            fix="download the four IDX files elsewhere and give their directory (mnist:PATH), "
            "or use the bundled digits",
        ) from error
    return np.asarray(images, dtype=np.float64) / _GREY_LEVELS, np.asarray(labels).astype(np.int64)


def _images_in(directory: Path, split: Split) -> list[Path]:
    found = [
        candidate
        for prefix in _PREFIXES[split]
        for candidate in [_first(directory, _names(f"{prefix}-images", "idx3"))]
        if candidate is not None
    ]
    if not found:
        wanted = " or ".join(f"{prefix}-images-idx3-ubyte[.gz]" for prefix in _PREFIXES[split])
        raise FileFormatError(
            f"no images file of split {split!r} in the directory {directory}",
            expected=wanted,
            fix="give the directory that holds the IDX files, or an images file itself",
        )
    return found


def _load_pair(path: Path) -> tuple[Images, Classes]:
    images = read_images(path)
    labels_path = _labels_beside(path)
    labels = read_labels(labels_path)
    if len(images) != len(labels):
        raise FileFormatError(
            f"{path} holds {len(images)} images and {labels_path} {len(labels)} labels",
            expected="as many labels as images",
            fix="check that both files belong to the same set",
        )
    return images.reshape(len(images), -1) / _GREY_LEVELS, labels.astype(np.int64)


def _labels_beside(path: Path) -> Path:
    stem, marker, _ = path.name.partition("-images")
    if not marker:
        raise FileFormatError(
            f"the name of {path} does not tell the name of its labels file",
            expected="an images file named like train-images-idx3-ubyte[.gz]",
            fix="rename both files in this way",
        )
    names = _names(f"{stem}-labels", "idx1")
    found = _first(path.parent, names)
    if found is None:
        raise FileFormatError(
            f"no labels file beside {path}",
            expected=f"one of {', '.join(names)}",
            fix="put the labels file into the same directory under its usual name",
        )
    return found


def _names(stem: str, kind: str) -> list[str]:
    return [f"{stem}{dot}{kind}-ubyte{gz}" for dot in "-." for gz in ("", ".gz")]


def _first(directory: Path, names: list[str]) -> Path | None:
    return next((directory / name for name in names if (directory / name).is_file()), None)
