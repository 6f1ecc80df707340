"""Any metric of the installed Quantus as a metric here."""

import copy
import importlib
import random
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import InitVar, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from audioxai.core import Explainer
from audioxai.metrics.batch import Batch
from audioxai.metrics.functions import Adapter, named_as
from audioxai.metrics.registry import entry_of
from audioxai.registry import MetricEntry
from audioxai.utils.errors import UserError
from audioxai.utils.names import nearest
from audioxai.utils.seeding import content_key, derived_seed

QUIET = {"disable_warnings": True, "display_progressbar": False}


@dataclass(frozen=True, kw_only=True)
class FromQuantus(Adapter):
    """A metric of Quantus, computed sample by sample, so that no score depends on the batch.

    Parameters
    ----------
    metric : str, type or object
        A metric of Quantus: its name, its class, or an instance. An instance is copied, never changed.
    options : mapping, optional
        Plain values, for a name or a class.
    explainer : Explainer, optional
        The method under test, for metrics that explain again.
    softmax : bool, optional
        Whether the model's probabilities are read instead of its logits; Quantus's own choice if not given.
    reduce : {"none", "mean"}
        What is done where Quantus returns several numbers for a sample, a curve for instance: refuse, or average.
    seed : int
        Of everything random in Quantus, together with the sample's values. Global random states are put back.

    Notes
    -----
    Needs the extra ``compare``. Quantus computes in single precision. Constant attributions, which Quantus refuses for
    the whole batch, are NaN for that sample. Metrics that compare samples with each other (Consistency, Sufficiency)
    have no answer for one sample.

    Examples
    --------
    >>> metric = FromQuantus(metric="Monotonicity", name="monotonicity", options={"features_in_step": 16})
    ... # doctest: +SKIP
    """

    metric: InitVar[Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    explainer: Explainer | None = None
    softmax: bool | None = None
    reduce: Literal["none", "mean"] = "none"
    seed: int = 0
    family: str = "quantus"  # type: ignore[misc]
    source: str = "Quantus"  # type: ignore[misc]

    def __post_init__(self, metric: Any) -> None:
        self._check_facts()
        if self.reduce not in ("none", "mean"):
            raise UserError(f"reduce is {self.reduce!r}; choose none or mean")
        object.__setattr__(self, "_origin", metric)
        if isinstance(metric, str):
            metric = quantus_class(metric)
        if isinstance(metric, type):
            metric = metric(**(QUIET | dict(self.options)))
        elif self.options:
            raise UserError("options are given with an instance, which has its own; give the class and options")
        if not callable(metric):
            raise UserError(f"metric is {metric!r}; give a name, a class or an instance of a Quantus metric")
        object.__setattr__(self, "_metric", metric)

    def scores(self, batch: Batch, attributions: Tensor, masks: Tensor | None, samples: Tensor) -> Tensor:
        """Scores of samples, each sent to Quantus as a batch of its own."""
        model = copy.deepcopy(batch.model).float().eval()
        metric = copy.deepcopy(vars(self)["_metric"])
        return torch.stack([self._score(metric, model, batch, attributions, masks, row) for row in samples.tolist()])

    def entry(self) -> MetricEntry:
        """Its entry for ``METRICS.add``, bound by ``explainer`` and ``seed``."""

        def make(explainer: Explainer | None = self.explainer, seed: int = self.seed) -> FromQuantus:
            return replace(self, metric=vars(self)["_origin"], explainer=explainer, seed=seed)

        return entry_of(self.name, self, named_as(make, type(vars(self)["_metric"])))

    def _score(
        self, metric: Any, model: nn.Module, batch: Batch, attributions: Tensor, masks: Tensor | None, row: int
    ) -> Tensor:
        given = attributions[row : row + 1]
        if bool(given.amax() == given.amin()):
            return torch.tensor(torch.nan, dtype=torch.float64)
        call: dict[str, Any] = {"softmax": self.softmax} if self.softmax is not None else {}
        with _seeded(derived_seed("quantus", self.name, self.seed, content_key(batch.inputs[row]))):
            found = metric(
                model=model,
                x_batch=_single(batch.inputs[row : row + 1]),
                y_batch=batch.targets[row : row + 1].cpu().numpy().copy(),
                a_batch=_single(given),
                s_batch=None if masks is None else masks[row : row + 1].cpu().numpy().copy(),
                channel_first=True,
                explain_func=None if self.explainer is None else self._explain,
                batch_size=1,
                device=str(batch.inputs.device),
                **call,
            )
        return torch.tensor(self._number(found), dtype=torch.float64)

    def _explain(self, model: nn.Module, inputs: Any, targets: Any, **_: object) -> Any:
        assert self.explainer is not None
        device = next(model.parameters()).device
        tensors = (torch.as_tensor(np.asarray(inputs), dtype=torch.float32, device=device), targets)
        classes = torch.as_tensor(np.asarray(targets), dtype=torch.int64, device=device)
        with torch.enable_grad():
            return self.explainer(model, tensors[0], classes).detach().cpu().numpy()

    def _number(self, found: Any) -> float:
        """The one number that Quantus returned for a sample, or the mean of several."""
        try:
            numbers = np.asarray(found, dtype=np.float64).flatten()
        except (TypeError, ValueError) as error:
            raise UserError(f"{self.label} returned {type(found).__name__}, which is no list of numbers") from error
        if len(numbers) != 1 and (self.reduce == "none" or len(numbers) == 0):
            raise UserError(
                f"{self.label} returned {len(numbers)} numbers for a sample; reduce='mean' averages several"
            )
        return float(numbers.mean())


def quantus_class(name: str) -> Any:
    """Metric class of the installed Quantus by its name.

    Raises
    ------
    UserError
        If Quantus is not installed or has no such metric.
    """
    try:
        quantus = importlib.import_module("quantus")
    except ImportError as error:
        raise UserError("Quantus is not installed; install the extra with pip install 'audioxai[compare]'") from error
    known = {key: value for key, value in vars(quantus).items() if isinstance(value, type) and key[:1].isupper()}
    if name not in known:
        raise UserError(f"Quantus has no metric {name!r}{nearest(name, known)}")
    return known[name]


def _single(values: Tensor) -> Any:
    return values.detach().float().cpu().numpy().copy()


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Global random states seeded inside and put back outside; Quantus draws from all of them, and warns a lot."""
    before = np.random.get_state(), random.getstate()  # noqa: NPY002 (what Quantus draws from)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        warnings.simplefilter("ignore")
        np.random.seed(seed % 2**32)  # noqa: NPY002
        random.seed(seed)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            np.random.set_state(before[0])  # noqa: NPY002
            random.setstate(before[1])
