"""Settings that the reference's faithfulness metrics have in common."""

from dataclasses import dataclass

from torch import Tensor

from audioxai.compat.quantus.reference import QuantusMetric, check_baseline, prepared


@dataclass(frozen=True, kw_only=True)
class Preparing(QuantusMetric):
    """Prepares attributions.

    Attributes
    ----------
    abs, normalise : bool
        Whether absolute values are taken, after division by the batch's largest magnitude.
    """

    abs: bool = False
    normalise: bool = True

    def features_of(self, attributions: Tensor) -> Tensor:
        """Prepared attributions ``(batch, features)``."""
        return prepared(attributions, normalise=self.normalise, absolute=self.abs).flatten(1)


@dataclass(frozen=True, kw_only=True)
class Perturbing(Preparing):
    """Replaces features by a baseline.

    Attributes
    ----------
    perturb_baseline : str or float
        ``black``, ``white``, ``mean`` (of that sample), ``uniform`` (one number in [0, 1) per sample) or a value.
    softmax : bool
        Whether the target's probability is read, else its logit.
    seed : int
        Of NumPy's generator.
    """

    perturb_baseline: str | float = "black"
    softmax: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check_baseline(self.perturb_baseline)
