"""What the figure scripts share: arguments, cosines as pictures, and where figures go."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from flowtheory.measure import cosine_matrix


def arguments(description: str | None) -> argparse.Namespace:
    """--out DIR, --seed N."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=Path("out/figures"), help="default: %(default)s"
    )
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    return parser.parse_args()


def save(figure: Any, place: Path, name: str) -> None:
    """As PNG and PDF."""
    place.mkdir(parents=True, exist_ok=True)
    for kind in ("png", "pdf"):
        figure.savefig(place / f"{name}.{kind}")
        print(place / f"{name}.{kind}")


def show_cosines(axes: Any, weights: np.ndarray, title: str) -> Any:
    """The ordered matrix of cosines of rows."""
    image = axes.imshow(cosine_matrix(weights).matrix, cmap="RdBu_r", vmin=-1, vmax=1)
    axes.set(title=title, xticks=[], yticks=[], xlabel="neurons", ylabel="neurons")
    return image
