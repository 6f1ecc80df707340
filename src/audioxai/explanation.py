"""What an explanation of one clip holds: attributions with their axes, sounds, trust, and how they were made."""

from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from audioxai.core import Explainer, configuration_of, probabilities_of
from audioxai.domains import Domain, matching_stft
from audioxai.listening import Heard, SoftMask, bins_in, loudness_matched, ordered_bins, separate
from audioxai.models.loading import Model
from audioxai.trust import Trust
from audioxai.utils.errors import UserError
from audioxai.xai_methods import METHODS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Part = Literal["original", "kept", "removed"]


@dataclass(frozen=True, eq=False)
class Timeline:
    """Predictions over a recording that is longer than the model's clips.

    Attributes
    ----------
    starts_s : Tensor
        Beginning of every window in the recording, in seconds, ``(windows,)``, float64.
    window_s : float
        Length of a window in seconds.
    probabilities : Tensor
        ``(windows, classes)``.
    recording_s : float
        Length of the recording in seconds.
    """

    starts_s: Tensor
    window_s: float
    probabilities: Tensor
    recording_s: float


@dataclass(frozen=True, eq=False)
class Explanation:
    """Attributions of one clip with what they explain.

    Attributes
    ----------
    model : Model
        The explained model.
    waveform : Tensor
        The explained clip, ``(1, 1, time)``, at the model's sample rate.
    inputs : Tensor
        What is drawn under the attributions, ``(1, 1, *domain.shape)``: the clip in the explanation's domain.
    attributions : Tensor
        ``(1, 1, *domain.shape)``.
    domain : Domain
        Meaning of their axes.
    target, prediction : int
        The explained class and the one with the largest logit.
    logits : Tensor
        ``(classes,)``.
    method : str
        Registered method.
    explainer : Explainer
        The method with its settings.
    change : float or None
        What the attributions should add up to, in logits; None where the method does not claim to be complete.
    trust : Trust or None
        Measurements of this explanation; None where they were not asked for.
    alternatives : tuple of Explanation
        Explanations of other classes of the same clip.
    windows : tuple of Explanation
        Explained windows of a long recording, this one among them.
    timeline : Timeline or None
        Predictions over a long recording.
    start_s : float
        Where the clip begins in the recording, in seconds.
    source : str
        File name of the recording, or ``array``.
    passes : int
        Model passes of the explanation, without those of ``trust``.
    seed : int
        Seed of everything random.
    notes : tuple of str
        What a reader has to know of the sound and the model.
    command : str
        Command or call that makes the explanation again.
    """

    model: Model
    waveform: Tensor
    inputs: Tensor
    attributions: Tensor
    domain: Domain
    target: int
    prediction: int
    logits: Tensor
    method: str
    explainer: Explainer
    change: float | None = None
    trust: Trust | None = None
    alternatives: "tuple[Explanation, ...]" = ()
    windows: "tuple[Explanation, ...]" = field(default=(), repr=False)
    timeline: Timeline | None = None
    start_s: float = 0.0
    source: str = "array"
    passes: int = 0
    seed: int = 0
    notes: tuple[str, ...] = ()
    command: str = ""

    @property
    def label(self) -> str:
        """Name of the explained class."""
        return self.model.name_of(self.target)

    @property
    def score(self) -> float:
        """Probability of the explained class, in [0, 1]."""
        return float(self.probabilities[self.target])

    @cached_property
    def probabilities(self) -> Tensor:
        """Probability of every class, ``(classes,)``: by softmax, or by a sigmoid each of independent labels."""
        return probabilities_of(self.logits[None], self.model.activation)[0]

    @property
    def completeness_gap(self) -> float | None:
        """|ΣA − ΔF| / |ΔF|; None where the method does not claim to be complete or nothing changes."""
        return completeness_gap(self.attributions, self.change)

    @cached_property
    def sounds(self) -> Heard:
        """The clip, what the explanation keeps of it and what it removes, equally loud."""
        return loudness_matched(separate(self.waveform, self.attributions, SoftMask(self.domain)))

    def kept(self, share: float) -> Tensor:
        """The most relevant ``share`` in (0, 1] of the time–frequency bins as a sound, ``(1, 1, time)``.

        Bins are ranked as insertion ranks them. What is not kept is silent.

        Raises
        ------
        UserError
            If the share is out of its range.
        """
        if not 0.0 < share <= 1.0:
            raise UserError(f"share is {share}; give a share above 0 and at most 1")
        stft = matching_stft(self.domain)
        order = ordered_bins(self.attributions, self.domain)
        mask = torch.zeros(len(order), dtype=self.waveform.dtype)
        mask[order[: bins_in(share, len(order))]] = 1.0
        return stft.synthesis(stft.analysis(self.waveform) * mask.reshape(1, 1, *stft.shape))

    def removed(self, share: float) -> Tensor:
        """The clip without its most relevant ``share``, ``(1, 1, time)``: what :meth:`kept` leaves over."""
        return self.waveform - self.kept(share)

    def listen(self, part: Part = "kept") -> Any:
        """Player for a notebook.

        Raises
        ------
        UserError
            If IPython is not installed.
        """
        try:
            from IPython.display import Audio
        except ImportError as error:
            raise UserError("playing needs IPython; install audioxai[notebook], or use save()") from error
        waveform = getattr(self.sounds.sounds, part)[0, 0].numpy()
        return Audio(waveform, rate=self.model.sample_rate_hz, normalize=False)  # type: ignore[no-untyped-call]

    def plot(self) -> "Figure":
        """Attributions over the input, axes in seconds and hertz."""
        from audioxai.report.canvas import DOUBLE_INCHES
        from audioxai.report.overlays import attribution_overlay, overlay_of
        from audioxai.report.style import Style

        maps = {self.method: self.attributions[0, 0].numpy()}
        shown = overlay_of(self.domain, self.title, self.inputs[0, 0].numpy(), maps)
        return attribution_overlay(shown, Style({self.method: METHODS[self.method]}, {}), DOUBLE_INCHES)

    def facts(self) -> dict[str, Any]:
        """What was explained and how, as plain data."""
        names = (self.model.name_of(index) for index in range(len(self.logits)))
        return {
            "source": self.source,
            "start_s": self.start_s,
            "duration_s": self.waveform.shape[-1] / self.model.sample_rate_hz,
            "target": self.label,
            "probability": self.score,
            "prediction": self.model.name_of(self.prediction),
            "activation": self.model.activation,
            "probabilities": dict(zip(names, self.probabilities.tolist(), strict=True)),
            "model": {"name": self.model.name, "revision": self.model.revision},
            "method": METHODS[self.method].facts(),
            "configuration": configuration_of(self.explainer),
            "domain": configuration_of(self.domain),
            "passes": self.passes,
            "seed": self.seed,
            "completeness_gap": self.completeness_gap,
            "trust": None if self.trust is None else self.trust.facts(),
            "notes": list(self.notes),
            "command": self.command,
        }

    def arrays(self) -> "dict[str, np.ndarray[Any, Any]]":
        """Map, input and waveform without batch and channel."""
        return {
            "attributions": self.attributions[0, 0].numpy(),
            "inputs": self.inputs[0, 0].numpy(),
            "waveform": self.waveform[0, 0].numpy(),
        }

    @property
    def title(self) -> str:
        """Method, class and probability in one line."""
        return f"{METHODS[self.method].label}: why {self.label} (probability {self.score:.2f})"

    def page(self) -> str:
        """A self-contained HTML page: predictions, map, sounds, trust and how it was made."""
        from audioxai.report.clip import page_of

        return page_of(self)

    def save(self, folder: str | Path) -> list[Path]:
        """Write the page, the picture, sounds, arrays and facts into a folder; the places of all files, page first.

        ``index.html``, ``explanation.png``, ``explanation.json``, ``explanation.npz`` and the sounds as WAV.
        """
        from audioxai.report.clip import write_page

        return write_page(self, Path(folder))

    def _repr_html_(self) -> str:
        from audioxai.report.clip import frame_of

        return frame_of(self)

    def _repr_png_(self) -> bytes:
        content = BytesIO()
        self.plot().savefig(content, format="png", dpi=150)
        return content.getvalue()

    def __repr__(self) -> str:
        verdict = "" if self.trust is None else f": {self.trust.verdict}"
        return f"<Explanation of {self.label} ({self.score:.2f}) by {self.method} in {self.domain.name}{verdict}>"


def completeness_gap(attributions: Tensor, change: float | None) -> float | None:
    """|ΣA − ΔF| / |ΔF|; None where ΔF is not known or 0."""
    if change is None or change == 0.0:
        return None
    return abs(float(attributions.double().sum()) - change) / abs(change)
