"""Integrated Gradients adapted to sound, their peers and controls: by name, each for a stated number of gradients.

An adaptation is a combination of what counts as absent, a path, a rule, a score and what is done with the map. Those of
a name alone take spectrograms in dB, waveforms and images alike where that makes sense; ``PullBack`` and ``Bandwise``
explain waveforms in a domain of their own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from audioxai.baselines import (
    BandNoise,
    Baseline,
    Constant,
    DatasetMean,
    DatasetMedian,
    Inaudible,
    LowEnergy,
    NoiseFloor,
    NoisySilence,
    RandomBaseline,
    References,
    Silence,
    SpeechShapedNoise,
)
from audioxai.core import Explainer
from audioxai.domains import Domain, ErbBands, LogMel, Stft, Waveform
from audioxai.utils.errors import UserError
from audioxai.xai_methods.combinations import BalancedMean, Integrating, MeanOf, Smoothed
from audioxai.xai_methods.controls import Edges, Energy, RandomAttribution
from audioxai.xai_methods.explained_scores import Explained, Lead, Logit, LogOdds
from audioxai.xai_methods.line_methods import GuidedIntegratedGradients, Idgi
from audioxai.xai_methods.occlusion import Occlusion
from audioxai.xai_methods.ordered import OrderedIntegratedGradients
from audioxai.xai_methods.path_integral import PathIntegral
from audioxai.xai_methods.paths import (
    Amplified,
    FadeIn,
    FromDrawn,
    LevelCrossfade,
    Path,
    Shaken,
    Sharpening,
    Straight,
    WaveformCrossfade,
)
from audioxai.xai_methods.pullback import Bandwise, PullBack
from audioxai.xai_methods.quadrature import Midpoint, Right
from audioxai.xai_methods.smooth_grad import SmoothGrad

Kind = TypeVar("Kind", bound=Domain)

LOGIT = Logit()
FEWEST_GRADIENTS = 8
# The spread of the noise: 4 dB in levels, a twentieth of the range elsewhere.
SPREAD_SHARE = 0.05
# A curved path needs several steps in each draw; a straight one is best drawn anew for every gradient.
CROSSFADES = 4
SMOOTHING_CELLS = 1.5
DUAL_SMOOTHING_CELLS = 2.5
# The judge's ratio need not be known: paths through noise 10 dB below the clip leave it to be heard half of the way.
ORDERED_SNR_DB = 10.0


@dataclass(frozen=True, eq=False)
class Setting:
    """What adaptations are made from.

    Attributes
    ----------
    domain : Domain
        In which the model takes its inputs: log-mel levels in dB, waveforms or pixels.
    training_inputs : Tensor
        ``(samples, 1, *domain.shape)`` of the training part, from which baselines learn what is usual.
    gradients : int
        What an adaptation may spend on a sample.
    seed : int
        Of everything drawn at random.
    """

    domain: Domain
    training_inputs: Tensor
    gradients: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        if self.gradients < FEWEST_GRADIENTS:
            raise UserError(f"gradients is {self.gradients}; adaptations need at least {FEWEST_GRADIENTS}")
        if tuple(self.training_inputs.shape[1:]) != (1, *self.domain.shape) or len(self.training_inputs) == 0:
            due = ", ".join(map(str, (1, *self.domain.shape)))
            raise UserError(
                f"training inputs have shape {tuple(self.training_inputs.shape)} but the {self.domain.name} domain's "
                f"are (samples, {due}); make them by its analysis"
            )

    def of_kind(self, kind: type[Kind]) -> Kind:
        """The domain, where it is of this kind.

        Raises
        ------
        UserError
            If it is of another.
        """
        if isinstance(self.domain, kind):
            return self.domain
        raise UserError(f"this adaptation is made for {kind.name} inputs but the model's domain is {self.domain.name}")

    def along(self, path: Path, gradients: int | None = None, explained: Explained = LOGIT) -> PathIntegral:
        """Integral by the midpoint rule."""
        return PathIntegral(path, Midpoint(gradients or self.gradients), explained)

    def from_baseline(self, baseline: Baseline) -> PathIntegral:
        """Integral on the straight line from a baseline."""
        return self.along(Straight(baseline))

    def over_draws(self, path: Path, gradients: int | None = None, explained: Explained = LOGIT) -> PathIntegral:
        """Mean over as many random straight lines as there are gradients, one gradient on each."""
        return PathIntegral(path, Midpoint(1), explained, draws=gradients or self.gradients)

    def over_crossfades(self, path: Path, gradients: int | None = None) -> PathIntegral:
        """Mean over a few random curved paths."""
        budget = gradients or self.gradients
        draws = max(count for count in range(1, CROSSFADES + 1) if budget % count == 0)
        return PathIntegral(path, Midpoint(budget // draws), draws=draws)

    @property
    def halves(self) -> tuple[int, int]:
        """The gradients in two parts."""
        return self.gradients - self.gradients // 2, self.gradients // 2

    @property
    def silence(self) -> Silence:
        """No sound."""
        return Silence(self.domain)

    @property
    def spread(self) -> float:
        """Standard deviation of noise on inputs, in their unit."""
        low, high = self.domain.value_range
        return SPREAD_SHARE * (high - low)

    @property
    def fade(self) -> Path:
        """The input at every gain."""
        return FadeIn(self.domain.floor_db) if isinstance(self.domain, LogMel) else Amplified()

    @property
    def references(self) -> References:
        """Training inputs, one for every gradient."""
        return References.of(self.training_inputs, self.gradients, self.seed)

    @property
    def noise(self) -> BandNoise | SpeechShapedNoise:
        """Noise with the spectrum of the training inputs, as loud as each sample."""
        if isinstance(self.domain, LogMel):
            return BandNoise.of(self.training_inputs, self.domain.silence_value, seed=self.seed)
        self.of_kind(Waveform)
        return SpeechShapedNoise.of(self.training_inputs, seed=self.seed)

    @property
    def crossfade(self) -> Path:
        """From noise to the input at constant power."""
        noise = self.noise
        return LevelCrossfade(noise) if isinstance(noise, BandNoise) else WaveformCrossfade(noise)


def _silence(setting: Setting) -> PathIntegral:
    return setting.from_baseline(setting.silence)


def _low_energy_mask(setting: Setting) -> PathIntegral:
    setting.of_kind(LogMel)
    return setting.from_baseline(LowEnergy.of(setting.training_inputs))


def _noisy_silence(setting: Setting) -> PathIntegral:
    silence_value = setting.of_kind(LogMel).silence_value
    return setting.from_baseline(NoisySilence(NoiseFloor.of(setting.training_inputs), silence_value, setting.seed))


def _expected_noise(setting: Setting, gradients: int | None = None) -> PathIntegral:
    noise: RandomBaseline = setting.noise
    return setting.over_draws(FromDrawn(noise), gradients)


def _two_missingness(setting: Setting) -> MeanOf:
    """Half the gradients for each meaning of "absent": nothing, and something else."""
    silent, usual = setting.halves
    references = FromDrawn(setting.references)
    return MeanOf((setting.along(setting.fade, silent), setting.over_draws(references, usual)))


def _silence_and_noise(setting: Setting) -> MeanOf:
    silent, noisy = setting.halves
    return MeanOf((setting.along(setting.fade, silent), _expected_noise(setting, noisy)))


def _silence_and_crossfade(setting: Setting) -> MeanOf:
    silent, noisy = setting.halves
    return MeanOf((setting.along(setting.fade, silent), setting.over_crossfades(setting.crossfade, noisy)))


def _dual(setting: Setting) -> BalancedMean:
    """What the input is worth against silence and, over patches of cells, against noise as loud as itself, evenly.

    Noise hides whole patches: what a cell is worth there depends on its neighbours, and few gradients leave that noisy
    from cell to cell, so this part is smoothed and takes three quarters of the gradients, half of them on lines from
    noise and half on crossfades.
    """
    silent = setting.gradients // 4
    lines = (setting.gradients - silent) // 2
    crossfades = setting.over_crossfades(setting.crossfade, setting.gradients - silent - lines)
    noisy = MeanOf((_expected_noise(setting, lines), crossfades))
    return BalancedMean((setting.along(setting.fade, silent), Smoothed(noisy, DUAL_SMOOTHING_CELLS)))


def _ordered(setting: Setting, explained: Explained = LOGIT) -> OrderedIntegratedGradients:
    silence_value = setting.of_kind(LogMel).silence_value
    noise = BandNoise.of(setting.training_inputs, silence_value, ORDERED_SNR_DB, setting.seed)
    return OrderedIntegratedGradients(setting.silence, noise, setting.gradients - explained.passes, explained=explained)


def _pullback(setting: Setting) -> Explainer:
    domain = setting.of_kind(Waveform)
    return PullBack(Stft(domain.sample_rate_hz, domain.duration_s), Midpoint(setting.gradients))


def _bandwise(setting: Setting) -> Explainer:
    domain = setting.of_kind(Waveform)
    return Bandwise(ErbBands(domain.sample_rate_hz, domain.duration_s), rule=Midpoint(setting.gradients))


def _smoothed(make: Callable[[Setting], Integrating]) -> Callable[[Setting], Explainer]:
    return lambda setting: Smoothed(make(setting), SMOOTHING_CELLS)


def _leading(setting: Setting) -> Explainer:
    """One pass finds the rival, so one gradient less is left."""
    return setting.along(setting.fade, setting.gradients - Lead.passes, Lead())


ADAPTATIONS: dict[str, Callable[[Setting], Explainer]] = {
    # Integrated Gradients by what counts as absent.
    "plain": lambda setting: setting.from_baseline(Constant(0.0)),
    "silence": _silence,
    "median": lambda setting: setting.from_baseline(DatasetMedian.of(setting.training_inputs)),
    "low_energy_mask": _low_energy_mask,
    "noisy_silence": _noisy_silence,
    "mean": lambda setting: setting.from_baseline(DatasetMean.of(setting.training_inputs)),
    "expected": lambda setting: setting.over_draws(FromDrawn(setting.references)),
    "expected_noise": _expected_noise,
    "audible": lambda setting: setting.from_baseline(Inaudible(setting.of_kind(LogMel))),
    # By the path.
    "amplitude": lambda setting: setting.along(setting.fade),
    "crossfade": lambda setting: setting.over_crossfades(setting.crossfade),
    "smooth": lambda setting: setting.over_draws(Shaken(Straight(setting.silence), setting.spread, setting.seed)),
    # Two meanings of "absent" at once.
    "two_missingness": _two_missingness,
    "silence_and_noise": _silence_and_noise,
    "silence_and_crossfade": _silence_and_crossfade,
    "dual": _dual,
    # On paths that the map lays for itself.
    "ordered": _ordered,
    "ordered_contrastive": lambda setting: _ordered(setting, Lead()),
    # By the score.
    "contrastive": _leading,
    "log_odds": lambda setting: setting.along(setting.fade, explained=LogOdds()),
    # By what is done with the map.
    "silence_smoothed": _smoothed(_silence),
    "noise_smoothed": _smoothed(_expected_noise),
    "two_missingness_smoothed": _smoothed(_two_missingness),
    # Waveforms explained in time and frequency.
    "pullback": _pullback,
    "bandwise": _bandwise,
    # Peers.
    "guided": lambda setting: GuidedIntegratedGradients(setting.silence, setting.gradients),
    "idgi": lambda setting: Idgi(setting.silence, setting.gradients),
    "blur": lambda setting: setting.along(Sharpening(max(setting.domain.shape) / 4.0)),
    "smooth_grad": lambda setting: SmoothGrad(setting.spread, setting.gradients, seed=setting.seed),
    "occlusion": lambda setting: Occlusion(setting.silence),
    # Controls: what a method has to beat.
    "grad_x_level": lambda setting: PathIntegral(Straight(setting.silence), Right(1)),
    "energy": lambda setting: Energy(setting.silence),
    "edges": lambda _: Edges(),
    "random": lambda setting: RandomAttribution(setting.seed),
}


# What an adaptation is made for, where it is not for every domain.
ONLY_FOR: dict[str, type[Domain]] = {
    "low_energy_mask": LogMel,
    "noisy_silence": LogMel,
    "audible": LogMel,
    "ordered": LogMel,
    "ordered_contrastive": LogMel,
    "pullback": Waveform,
    "bandwise": Waveform,
}
OF_SOUND = ("expected_noise", "noise_smoothed", "crossfade", "silence_and_noise", "silence_and_crossfade", "dual")


def suited(domain: Domain) -> tuple[str, ...]:
    """Names of the adaptations that are made for inputs of a domain."""
    sound = isinstance(domain, LogMel | Waveform)
    return tuple(
        name
        for name in ADAPTATIONS
        if isinstance(domain, ONLY_FOR.get(name, object)) and (sound or name not in OF_SOUND)
    )


def adaptation(name: str, setting: Setting) -> Explainer:
    """Registered adaptation.

    Raises
    ------
    UserError
        If there is none of that name, or it is not made for the setting's domain.
    """
    if name not in ADAPTATIONS:
        raise UserError(f"adaptation is {name!r}; choose among {', '.join(ADAPTATIONS)}")
    return ADAPTATIONS[name](setting)
