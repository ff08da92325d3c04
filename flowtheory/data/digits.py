"""The handwritten digits that scikit-learn carries (8 x 8 pixels, 1,797 images): no download."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from flowtheory.data.class_pair import class_pair
from flowtheory.data.dataset import LabelledData

_GREY_LEVELS = 16.0


def load_digits() -> tuple[Float[np.ndarray, "1797 64"], Int[np.ndarray, " 1797"]]:
    """All images, pixels scaled from 0..16 to [0, 1], and their classes 0..9.

    Source: UCI "Optical Recognition of Handwritten Digits" (test part), as distributed with
    scikit-learn.
    """
    from sklearn import datasets

    images, labels = datasets.load_digits(return_X_y=True)
    return np.asarray(images) / _GREY_LEVELS, np.asarray(labels).astype(np.int64)


def digits(
    positive: int = 0, negative: int = 1, *, centre: bool = True, normalise: bool = False
) -> LabelledData:
    """Two classes of the bundled digits; the options are those of `class_pair`.

    Raises:
        ParameterError: `positive` equals `negative`.
        DataError: a class outside 0..9.
    """
    images, labels = load_digits()
    return class_pair(
        images, labels, positive, negative, centre=centre, normalise=normalise, source="digits"
    )
