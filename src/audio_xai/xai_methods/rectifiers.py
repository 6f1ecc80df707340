"""What a model is made of, as far as rules for ReLU modules care.

Guided backpropagation and DeepLift replace the gradient of ``nn.ReLU`` modules. A ReLU called as a function has no
module to replace, and both then return something else without a word; so the graph that autograd recorded is compared
with the modules that were called.
"""

from collections import Counter

from torch import Tensor, nn

from audio_xai.utils.errors import UserError
from audio_xai.xai_methods.calls import probe


def require_rectifier_modules(method: str, model: nn.Module, inputs: Tensor, targets: Tensor, *, once: bool) -> None:
    """Check that every ReLU of ``model`` is a module of its own kind, not in place (and, if ``once``, called once).

    Raises
    ------
    UserError
        Saying which ReLU is in the way of ``method`` and what to change.
    """
    rectifiers = {name: module for name, module in model.named_modules() if isinstance(module, nn.ReLU)}
    for name, module in rectifiers.items():
        if module.inplace:
            raise UserError(f"{method} cannot follow the in-place ReLU {name!r}; make it nn.ReLU(inplace=False)")
    calls: Counter[str] = Counter()
    hooks = [
        module.register_forward_hook(lambda *_, name=name: calls.update([name])) for name, module in rectifiers.items()
    ]
    try:
        scores = probe(model, inputs, targets)
    finally:
        for hook in hooks:
            hook.remove()
    recorded = _rectifications(scores)
    if recorded == 0:
        raise UserError(f"{method} needs a model with nn.ReLU modules but this one uses none; use another method")
    if recorded != calls.total():
        raise UserError(
            f"{method} found {recorded} ReLU operations but only {calls.total()} nn.ReLU modules; replace functional "
            "calls such as torch.relu by nn.ReLU modules"
        )
    reused = [name for name, count in calls.items() if count > 1]
    if once and reused:
        raise UserError(f"{method} cannot use the ReLU module {reused[0]!r} twice; give every ReLU a module of its own")


def _rectifications(scores: Tensor) -> int:
    """Number of ReLU operations in the graph behind ``scores``."""
    seen, pending, found = set(), [scores.grad_fn], 0
    while pending:
        node = pending.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        found += node.name().startswith("ReluBackward")
        pending.extend(parent for parent, _ in node.next_functions)
    return found
