"""Statistics of clustered scores."""

from audio_xai.utils.statistics.bootstrap import difference_interval, mean_interval
from audio_xai.utils.statistics.interval import Interval
from audio_xai.utils.statistics.slopes import paired_slope_interval, slopes_per_doubling

__all__ = [
    "Interval",
    "difference_interval",
    "mean_interval",
    "paired_slope_interval",
    "slopes_per_doubling",
]
