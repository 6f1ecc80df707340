"""How much of a model's decision rests on what nobody can hear."""

import torch
from torch import Tensor, nn

from audioxai.baselines import Inaudible, Silence
from audioxai.core import target_scores
from audioxai.domains import LogMel
from audioxai.utils.hardware import slices
from audioxai.xai_methods.calls import prepared
from audioxai.xai_methods.path_integral import call_size


def inaudible_share(model: nn.Module, inputs: Tensor, targets: Tensor, domain: LogMel) -> Tensor:
    """Share of the change of the logit from silence that is there before anything can be heard, ``(batch,)``.

    Parameters
    ----------
    model : nn.Module
        Takes levels of the domain.
    inputs : Tensor
        Levels in dB, ``(batch, 1, bands, frames)``.
    targets : Tensor
        Class indices ``(batch,)``.
    domain : LogMel
        Of the inputs.

    Returns
    -------
    Tensor
        (F(L̃) − F(L_f)) / (F(L) − F(L_f)), L̃ the inputs cut down to their masking threshold; NaN where the logit does
        not change at all. The rest is what the attributions of the path from L̃ sum to.
    """

    def share(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
        points = (inputs, Inaudible(domain)(inputs), Silence(domain)(inputs))
        whole, unheard, silent = (_scores(model, one, targets) for one in points)
        return torch.where(whole == silent, torch.nan, (unheard - silent) / (whole - silent))

    return prepared(model, inputs, targets, share)


def _scores(model: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    with torch.no_grad():
        parts = slices(len(inputs), call_size(inputs))
        return torch.cat([target_scores(model, inputs[rows], targets[rows]) for rows in parts])
