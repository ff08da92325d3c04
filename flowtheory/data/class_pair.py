r"""A binary problem from two classes of an image set."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from flowtheory.data.dataset import LabelledData
from flowtheory.errors import DataError, ParameterError
from flowtheory.precision import as_float64

# A centred row below this fraction of the largest input is the rounding error of the mean.
_ROUNDING = 1e-12


def class_pair(
    images: Float[np.ndarray, "N D"],
    labels: Int[np.ndarray, " N"],
    positive: int,
    negative: int,
    *,
    centre: bool = True,
    normalise: bool = False,
    source: str = "images",
) -> LabelledData:
    r"""The images of class `positive` (label +1) and of class `negative` (label -1).

    Args:
        images: one flattened image a row.
        labels: the class of each image.
        positive: class that gets $y = +1$.
        negative: class that gets $y = -1$.
        centre: subtract the mean image of the selected pair, $x_i \leftarrow x_i - \bar x$.
        normalise: divide each row by its norm (after centring).
        source: name of the image set, for `name` and `provenance`.

    Raises:
        ParameterError: `positive` equals `negative`.
        DataError: shapes that do not fit, a class without images, or a row that is zero (after
            centring: images that are all equal).
    """
    x, classes = as_float64(images, "images"), np.asarray(labels)
    _check(x, classes, positive, negative)
    chosen = np.flatnonzero((classes == positive) | (classes == negative))
    x = x[chosen]
    y = np.where(classes[chosen] == positive, 1.0, -1.0)
    if centre:
        x = _centred(x)
    if normalise:
        norms = np.linalg.norm(x, axis=1, keepdims=True)
        x = x / np.where(norms > 0, norms, 1.0)  # zero rows stay zero: LabelledData names them
    how = [word for word, is_on in (("centred", centre), ("unit norm", normalise)) if is_on]
    return LabelledData(
        x,
        y,
        f"{source} {positive}/{negative}",
        ", ".join([f"{source}, class {positive} (+1) and class {negative} (-1)", *how]),
    )


def _centred(x: Float[np.ndarray, "n D"]) -> Float[np.ndarray, "n D"]:
    scale = np.abs(x).max()
    centred = x - x.mean(axis=0)
    centred[np.abs(centred).max(axis=1) <= _ROUNDING * scale] = 0.0
    return centred


def _check(x: np.ndarray, classes: np.ndarray, positive: int, negative: int) -> None:
    if x.ndim != 2 or classes.shape != x.shape[:1]:
        raise DataError(
            f"images have shape {x.shape} and labels {classes.shape}",
            expected="images of shape (N, D) and labels of shape (N,)",
            fix="flatten images with images.reshape(len(images), -1)",
        )
    if positive == negative:
        raise ParameterError(
            f"both classes are {positive}",
            expected="two different classes",
            fix="choose another negative class",
        )
    for value in (positive, negative):
        if not np.any(classes == value):
            raise DataError(
                f"no image has class {value}",
                expected=f"a class that occurs: {np.unique(classes).tolist()}",
                fix="choose two classes that occur",
            )
