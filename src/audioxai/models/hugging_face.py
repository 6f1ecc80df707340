"""Audio models of Hugging Face as modules from waveforms to logits, checked against their extractors."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from audioxai.core import HALF_PRECISION, Activation, evaluating, logits_in
from audioxai.models.checkpoints import tensors_of, weights_digest
from audioxai.models.front_ends import ClipFrontEnd, front_end_of
from audioxai.models.hugging_face_files import (
    CONFIGURATION,
    FRAMES,
    auto_class_of,
    folder_of,
    library,
    one_line,
    quiet,
    reading,
    refuse_own_code,
    require_files,
    seeded,
    stated_in,
)
from audioxai.models.loading import Model
from audioxai.models.opened import SHORT
from audioxai.models.similarity import SIMILARITY, Similarity
from audioxai.models.trials import Finding
from audioxai.utils.errors import UserError

# Largest difference of a logit, to the extractor's, with which the gradient is taken.
LOGIT_TOLERANCE = 1e-3
# A classifier of AudioSet, whose labels are independent of each other whatever the configuration says.
AUDIOSET_CLASSES = 527
AUDIOSET_LABELS = frozenset({"Speech", "Music", "Silence", "Vehicle"})
# Parameters that serve training alone, so that a checkpoint may lack them.
TRAINING_ONLY = ("masked_spec_embed",)
FRAMES_NOTE = "The model scores every frame; the mean of a class's logits over the frames is explained."
MULTI_LABEL = "multi_label_classification"


class ThroughExtractor(nn.Module):
    """The extractor itself as a layer that no gradient passes; clips go one by one, unpadded.

    Parameters
    ----------
    extractor : SequenceFeatureExtractor
        What it draws at random it draws from seed 0.
    """

    def __init__(self, extractor: Any) -> None:
        super().__init__()
        self.extractor = extractor

    def forward(self, waveforms: Tensor) -> dict[str, Tensor]:
        """Waveforms ``(batch, 1, time)`` → keyword arguments of the model."""
        clips = [self._inputs_of(clip) for clip in waveforms[:, 0].detach().cpu().to(torch.float32).numpy()]
        joined = {name: torch.cat([clip[name] for clip in clips]).to(waveforms.device) for name in clips[0]}
        return {
            name: value.to(waveforms.dtype) if value.is_floating_point() else value for name, value in joined.items()
        }

    def _inputs_of(self, clip: "np.ndarray[Any, Any]") -> dict[str, Tensor]:
        with torch.inference_mode(mode=False), seeded(), quiet():
            found = self.extractor(clip, sampling_rate=self.extractor.sampling_rate, return_tensors="pt")
        return {name: value for name, value in found.items() if isinstance(value, Tensor)}


class HuggingFaceModule(nn.Module):
    """Waveforms ``(batch, 1, time)`` → logits: a front end, and a model that takes its features by name.

    Parameters
    ----------
    front_end : ClipFrontEnd, optional
        The extractor's differentiable twin; None for the extractor itself.
    model : nn.Module
        Returns logits, by themselves or as ``logits``.
    extractor : ThroughExtractor
        The extractor that the model was saved with.
    activation : {"softmax", "sigmoid"}
        What makes the logits probabilities.
    """

    def __init__(
        self, front_end: ClipFrontEnd | None, model: nn.Module, extractor: ThroughExtractor, activation: Activation
    ) -> None:
        super().__init__()
        self.front_end = extractor if front_end is None else front_end
        self.model, self.extractor, self.activation = model, extractor, activation
        self.eval()

    def forward(self, waveforms: Tensor) -> Tensor:
        """Logits ``(batch, classes)``."""
        return logits_in(self.model(**self.front_end(waveforms)))

    def with_front_end(self, front_end: ClipFrontEnd | None) -> "HuggingFaceModule":
        """The same model behind another front end, or behind its extractor."""
        return HuggingFaceModule(front_end, self.model, self.extractor, self.activation)

    def frozen(self, clip: Tensor) -> "HuggingFaceModule":
        """The module with the statistics of ``clip`` ``(1, 1, time)`` held."""
        if not isinstance(self.front_end, ClipFrontEnd):
            return self
        return self.with_front_end(self.front_end.frozen(clip))


class ZeroShot(nn.Module):
    """Similarity of a clip to texts, scaled as CLAP was trained: one logit per text.

    Parameters
    ----------
    clap : ClapModel
        Its audio tower and the scale are used.
    texts : Tensor
        Embeddings of the texts, ``(texts, size)``, of unit length.
    """

    def __init__(self, clap: Any, texts: Tensor) -> None:
        super().__init__()
        self.tower = ClapTower(clap)
        self.register_buffer("texts", texts.detach().clone())
        self.register_buffer("scale", clap.logit_scale_a.detach().exp())

    def forward(self, **inputs: Tensor) -> Tensor:
        """Logits ``(batch, texts)``."""
        logits: Tensor = self.get_buffer("scale") * (self.tower(**inputs) @ self.get_buffer("texts").T)
        return logits


class ClapTower(nn.Module):
    """Embeddings of CLAP's audio tower, ``(batch, size)``, of unit length."""

    def __init__(self, clap: Any) -> None:
        super().__init__()
        self.audio_model, self.audio_projection = clap.audio_model, clap.audio_projection

    def forward(self, **inputs: Tensor) -> Tensor:
        """Embeddings of features."""
        return nn.functional.normalize(self.audio_projection(self.audio_model(**inputs).pooler_output), dim=-1)


class MeanOverFrames(nn.Module):
    """A classifier of frames as one of clips: the mean of its logits over the frames."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, **inputs: Tensor) -> Tensor:
        """Logits ``(batch, classes)``."""
        return logits_in(self.model(**inputs)).mean(1)


@dataclass(frozen=True)
class Agreement:
    """How a front end compares with its extractor on one clip.

    Attributes
    ----------
    features, logits : float
        Largest absolute differences.
    """

    features: float
    logits: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """The check of a front end against the model's own extractor, on the clip that is to be explained.

    Attributes
    ----------
    module : HuggingFaceModule
        With a front end of its own.
    """

    module: HuggingFaceModule

    def agreement(self, waveform: Tensor) -> Agreement:
        """Compare features and logits of one clip ``(1, 1, time)``.

        Raises
        ------
        UserError
            If the model does not take what its extractor returns.
        """
        module, waveform = self.module, waveform.detach().clone()
        with torch.inference_mode(mode=False), torch.no_grad(), evaluating(module), quiet():
            (name, features), *_ = module.front_end(waveform).items()
            try:
                expected = module.extractor(waveform)[name]
                logits, due = module(waveform), module.with_front_end(None)(waveform)
            except UserError:
                raise
            except (RuntimeError, ValueError, KeyError) as error:
                raise UserError(
                    f"the model does not take what its extractor makes of a clip of {waveform.shape[-1]} samples "
                    f"({one_line(error)}); give a clip and a model that fit each other"
                ) from error
        return Agreement(_largest_difference(features, expected), _largest_difference(logits, due))

    def run(self, waveform: Tensor) -> Finding:
        """The module as it is where no logit differs by more than 1e-3, else through the extractor, without gradient.

        Raises
        ------
        UserError
            If the model does not take what its extractor makes of the clip.
        """
        found, module = self.agreement(waveform), self.module
        if found.logits <= LOGIT_TOLERANCE:
            note = (
                f"On this clip the front end differs from the model's own extractor by at most {found.features:.1e} in "
                f"the features and {found.logits:.1e} in the logits."
            )
            return Finding(module, module.activation, gradient=True, gradient_refused="", notes=(note,))
        refused = (
            "on this clip the logits of the differentiable front end differ from those of the model's own extractor by "
            f"{found.logits:.2g}, more than {LOGIT_TOLERANCE:g}, so the extractor itself is used, through which no "
            "gradient passes"
        )
        through = module.with_front_end(None)
        return Finding(through, module.activation, gradient=False, gradient_refused=refused, notes=())


def _largest_difference(values: Tensor, others: Tensor) -> float:
    if values.shape != others.shape:
        return math.inf
    difference = float((values.double() - others.double()).abs().max())
    return difference if math.isfinite(difference) else math.inf


def load_hugging_face(
    source: str | Path,
    *,
    revision: str | None = None,
    trust_remote_code: bool = False,
    pickled_weights: bool = False,
    prompts: Sequence[str] = (),
    similar_to: Tensor | Callable[[int], Tensor] | None = None,
    activation: Activation | None = None,
    class_names: Sequence[str] = (),
) -> Model:
    """An audio classifier of Hugging Face, from a folder or the Hub.

    Parameters
    ----------
    source : str or Path
        Folder with ``config.json``, extractor and weights as ``save_pretrained`` writes it, or an id such as
        ``"MIT/ast-finetuned-audioset-10-10-0.4593"``.
    revision : str, optional
        Branch, tag or commit of an id.
    trust_remote_code : bool
        Whether code that comes with the model may run.
    pickled_weights : bool
        Whether weights may be read that are no safetensors.
    prompts : sequence of str
        Texts that are the classes of a model of sounds and texts (CLAP), as ``"Sound of a dog"``.
    similar_to : Tensor or callable, optional
        A clip ``(1, 1, time)`` at the model's rate, or a function from that rate in Hz to it. The one score is then
        the similarity of the model's embeddings (see :class:`~audioxai.models.similarity.Similarity`), of any audio
        model.
    activation : {"softmax", "sigmoid"}, optional
        What makes the logits probabilities. By default sigmoids where the configuration says
        ``multi_label_classification`` or the classes are AudioSet's 527, which are trained as independent labels,
        though most configurations do not say so; else a softmax.
    class_names : sequence of str, optional
        Names in place of the configuration's.

    Returns
    -------
    Model
        In single precision and evaluation mode. Its gradient reaches the waveform where the extractor's class is known
        (``audioxai.models.front_ends``), unless :meth:`Model.fitted` finds that both differ on a clip.

    Raises
    ------
    UserError
        If transformers is not installed; if the folder or id is not found or cannot be reached; if it lacks weights or
        an extractor, holds pickles or code of its own that were not allowed, or is of another task.
    """
    transformers = library()
    place = f"model {str(source)!r}"
    folder = folder_of(source, revision, trust_remote_code, pickled_weights)
    stated = stated_in(folder / CONFIGURATION, place)
    if not trust_remote_code:
        refuse_own_code(folder, place)
    auto_class = auto_class_of(stated, place, bool(prompts), similar_to is not None)
    require_files(folder, place, pickled_weights)
    options = {"trust_remote_code": trust_remote_code, "local_files_only": True}
    with reading(place):
        extractor = transformers.AutoFeatureExtractor.from_pretrained(folder, **options)
        network, report = getattr(transformers, auto_class).from_pretrained(
            folder,
            dtype=torch.float32,
            use_safetensors=None if pickled_weights else True,
            output_loading_info=True,
            **options,
        )
    used = network if similar_to is None else _tower_of(network)
    _require_filled(report, network, used, place)
    network.eval()
    _forbid_changes_in_place(network)
    front_end, through = front_end_of(extractor), ThroughExtractor(extractor)
    scores: nn.Module = network
    names: tuple[str, ...]
    notes = [*_precision_notes(stated), *_normalisation_notes(network.config)]
    if similar_to is not None:
        clip = similar_to(int(extractor.sampling_rate)) if callable(similar_to) else similar_to
        inputs = (through if front_end is None else front_end)(clip)
        scores, names = Similarity.to_clip(used, **inputs), (SIMILARITY,)
    elif prompts:
        with reading(place):
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **options)
        scores, names = ZeroShot(network, _embedded(network, tokenizer, prompts)), tuple(prompts)
    else:
        names = _names_of(network.config, class_names, place)
    if auto_class == FRAMES:
        scores, notes = MeanOverFrames(network), [*notes, FRAMES_NOTE]
    if activation is None:
        activation, reasons = _activation_of(network.config, names)
        notes += reasons
    if front_end is not None:
        notes += front_end.notes
    module = HuggingFaceModule(front_end, scores, through, activation)
    return Model(
        module=module,
        sample_rate_hz=int(extractor.sampling_rate),
        longest_s=None if front_end is None else front_end.longest_s,
        class_names=names,
        activation=activation,
        gradient=front_end is not None,
        gradient_refused="" if front_end is not None else _unknown(extractor),
        name=str(source),
        revision=weights_digest(used)[:SHORT],
        notes=tuple(notes),
        freeze=None if front_end is None else module.frozen,
        padding_share=None if front_end is None else front_end.padding_share,
        trial=None if front_end is None else Comparison(module),
    )


def _require_filled(report: dict[str, Any], network: nn.Module, used: nn.Module, place: str) -> None:
    """Refuse a model if a part that is used was drawn at random because the weights lack it."""
    drawn = {*map(str, report["missing_keys"]), *(str(names[0]) for names in report["mismatched_keys"])}
    held = dict(tensors_of(network))
    matters = {id(value) for _, value in tensors_of(used)}
    lacking = sorted(
        name for name in drawn if not name.endswith(TRAINING_ONLY) and (name not in held or id(held[name]) in matters)
    )
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise UserError(
            f"the weights of {place} lack {lacking[0]}{more}, which would be random; give a model that was trained for "
            "what it is used for"
        )


def _forbid_changes_in_place(network: nn.Module) -> None:
    """Layers that overwrite their inputs break hooks, and give the same without."""
    for part in network.modules():
        if getattr(part, "inplace", False):
            vars(part)["inplace"] = False


def _tower_of(network: Any) -> nn.Module:
    """The part of a base model that embeds sounds."""
    if network.config.model_type == "clap":
        return ClapTower(network)
    tower: nn.Module = network.get_encoder() if network.config.is_encoder_decoder else network
    return tower


def _embedded(clap: Any, tokenizer: Any, prompts: Sequence[str]) -> Tensor:
    """Embeddings of texts, ``(texts, size)``, of unit length."""
    tokens = tokenizer(list(prompts), return_tensors="pt", padding=True)
    with torch.inference_mode(mode=False), torch.no_grad():
        return nn.functional.normalize(clap.get_text_features(**tokens).pooler_output, dim=-1)


def _names_of(config: Any, given: Sequence[str], place: str) -> tuple[str, ...]:
    if given and len(given) != config.num_labels:
        raise UserError(f"{place} has {config.num_labels} classes but {len(given)} names; give one for each")
    return tuple(given) or tuple(str(config.id2label[index]) for index in range(config.num_labels))


def _activation_of(config: Any, names: Sequence[str]) -> tuple[Activation, list[str]]:
    """What makes the logits probabilities, and why where a reader may wonder."""
    if len(names) == 1 or config.problem_type == MULTI_LABEL:
        return "sigmoid", []
    if len(names) == AUDIOSET_CLASSES and set(names) >= AUDIOSET_LABELS:
        return "sigmoid", [
            "The classes are AudioSet's, which are trained as independent labels: every probability is a sigmoid, "
            "though the model's configuration does not say so."
        ]
    return "softmax", []


def _precision_notes(stated: dict[str, Any]) -> list[str]:
    kept_in = str(stated.get("dtype", stated.get("torch_dtype")))
    if kept_in not in {str(kind).removeprefix("torch.") for kind in HALF_PRECISION}:
        return []
    return [f"The weights were saved in {kept_in} and are used in single precision."]


def _normalisation_notes(config: Any) -> list[str]:
    """What couples the parts of a clip within the network, where it cannot be held."""
    if getattr(config, "feat_extract_norm", None) != "group":
        return []
    return [
        "The model's first layer is normalised over the whole clip (group normalisation): what is removed in one place "
        "changes what the model sees of all others, and turning the whole clip down changes almost nothing."
    ]


def _unknown(extractor: Any) -> str:
    return (
        f"extractor {type(extractor).__name__} is not known here, so it is used as it is, and no gradient passes "
        "through it"
    )
