"""Models of Hugging Face: logits as the library's pipeline gives them, a gradient that is checked, or one sentence."""

import json
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
import transformers
from helpers.tiny_hugging_face import CLASSIFIERS, CONVOLUTIONS, extractor_of, save_clap, save_classifier, speech_like
from torch import Tensor, nn

from audioxai.models.checkpoints import weights_digest
from audioxai.models.hugging_face import (
    AUDIOSET_CLASSES,
    Comparison,
    HuggingFaceModule,
    load_hugging_face,
)
from audioxai.models.loading import load_model
from audioxai.utils.errors import UserError

PROMPTS = ["sound of a dog", "vacuum cleaner", "spoken digit"]


def opinionated(model: Any) -> None:
    """Random weights of a size with which the classes depend on the clip."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(1)
        for name, parameter in model.named_parameters():
            if "classifier" in name and parameter.ndim == 2:
                parameter.copy_(3.0 * torch.randn(parameter.shape))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a kind of model, written once."""
    written: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in written:
            place = tmp_path_factory.mktemp(kind)
            if kind.startswith("clap"):
                save_clap(place, fusion=kind == "clap-fused")
            else:
                save_classifier(kind, place, opinionated)
            written[kind] = place
        return written[kind]

    return folder


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A classifier whose folder a test may change."""
    return save_classifier("wav2vec2", tmp_path / "model", opinionated)


def clip_of(seconds: float, sample_rate_hz: int = 16_000, seed: int = 0) -> Tensor:
    return torch.tensor(speech_like(sample_rate_hz, seconds, seed))[None, None]


def piped(task: str, folder: Path, clip: Tensor, **options: Any) -> dict[str, float]:
    """Scores by class of the library's own pipeline."""
    state = np.random.get_state()  # noqa: NPY002
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline: Any = transformers.pipeline(task, model=str(folder))
        np.random.seed(0)  # noqa: NPY002
        found = pipeline(clip[0, 0].numpy(), **options)
    np.random.set_state(state)  # noqa: NPY002
    return {row["label"]: row["score"] for row in found}


def edited(folder: Path, name: str = "config.json", **fields: Any) -> Path:
    """The folder with fields of a JSON file changed, or removed where they are None."""
    path = folder / name
    stated = {**json.loads(path.read_text()), **fields}
    path.write_text(json.dumps({key: value for key, value in stated.items() if value is not None}))
    return folder


def gradient_at(module: nn.Module, clip: Tensor) -> Tensor:
    leaf = clip.clone().requires_grad_(True)
    return torch.autograd.grad(module(leaf)[:, 0].sum(), leaf)[0]


@pytest.mark.parametrize("seconds", [0.4, 1.1])
@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_probabilities_are_those_of_the_pipeline(kind: str, seconds: float, folders: Callable[[str], Path]) -> None:
    model, clip = load_model(folders(kind)), clip_of(seconds)
    expected = piped("audio-classification", folders(kind), clip, top_k=4)
    found = model.module(clip)[0].softmax(0).tolist()
    assert found == pytest.approx([expected[name] for name in model.class_names], abs=2e-5)
    # The random models do not say the same of every clip.
    assert model.module(clip_of(seconds, seed=3) * 0.3)[0].softmax(0).tolist() != pytest.approx(found, abs=1e-3)


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_what_is_known_of_a_classifier(kind: str, folders: Callable[[str], Path]) -> None:
    folder, clip = folders(kind), clip_of(0.7)
    model = load_hugging_face(folder)
    assert (model.sample_rate_hz, model.activation, model.gradient) == (16_000, "softmax", True)
    assert model.class_names == ("LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3")
    assert model.name == str(folder)
    assert isinstance(model.module, HuggingFaceModule)
    assert weights_digest(model.module.model).startswith(model.revision)
    assert not any(part.training for part in model.module.modules())
    assert model.freeze is not None
    first_layer = "first layer" in " ".join(model.notes)
    assert first_layer == (CLASSIFIERS[kind][1] is CONVOLUTIONS or kind == "sew")
    held = model.freeze(clip)
    torch.testing.assert_close(held(clip), model.module(clip))
    gradient = gradient_at(held, clip)
    assert bool(gradient.isfinite().all())
    assert float(gradient.abs().max()) > 0.0


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_logits_do_not_depend_on_the_batch(kind: str, folders: Callable[[str], Path]) -> None:
    module, clips = load_hugging_face(folders(kind)).module, torch.cat([clip_of(0.6, seed=seed) for seed in range(3)])
    assert isinstance(module, HuggingFaceModule)
    for part in (module, module.frozen(clips[:1])):
        alone = torch.cat([part(clips[row : row + 1]) for row in range(3)])
        torch.testing.assert_close(part(clips), alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_the_front_end_is_checked_on_the_clip(kind: str, folders: Callable[[str], Path]) -> None:
    checked = load_hugging_face(folders(kind)).fitted(clip_of(0.9))
    assert checked.gradient
    assert not checked.gradient_refused
    assert "differs from the model's own extractor by at most" in checked.notes[-1]


def test_a_front_end_that_differs_costs_the_gradient_and_says_by_how_much(own: Path) -> None:
    model, clip = load_hugging_face(own), 0.01 * clip_of(0.9)
    assert isinstance(model.module, HuggingFaceModule)
    # As if a later release of the library stopped normalising.
    model.module.extractor.extractor.do_normalize = False
    found = Comparison(model.module).agreement(clip)
    assert found.logits > 1e-3
    checked = model.fitted(clip)
    assert not checked.gradient
    assert f"{found.logits:.2g}" in checked.gradient_refused
    assert checked.freeze is None
    inputs = extractor_of("Wav2Vec2FeatureExtractor", do_normalize=False)(
        clip[0, 0].numpy(), sampling_rate=16_000, return_tensors="pt"
    )
    with torch.no_grad():
        torch.testing.assert_close(checked.module(clip), model.module.model(**inputs).logits)
    # What goes through the extractor has nothing more to be checked.
    assert checked.fitted(clip) is checked


def test_an_unknown_extractor_is_used_as_it_is(own: Path) -> None:
    extractor_of("SpeechT5FeatureExtractor", do_normalize=True).save_pretrained(own)
    model, clips = load_hugging_face(own), torch.cat([clip_of(0.6), clip_of(0.6, seed=1)])
    assert not model.gradient
    assert "SpeechT5FeatureExtractor" in model.gradient_refused
    assert model.freeze is None
    assert model.padding_share is None
    assert model.fitted(clips[:1]) is model
    logits = model.module(clips)
    for row in range(2):
        expected = piped("audio-classification", own, clips[row : row + 1], top_k=4)
        found = logits[row].softmax(0).tolist()
        assert found == pytest.approx([expected[name] for name in model.class_names], abs=1e-5)


@pytest.mark.parametrize("seconds", [0.7, 2.6])
@pytest.mark.parametrize("kind", ["clap", "clap-fused"])
def test_prompts_are_the_classes_of_clap(kind: str, seconds: float, folders: Callable[[str], Path]) -> None:
    model, clip = load_model(folders(kind), prompts=PROMPTS), clip_of(seconds, 48_000)
    expected = piped(
        "zero-shot-audio-classification", folders(kind), clip, candidate_labels=PROMPTS, hypothesis_template="{}"
    )
    found = model.module(clip)[0].softmax(0).tolist()
    assert model.class_names == tuple(PROMPTS)
    assert found == pytest.approx([expected[name] for name in PROMPTS], abs=2e-5)
    assert model.fitted(clip).gradient
    assert bool(gradient_at(model.module, clip).isfinite().all())


def test_draws_of_an_extractor_are_the_same_in_every_pass_and_leave_the_global_state(
    folders: Callable[[str], Path],
) -> None:
    model, clip = load_hugging_face(folders("clap"), prompts=PROMPTS), clip_of(2.6, 48_000)
    assert isinstance(model.module, HuggingFaceModule)
    through = model.module.with_front_end(None)
    before = np.random.get_state(legacy=False)["state"], torch.random.get_rng_state()  # noqa: NPY002
    first, second = through(clip), through(clip)
    assert torch.equal(first, second)
    np.testing.assert_equal(np.random.get_state(legacy=False)["state"], before[0])  # noqa: NPY002
    assert torch.equal(before[1], torch.random.get_rng_state())


@pytest.mark.parametrize("kind", ["audio-spectrogram-transformer", "wav2vec2", "whisper", "wav2vec2-bert", "clap"])
def test_similarity_to_a_clip(kind: str, folders: Callable[[str], Path]) -> None:
    rate_hz = 48_000 if kind == "clap" else 16_000
    clip, other = clip_of(0.8, rate_hz), clip_of(0.8, rate_hz, seed=5)
    model = load_model(folders(kind), similar_to=clip)
    assert model.class_names == ("similarity",)
    assert model.activation == "sigmoid"
    assert model.module(clip).tolist() == [[pytest.approx(1.0, abs=1e-5)]]
    assert model.module(other).item() < 1.0 - 1e-6
    assert model.fitted(other).gradient
    assert model.freeze is not None
    assert bool(gradient_at(model.freeze(other), other).isfinite().all())


def test_the_similarity_is_that_of_the_embeddings(folders: Callable[[str], Path]) -> None:
    clip, other = clip_of(0.8), clip_of(0.8, seed=5)
    found = load_hugging_face(folders("wav2vec2"), similar_to=clip).module(other).item()
    base = transformers.Wav2Vec2Model.from_pretrained(folders("wav2vec2")).eval()
    extractor = extractor_of("Wav2Vec2FeatureExtractor")
    with torch.no_grad():
        one, two = (
            base(**extractor(sound[0, 0].numpy(), sampling_rate=16_000, return_tensors="pt"))
            .last_hidden_state[0]
            .mean(0)
            for sound in (clip, other)
        )
    assert found == pytest.approx(float(torch.dot(one, two) / (one.norm() * two.norm())), abs=1e-5)


def test_multi_label_models_answer_by_sigmoids(own: Path, tmp_path: Path) -> None:
    assert load_hugging_face(own).activation == "softmax"
    assert load_hugging_face(own, activation="sigmoid").activation == "sigmoid"
    stated = load_hugging_face(edited(own, problem_type="multi_label_classification"))
    assert stated.activation == "sigmoid"
    assert getattr(stated.module, "activation") == "sigmoid"  # noqa: B009 (what other parts read)
    clip = clip_of(0.5)
    expected = piped("audio-classification", own, clip, top_k=4)
    found = stated.module(clip)[0].sigmoid().tolist()
    assert found == pytest.approx([expected[name] for name in stated.class_names], abs=1e-5)
    names = ["Speech", "Music", "Silence", "Vehicle", *(f"sound {index}" for index in range(AUDIOSET_CLASSES - 4))]
    labels: dict[str, Any] = {
        "id2label": dict(enumerate(names)),
        "label2id": {name: index for index, name in enumerate(names)},
    }
    of_audioset = load_hugging_face(
        save_classifier("audio-spectrogram-transformer", tmp_path / "ast", num_labels=AUDIOSET_CLASSES, **labels)
    )
    assert of_audioset.activation == "sigmoid"
    assert of_audioset.class_names == tuple(names)
    assert any("AudioSet" in note for note in of_audioset.notes)
    chosen = load_hugging_face(tmp_path / "ast", activation="softmax")
    assert chosen.activation == "softmax"
    assert not any("AudioSet" in note for note in chosen.notes)


def test_one_logit_is_a_sigmoid(tmp_path: Path) -> None:
    assert load_hugging_face(save_classifier("hubert", tmp_path, num_labels=1)).activation == "sigmoid"


def test_half_precision_is_cast_with_a_word(tmp_path: Path) -> None:
    folder = save_classifier("wav2vec2", tmp_path, lambda model: model.half())
    model = load_hugging_face(folder)
    assert {parameter.dtype for parameter in model.module.parameters()} == {torch.float32}
    assert any("float16" in note for note in model.notes)


def test_scores_of_frames_are_averaged(tmp_path: Path) -> None:
    _, stated, _, _ = CLASSIFIERS["wavlm"]
    network = transformers.WavLMForAudioFrameClassification(transformers.WavLMConfig(**stated)).eval()
    network.save_pretrained(tmp_path)
    extractor_of("Wav2Vec2FeatureExtractor").save_pretrained(tmp_path)
    model, clip = load_hugging_face(tmp_path), clip_of(0.5)
    inputs = extractor_of("Wav2Vec2FeatureExtractor")(clip[0, 0].numpy(), sampling_rate=16_000, return_tensors="pt")
    with torch.no_grad():
        torch.testing.assert_close(model.module(clip), network(**inputs).logits.mean(1))
    assert any("frame" in note for note in model.notes)


def test_the_librarys_messages_and_warnings_are_as_before(own: Path, capfd: pytest.CaptureFixture[str]) -> None:
    messages = transformers.utils.logging
    before = messages.get_verbosity(), messages.is_progress_bar_enabled()
    load_hugging_face(own).fitted(clip_of(0.5))
    assert (messages.get_verbosity(), messages.is_progress_bar_enabled()) == before
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_loading_twice_gives_the_same(own: Path) -> None:
    first, second = load_hugging_face(own), load_hugging_face(own)
    assert first.revision == second.revision
    clip = clip_of(0.5)
    assert torch.equal(first.module(clip), second.module(clip))


# --- what is refused, in one sentence ---


def refused(source: Any, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        load_model(source, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


def test_a_folder_without_weights(own: Path) -> None:
    (own / "model.safetensors").unlink()
    assert "no weights" in refused(own)


def test_unreadable_weights(own: Path) -> None:
    content = (own / "model.safetensors").read_bytes()
    (own / "model.safetensors").write_bytes(content[: len(content) // 2])
    assert str(own) in refused(own)


def test_weights_that_lack_the_classifier(own: Path, tmp_path: Path) -> None:
    base = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**CLASSIFIERS["wav2vec2"][1]))
    base.save_pretrained(tmp_path / "base")
    extractor_of("Wav2Vec2FeatureExtractor").save_pretrained(tmp_path / "base")
    assert "Wav2Vec2Model" in refused(tmp_path / "base")
    assert "classifier" in refused(
        edited(tmp_path / "base", architectures=["Wav2Vec2ForSequenceClassification"], num_labels=4)
    )
    assert load_model(tmp_path / "base", similar_to=clip_of(0.5)).class_names == ("similarity",)


def test_weights_of_another_size(own: Path) -> None:
    assert str(own) in refused(edited(own, classifier_proj_size=17))


@pytest.mark.parametrize(
    ("architecture", "kind"), [("BertForSequenceClassification", "bert"), ("Wav2Vec2ForCTC", "wav2vec2")]
)
def test_models_of_another_task(own: Path, architecture: str, kind: str) -> None:
    assert architecture in refused(edited(own, architectures=[architecture], model_type=kind))


def test_a_text_model_as_it_is_saved(tmp_path: Path) -> None:
    config = transformers.BertConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path)
    assert "BertForSequenceClassification" in refused(tmp_path)
    assert "extractor" in refused(tmp_path, similar_to=clip_of(0.5))


def test_a_regression(own: Path) -> None:
    assert "regression" in refused(edited(own, problem_type="regression"))


def test_pickled_weights_are_read_on_demand_alone(own: Path) -> None:
    expected = load_hugging_face(own)
    state = {name: value.clone() for name, value in expected.module.model.state_dict().items()}  # type: ignore[union-attr]
    torch.save(state, own / "pytorch_model.bin")
    (own / "model.safetensors").unlink()
    assert "pickled_weights=True" in refused(own)
    assert load_model(own, pickled_weights=True).revision == expected.revision


OWN_CODE = """
import torch
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

class OwnConfig(PretrainedConfig):
    model_type = "own-audio"

class OwnModel(PreTrainedModel):
    config_class = OwnConfig

    def __init__(self, config):
        super().__init__(config)
        self.weight = torch.nn.Parameter(torch.tensor([1.0, -1.0]))
        self.rectify = torch.nn.ReLU(inplace=True)
        self.post_init()

    def forward(self, input_values):
        return SequenceClassifierOutput(logits=self.rectify(input_values).mean(1, keepdim=True) * self.weight)
"""


def test_code_of_its_own_runs_on_demand_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import save_file

    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "code_of_it.py").write_text(OWN_CODE)
    save_file({"weight": torch.tensor([2.0, -1.0])}, folder / "model.safetensors", metadata={"format": "pt"})
    extractor_of("Wav2Vec2FeatureExtractor").save_pretrained(folder)
    stated = {
        "model_type": "own-audio",
        "architectures": ["OwnModel"],
        "auto_map": {
            "AutoConfig": "code_of_it.OwnConfig",
            "AutoModelForAudioClassification": "code_of_it.OwnModel",
        },
    }
    (folder / "config.json").write_text(json.dumps(stated))
    monkeypatch.setattr(transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert "trust_remote_code=True" in refused(folder)
    model, clip = load_model(folder, trust_remote_code=True), clip_of(0.5)
    assert model.fitted(clip).gradient
    first, second = model.module(clip)[0].tolist()
    assert first > 0.0 > second
    # Layers that overwrite their inputs break hooks.
    assert [part.inplace for part in model.module.modules() if isinstance(part, nn.ReLU)] == [False]


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
def test_files_that_are_missing_or_unreadable(own: Path, name: str) -> None:
    (own / name).write_text("{")
    assert str(own) in refused(own)
    (own / name).unlink()
    assert name in refused(own)


def test_an_extractor_of_images(own: Path) -> None:
    (own / "preprocessor_config.json").write_text(json.dumps({"feature_extractor_type": "ViTFeatureExtractor"}))
    assert str(own) in refused(own)


def test_prompts_are_for_models_of_texts(own: Path, folders: Callable[[str], Path]) -> None:
    assert "prompts" in refused(folders("clap"))
    assert "prompts" in refused(own, prompts=PROMPTS)


def test_names_for_every_class(own: Path) -> None:
    names = ["yes", "no", "up", "down"]
    assert load_model(own, class_names=names).class_names == tuple(names)
    assert "4 classes but 2 names" in refused(own, class_names=names[:2])


def test_an_extractor_that_does_not_fit_the_model(tmp_path: Path) -> None:
    folder = save_classifier("audio-spectrogram-transformer", tmp_path)
    extractor_of("ASTFeatureExtractor", max_length=64, num_mel_bins=64).save_pretrained(folder)
    with pytest.raises(UserError, match="does not take what its extractor makes"):
        load_hugging_face(folder).fitted(clip_of(0.5))


def test_a_clip_that_is_too_short_for_the_model(own: Path) -> None:
    with pytest.raises(UserError, match="20 samples"):
        load_hugging_face(own).fitted(torch.ones(1, 1, 20))


def test_an_extra_that_is_not_installed(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert "audioxai[hf]" in refused(own)


def test_a_torchaudio_that_does_not_import(tmp_path: Path) -> None:
    folder = save_classifier("audio-spectrogram-transformer", tmp_path / "model")
    (tmp_path / "torchaudio").mkdir()
    (tmp_path / "torchaudio" / "__init__.py").write_text("raise OSError('undefined symbol: _ZN5torch')")
    (tmp_path / "torchaudio-2.0.dist-info").mkdir()
    (tmp_path / "torchaudio-2.0.dist-info" / "METADATA").write_text("Name: torchaudio\nVersion: 2.0\n")
    script = f"""
from audioxai.models.hugging_face import load_hugging_face
from audioxai.utils.errors import UserError
try:
    load_hugging_face({str(folder)!r})
except UserError as error:
    print("refused:", error)
"""
    # A process of its own, since transformers looks once for what is installed.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert found.stdout.startswith("refused: torchaudio is installed but does not import")
    assert "undefined symbol" in found.stdout


class _Hub(BaseHTTPRequestHandler):
    """A server that knows no model, and asks for an agreement for those of ``gated``."""

    def do_GET(self) -> None:
        gated = "/gated/" in self.path
        self.send_response(403 if gated else 404)
        self.send_header("X-Error-Code", "GatedRepo" if gated else "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815 (the name that the library looks for)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the Hub."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = HTTPServer(("127.0.0.1", 0), _Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("hub")
def test_an_id_that_does_not_exist_or_asks_for_an_agreement() -> None:
    assert "no model of that id" in refused("nobody/nothing")
    assert "agree" in refused("gated/model")


def test_an_id_without_a_network(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert "cannot be reached" in refused("somebody/model")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    # Nobody listens there.
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    assert "cannot be reached" in refused("somebody/model")


def test_neither_a_folder_nor_an_id(tmp_path: Path) -> None:
    assert "no folder" in refused("some/where/else")
    assert "config.json" in refused(tmp_path)


def test_an_id_that_was_downloaded_is_read_without_a_network(
    own: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = cache / "models--somebody--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots").mkdir()
    own.rename(repository / "snapshots" / commit)
    model = load_model("somebody/tiny")
    assert model.name == "somebody/tiny"
    assert load_model("somebody/tiny", revision=commit).revision == model.revision
    assert "cannot be reached" in refused("somebody/tiny", revision="other")
