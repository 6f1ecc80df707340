"""Synthetic result rows whose answer is known because it was put there."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

METHODS = (
    "saliency",
    "input_x_gradient",
    "integrated_gradients",
    "guided_grad_cam",
    "deep_lift",
    "occlusion",
    "random",
)
LEVELS = {
    "faithfulness_correlation": 0.3,
    "average_sensitivity": 0.5,
    "sparseness": 0.6,
    "random_logit": 0.4,
    "mprt": 0.3,
}
RESOLUTIONS = {"audio": (32, 64, 128), "image": (28, 64, 128)}

MakeRows = Callable[..., pd.DataFrame]


def make_rows(
    audio_shift: float = 0.0,
    slope: float = 0.0,
    method_step: float = 0.03,
    samples: int = 30,
    noise: float = 0.1,
    stand_in: bool = False,
    methods: Sequence[str] = METHODS,
    seed: int = 0,
) -> pd.DataFrame:
    """Rows where audio faithfulness lies ``audio_shift`` above images' and rises ``slope`` a doubling."""
    generator = np.random.default_rng(seed)
    index = pd.MultiIndex.from_tuples(
        [
            (modality, resolution, method, metric, training_seed, sample)
            for modality, resolutions in RESOLUTIONS.items()
            for resolution in resolutions
            for method in methods
            for metric in LEVELS
            for training_seed in (0, 1)
            for sample in range(samples)
        ],
        names=["modality", "resolution", "method", "metric", "training_seed", "sample"],
    )
    rows = index.to_frame(index=False)
    audio = rows["modality"] == "audio"
    faithful = rows["metric"] == "faithfulness_correlation"
    position = rows["method"].map(list(methods).index)
    score = rows["metric"].map(LEVELS) + noise * generator.normal(size=len(rows))
    score += 0.5 * noise * generator.normal(size=samples)[rows["sample"]]
    score -= faithful * method_step * position
    score += faithful * (audio * audio_shift + slope * np.log2(rows["resolution"] / 64))
    speakers = "s" + (rows["sample"] % 10).map("{:02d}".format)
    names = {"audio": "spoken_digits", "image": "bundled_digits"} if stand_in else {"audio": "fsdd", "image": "mnist"}
    replaced = {"audio": "audio_mnist", "image": "mnist"} if stand_in else {"audio": None, "image": None}
    return rows.assign(
        study="objective1",
        dataset=rows["modality"].map(names),
        stand_in_for=rows["modality"].map(replaced),
        split="fold 1",
        group=speakers.where(audio, None),
        material="clips",
        gradients=0,
        sample=rows["modality"] + rows["sample"].map("{:04d}".format),
        label=rows["sample"] % 10,
        prediction=rows["sample"] % 10,
        model="small_cnn",
        checkpoint="0" * 64,
        domain=rows["modality"].map({"audio": "log_mel", "image": "pixels"}),
        baseline="silence",
        seed=0,
        score=score,
        passes=10,
        map_passes=32,
        seconds=0.01,
        standard_error=float("nan"),
    )
