"""MNIST, and data sets in its four files (IDX, gzipped or not).

Validation is the last twelfth of the training images: the last 5,000 of MNIST's 60,000.

Source: LeCun, Cortes and Burges, "The MNIST database of handwritten digits".
"""

import gzip
import hashlib
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from audioxai.datasets.audio_files import AudioFormat
from audioxai.datasets.records import SPLITS, Dataset, Modality, Outline
from audioxai.datasets.registry import DATASETS
from audioxai.datasets.sources import (
    DIGIT_NAMES,
    PublicFiles,
    content_fingerprint,
    draw_per_part,
    known_split,
    require_every_part,
    require_room_for_classes,
)
from audioxai.utils.errors import UserError

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
# md5 of the decompressed files; the compressed ones differ between copies.
CONTENT_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
# md5 of the .gz on the mirrors.
ARCHIVE_MD5 = {
    "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
}
PUBLIC = PublicFiles(MIRRORS, ARCHIVE_MD5, CONTENT_MD5)
IMAGE_SIDE = 28
VALIDATION_SHARE = 12

_GZIP_MAGIC = b"\x1f\x8b"
_UNSIGNED_BYTES = 8


def idx_file(root: Path, name: str) -> Path | None:
    """The file ``name.gz`` or ``name`` in ``root``, None if neither is there."""
    return next((file for file in (root / f"{name}.gz", root / name) if file.is_file()), None)


def read_content(file: Path) -> bytes:
    """Decompressed bytes of a file, gzipped or not.

    Raises
    ------
    UserError
        If the compressed file is damaged.
    """
    content = file.read_bytes()
    if not content.startswith(_GZIP_MAGIC):
        return content
    try:
        return gzip.decompress(content)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(f"{file} is damaged ({error}); delete it and prepare the data set again") from error


def read_idx(file: Path, dimensions: int) -> NDArray[np.uint8]:
    """Array in an IDX file of unsigned bytes: two zeros, type, number of dimensions, big-endian sizes, values.

    Raises
    ------
    UserError
        If the file is of another kind, has another number of dimensions or another length than it says.
    """
    content = read_content(file)
    header_bytes = 4 + 4 * dimensions
    if len(content) < header_bytes or content[:4] != bytes((0, 0, _UNSIGNED_BYTES, dimensions)):
        raise UserError(
            f"{file} is not an IDX file of bytes in {dimensions} dimensions (it starts with "
            f"{content[:4].hex() or 'nothing'}); delete it and prepare the data set again"
        )
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", dimensions, 4))
    if math.prod(shape) != len(content) - header_bytes:
        raise UserError(
            f"{file} announces {math.prod(shape)} values but holds {len(content) - header_bytes}; "
            "delete it and prepare the data set again"
        )
    return np.frombuffer(content, np.uint8, offset=header_bytes).reshape(shape)


@dataclass(frozen=True)
class IdxImages:
    """Images of digits in MNIST's four files; see :class:`~audioxai.datasets.sources.Source`."""

    modality: ClassVar[Modality] = "image"

    name: str
    public: PublicFiles | None = None

    def split_names(self, root: Path | None = None) -> tuple[str, ...]:  # noqa: ARG002
        """The one split, ``official``."""
        return ("official",)

    def audio_format(self, root: Path | None = None) -> AudioFormat | None:  # noqa: ARG002
        """None: these are images."""
        return None

    def group_attributes(self, root: Path) -> dict[str, dict[str, object]]:  # noqa: ARG002
        """Nothing: who wrote a digit is not known."""
        return {}

    def found_in(self, root: Path) -> bool:
        """Whether all four files are there."""
        return self.count_files(root) == len(FILES)

    def lacking_in(self, root: Path) -> str:
        """The files that are not there."""
        return ", ".join(f"{name}.gz" for name in FILES if idx_file(root, name) is None)

    def place_in(self, folder: Path) -> str | None:
        """``""`` if all four files are in ``folder``, else None."""
        return "" if self.found_in(folder) else None

    def count_files(self, root: Path) -> int:
        """How many of the four files are there."""
        return sum(idx_file(root, name) is not None for name in FILES)

    def outline(self, root: Path, split: str | None = None, limit: int | None = None) -> Outline:
        """Classes and sizes of what :meth:`load` returns."""
        known_split(self, split)
        require_room_for_classes(self.name, limit, len(DIGIT_NAMES))
        _, labels, ids, parts = self._read(root)
        kept = [parts[row] for row in draw_per_part(ids, labels.tolist(), parts, limit)]
        return Outline(DIGIT_NAMES, {part: kept.count(part) for part in SPLITS})

    def load(
        self, root: Path, split: str | None = None, audio_format: AudioFormat | None = None, limit: int | None = None
    ) -> Dataset:
        """Images ``(samples, 1, 28, 28)`` in [0, 1], 0 being the paper.

        Raises
        ------
        UserError
            If a file is missing, damaged, or does not fit the others.
        """
        self._require_no_format(audio_format)
        split_name = known_split(self, split)
        require_room_for_classes(self.name, limit, len(DIGIT_NAMES))
        images, labels, ids, parts = self._read(root)
        rows = draw_per_part(ids, labels.tolist(), parts, limit)
        require_every_part(self.name, root, split_name, [parts[row] for row in rows])
        return Dataset(
            name=self.name,
            modality=self.modality,
            stand_in_for=None,
            split_name=split_name,
            group_disjoint=False,
            group_name=None,
            class_names=DIGIT_NAMES,
            sample_rate_hz=None,
            ids=tuple(ids[row] for row in rows),
            inputs=torch.from_numpy(images[rows][:, None]).to(torch.float32).div_(255),
            labels=torch.from_numpy(labels[rows]),
            groups=(None,) * len(rows),
            splits=tuple(parts[row] for row in rows),
            skipped=(),
            fingerprint=self.fingerprint(root, split, audio_format, limit),
            root=root,
        )

    def fingerprint(
        self, root: Path, split: str | None = None, audio_format: AudioFormat | None = None, limit: int | None = None
    ) -> str:
        """The fingerprint of what :meth:`load` returns; the same for gzipped and plain files."""
        self._require_no_format(audio_format)
        contents = ((name, read_content(self._require_file(root, name))) for name in FILES)
        digests = ((name, hashlib.blake2b(content, digest_size=16).digest()) for name, content in contents)
        return content_fingerprint(digests, known_split(self, split), limit)

    def _read(self, root: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[str], list[str]]:
        """Images, labels, ids and parts of everything, training images first."""
        training_images, training_labels = self._read_pair(root, "train")
        test_images, test_labels = self._read_pair(root, "t10k")
        parts = _official_parts(len(training_images), len(test_images))
        images = np.concatenate([training_images, test_images])
        labels = np.concatenate([training_labels, test_labels]).astype(np.int64)
        ids = [f"train/{index:05d}" for index in range(len(training_images))]
        ids += [f"test/{index:05d}" for index in range(len(test_images))]
        return images, labels, ids, parts

    def _read_pair(self, root: Path, prefix: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        image_file = self._require_file(root, f"{prefix}-images-idx3-ubyte")
        label_file = self._require_file(root, f"{prefix}-labels-idx1-ubyte")
        images, labels = read_idx(image_file, 3), read_idx(label_file, 1)
        if images.shape[1:] != (IMAGE_SIDE, IMAGE_SIDE):
            raise UserError(f"{image_file} holds images of {images.shape[1:]}; {self.name} has 28×28 pixels")
        if len(images) != len(labels):
            raise UserError(
                f"{label_file} holds {len(labels)} labels for {len(images)} images; prepare the data set again"
            )
        if labels.size and labels.max() >= len(DIGIT_NAMES):
            raise UserError(f"{label_file} holds label {labels.max()}; {self.name} has labels 0…9")
        return images, labels

    def _require_file(self, root: Path, name: str) -> Path:
        file = idx_file(root, name)
        if file is None:
            raise UserError(f"{root} lacks {name}.gz; run `python scripts/prepare_datasets.py --datasets {self.name}`")
        return file

    def _require_no_format(self, audio_format: AudioFormat | None) -> None:
        if audio_format is not None:
            raise UserError(f"{self.name} holds images; an audio format does not apply to it, leave it out")


def _official_parts(training: int, tests: int) -> list[str]:
    validations = training // VALIDATION_SHARE
    return ["train"] * (training - validations) + ["validation"] * validations + ["test"] * tests


@DATASETS.register(
    "mnist",
    label="MNIST",
    modality="image",
    description="handwritten digits, 28 × 28, 70,000 images",
    source="LeCun, Cortes and Burges 1998",
    licence="none stated with the files",
)
def mnist() -> IdxImages:
    """MNIST."""
    return IdxImages("mnist", PUBLIC)
