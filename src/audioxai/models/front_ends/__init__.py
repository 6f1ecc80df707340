"""Front ends of Hugging Face extractors as differentiable layers, one file each, in plain torch.

An extractor leaves torch, so no gradient reaches the sound. Each class here computes the same from the loaded
extractor's own fields, in single or double precision, and holds the clip's statistics where asked to.
"""

from audioxai.models.front_ends.protocol import DRAW_SEED, ClipFrontEnd
from audioxai.models.front_ends.registry import FRONT_ENDS, front_end_of

__all__ = ["DRAW_SEED", "FRONT_ENDS", "ClipFrontEnd", "front_end_of"]
