r"""Reader of IDX files, the format of MNIST; plain or gzip-compressed, told apart by content.

Layout (big endian): two zero bytes, one byte for the element type, one byte for the number k of
dimensions, k sizes of four bytes, then the elements, last index fastest. Images have k = 3 and
labels k = 1, both of unsigned bytes. Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database".
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from flowtheory.errors import FileFormatError

_GZIP_MAGIC = b"\x1f\x8b"
_UNSIGNED_BYTE = 0x08
_TYPES = {
    0x08: "unsigned byte",
    0x09: "signed byte",
    0x0B: "short",
    0x0C: "int",
    0x0D: "float",
    0x0E: "double",
}
_KINDS = {1: "labels (1 dimension)", 3: "images (3 dimensions)"}
_MORE = "the layout is in the documentation of flowtheory.data.idx"


def read_images(path: str | Path) -> UInt8[np.ndarray, "N rows columns"]:
    """The images of an IDX file.

    Raises:
        FileFormatError: a file that is not there, cannot be read or decompressed, is not IDX,
            holds another element type or labels, or whose length is not the declared one.
    """
    return _read(Path(path), 3)


def read_labels(path: str | Path) -> UInt8[np.ndarray, " N"]:
    """The labels of an IDX file.

    Raises:
        FileFormatError: as for `read_images`, with images in the place of labels.
    """
    return _read(Path(path), 1)


def _read(path: Path, dimensions: int) -> np.ndarray:
    content = _content(path)
    shape = _shape(path, content, dimensions)
    start = 4 + 4 * dimensions
    declared, present = math.prod(shape), len(content) - start
    if declared != present:
        problem = "truncated" if present < declared else "longer than its header says"
        raise FileFormatError(
            f"{path} is {problem}: {present} element(s) after the header",
            expected=f"{declared} = {' x '.join(map(str, shape))} elements of one byte",
            fix="copy or download the file again",
            more=_MORE,
        )
    if declared == 0:
        raise FileFormatError(
            f"{path} holds no element: sizes {shape}",
            expected="sizes of at least 1",
            fix="check how the file was written",
            more=_MORE,
        )
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def _shape(path: Path, content: bytes, dimensions: int) -> tuple[int, ...]:
    """The sizes in the header, after every check of the header."""
    if len(content) < 4 or content[:2] != b"\x00\x00" or content[2] not in _TYPES:
        raise FileFormatError(
            f"{path} is not an IDX file: it starts with bytes {content[:4].hex(' ') or '(none)'}",
            expected=f"00 00 08 0{dimensions} (unsigned bytes, {dimensions} dimension(s))",
            fix="give the IDX file itself, plain or .gz; an archive (.zip, .tar) must be unpacked",
            more=_MORE,
        )
    if content[2] != _UNSIGNED_BYTE:
        raise FileFormatError(
            f"{path} holds elements of type {_TYPES[content[2]]} (0x{content[2]:02x})",
            expected="unsigned bytes (0x08)",
            fix="use the original files; MNIST stores pixels and labels as unsigned bytes",
            more=_MORE,
        )
    if content[3] != dimensions:
        found = _KINDS.get(content[3], f"an array of {content[3]} dimension(s)")
        raise FileFormatError(
            f"{path} holds {found}",
            expected=_KINDS[dimensions],
            fix="check that the images file and the labels file are not swapped or renamed",
            more=_MORE,
        )
    if len(content) < 4 + 4 * dimensions:
        raise FileFormatError(
            f"{path} is truncated inside its header: {len(content)} byte(s)",
            expected=f"a header of {4 + 4 * dimensions} bytes",
            fix="copy or download the file again",
            more=_MORE,
        )
    return struct.unpack_from(f">{dimensions}I", content, 4)


def _content(path: Path) -> bytes:
    """The bytes of the file, decompressed if they are gzip's."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileFormatError(
            f"{path} cannot be read: {error.strerror}",
            expected="an IDX file, plain or .gz",
            fix="check the path and the permissions",
        ) from error
    if not content.startswith(_GZIP_MAGIC):
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise FileFormatError(
            f"{path} cannot be decompressed: {error}",
            expected="a complete gzip file",
            fix="copy or download the file again; it is probably truncated",
        ) from error
