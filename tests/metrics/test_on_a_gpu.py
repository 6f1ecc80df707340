"""Every metric on a GPU scores as on the CPU. Where there is no GPU these tests are left out."""

import pytest
import torch
from helpers.metric_cases import MODELS, case, masks_of, registered

from audioxai.metrics import METRICS
from audioxai.utils.hardware import select_device

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", METRICS)
def test_scores_are_those_of_the_cpu(name: str, dtype: torch.dtype, kind: str) -> None:
    device = select_device("cuda")
    given, there = case(kind, dtype), [thing.to(device) for thing in case(kind, dtype)]
    expected = registered(name)(*given, masks_of(given[1]))
    scores = registered(name)(*there, masks_of(given[1]).to(device))
    assert scores.device.type == "cuda"
    # In single precision sums of another order move what is a quotient of small differences by more.
    tolerance = 1e-5 if dtype == torch.float64 else 1e-3
    torch.testing.assert_close(scores.cpu(), expected, rtol=tolerance, atol=tolerance, equal_nan=True)
