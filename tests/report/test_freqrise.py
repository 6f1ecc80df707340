"""FreqRISE's protocol: answer and table are those of rows whose order is known, the published numbers beside."""

import numpy as np
import pandas as pd
import pytest
from helpers.synthetic_results import method_entries, metric_entries, result_set

from audioxai.report.document import Bullets, Table
from audioxai.report.freqrise import PUBLISHED, freqrise_document
from audioxai.results import ResultSet

LEVELS = {"freqrise": 0.10, "lrp": 0.30, "integrated_gradients": 0.2, "energy": 0.2, "random": 0.5}


def study_results(**levels: float) -> ResultSet:
    """Six speakers of four clips each, in both kinds of bins; the short-time ones score a tenth more."""
    rng, rows = np.random.default_rng(0), []
    for domain, more in (("rfft", 0.0), ("stft", 0.1)):
        for clip in range(24):
            own = rng.normal(0.0, 0.01)
            for method, level in {**LEVELS, **levels}.items():
                rows.append(
                    {
                        "study": "freqrise",
                        "material": "labelled",
                        "modality": "audio",
                        "dataset": "fsdd",
                        "stand_in_for": None,
                        "split": "official",
                        "model": "audionet",
                        "training_seed": 0,
                        "domain": domain,
                        "resolution": 8_000,
                        "group": f"speaker {clip % 6}",
                        "sample": f"clip {clip}",
                        "method": method,
                        "metric": "positive_deletion",
                        "seed": 0,
                        "score": level + more + own + rng.normal(0.0, 0.005),
                    }
                )
    return result_set(
        pd.DataFrame(rows),
        study="freqrise",
        methods=method_entries(tuple(LEVELS)),
        metrics=metric_entries({"positive_deletion": False}),
    )


def test_the_answer_says_what_beats_the_amplitude_in_each_kind_of_bins() -> None:
    bullets = freqrise_document(study_results()).sections[0].blocks[0]
    assert isinstance(bullets, Bullets)
    whole, short, in_print = (str(item) for item in bullets.items)
    assert "fsdd, whole clip" in whole
    assert "fsdd, short time" in short
    for line in (whole, short):
        assert "by Freqrise" in line
        assert "lower than the amplitude's: Freqrise;" in line
        assert "higher than the amplitude's: Lrp." in line
    assert "0.175" in in_print


def test_the_table_has_means_bold_differences_from_the_amplitude_and_the_published_numbers() -> None:
    results = study_results()
    document = freqrise_document(results)
    table = next(block for section in document.sections for block in section.blocks if isinstance(block, Table))
    means = results.rows.groupby(["domain", "method"])["score"].mean()
    for row in table.rows:
        method = next(name for name, entry in results.methods.items() if entry.label == row[0].text)
        for cell, domain in zip(row[1:3], ("rfft", "stft"), strict=True):
            assert cell.value == pytest.approx(means[domain, method])
            assert cell.strong == (method in ("freqrise", "lrp", "random"))
        assert [cell.value for cell in row[3:]] == [own[method] for own in PUBLISHED.values()]
    assert "n = 24 scores per cell from 6 clusters" in table.caption
