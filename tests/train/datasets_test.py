# SPDX-License-Identifier: Apache-2.0
"""Data sets by name, and how they are split."""

import numpy as np
import pytest

from tests.train.npz_samples import arrays, write
from train import datasets, records, sources, tfds_files
from train.errors import UserError


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
