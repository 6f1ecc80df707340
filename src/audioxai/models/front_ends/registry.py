"""The registry of front ends; every one adds itself in its own module, under the class name of its extractor."""

from typing import Any

from audioxai.models.front_ends.protocol import ClipFrontEnd
from audioxai.registry import Entry, Registry

FRONT_ENDS = Registry("front end", Entry, "audioxai.models.front_ends")


def front_end_of(extractor: Any) -> ClipFrontEnd | None:
    """The differentiable twin of a Hugging Face extractor, made from the extractor's own fields.

    Parameters
    ----------
    extractor : SequenceFeatureExtractor
        As ``AutoFeatureExtractor.from_pretrained`` returns it. Its class must be a registered one itself: a subclass
        may compute something else.

    Returns
    -------
    ClipFrontEnd or None
        None where the class is not known.
    """
    name = type(extractor).__name__
    return FRONT_ENDS[name].make(extractor) if name in FRONT_ENDS else None
