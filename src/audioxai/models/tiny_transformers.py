"""Transformers small enough to be trained in a minute or two: an Audio Spectrogram Transformer and a wav2vec 2.0.

Both are modules of the library ``transformers`` (extra ``hf``) with random weights, three or four layers of width 96.
"""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from audioxai.core import logits_in
from audioxai.domains import Domain
from audioxai.models.front_end import Standardise
from audioxai.models.hugging_face_files import library
from audioxai.models.registry import ARCHITECTURES

WIDTH, HEADS = 96, 4
PATCH = 16
# Of their weights, one over the root of the width: the library's own suits widths of 768 and more.
INITIAL_DEVIATION = 0.1
SMALLEST_VARIANCE = 1e-7


class SpectrogramTransformer(nn.Module):
    """Levels ``(batch, 1, bands, frames)`` → logits, by a model of frames × bands in whole patches.

    Parameters
    ----------
    domain : Domain
        Whose range is mapped onto [−1, 1].
    model : nn.Module
        Takes ``(batch, frames, bands)``.
    """

    def __init__(self, domain: Domain, model: nn.Module) -> None:
        super().__init__()
        self.scale = Standardise(*domain.value_range)
        self.model = model

    def forward(self, levels: Tensor) -> Tensor:
        """Logits ``(batch, classes)``."""
        missing = (0, -levels.shape[3] % PATCH, 0, -levels.shape[2] % PATCH)
        return logits_in(self.model(functional.pad(self.scale(levels)[:, 0], missing, value=-1.0).mT))


class WaveformTransformer(nn.Module):
    """Waveforms ``(batch, 1, time)`` → logits, by a model of waveforms of zero mean and unit variance.

    Parameters
    ----------
    model : nn.Module
        Takes ``(batch, time)``.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, waveforms: Tensor) -> Tensor:
        """Logits ``(batch, classes)``."""
        plain = waveforms[:, 0]
        deviation = (plain.var(1, correction=0, keepdim=True) + SMALLEST_VARIANCE).sqrt()
        return logits_in(self.model((plain - plain.mean(1, keepdim=True)) / deviation))


def library_ast(bands: int, frames: int, **more: Any) -> Any:
    """The library's Audio Spectrogram Transformer of 4 layers, with random weights.

    Parameters
    ----------
    bands, frames : int
        Of its inputs ``(batch, frames, bands)``.
    **more
        Further entries of its configuration, such as ``num_labels``.
    """
    transformers: Any = library()
    configuration = transformers.ASTConfig(
        hidden_size=WIDTH,
        num_hidden_layers=4,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        patch_size=PATCH,
        frequency_stride=PATCH,
        time_stride=PATCH,
        max_length=frames,
        num_mel_bins=bands,
        initializer_range=INITIAL_DEVIATION,
        **more,
    )
    model = transformers.ASTForAudioClassification(configuration)
    # They are zero where no weights are loaded, so that at first all places look alike.
    embeddings = model.audio_spectrogram_transformer.embeddings
    for tokens in (embeddings.position_embeddings, embeddings.cls_token, embeddings.distillation_token):
        nn.init.normal_(tokens, std=INITIAL_DEVIATION)
    return model


def library_wav2vec2(**more: Any) -> Any:
    """The library's wav2vec 2.0 of 4 convolutions and 3 layers, with random weights; ``more`` as above."""
    transformers: Any = library()
    configuration = transformers.Wav2Vec2Config(
        hidden_size=WIDTH,
        num_hidden_layers=3,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        conv_dim=(48, 64, WIDTH, WIDTH),
        conv_kernel=(20, 8, 4, 4),
        conv_stride=(10, 4, 2, 2),
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        feat_proj_dropout=0.0,
        final_dropout=0.0,
        layerdrop=0.0,
        apply_spec_augment=False,
        classifier_proj_size=WIDTH,
        initializer_range=INITIAL_DEVIATION,
        **more,
    )
    return transformers.Wav2Vec2ForSequenceClassification(configuration)


@ARCHITECTURES.register(
    "tiny_ast",
    label="AST (tiny)",
    family="transformer",
    dimensions=2,
    smallest=PATCH,
    learning_rate=1e-3,
    source="Gong et al. 2021",
)
def tiny_ast(domain: Domain, class_count: int) -> nn.Module:
    """Audio Spectrogram Transformer of 4 layers on patches of 16 × 16 features, side by side."""
    bands, frames = domain.shape
    model = library_ast(bands + -bands % PATCH, frames + -frames % PATCH, num_labels=class_count)
    return SpectrogramTransformer(domain, model)


@ARCHITECTURES.register(
    "tiny_wav2vec2",
    label="wav2vec 2.0 (tiny)",
    family="transformer",
    dimensions=1,
    # One position after the four convolutions.
    smallest=450,
    learning_rate=1e-3,
    source="Baevski et al. 2020",
)
def tiny_wav2vec2(domain: Domain, class_count: int) -> nn.Module:  # noqa: ARG001 (the registry's)
    """Wav2vec 2.0 of 4 convolutions and 3 layers; the mean over time is classified."""
    return WaveformTransformer(library_wav2vec2(num_labels=class_count))
