"""Randomisation: an explanation of this class and this model has to change with either.

Metrics
-------
* :class:`RandomLogit`: explain other classes instead.
* :class:`ModelParameterRandomisation`: draw the model's layers anew, one after the other from the top.
* :class:`SmoothMprt`: the same from the bottom, every explanation being a mean over noise.
* :class:`EfficientMprt`: draw all layers anew at once, which should make explanations more complex.
"""

from audioxai.metrics.randomisation.cascade import cascade, resettable
from audioxai.metrics.randomisation.efficient import EfficientMprt
from audioxai.metrics.randomisation.logit import RandomLogit
from audioxai.metrics.randomisation.parameters import ModelParameterRandomisation
from audioxai.metrics.randomisation.smooth import SmoothMprt

__all__ = ["EfficientMprt", "ModelParameterRandomisation", "RandomLogit", "SmoothMprt", "cascade", "resettable"]
