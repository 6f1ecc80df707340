"""How alike two clips are to a model of embeddings, as a score that can be explained."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioxai.core import evaluating
from audioxai.utils.errors import UserError

# Where models keep the embedding of a clip, the most specific first; the last is one vector per frame.
EMBEDDINGS = ("audio_embeds", "embeddings", "embedding", "pooler_output", "last_hidden_state")
# Name of the one score.
SIMILARITY = "similarity"


class Similarity(nn.Module):
    """Cosine similarity of a clip's embedding to that of another clip: one score in [−1, 1].

    Parameters
    ----------
    model : nn.Module
        Returns embeddings ``(batch, size)`` or ``(batch, frames, size)``, whose mean over frames is taken, by
        themselves or in a mapping or an object as ``audio_embeds``, ``embeddings``, ``embedding``, ``pooler_output`` or
        ``last_hidden_state``.
    other : Tensor
        Embedding of the other clip, ``(size,)``.

    Notes
    -----
    Explained, it answers what makes the two clips alike.

    Examples
    --------
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(100, 8))
    >>> clip = torch.rand(1, 1, 100)
    >>> round(Similarity.to_clip(model, clip)(clip).item(), 4)
    1.0
    """

    activation: Literal["sigmoid"] = "sigmoid"

    def __init__(self, model: nn.Module, other: Tensor) -> None:
        super().__init__()
        if not bool(other.isfinite().all()) or not bool(other.any()):
            raise UserError("the embedding of the other clip is zero or not finite; give another clip")
        self.model = model
        self.register_buffer("other", functional.normalize(other.detach().clone(), dim=-1))
        self.train(model.training)

    @classmethod
    def to_clip(cls, model: nn.Module, *arguments: Any, **inputs: Any) -> "Similarity":
        """Similarity to a clip that is given as the model takes it."""
        with torch.inference_mode(mode=False), torch.no_grad(), evaluating(model):
            return cls(model, embedding_in(model(*arguments, **inputs))[0])

    def forward(self, *arguments: Any, **inputs: Any) -> Tensor:
        """What the model takes → scores ``(batch, 1)``."""
        embedding = embedding_in(self.model(*arguments, **inputs))
        return functional.normalize(embedding, dim=-1) @ self.get_buffer("other")[:, None]


def embedding_in(output: Any) -> Tensor:
    """Embeddings ``(batch, size)`` in what a model returned, averaged over frames where it has one for each.

    Raises
    ------
    UserError
        If there is none.
    """
    found = output
    if not isinstance(output, Tensor):
        held = dict(output) if isinstance(output, Mapping) else vars(output) if hasattr(output, "__dict__") else {}
        found = next((held[name] for name in EMBEDDINGS if isinstance(held.get(name), Tensor)), None)
    if not isinstance(found, Tensor) or found.ndim not in (2, 3):
        shape = f" of shape {tuple(found.shape)}" if isinstance(found, Tensor) else ""
        raise UserError(
            f"the model returned {type(output).__name__}{shape}; a similarity needs embeddings (batch, size) or "
            "(batch, frames, size)"
        )
    return found if found.ndim == 2 else found.mean(1)
