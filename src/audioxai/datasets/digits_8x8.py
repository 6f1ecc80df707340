"""scikit-learn's 8 × 8 digits in MNIST's files: the offline stand-in for it.

``scripts/prepare_datasets.py --datasets digits_8x8`` makes them.
"""

from audioxai.datasets.mnist import IdxImages
from audioxai.datasets.registry import DATASETS


@DATASETS.register(
    "digits_8x8",
    label="Digits 8 × 8",
    modality="image",
    stand_in_for="mnist",
    description="scikit-learn's handwritten digits, 8 × 8, resized to 28 × 28",
    source="UCI, Alpaydin and Kaynak 1998",
    licence="CC BY 4.0",
)
def digits_8x8() -> IdxImages:
    """The small digits."""
    return IdxImages("digits_8x8")
