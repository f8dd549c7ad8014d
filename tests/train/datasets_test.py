# SPDX-License-Identifier: Apache-2.0
"""Data sets by name, and every defect of a user's file."""

import io
import zipfile

import numpy as np
import pytest

from train import datasets, records, sources, tfds_files
from train.errors import UserError


def arrays(**changes):
    rng = np.random.default_rng(0)
    made = {
        "x_train": rng.integers(0, 256, (30, 6, 5, 3), np.uint8),
        "y_train": np.arange(30) % 3,
        "x_test": rng.integers(0, 256, (9, 6, 5, 3), np.uint8),
        "y_test": np.arange(9) % 3,
    }
    made.update(changes)
    return {k: v for k, v in made.items() if v is not None}


def write(path, **changes):
    np.savez(path, **arrays(**changes))
    return str(path)


def test_digits():
    digits = datasets.load("digits")
    assert digits.image_shape == (28, 28, 1)
    assert digits.num_classes == 10
    sizes = [len(p) for p in (digits.train, digits.validation, digits.test)]
    assert sizes == [1250, 250, 297]
    for part in (digits.train, digits.validation, digits.test):
        assert part.images.dtype == np.uint8
        assert set(part.labels) == set(range(10))
    assert digits.train.images.max() == 255
    # A border, and every pixel of a scan three times in both directions.
    image = digits.train.images[0, :, :, 0]
    assert not image[:2].any() and not image[:, -2:].any()
    inner = image[2:-2, 2:-2]
    np.testing.assert_array_equal(
        inner, inner[::3, ::3].repeat(3, axis=0).repeat(3, axis=1)
    )
    # The split is fixed: figures reported for it can be compared.
    assert digits.digest == (
        "58248fac0e6b596913daf54682b6a8b332907c7149a02f9bc8802c3f9ccdedeb"
    )


def test_npz(tmp_path):
    path = write(tmp_path / "own.npz")
    own = datasets.load(path)
    assert (own.name, own.source) == (path, "file")
    assert own.image_shape == (6, 5, 3)
    assert own.num_classes == 3
    assert [len(p) for p in (own.train, own.validation, own.test)] == [
        *(25, 5, 9)
    ]


def test_npz_of_grey_images_and_column_labels(tmp_path):
    made = arrays()
    path = write(
        tmp_path / "own.npz",
        x_train=made["x_train"][..., 0],
        x_test=made["x_test"][..., 0],
        y_train=made["y_train"][:, np.newaxis].astype(np.uint8),
    )
    assert datasets.load(path).image_shape == (6, 5, 1)


def test_splits_share_no_record_and_lose_none(tmp_path):
    made = arrays()
    own = datasets.load(write(tmp_path / "own.npz"))
    parts = [
        {image.tobytes() for image in part.images}
        for part in (own.train, own.validation)
    ]
    assert not parts[0] & parts[1]
    assert parts[0] | parts[1] == {x.tobytes() for x in made["x_train"]}


@pytest.mark.parametrize(
    ("share", "sizes"), [(0.1, [27, 3]), (0.5, [15, 15]), (0.99, [1, 29])]
)
def test_validation_share(tmp_path, share, sizes):
    path = write(tmp_path / "own.npz")
    own = datasets.load(path, validation_share=share)
    assert [len(own.train), len(own.validation)] == sizes
    assert len(own.test) == 9


def test_the_published_splits():
    def blank(size):
        shape = (size, 1, 1, 1)
        return records.Records(np.zeros(shape, np.uint8), np.zeros(size, "i4"))

    for size, share, wanted in (
        (60_000, 1 / 6, 50_000),
        (50_000, 0.1, 45_000),
        (73_257, 0.1, 65_932),
    ):
        parts = datasets.split("x", "y", blank(size), blank(1), share)
        assert len(parts.train) == wanted


def test_a_share_that_leaves_nothing_is_refused(tmp_path):
    path = write(tmp_path / "own.npz")
    with pytest.raises(UserError, match="`validation_share`.*0.01 of the 30"):
        datasets.load(path, validation_share=0.01)


@pytest.mark.parametrize(
    ("name", "asked", "sizes"),
    [
        ("cifar10", "cifar10", (50_000, 10_000)),
        ("svhn", "svhn_cropped", (73_257, 26_032)),
    ],
)
def test_colour_images_come_from_tfds(
    monkeypatch, tmp_path, name, asked, sizes
):
    calls = []
    part = records.Records(
        np.zeros((20, 32, 32, 3), np.uint8), np.arange(20, dtype=np.int32) % 10
    )

    def load_sized(*arguments):
        calls.append(arguments)
        return part, part

    monkeypatch.setattr(tfds_files, "load_sized", load_sized)
    found = datasets.load(name, tmp_path, 0.1)
    assert (found.name, found.source) == (name, "TensorFlow Datasets")
    assert (len(found.train), len(found.validation)) == (18, 2)
    assert calls == [(asked, sizes, (32, 32, 3), tmp_path)]

    def fail(*arguments):
        raise sources.SourceError("no network")

    monkeypatch.setattr(tfds_files, "load_sized", fail)
    with pytest.raises(UserError) as caught:
        datasets.load(name, tmp_path)
    message = str(caught.value)
    assert f"Received: dataset={name!r}" in message
    assert "TensorFlow Datasets: no network" in message
    assert "--dataset=FILE.npz" in message


def test_order_in_the_file_does_not_matter(tmp_path):
    made = arrays()
    order = np.argsort(made["y_train"], kind="stable")
    own = datasets.load(write(tmp_path / "a.npz"))
    by_class = datasets.load(
        write(
            tmp_path / "b.npz",
            x_train=made["x_train"][order],
            y_train=made["y_train"][order],
        )
    )
    assert own.digest == by_class.digest


def test_digest_tells_data_sets_apart(tmp_path):
    labels = arrays()["y_test"].copy()
    labels[0] = 1
    own = datasets.load(write(tmp_path / "a.npz"))
    other = datasets.load(write(tmp_path / "b.npz", y_test=labels))
    assert own.digest != other.digest


@pytest.mark.parametrize("name", ["imagenet", "", "data.npy", "MNIST"])
def test_unknown_name_lists_the_ways(name):
    with pytest.raises(UserError) as caught:
        datasets.load(name)
    message = str(caught.value)
    assert f"dataset={name!r}" in message
    for way in ("TensorFlow Datasets", "npm", "digits", "FILE.npz"):
        assert way in message
    for published in ("mnist", "fashion_mnist", "cifar10", "svhn"):
        assert published in message


def test_missing_npz(tmp_path):
    with pytest.raises(UserError, match="does not exist.*none.npz"):
        datasets.load(str(tmp_path / "none.npz"))
    folder = tmp_path / "folder.npz"
    folder.mkdir()
    with pytest.raises(UserError, match="does not exist.*folder.npz"):
        datasets.load(str(folder))


def saved(array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"", b"text", b"PK\x03\x04 and then nothing", saved(np.zeros(3))],
    ids=["empty", "text", "zip header", "npy"],
)
def test_npz_that_is_none(tmp_path, content):
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(UserError, match="bad.npz is not a complete .npz"):
        datasets.load(str(path))


def test_npz_cut_anywhere(tmp_path):
    content = (tmp_path / write(tmp_path / "good.npz")).read_bytes()
    path = tmp_path / "cut.npz"
    for length in range(0, len(content) - 1, 97):
        path.write_bytes(content[:length])
        with pytest.raises(UserError, match="cut.npz is not a complete"):
            datasets.load(str(path))


def test_npz_with_damaged_bytes_never_gives_wrong_data(tmp_path):
    content = (tmp_path / write(tmp_path / "good.npz")).read_bytes()
    wanted = datasets.load(str(tmp_path / "good.npz")).digest
    path = tmp_path / "damaged.npz"
    rng = np.random.default_rng(0)
    for position in rng.integers(0, len(content), 150):
        damaged = bytearray(content)
        damaged[position] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            digest = datasets.load(str(path)).digest
        except UserError:
            continue
        assert digest == wanted  # Bytes that nothing reads, such as a date.


def test_npz_with_pickles_is_not_unpickled(tmp_path):
    path = write(tmp_path / "own.npz", y_test=np.array([{}] * 9, object))
    with pytest.raises(UserError, match="plain arrays.*allow_pickle"):
        datasets.load(path)


def test_npz_member_with_a_wrong_header(tmp_path):
    path = tmp_path / "own.npz"
    lies = saved(np.zeros((2, 2), np.uint8)).replace(b"(2, 2)", b"(9, 9)")
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays().items():
            archive.writestr(f"{name}.npy", saved(array))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning):
        archive.writestr("x_test.npy", lies)
    with pytest.raises(UserError, match="own.npz is not a complete"):
        datasets.load(str(path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_test": None}, "Missing: y_test"),
        ({"x_train": None, "y_train": None}, "Missing: x_train, y_train"),
        (
            {"x_train": np.zeros((30, 6, 5, 3), np.float32)},
            "`x_train`.*uint8.*float32",
        ),
        ({"x_test": np.zeros((9, 6, 5, 3), np.int8)}, "`x_test`.*int8"),
        ({"x_train": np.zeros((30, 30), np.uint8)}, r"`x_train`.*\(30, 30\)"),
        ({"x_test": np.zeros((9, 6, 5, 1, 1), np.uint8)}, "`x_test`.*shape"),
        ({"x_train": np.zeros((30, 0, 5), np.uint8)}, "`x_train`.*shape"),
        ({"y_train": np.zeros(30)}, "`y_train`.*integer.*float64"),
        ({"y_train": np.zeros(29, int)}, r"`y_train`.*30 images.*\(29,\)"),
        ({"y_test": np.zeros((9, 3), int)}, r"`y_test`.*\(9, 3\)"),
        ({"y_train": np.zeros(30, int)}, "`y_train`.*2 to 1000 classes.*0"),
        ({"y_train": np.arange(30) - 1}, "`y_train`.*from -1 to 28"),
        ({"y_train": np.arange(30) * 50}, "`y_train`.*to 1450"),
        ({"y_test": np.arange(9)}, "`y_test`.*0 to 2.*from 0 to 8"),
        ({"y_test": np.arange(9) - 8}, "`y_test`.*from -8"),
        ({"x_test": np.zeros((9, 5, 5, 3), np.uint8)}, "`x_test`.*5, 5, 3"),
        ({"x_test": np.zeros((9, 6, 5), np.uint8)}, "`x_test`.*of x_train"),
        (
            {
                "x_test": np.zeros((0, 6, 5, 3), np.uint8),
                "y_test": np.zeros(0, int),
            },
            "`x_test`.*at least one",
        ),
        (
            {
                "x_train": np.zeros((5, 6, 5, 3), np.uint8),
                "y_train": np.arange(5) % 3,
            },
            "`validation_share` must leave.*0.1667 of the 5 training images",
        ),
    ],
)
def test_npz_defects_are_named(tmp_path, changes, message):
    path = write(tmp_path / "own.npz", **changes)
    with pytest.raises(UserError, match=message) as caught:
        datasets.load(path)
    assert path in str(caught.value)
