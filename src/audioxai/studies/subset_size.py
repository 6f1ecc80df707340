"""Supplement to Objective 1: faithfulness correlation with subsets of a fixed number of features and of a fraction.

The reference implementation removes 224 features of every input, whatever its size: 29 % of a 28 × 28 image and 1.4 %
of a 128 × 128 spectrogram. Both definitions are computed on the models, samples and attributions of Objective 1.
"""

from dataclasses import replace

from audioxai.experiment import MetricSpec, Study
from audioxai.report.subset_size import subset_size_document
from audioxai.studies import objective1
from audioxai.studies.options import context_of

NAME = "subset_size"
QUESTION = (
    "Does it change which explanation method comes out best whether faithfulness correlation removes a fixed number of "
    "features or a fraction of the input?"
)
DOCUMENT = subset_size_document
PROFILES = objective1.PROFILES
FIXED_FEATURES = 224


def declare(config: objective1.Objective1Config) -> Study:
    """The study that a configuration of Objective 1 describes."""
    fraction = MetricSpec("faithfulness_correlation", "faithfulness_fraction", label="10 % of the input", short="10 %")
    fixed = MetricSpec(
        "faithfulness_correlation",
        "faithfulness_fixed",
        {"features": FIXED_FEATURES},
        label=f"{FIXED_FEATURES} features",
        short=str(FIXED_FEATURES),
    )
    return replace(
        objective1.declare(config),
        name=NAME,
        title="Faithfulness correlation: a fixed number of features or a fraction of the input",
        question=QUESTION,
        metrics=(fraction, fixed),
        context=context_of(config, PROFILES, "experiments/objective1/subset_size.py"),
        document=DOCUMENT,
    )
