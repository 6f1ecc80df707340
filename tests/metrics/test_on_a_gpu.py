"""Every metric on a GPU scores as on the CPU. Where there is no GPU these tests are left out."""

import dataclasses

import pytest
import torch
from helpers.metric_cases import kinds_of, metric_case, registered

from audioxai.metrics import METRICS
from audioxai.utils.hardware import select_device

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", METRICS)
def test_scores_are_those_of_the_cpu(name: str, dtype: torch.dtype) -> None:
    device = select_device("cuda")
    for kind in kinds_of(name):
        here, there = metric_case(kind, dtype), metric_case(kind, dtype)
        moved = {field.name: getattr(there, field.name).to(device) for field in dataclasses.fields(there)}
        scores = dataclasses.replace(there, **moved).scores(registered(name))
        assert scores.device.type == "cuda"
        # In single precision sums of another order move what is a quotient of small differences by more.
        tolerance = 1e-5 if dtype == torch.float64 else 1e-3
        expected = here.scores(registered(name))
        torch.testing.assert_close(scores.cpu(), expected, rtol=tolerance, atol=tolerance, equal_nan=True)
