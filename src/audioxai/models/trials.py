"""What can only be found out by trying: how a model takes waveforms, where its scores are, whether a gradient passes.

A model is tried on a clip, noise, silence, and the clip again, as one batch. It is refused where it takes none of the
layouts, or gives scores that are not finite, that are the same whatever the sound, or that differ when the same clip
comes again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from audioxai.core import (
    SUM_TOLERANCE,
    Activation,
    activation_of,
    all_finite,
    evaluating,
    last_operation,
    unchanged,
)
from audioxai.models.adapted import Adaptation, Adapted, Pool, singles
from audioxai.models.black_box import NO_GRADIENT, BlackBox
from audioxai.models.layouts import MONO, Key, Layout, key_of
from audioxai.utils.errors import UserError

# Scores of one clip, alone and in company, or twice, that differ by less of the largest score do so by rounding.
SAME = 1e-4
# Longest part of another error that is quoted.
QUOTED = 160


class NotTakenError(UserError):
    """A clip that a model takes in none of the layouts; it may take one of another length."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way of calling a model.

    Attributes
    ----------
    module : nn.Module
        The model.
    layout : Layout
        How it may take waveforms.
    """

    module: nn.Module
    layout: Layout


@dataclass(frozen=True, eq=False)
class Finding:
    """What a trial found.

    Attributes
    ----------
    module : nn.Module
        From waveforms ``(batch, 1, time)`` to logits; the model itself where nothing has to be done around it.
    activation, gradient, gradient_refused, notes
        As of :class:`~audioxai.models.loading.Model`.
    """

    module: nn.Module
    activation: Activation
    gradient: bool
    gradient_refused: str
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Trial:
    """A model that has not been tried, and what was said of it.

    Attributes
    ----------
    candidates : sequence of Candidate
        In the order in which they are tried.
    outputs : {"logits", "softmax", "sigmoid"} or None
        What its scores are; None where nothing was said.
    activation : {"softmax", "sigmoid"} or None
        What makes its logits probabilities; None where nothing was said.
    output : str, int or None
        Which entry of its output holds the scores; None where nothing was said.
    pool : {"mean", "max"} or None
        What becomes of scores per frame; the mean where nothing was said.
    frame_axis : int or None
        Axis of the scores ``(batch, …)`` that is time; None where nothing was said.
    class_count : int or None
        Number of classes.
    given : dict
        Further arguments of its ``forward``.
    any_length : bool
        Whether clips of another length may be tried too.
    one_by_one : bool
        Whether it takes one clip at a time only.
    """

    candidates: Sequence[Candidate]
    outputs: str | None = None
    activation: Activation | None = None
    output: Key = None
    pool: Pool | None = None
    frame_axis: int | None = None
    class_count: int | None = None
    given: dict[str, Any] | None = None
    any_length: bool = True
    one_by_one: bool = False

    def run(self, waveform: Tensor) -> Finding:
        """Try the model on a clip ``(1, 1, time)``.

        Raises
        ------
        UserError
            If it is refused.
        """
        with torch.inference_mode(mode=False):
            return self._found(waveform.detach().clone())

    def _found(self, waveform: Tensor) -> Finding:
        clips = torch.cat([waveform, _other(waveform), torch.zeros_like(waveform), waveform])
        adapted, scores = self._taken(clips)
        adapted = self._with_frames(adapted, scores, waveform)
        self._check_probabilities(adapted, scores, waveform)
        adapted, scores = _away_from_silence(adapted, scores, clips)
        logits = adapted.pooled(scores)
        self._check_logits(logits, clips)
        adapted = _alone_if_needed(adapted, waveform, scores[[0, -1]])
        refused = gradient_refused(adapted, waveform)
        activation: Activation = "sigmoid" if logits.shape[1] == 1 else adapted.activation
        if activation != adapted.activation:
            adapted = Adapted(adapted.inner, adapted.adaptation, activation, adapted.given)
        plain = adapted.adaptation == Adaptation() and not adapted.given and not _needs_care(adapted.inner)
        bare = plain and activation_of(adapted.inner) == activation and scores.ndim == 2
        module = adapted.inner if bare else adapted
        return Finding(module, activation, not refused, refused, tuple(self._notes(adapted)))

    # --- How it takes waveforms ---------------------------------------------------------------------------------------

    def _taken(self, clips: Tensor) -> tuple[Adapted, Tensor]:
        """The first candidate that takes the clips, and its scores ``(4, …)``; a batch is tried before single clips."""
        reasons: list[tuple[Layout, str]] = []
        kept: tuple[Adapted, Tensor] | None = None
        for alone in (True,) if self.one_by_one else (False, True):
            for candidate in self.candidates:
                if candidate.layout.batched or alone:
                    found = self._attempt(candidate, alone, clips)
                    if isinstance(found, str):
                        reasons.append((candidate.layout, found))
                    elif _keeps_channel(*found):
                        kept = kept or found
                    else:
                        return found
            if kept is not None:
                return kept
        # The first reason is that of the layout which most models take.
        layouts = ", ".join(dict.fromkeys(str(layout) for layout, _ in reasons))
        raise NotTakenError(
            f"the model takes clips of {clips.shape[-1]} samples in none of the layouts {layouts} ({reasons[0][1]}); "
            "give duration_s if it takes one length only, or wrap it in a module that takes (batch, 1, time) and "
            "returns scores (batch, classes)"
        )

    def _attempt(self, candidate: Candidate, alone: bool, clips: Tensor) -> tuple[Adapted, Tensor] | str:
        """The candidate with the scores of the clips, or why it does not take them."""
        adaptation = Adaptation(
            candidate.layout, pool=self.pool or "mean", probabilities=self._probabilities(), one_by_one=alone
        )
        adapted = Adapted(candidate.module, adaptation, self._activation(candidate.module), self.given)
        parts = singles(clips) if alone else [clips]
        try:
            with torch.no_grad(), evaluating(adapted):
                first = adapted.output(parts[0].clone())
                key = key_of(first, len(parts[0]), class_count=self.class_count, wanted=self.output)
                adapted.adaptation = replace(adaptation, key=key)
                scores, one = adapted.scores(clips.clone()), adapted.scores(clips[:1].clone())
        except UserError:
            raise
        except Exception as error:  # noqa: BLE001 (a model may raise anything at a layout that is not its own)
            return f"{type(error).__name__}: {' '.join(str(error).split())}"[:QUOTED]
        if tuple(scores.shape) != (len(clips), *one.shape[1:]) or len(one) != 1 or scores.ndim > 3:
            return f"it returned shape {tuple(scores.shape)} for {len(clips)} clips"
        return adapted, scores

    def _probabilities(self) -> Activation | None:
        return None if self.outputs in (None, "logits") else self.outputs  # type: ignore[return-value]

    def _activation(self, module: nn.Module) -> Activation:
        return self._probabilities() or self.activation or activation_of(module)

    # --- What its scores are ------------------------------------------------------------------------------------------

    def _with_frames(self, adapted: Adapted, scores: Tensor, waveform: Tensor) -> Adapted:
        """The model with the axis of its frames, where it has one."""
        axis = self._frame_axis(adapted, scores, waveform)
        if axis is not None and 2 * scores.shape[axis] > waveform.shape[-1]:
            raise UserError(
                f"the model returns shape {_shown(scores.shape[1:])} for {waveform.shape[-1]} samples, which is sound "
                "and no scores of frames; give a model that classifies"
            )
        adapted.adaptation = replace(adapted.adaptation, frame_axis=axis)
        return adapted

    def _frame_axis(self, adapted: Adapted, scores: Tensor, waveform: Tensor) -> int | None:
        sizes = tuple(scores.shape[1:])
        if self.frame_axis is not None:
            if not 1 <= self.frame_axis <= len(sizes):
                raise UserError(
                    f"frame_axis is {self.frame_axis} but the model returns scores of shape {_shown(sizes)}; "
                    f"give 1 to {max(1, len(sizes))}"
                )
            return self.frame_axis
        if not sizes or (len(sizes) == 1 and sizes[0] in (1, self.class_count)):
            return None
        if len(sizes) == 2 and (self.class_count in sizes) and sizes[0] != sizes[1]:
            return 2 - sizes.index(self.class_count)
        growing = self._growing(adapted, scores, waveform)
        if len(growing) == 1:
            return growing[0]
        if len(sizes) == 1:
            return None
        raise UserError(
            f"the model returns scores of shape {_shown(sizes)}, of which either axis may be frames; "
            "give frame_axis=1 or frame_axis=2, or class_names"
        )

    def _growing(self, adapted: Adapted, scores: Tensor, waveform: Tensor) -> list[int]:
        """Axes of the scores that are longer for a clip of twice the length; none where it cannot be tried."""
        if not self.any_length:
            return []
        try:
            with torch.no_grad(), evaluating(adapted):
                longer = adapted.scores(waveform.repeat(1, 1, 2))
        except Exception:  # noqa: BLE001 (a model of one length may raise anything)
            return []
        if longer.ndim != scores.ndim:
            return []
        return [axis for axis in range(1, scores.ndim) if longer.shape[axis] > scores.shape[axis]]

    def _check_probabilities(self, adapted: Adapted, scores: Tensor, waveform: Tensor) -> None:
        """Refuse scores that are not what they are said to be, and probabilities of which nothing was said."""
        low, high = float(scores.nan_to_num().min()), float(scores.nan_to_num().max())
        kind, within = self._probabilities(), 0.0 <= low < high <= 1.0
        if kind is not None and not within and low < high:
            raise UserError(f"outputs is {kind!r} but the model returns {low:.3g}…{high:.3g}; give outputs='logits'")
        of_softmax = _sums_to_1(scores, adapted.adaptation.frame_axis)
        if kind == "softmax" and not of_softmax:
            raise UserError("outputs is 'softmax' but the scores of a clip do not add up to 1; give outputs='sigmoid'")
        if self.outputs is not None or not within:
            return
        # Numbers in [0, 1] may be logits too: the last operation decides, and where it cannot be seen the user does.
        likely = "softmax" if of_softmax else "sigmoid"
        opaque = isinstance(adapted.inner, BlackBox | torch.jit.ScriptModule)
        if of_softmax or opaque or _last_of(adapted, waveform).startswith("Sigmoid"):
            raise UserError(
                f"the model returns {low:.3g}…{high:.3g}, as probabilities of a {likely}, but logits are explained; "
                f"give load_model(..., outputs={likely!r}), or outputs='logits' if they are logits"
            )

    def _check_logits(self, logits: Tensor, clips: Tensor) -> None:
        if logits.ndim != 2 or len(logits) != len(clips):
            raise UserError(
                f"the model returned shape {tuple(logits.shape)} for {len(clips)} clips; it has to return scores "
                "(batch, classes)"
            )
        if not all_finite(logits):
            where = "silence" if all_finite(logits[[0, 1, 3]]) else "a clip"
            raise UserError(f"the model returned NaN or infinite scores for {where}; check its weights and its unit")
        if self.class_count is not None and logits.shape[1] != self.class_count:
            raise UserError(
                f"there are {self.class_count} class names but the model returns {logits.shape[1]} scores; give one "
                "name per score"
            )
        if bool(((logits - logits[:1]).abs() <= 1e-6 * logits.abs().max()).all()):
            raise UserError(
                "the model returns the same scores for two different clips and for silence, so they say nothing of the "
                "sound; check its weights and what it does with its input"
            )

    # --- What a reader has to know ------------------------------------------------------------------------------------

    def _notes(self, adapted: Adapted) -> list[str]:
        how, notes = adapted.adaptation, []
        if how.layout != MONO:
            notes.append(f"waveforms are given as {how.layout}")
        if how.key is not None and how.key != "logits":
            notes.append(f"the scores are output {how.key!r}")
        if how.probabilities is not None:
            notes.append(f"the model returns probabilities of a {how.probabilities}, which are made logits")
        if how.frame_axis is not None:
            notes.append(f"the logits of all frames are pooled by their {how.pool}")
        if adapted.given:
            notes.append(
                "given to every call: " + ", ".join(f"{name}={value}" for name, value in adapted.given.items())
            )
        if hasattr(adapted.inner, "reset_states"):
            notes.append("the model's state is reset before every call")
        if how.one_by_one and how.layout.batched:
            notes.append("clips go through the model one by one")
        if how.dither:
            notes.append("noise of −120 dB is added to every sound: in digital silence the model is not defined")
        return notes


def _keeps_channel(adapted: Adapted, scores: Tensor) -> bool:
    """Whether scores ``(batch, 1, …)`` may have their second axis from that of the channels, which a layer let pass."""
    return "channels" in adapted.adaptation.layout.axes and scores.ndim == 3 and scores.shape[1] == 1


def _needs_care(inner: nn.Module) -> bool:
    """Whether a model has to be wrapped although it takes waveforms: its state, type or device differ."""
    own = next((tensor for tensor in inner.parameters() if tensor.is_floating_point()), None)
    differs = own is not None and (own.dtype != torch.float32 or own.device.type != "cpu")
    return differs or callable(getattr(inner, "reset_states", None))


def _other(waveform: Tensor) -> Tensor:
    """Noise as loud as the clip."""
    random = torch.Generator().manual_seed(1)
    noise = torch.randn(waveform.shape, generator=random, dtype=waveform.dtype)
    return (noise * waveform.square().mean().sqrt()).clamp(-1.0, 1.0)


def _shown(sizes: Sequence[int]) -> str:
    return f"({', '.join(('batch', *map(str, sizes)))})"


def _sums_to_1(scores: Tensor, frame_axis: int | None) -> bool:
    """Whether the scores of all classes are probabilities of a softmax; ones among zeros are votes."""
    classes = scores.reshape(len(scores), -1) if frame_axis is None else scores.movedim(frame_axis, 1)
    if classes.ndim < 3 and (frame_axis is not None or classes.shape[1] < 2):
        return False
    values = classes.double()
    votes = bool(((values == 0.0) | (values == 1.0)).all())
    return not votes and bool((values >= 0.0).all()) and bool(((values.sum(-1) - 1.0).abs() <= SUM_TOLERANCE).all())


def _last_of(adapted: Adapted, waveform: Tensor) -> str:
    """The last operation of the scores, as autograd names it; empty where it does not know."""
    with unchanged(adapted), torch.enable_grad():
        return last_operation(adapted.scores(waveform.clone().requires_grad_(True).clone()))


def _away_from_silence(adapted: Adapted, scores: Tensor, clips: Tensor) -> tuple[Adapted, Tensor]:
    """The model with a little noise where its scores or its gradient are not numbers in digital silence."""
    if not all_finite(scores[[0, 1, 3]]) or (all_finite(scores[2]) and _has_finite_gradient(adapted, clips[2:3])):
        return adapted, scores
    adapted.adaptation = replace(adapted.adaptation, dither=True)
    with torch.no_grad(), evaluating(adapted):
        return adapted, adapted.scores(clips)


def _has_finite_gradient(adapted: Adapted, waveform: Tensor) -> bool:
    """Whether the gradient holds only numbers; so it does where there is none."""
    gradient = _gradient(adapted, waveform)
    return isinstance(gradient, str) or all_finite(gradient)


def _alone_if_needed(adapted: Adapted, waveform: Tensor, in_company: Tensor) -> Adapted:
    """The model, clips one by one where their scores depend on those beside them.

    Raises
    ------
    UserError
        If the same clip has other scores when it comes again.
    """

    def alone() -> Tensor:
        with torch.no_grad(), evaluating(adapted):
            return adapted.scores(waveform)

    first = alone()
    if _same(first, in_company):
        return adapted
    if not _same(first, alone()):
        raise UserError(
            "the model returns other scores when the same clip comes again; take out what draws at random, and reset "
            "its state in forward or by a method reset_states()"
        )
    adapted.adaptation = replace(adapted.adaptation, one_by_one=True)
    return adapted


def _same(scores: Tensor, others: Tensor) -> bool:
    return bool(((scores - others).abs() <= SAME * others.abs().max().clamp_min(1e-3)).all())


def gradient_refused(module: nn.Module, waveform: Tensor) -> str:
    """Why no gradient of the largest logit reaches a clip ``(1, 1, time)``, in one sentence; empty where one does."""
    gradient = _gradient(module, waveform)
    if isinstance(gradient, str):
        return gradient
    if not all_finite(gradient):
        return "the gradient of the scores holds NaN or infinity at the clip"
    return "" if bool(gradient.any()) else "the gradient of the scores is zero at the clip, as of a function of steps"


def _gradient(module: nn.Module, waveform: Tensor) -> Tensor | str:
    """Gradient of the largest logit at a clip, or why there is none."""
    if isinstance(getattr(module, "inner", module), BlackBox):
        return NO_GRADIENT
    with torch.inference_mode(mode=False), unchanged(module), torch.enable_grad():
        point = waveform.detach().clone().requires_grad_(True)
        try:
            scores = module(point.clone()).max()
            if scores.grad_fn is None:
                return "the model's scores have no gradient at its input, as after no_grad, detach or NumPy"
            gradient: Tensor | None = torch.autograd.grad(scores, point, allow_unused=True)[0]
        except RuntimeError as error:
            return f"the gradient cannot be taken ({' '.join(str(error).split())[:QUOTED]})"
    if gradient is None:
        return "the model's scores have no gradient at its input, as after no_grad, detach or NumPy"
    return gradient
