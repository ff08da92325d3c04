"""IDX files: round trips through bytes written here, and every way in which a file can be wrong."""

import gzip
import os
import struct
import warnings
from urllib.error import URLError

import numpy as np
import pytest
import sklearn.datasets

from flowtheory.data import class_pair, fetch_mnist, load_mnist, separable_subset
from flowtheory.data.idx import read_images, read_labels
from flowtheory.errors import FileFormatError, ParameterError

IMAGES = np.arange(5 * 3 * 4, dtype=np.uint8).reshape(5, 3, 4) * 4
LABELS = np.array([0, 1, 1, 0, 9], dtype=np.uint8)


def idx(array, *, kind=0x08, sizes=None):
    sizes = array.shape if sizes is None else sizes
    header = bytes([0, 0, kind, len(sizes)]) + struct.pack(f">{len(sizes)}I", *sizes)
    return header + array.tobytes()


def write_set(directory, prefix="t10k", dot="-", gz=False, images=IMAGES, labels=LABELS):
    pack, end = (gzip.compress, ".gz") if gz else (bytes, "")
    path = directory / f"{prefix}-images{dot}idx3-ubyte{end}"
    path.write_bytes(pack(idx(images)))
    (directory / f"{prefix}-labels{dot}idx1-ubyte{end}").write_bytes(pack(idx(labels)))
    return path


def put(directory, content, name="file"):
    path = directory / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", ["data", "data.gz"])
def test_round_trip_by_content_whatever_the_suffix(tmp_path, pack, name):
    np.testing.assert_array_equal(read_images(put(tmp_path, pack(idx(IMAGES)), name)), IMAGES)
    np.testing.assert_array_equal(read_labels(put(tmp_path, pack(idx(LABELS)), name)), LABELS)


@pytest.mark.parametrize("dot", ["-", "."])
@pytest.mark.parametrize("gz", [False, True])
@pytest.mark.parametrize("by_directory", [False, True])
def test_a_set_is_found_by_directory_or_images_file(tmp_path, dot, gz, by_directory):
    path = write_set(tmp_path, dot=dot, gz=gz)
    images, labels = load_mnist(tmp_path if by_directory else str(path))
    np.testing.assert_array_equal(images, IMAGES.reshape(5, 12) / 255)
    np.testing.assert_array_equal(labels, LABELS)


def test_splits(tmp_path):
    write_set(tmp_path, "t10k")
    write_set(tmp_path, "train", gz=True, images=255 - IMAGES, labels=LABELS + 1)
    images, labels = load_mnist(tmp_path)
    np.testing.assert_array_equal(labels, [*(LABELS + 1), *LABELS])
    for split, rows in (("train", slice(0, 5)), ("test", slice(5, 10))):
        one, classes = load_mnist(tmp_path, split)
        np.testing.assert_array_equal(one, images[rows])
        np.testing.assert_array_equal(classes, labels[rows])
    with pytest.raises(ParameterError, match="split = 'validation'"):
        load_mnist(tmp_path, "validation")


def test_a_tilde_is_the_home_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_set(tmp_path)
    assert len(load_mnist("~")[0]) == 5


WHOLE = idx(IMAGES)
BAD_IMAGES = {
    "truncated": (WHOLE[:-1], r"is truncated: 59 element\(s\)"),
    "empty body": (WHOLE[:16], r"is truncated: 0 element\(s\)"),
    "longer": (WHOLE + b"\0", "longer than its header says: 61"),
    "short header": (WHOLE[:11], r"truncated inside its header: 11 byte\(s\)"),
    "empty": (b"", r"not an IDX file: it starts with bytes \(none\)"),
    "three bytes": (b"\0\0\x08", "not an IDX file"),
    "text": (b"label,pixel0\n", "not an IDX file: it starts with bytes 6c 61 62 65"),
    "little endian": (b"\x03\x08\0\0" + WHOLE[4:], "not an IDX file"),
    "unknown type": (b"\0\0\x07\x03" + WHOLE[4:], "not an IDX file"),
    "floats": (idx(IMAGES.astype(">f4"), kind=0x0D), r"elements of type float \(0x0d\)"),
    "signed": (idx(IMAGES, kind=0x09), r"elements of type signed byte \(0x09\)"),
    "labels": (idx(LABELS), r"holds labels \(1 dimension\)"),
    "matrix": (idx(IMAGES.reshape(5, 12)), r"holds an array of 2 dimension\(s\)"),
    "no dimension": (b"\0\0\x08\0", r"holds an array of 0 dimension\(s\)"),
    "no image": (idx(IMAGES[:0]), "holds no element"),
    "huge sizes": (idx(IMAGES, sizes=(2**32 - 1,) * 3), "is truncated"),
    "truncated gz": (gzip.compress(WHOLE)[:-9], "cannot be decompressed"),
    "gz header only": (gzip.compress(WHOLE)[:5], "cannot be decompressed"),
    "garbage gz": (b"\x1f\x8b" + WHOLE, "cannot be decompressed"),
    "gz bad checksum": (gzip.compress(WHOLE)[:-8] + b"\0" * 8, "cannot be decompressed"),
    "gz corrupt": (gzip.compress(WHOLE)[:12] + b"\xff" * 40, "cannot be decompressed"),
    "gz of short": (gzip.compress(WHOLE[:-1]), "is truncated: 59"),
}


@pytest.mark.parametrize(("content", "wrong"), BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_every_wrong_file_gets_one_clear_error(tmp_path, content, wrong):
    path = put(tmp_path, content)
    with pytest.raises(FileFormatError, match=wrong) as info:
        read_images(path)
    assert str(path) in info.value.wrong
    assert info.value.expected
    assert info.value.fix


def test_images_given_as_labels(tmp_path):
    with pytest.raises(FileFormatError, match=r"holds images \(3 dimensions\)"):
        read_labels(put(tmp_path, WHOLE))


def test_paths_that_lead_nowhere(tmp_path):
    with pytest.raises(FileFormatError, match="cannot be read: No such file"):
        load_mnist(tmp_path / "t10k-images-idx3-ubyte")
    with pytest.raises(FileFormatError, match="cannot be read: Is a directory"):
        read_images(tmp_path)
    with pytest.raises(FileFormatError, match="no images file of split 'all'") as info:
        load_mnist(tmp_path)
    assert "t10k-images-idx3-ubyte[.gz]" in info.value.expected
    write_set(tmp_path)
    with pytest.raises(FileFormatError, match="no images file of split 'train'"):
        load_mnist(tmp_path, "train")


def test_files_that_do_not_fit_together(tmp_path):
    path = write_set(tmp_path, labels=LABELS[:4])
    with pytest.raises(FileFormatError, match=r"5 images and .* 4 labels"):
        load_mnist(path)
    write_set(tmp_path)
    write_set(tmp_path, "train", images=IMAGES[:, :2])
    with pytest.raises(FileFormatError, match="different sizes"):
        load_mnist(tmp_path)


def test_labels_file_missing_swapped_or_not_nameable(tmp_path):
    path = write_set(tmp_path)
    labels = tmp_path / "t10k-labels-idx1-ubyte"
    with pytest.raises(FileFormatError, match="holds labels"):
        load_mnist(labels)
    labels.unlink()
    with pytest.raises(FileFormatError, match="no labels file beside") as info:
        load_mnist(path)
    assert "t10k-labels-idx1-ubyte.gz" in info.value.expected
    other = put(tmp_path, WHOLE, "pictures")
    with pytest.raises(FileFormatError, match="does not tell the name of its labels file"):
        load_mnist(other)


def test_openml_answer_is_converted(monkeypatch):
    asked = {}

    def fetch(**options):
        asked.update(options)
        return IMAGES.reshape(5, 12).astype(np.int64), LABELS.astype(str).astype(object)

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    images, labels = fetch_mnist()
    np.testing.assert_array_equal(images, IMAGES.reshape(5, 12) / 255)
    np.testing.assert_array_equal(labels, LABELS)
    assert labels.dtype == np.int64
    assert asked["data_id"] == 554


@pytest.mark.parametrize("failure", [URLError("no route to host"), ValueError("not found")])
def test_openml_without_a_network(monkeypatch, failure):
    def fetch(**options):
        warnings.warn("A network error occurred while downloading x. Retrying...", stacklevel=1)
        raise failure

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    with pytest.raises(FileFormatError, match="could not be fetched from OpenML") as info:
        fetch_mnist()
    assert "IDX files" in info.value.fix


@pytest.mark.skipif(
    "FLOWTHEORY_MNIST" not in os.environ,
    reason="set FLOWTHEORY_MNIST to a directory with the MNIST test set as IDX files",
)
def test_the_real_test_set():
    images, labels = load_mnist(os.environ["FLOWTHEORY_MNIST"], "test")
    assert images.shape == (10_000, 784)
    assert (images.min(), images.max()) == (0, 1)
    data = class_pair(images, labels, 0, 1, source="MNIST test")
    assert (data.n_plus, data.n_minus) == (980, 1135)
    assert abs(data.mu + 0.6017) < 1e-4
    assert abs(data.violating_fraction - 0.0658) < 1e-4
    subset = separable_subset(data, 0.05)
    assert subset.mu >= 0.05
    assert abs(subset.n - 1051) <= 5
