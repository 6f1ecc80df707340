"""Tiny models of Hugging Face with random weights, as ``save_pretrained`` writes them, and clips like speech."""

import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers import AutoConfig

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "num_labels": 4,
}
CONVOLUTIONS: dict[str, Any] = {
    **SMALL,
    "conv_dim": (16, 16, 16),
    "conv_stride": (5, 4, 4),
    "conv_kernel": (10, 8, 4),
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "classifier_proj_size": 16,
}
# Kind → class of the classifier, fields of its configuration, class and fields of its extractor.
CLASSIFIERS: dict[str, tuple[str, dict[str, Any], str, dict[str, Any]]] = {
    "audio-spectrogram-transformer": (
        "ASTForAudioClassification",
        {**SMALL, "max_length": 128, "num_mel_bins": 64},
        "ASTFeatureExtractor",
        {"max_length": 128, "num_mel_bins": 64},
    ),
    "wav2vec2": ("Wav2Vec2ForSequenceClassification", CONVOLUTIONS, "Wav2Vec2FeatureExtractor", {}),
    "hubert": ("HubertForSequenceClassification", CONVOLUTIONS, "Wav2Vec2FeatureExtractor", {}),
    "wavlm": (
        "WavLMForSequenceClassification",
        {**CONVOLUTIONS, "feat_extract_norm": "layer"},
        "Wav2Vec2FeatureExtractor",
        {"return_attention_mask": True},
    ),
    "unispeech-sat": ("UniSpeechSatForSequenceClassification", CONVOLUTIONS, "Wav2Vec2FeatureExtractor", {}),
    "sew": (
        "SEWForSequenceClassification",
        {**CONVOLUTIONS, "squeeze_factor": 2},
        "Wav2Vec2FeatureExtractor",
        {"do_normalize": False},
    ),
    "data2vec-audio": (
        "Data2VecAudioForSequenceClassification",
        {**CONVOLUTIONS, "num_conv_pos_embeddings": 2, "conv_pos_kernel_size": 5},
        "Wav2Vec2FeatureExtractor",
        {},
    ),
    "wav2vec2-bert": (
        "Wav2Vec2BertForSequenceClassification",
        {**SMALL, "feature_projection_input_dim": 160, "classifier_proj_size": 16},
        "SeamlessM4TFeatureExtractor",
        {},
    ),
    "whisper": (
        "WhisperForAudioClassification",
        {
            "d_model": 32,
            "encoder_layers": 1,
            "decoder_layers": 1,
            "encoder_attention_heads": 2,
            "decoder_attention_heads": 2,
            "encoder_ffn_dim": 48,
            "decoder_ffn_dim": 48,
            "max_source_positions": 100,
            "num_mel_bins": 80,
            "classifier_proj_size": 16,
            "num_labels": 4,
        },
        "WhisperFeatureExtractor",
        {"chunk_length": 2},
    ),
}


@lru_cache(maxsize=16)
def speech_like(sample_rate_hz: int, seconds: float, seed: int = 0) -> "np.ndarray[Any, np.dtype[np.float32]]":
    """Syllables of a gliding voice with formants, pauses and a little noise, ``(time,)`` in [−1, 1], float32."""
    draw = np.random.default_rng(seed)
    times = np.arange(round(sample_rate_hz * seconds)) / sample_rate_hz
    pitch_hz = 120.0 * (1.0 + 0.2 * np.sin(2.0 * np.pi * 0.7 * times + draw.uniform(0, 6)))
    phase = 2.0 * np.pi * np.cumsum(pitch_hz) / sample_rate_hz
    voice = sum(
        np.sin(phase * k) / k * (1.0 + 2.0 * np.exp(-(((k * 120.0 - 700.0) / 300.0) ** 2))) for k in range(1, 25)
    )
    syllables = np.clip(np.sin(2.0 * np.pi * 2.5 * times + draw.uniform(0, 6)) + 0.3, 0.0, None)
    sound = 0.15 * syllables * voice + 1e-3 * draw.standard_normal(len(times))
    return np.clip(sound, -1.0, 1.0).astype(np.float32)


def extractor_of(name: str, **fields: Any) -> Any:
    """An extractor, without its warning of mel filters that hold no bin."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(transformers, name)(**fields)


def save_classifier(kind: str, folder: Path, edit: Callable[[Any], None] | None = None, **fields: Any) -> Path:
    """Write a classifier of a kind with random weights and its extractor; ``edit`` changes the model before."""
    class_name, stated, extractor, extractor_fields = CLASSIFIERS[kind]
    config = AutoConfig.for_model(kind, **{**stated, **fields})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = getattr(transformers, class_name)(config).eval()
    if edit is not None:
        edit(model)
    model.save_pretrained(folder)
    extractor_of(extractor, **extractor_fields).save_pretrained(folder)
    return folder


WORDS = ("[PAD]", "[UNK]", "sound", "of", "a", "dog", "vacuum", "cleaner", "spoken", "digit")


def save_clap(folder: Path, fusion: bool = False, seconds: int = 2) -> Path:
    """Write a CLAP of random weights with its extractor and a tokenizer of ten words."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    text = {
        "vocab_size": len(WORDS),
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "pad_token_id": 0,
        "projection_dim": 12,
    }
    audio = {
        "patch_embeds_hidden_size": 8,
        "hidden_size": 16,
        "depths": [1, 1],
        "num_attention_heads": [2, 2],
        "num_hidden_layers": 2,
        "projection_dim": 12,
        "enable_fusion": fusion,
        "fusion_type": "channel_map" if not fusion else "aff_2d",
    }
    config = transformers.ClapConfig(text_config=text, audio_config=audio, projection_dim=12)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.ClapModel(config).eval().save_pretrained(folder)
    extractor_of(
        "ClapFeatureExtractor", max_length_s=seconds, truncation="fusion" if fusion else "rand_trunc"
    ).save_pretrained(folder)
    words = Tokenizer(WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(
        folder
    )
    return folder
