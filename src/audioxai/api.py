"""Why a model gives a sound its class: one call for any sound and any model."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from audioxai import trust as trusting
from audioxai.binding import AUTO, BoundMethod, Counted, PassCounter, Request, Where, is_large, logits_without_gradient
from audioxai.clips import Recording, Sound, Span, read_recording
from audioxai.core import probabilities_of
from audioxai.domains import Mask
from audioxai.explanation import Explanation, Timeline, completeness_gap
from audioxai.models.loading import Model, load_model
from audioxai.utils.errors import UserError
from audioxai.utils.progress import Progress, Report, Reported, bar

# Recordings of models that take any length are explained as a whole up to here, and in windows beyond.
LONGEST_CLIP_S, WINDOW_S = 30.0, 10.0
WINDOW_OVERLAP = 2
CALL_WINDOWS = 16
MOST_COMPARED = 8


def explain(
    sound: Sound | Recording,
    model: "str | Path | nn.Module | Model",
    *,
    sample_rate: int | None = None,
    target: int | str | None = None,
    method: str = AUTO,
    domain: Where = AUTO,
    budget: int | None = None,
    compare: int | Sequence[int | str] = 0,
    windows: int | Sequence[float] = 1,
    trust: bool = True,
    references: Tensor | None = None,
    seed: int = 0,
    progress: bool | Report = False,
    **options: Any,
) -> Explanation:
    """Explain why a model gives a clip its class.

    Parameters
    ----------
    sound : path, array, tensor or Recording
        A sound file, or a waveform ``(time,)`` or ``(channels, time)`` in [−1, 1]; channels are averaged, and the rate
        becomes the model's, at which a recording is already. What is longer than the model's input, or than 30 s, is
        cut into windows that overlap by half.
    model : str, Path, nn.Module or Model
        As :func:`load_model` takes it.
    sample_rate : int, optional
        Rate of an array in Hz, and of the model where it states none.
    target : int or str, optional
        Class to explain, by index or name; the predicted one by default.
    method : str
        Registered method; by default Ordered IG where the model's gradient reaches the waveform.
    domain : {"auto", "mask", "model", "waveform"}
        Where attributions live: in masks over time and frequency of the recording, which suits every model and is the
        default of every method that can be used there; in the model's own spectrogram; or in its samples.
    budget : int, optional
        Gradients that the method may take, or passes of a method without gradients; 32 and 400 by default, half of
        that for models of more than 20 million parameters.
    compare : int or sequence
        Other classes to explain beside it: how many of the most probable, or which.
    windows : int or sequence of float
        Windows of a long recording to explain: how many of those in which the class is most probable, which do not
        overlap, or where they begin, in seconds. The first becomes the result, with all in ``windows``.
    trust : bool
        Whether to measure how far the explanation can be believed, which takes about 200 passes and another
        explanation.
    references : Tensor, optional
        Waveforms ``(clips, 1, time)`` as long as the clip, from which baselines are learnt; the clip itself by default.
    seed : int
        Seed of everything random.
    progress : bool or callable
        Whether to show how many passes are done, and the time left; or what is called with the number of passes that
        are done and of all, after each call of the model. What it raises ends the explanation.
    **options
        Other parameters of the method. Methods with one removal take ``removal``, what sound becomes where the mask is
        0: ``"silence"``, which is the default, ``"noise"`` with the clip's smoothed spectrum, 10 dB softer, or a
        baseline of waveforms.

    Returns
    -------
    Explanation
        Attributions with their axes, sounds, trust and facts; in a notebook it shows itself.

    Raises
    ------
    UserError
        If the clip cannot be read or does not fit the model, or class, method or domain are not known; before any
        explaining is done.

    Examples
    --------
    >>> import torch
    >>> from audioxai.domains import LogMel
    >>> from audioxai.models import build
    >>> model = build("small_cnn", LogMel(8000, 1.0, bands=32, frames=32), class_count=3, seed=0)
    >>> made = explain(torch.rand(8000) - 0.5, model, sample_rate=8000, target=2, budget=8)
    >>> made.domain.name, made.trust.verdict in ("rely", "caution", "do not rely")
    ('mask', True)
    """
    known = load_model(model, sample_rate=sample_rate)
    request = Request(known, method, domain, budget, references, seed, options)
    recording = sound if isinstance(sound, Recording) else read_recording(sound, sample_rate, known.sample_rate_hz)
    window = _window(recording, known)
    details = _Details(target, compare, trust, progress)
    if recording.samples <= window:
        waveform, notes = _padded(recording.clip(), window, known)
        return _placed(_explained(request, waveform, details), request, recording, notes)
    fitted = request.for_clip(next(recording.clips([(0, window)]))).model
    timeline = _timeline(recording, fitted, window)
    starts = _chosen_starts(timeline, known, target, windows)
    spans = [(start, start + window) for start in sorted(starts)]
    clips = dict(zip(sorted(starts), recording.clips(spans), strict=True))
    explained = [
        _placed(
            replace(_explained(request, clips[start], details), timeline=timeline),
            request,
            recording,
            start_s=start / known.sample_rate_hz,
        )
        for start in starts
    ]
    return replace(explained[0], windows=tuple(explained))


def _placed(
    made: Explanation,
    request: Request,
    recording: Recording,
    notes: tuple[str, ...] = (),
    start_s: float | None = None,
) -> Explanation:
    """An explanation that knows its recording, and so do those of other classes."""
    return replace(
        made,
        source=recording.name,
        start_s=start_s or 0.0,
        notes=(*recording.notes, *notes, *made.notes),
        command=_call(recording, made, request, start_s),
        alternatives=tuple(_placed(other, request, recording, notes, start_s) for other in made.alternatives),
    )


@dataclass(frozen=True, eq=False)
class _Details:
    """What is made of each clip."""

    target: int | str | None
    compare: int | Sequence[int | str]
    trust: bool
    progress: bool | Report


def _explained(request: Request, waveform: Tensor, details: _Details) -> Explanation:
    """Explanation of one clip ``(1, 1, time)`` of the length that the model takes."""
    request = _with_removal(request.for_clip(waveform), waveform)
    known = request.model
    logits = logits_without_gradient(known.module, waveform)[0]
    prediction = int(logits.argmax())
    chosen = prediction if details.target is None else known.index_of(details.target, len(logits))
    others = _compared(details.compare, known, logits, chosen)
    module, made = request.bound(waveform)
    once, steps = made.passes(waveform), trusting.LARGE_STEPS if is_large(module) else trusting.STEPS
    total = once * (1 + len(others)) + (trusting.passes_of(steps, once) if details.trust else 0)
    with _counting(total, details.progress) as count:
        counted = replace(made, module=count(made.module))
        attributions, change = counted.with_change(waveform, torch.tensor([chosen]))
        explanation = Explanation(
            model=known,
            waveform=waveform,
            inputs=made.features(waveform).detach(),
            attributions=attributions,
            domain=made.domain,
            target=chosen,
            prediction=prediction,
            logits=logits.clone(),
            method=made.entry.name,
            explainer=made.explainer,
            change=None if change is None else float(change[0]),
            passes=once,
            seed=request.seed,
            notes=known.notes,
        )
        alternatives = tuple(
            replace(
                explanation,
                target=other,
                attributions=counted.attributions(waveform, torch.tensor([other])),
                change=None,
            )
            for other in others
        )
        measured = _trust(explanation, counted, count(module), steps) if details.trust else None
    return replace(explanation, trust=measured, alternatives=alternatives)


def _with_removal(request: Request, waveform: Tensor) -> Request:
    """The request with the removal of a clip ``(1, 1, time)`` where one is named."""
    name = request.options.get("removal")
    if not isinstance(name, str):
        return request
    rate_hz = request.model.sample_rate_hz
    cells = Mask.of(rate_hz, waveform.shape[-1] / rate_hz)
    removal = trusting.removal_named(name, waveform, cells, request.seed)
    return replace(request, options={**request.options, "removal": removal})


def _trust(explanation: Explanation, made: BoundMethod, module: nn.Module, steps: int) -> trusting.Trust:
    targets = torch.tensor([explanation.target])
    return trusting.measure(
        module,
        explanation.waveform,
        explanation.target,
        explanation.attributions,
        explanation.domain,
        lambda waveform: made.attributions(waveform, targets),
        label=explanation.label,
        explain_passes=explanation.passes,
        completeness_gap=completeness_gap(explanation.attributions, explanation.change),
        steps=steps,
        seed=explanation.seed,
    )


@contextmanager
def _counting(total: int, shown: bool | Report) -> Iterator[Callable[[nn.Module], nn.Module]]:
    """What makes models advance a progress bar, or report their passes."""
    if shown is False:
        yield lambda module: module
        return
    display: Progress = bar(total, "explaining", "pass") if shown is True else Reported(total, shown)
    with display as progress:
        count = PassCounter(progress, total)
        yield lambda module: Counted(module, count)


def _call(recording: Recording, made: Explanation, request: Request, start_s: float | None = None) -> str:
    """The call that explains the same again; an ellipsis stands for what cannot be written in a line."""
    options: dict[str, Any] = {"target": made.label, "method": made.method, "seed": made.seed}
    if request.domain != AUTO:
        options["domain"] = request.domain
    if request.budget is not None:
        options["budget"] = request.budget
    if request.references is not None:
        options["references"] = request.references
    if start_s is not None:
        options["windows"] = [start_s]
    written = ", ".join(f"{name}={_written(value)}" for name, value in (options | dict(request.options)).items())
    return f"audioxai.explain({recording.name!r}, {made.model.name or 'model'!r}, {written})"


def _written(value: Any) -> str:
    """A value as Python writes it."""
    plain = (*value,) if isinstance(value, list | tuple) else (value,)
    return repr(value) if all(isinstance(one, str | int | float | None) for one in plain) else "..."


def _compared(compare: int | Sequence[int | str], model: Model, logits: Tensor, target: int) -> list[int]:
    """Other classes that are explained beside the target, the most probable first."""
    if not isinstance(compare, int):
        return [model.index_of(one, len(logits)) for one in compare]
    if not 0 <= compare <= MOST_COMPARED:
        raise UserError(f"compare is {compare}; give 0 to {MOST_COMPARED} other classes, or their names")
    return [index for index in logits.argsort(descending=True).tolist() if index != target][:compare]


# --- Clips of a recording --------------------------------------------------------------------------------------------


def _window(recording: Recording, model: Model) -> int:
    """Samples of the clips that a recording is explained in."""
    if model.duration_s is not None:
        return round(model.duration_s * model.sample_rate_hz)
    longest_s = min(LONGEST_CLIP_S, model.longest_s or LONGEST_CLIP_S)
    if recording.duration_s <= longest_s:
        return recording.samples
    return round(min(WINDOW_S, longest_s) * model.sample_rate_hz)


@dataclass(frozen=True, eq=False)
class Clip:
    """A part of a recording as a model takes it.

    Attributes
    ----------
    waveform : Tensor
        ``(1, 1, time)`` at the model's rate.
    first_s : float
        Where its first sample lies in the recording, in seconds; negative where silence was put before a short one.
    timeline : Timeline or None
        Predictions over a recording that is longer than the model's clips.
    notes : tuple of str
        What a reader has to know of the sound.
    """

    waveform: Tensor
    first_s: float = 0.0
    timeline: Timeline | None = None
    notes: tuple[str, ...] = ()


def clip_for(recording: Recording, model: Model, start_s: float | None = None) -> Clip:
    """The part of a recording that :func:`explain` explains.

    Parameters
    ----------
    recording : Recording
        At the model's rate.
    model : Model
        What is to be explained.
    start_s : float, optional
        Where the part of a long recording begins; where a class is most probable if not given.

    Raises
    ------
    UserError
        If no part begins there, or the model does not take the clip.
    """
    window, rate_hz = _window(recording, model), model.sample_rate_hz
    if recording.samples <= window:
        waveform, notes = _padded(recording.clip(), window, model)
        return Clip(waveform, -((window - recording.samples) // 2) / rate_hz, None, (*recording.notes, *notes))
    timeline = _timeline(recording, model.fitted(next(recording.clips([(0, window)]))), window)
    (start,) = _chosen_starts(timeline, model, None, 1 if start_s is None else [start_s])
    waveform = next(recording.clips([(start, start + window)]))
    return Clip(waveform, start / rate_hz, timeline, recording.notes)


def one_clip(recording: Recording, model: Model) -> Tensor:
    """A recording no longer than the model's clips as one, ``(1, 1, time)``.

    Raises
    ------
    UserError
        If it is longer.
    """
    window = _window(recording, model)
    if recording.samples > window:
        raise UserError(
            f"sound {recording.name} lasts {recording.duration_s:.2f} s and clips {window / model.sample_rate_hz:g} s; "
            "give clips of that length, or explain it in windows"
        )
    return _padded(recording.clip(), window, model)[0]


def _padded(clip: Tensor, window: int, model: Model) -> tuple[Tensor, tuple[str, ...]]:
    """The clip in the middle of silence of the model's length, and a note of it."""
    missing = window - clip.shape[-1]
    share = model.padding_share(window) if model.padding_share is not None else 0.0
    notes = [f"{share:.0%} of the model's input is padding, which is not explained".replace("%", " %")] * (share > 0.0)
    if missing > 0:
        notes.append(
            f"the clip lasts {clip.shape[-1] / model.sample_rate_hz:.2f} s and the model takes "
            f"{window / model.sample_rate_hz:g} s; the rest is silence on both sides"
        )
    return functional.pad(clip, (missing // 2, missing - missing // 2)), tuple(notes)


def _grouped(clips: Iterator[Tensor], size: int) -> Iterator[tuple[Tensor, ...]]:
    """Clips in groups of ``size``, the last one smaller."""
    while group := tuple(islice(clips, size)):
        yield group


def _timeline(recording: Recording, model: Model, window: int) -> Timeline:
    """Predictions in windows that overlap by half, the last one at the end of the recording."""
    last = recording.samples - window
    starts = [*range(0, last, window // WINDOW_OVERLAP), last]
    spans: list[Span] = [(start, start + window) for start in starts]
    probabilities = []
    for clips in _grouped(recording.clips(spans), CALL_WINDOWS):
        logits = logits_without_gradient(model.module, torch.cat(clips))
        probabilities.append(probabilities_of(logits, model.activation))
    rate_hz = model.sample_rate_hz
    return Timeline(
        torch.tensor(starts, dtype=torch.float64) / rate_hz,
        window / rate_hz,
        torch.cat(probabilities),
        recording.duration_s,
    )


def _chosen_starts(
    timeline: Timeline, model: Model, target: int | str | None, windows: int | Sequence[float]
) -> list[int]:
    """First samples of the windows to explain, the most important first."""
    rate_hz = model.sample_rate_hz
    if not isinstance(windows, int):
        latest_s = timeline.recording_s - timeline.window_s
        # Of the last window's own time as it was printed, the last digit may be rounded up.
        wrong = [start for start in windows if not 0.0 <= start <= latest_s + 0.5 / rate_hz]
        if wrong or not windows:
            raise UserError(
                f"windows begin at {', '.join(f'{start:g}' for start in windows) or 'no time'} s; give times between 0 "
                f"and {latest_s:.2f} s, at which windows of {timeline.window_s:g} s fit into the recording"
            )
        return [round(start * rate_hz) for start in windows]
    if windows < 1:
        raise UserError(f"windows is {windows}; give at least 1, or the times at which windows begin")
    classes = timeline.probabilities
    column = None if target is None else model.index_of(target, classes.shape[1])
    interest = classes.amax(1) if column is None else classes[:, column]
    chosen: list[float] = []
    for number in interest.argsort(descending=True, stable=True).tolist():
        start = float(timeline.starts_s[number])
        if len(chosen) < windows and all(abs(start - other) >= timeline.window_s for other in chosen):
            chosen.append(start)
    return [round(start * rate_hz) for start in chosen]
