"""Explanations of a model whose decisions are known: it hears hums, whistles and hisses by their bands."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from audioxai.core import Explainer, probabilities_of
from audioxai.domains import Mask, Stft
from audioxai.explanation import Explanation, Timeline, completeness_gap
from audioxai.models.loading import Model
from audioxai.trust import Trust, measure
from audioxai.xai_methods.masks import in_masks

RATE_HZ = 8_000
WINDOW_S = 0.6
NAMES = ("hum", "whistle", "hiss", "silence")
BANDS_HZ = ((100.0, 500.0), (1_700.0, 2_300.0), (2_800.0, 4_000.0))
WHISTLE_S = (0.2, 0.4)
HOSTILE = "</script><script>alert(1)</script> \"quoted\" 'x' & <b>\u202egnp.exe"


class Bands(nn.Module):
    """Logit of each class: its band's level in dB above −50, over 5; that of silence is 0. Any length."""

    def __init__(self, rate_hz: int = RATE_HZ) -> None:
        super().__init__()
        self.rate_hz = rate_hz

    def forward(self, waveforms: Tensor) -> Tensor:
        stft = Stft(self.rate_hz, waveforms.shape[-1] / self.rate_hz)
        power = stft.analysis(waveforms)[:, 0].abs().square().mean(2)
        bins_hz = torch.tensor(stft.axes()[0].coordinates)
        levels = [power[:, (bins_hz >= low) & (bins_hz <= high)].sum(1) for low, high in BANDS_HZ]
        scores = torch.stack([(10.0 * (level + 1e-7).log10() + 50.0) / 5.0 for level in levels], 1)
        return torch.cat([scores, torch.zeros_like(scores[:, :1])], 1)


def model_of(names: tuple[str, ...] = NAMES, rate_hz: int = RATE_HZ, **fields: Any) -> Model:
    """The model, which takes clips of any length."""
    known = {"name": "tests/bands", "revision": "0123abcd"} | fields
    return Model(Bands(rate_hz).eval(), rate_hz, None, names, **known)


def recording(duration_s: float = WINDOW_S, seed: int = 0) -> Tensor:
    """A steady soft hum, a whistle from 0.2 to 0.4 s in each 0.6 s, and very soft noise; ``(1, 1, time)``."""
    times_s = torch.arange(round(duration_s * RATE_HZ), dtype=torch.float64) / RATE_HZ
    noise = torch.randn(len(times_s), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    whistles = ((times_s % WINDOW_S > WHISTLE_S[0]) & (times_s % WINDOW_S < WHISTLE_S[1])).double()
    hum, whistle = (torch.sin(2 * torch.pi * pitch_hz * times_s) for pitch_hz in (300.0, 2_000.0))
    return (0.02 * hum + 0.2 * whistle * whistles + 0.0005 * noise).float()[None, None]


def explained(
    model: Model | None = None,
    waveform: Tensor | None = None,
    target: int | None = None,
    alternatives: tuple[int, ...] = (),
    method: str = "silence",
    trusted: bool = True,
    explainer: Explainer | None = None,
    **fields: Any,
) -> Explanation:
    """An explanation of a clip by a registered method in masks, or by an explainer of waveforms with a domain."""
    model, waveform = model or model_of(), recording() if waveform is None else waveform
    cells = Mask.of(model.sample_rate_hz, waveform.shape[-1] / model.sample_rate_hz)
    own: Any = explainer or in_masks(method, cells, gradients=8)
    with torch.no_grad():
        logits = model.module(waveform)[0]
    chosen = int(logits.argmax()) if target is None else target
    targets = torch.tensor([chosen])
    change: float | None = None
    if hasattr(own, "attribute"):
        integral = own.attribute(model.module, waveform, targets)
        attributions, change = integral.attributions.detach(), float(integral.change[0])
    else:
        attributions = own(model.module, waveform, targets).detach()
    made = Explanation(
        model=model,
        waveform=waveform,
        inputs=own.domain.analysis(waveform).abs(),
        attributions=attributions,
        domain=own.domain,
        target=chosen,
        prediction=int(logits.argmax()),
        logits=logits,
        method=method,
        explainer=own,
        change=change,
        source="bird.wav",
        passes=8,
        command="audioxai explain bird.wav --model tests/bands",
    )
    if trusted:
        made = replace(made, trust=_trust(made))
    others = tuple(
        explained(model, waveform, other, (), method, trusted, explainer, **fields) for other in alternatives
    )
    return replace(made, alternatives=others, **fields)


def _trust(made: Explanation) -> Trust:
    targets, explainer = torch.tensor([made.target]), made.explainer
    return measure(
        made.model.module,
        made.waveform,
        made.target,
        made.attributions,
        made.domain,
        lambda waveforms: explainer(made.model.module, waveforms, targets).detach(),
        label=made.label,
        explain_passes=8,
        completeness_gap=completeness_gap(made.attributions, made.change),
        steps=8,
    )


def of_long_recording(windows: int = 3, model: Model | None = None, **fields: Any) -> Explanation:
    """A recording of 3 s and the explanations of its first windows, of which the second is the main one."""
    model, whole = model or model_of(), recording(3.0)
    samples, hop = round(WINDOW_S * RATE_HZ), round(WINDOW_S * RATE_HZ) // 2
    starts = range(0, whole.shape[-1] - samples + 1, hop)
    with torch.no_grad():
        logits = torch.cat([model.module(whole[..., start : start + samples]) for start in starts])
    timeline = Timeline(
        torch.tensor([start / RATE_HZ for start in starts], dtype=torch.float64),
        WINDOW_S,
        probabilities_of(logits, model.activation),
        3.0,
    )
    found = tuple(
        explained(
            model,
            whole[..., start : start + samples],
            start_s=start / RATE_HZ,
            target=place % 2,
            **fields,
        )
        for place, start in enumerate(list(starts)[::2][:windows])
    )
    return replace(found[1], windows=found, timeline=timeline)
