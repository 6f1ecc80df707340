"""MNIST's files: what is in them, how they are divided, and what is said when they are damaged."""

from collections import Counter

import numpy as np
import pytest
import torch
from helpers.dataset_files import write_idx, write_images

from audioxai.datasets import fingerprint, load
from audioxai.datasets.audio_files import AudioFormat
from audioxai.datasets.mnist import read_idx
from audioxai.utils.errors import UserError

IMAGES = "train-images-idx3-ubyte.gz"


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_values_and_order_are_those_written(tmp_path, suffix):
    values = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    write_idx(tmp_path / f"a{suffix}", values)
    np.testing.assert_array_equal(read_idx(tmp_path / f"a{suffix}", 3), values)


def test_a_hand_written_file(tmp_path):
    # Two zeros, 8 for bytes, one dimension, big-endian length 3.
    (tmp_path / "a").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9]))
    assert read_idx(tmp_path / "a", 1).tolist() == [7, 8, 9]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        bytes([0, 0, 8, 3, 0, 0, 0, 3, 7, 8, 9]),
        bytes([0, 0, 13, 1, 0, 0, 0, 3, 7, 8, 9]),
        bytes([0, 0, 8, 1, 0, 0, 0, 4, 7, 8, 9]),
        bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 8, 9]),
        bytes([0, 0, 8, 1, 0, 0]),
        b"\x1f\x8b damaged",
    ],
)
def test_damage_names_the_file(tmp_path, content):
    (tmp_path / "damaged-idx").write_bytes(content)
    with pytest.raises(UserError, match="damaged-idx"):
        read_idx(tmp_path / "damaged-idx", 1)


def test_a_cut_gzip_names_the_file(tmp_path):
    write_images(tmp_path)
    content = (tmp_path / IMAGES).read_bytes()
    (tmp_path / IMAGES).write_bytes(content[:-20])
    with pytest.raises(UserError, match=IMAGES):
        load("mnist", root=tmp_path)


def test_the_last_twelfth_of_the_training_images_validates(tmp_path):
    dataset = load("mnist", root=write_images(tmp_path, training=120, tests=30))
    assert list(dataset.splits) == ["train"] * 110 + ["validation"] * 10 + ["test"] * 30
    assert dataset.inputs.shape == (150, 1, 28, 28)
    assert (dataset.inputs.dtype, dataset.labels.dtype) == (torch.float32, torch.int64)
    np.testing.assert_allclose(dataset.part("validation").inputs[:, 0, 5, 5] * 255, np.arange(110, 120), rtol=1e-6)
    np.testing.assert_allclose(dataset.part("test").inputs[:, 0, 0, 0] * 255, np.arange(30), rtol=1e-6, atol=1e-6)
    assert dataset[0].group is None
    assert dataset.ids[119] == "train/00119"


def test_mnists_own_sizes_give_5000(tmp_path):
    from audioxai.datasets.mnist import _official_parts

    assert Counter(_official_parts(60_000, 10_000)) == {"train": 55_000, "validation": 5_000, "test": 10_000}


def test_limit_is_balanced_in_every_part(tmp_path):
    dataset = load("mnist", root=write_images(tmp_path), limit=10)
    for part in ("train", "validation", "test"):
        assert Counter(dataset.part(part).labels.tolist()) == Counter(range(10))
    # Pixels still belong to their ids.
    for sample in dataset:
        assert round(float(sample.input[0, 0, 0]) * 255) == int(sample.id.split("/")[1])


def test_fingerprint_follows_the_content_and_not_the_compression(tmp_path):
    zipped, plain = write_images(tmp_path / "zipped"), write_images(tmp_path / "plain", suffix="")
    before = fingerprint("mnist", zipped)
    assert before == load("mnist", root=zipped).fingerprint == fingerprint("mnist", plain)
    file = plain / "t10k-labels-idx1-ubyte"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert fingerprint("mnist", plain) != before
    assert fingerprint("mnist", zipped, limit=5) != before


def test_labels_that_do_not_fit_are_refused(tmp_path):
    write_images(tmp_path)
    write_idx(tmp_path / "t10k-labels-idx1-ubyte.gz", np.zeros(29, np.uint8))
    with pytest.raises(UserError, match="29 labels for 30 images"):
        load("mnist", root=tmp_path)
    write_idx(tmp_path / "t10k-labels-idx1-ubyte.gz", np.full(30, 10, np.uint8))
    with pytest.raises(UserError, match="label 10"):
        load("mnist", root=tmp_path)


def test_images_take_no_audio_format(tmp_path):
    with pytest.raises(UserError, match="audio format"):
        load("mnist", root=write_images(tmp_path), audio_format=AudioFormat(8_000, 1.0, "centre", None, True))
