"""Statistics of clustered scores: intervals, tests, effect sizes, ranks and noise.

Which function for which question
---------------------------------
* a paired difference of two methods, with everything: :func:`compare`; several with Holm's correction:
  :func:`compare_with`, :func:`compare_all`, :func:`comparison_matrix`
* one mean with an interval that holds for 6 speakers too: :func:`cluster_mean` (every speaker alike, the default),
  :func:`score_mean` (every score alike); two independent groups: :func:`contrast`; several datasets:
  :func:`pooled_mean`; training seeds as a sample: :func:`crossed_interval`
* a cluster bootstrap interval (BCa) of a mean or paired difference over many clusters: :func:`mean_interval`
* trend over resolutions: :func:`score_mean` of :func:`slopes_per_doubling`
* who leads: :func:`critical_difference`, :func:`rank_stability`, :func:`friedman_p`
* what the metric's own randomness makes: :func:`metric_noise`

``benchmarks/statistics_coverage.py`` shows how often these intervals cover and these tests err.
"""

from audioxai.statistics.bootstrap import mean_interval
from audioxai.statistics.crossed import crossed_interval
from audioxai.statistics.effects import cohens_dz, rank_biserial, superiority
from audioxai.statistics.hypotheses import cluster_table, friedman_p, holm, signed_rank_p
from audioxai.statistics.interval import Interval
from audioxai.statistics.means import MeanEstimate, cluster_mean, contrast, pooled_mean, score_mean
from audioxai.statistics.noise import MetricNoise, metric_noise
from audioxai.statistics.paired import (
    Comparison,
    compare,
    compare_all,
    compare_with,
    comparison_matrix,
    paired_differences,
)
from audioxai.statistics.ranks import CriticalDifference, critical_difference, rank_stability
from audioxai.statistics.slopes import slopes_per_doubling

__all__ = [
    "Comparison",
    "CriticalDifference",
    "Interval",
    "MeanEstimate",
    "MetricNoise",
    "cluster_mean",
    "cluster_table",
    "cohens_dz",
    "compare",
    "compare_all",
    "compare_with",
    "comparison_matrix",
    "contrast",
    "critical_difference",
    "crossed_interval",
    "friedman_p",
    "holm",
    "mean_interval",
    "metric_noise",
    "paired_differences",
    "pooled_mean",
    "rank_biserial",
    "rank_stability",
    "score_mean",
    "signed_rank_p",
    "slopes_per_doubling",
    "superiority",
]
