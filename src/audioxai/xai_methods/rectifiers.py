"""What a model is made of, as far as rules for ReLU modules care.

Guided backpropagation and DeepLift replace the gradient of ``nn.ReLU`` modules. A ReLU called as a function has no
module to replace, and both then return something else without a word; so the graph that autograd recorded is compared
with the modules that were called.
"""

from collections import Counter

from torch import Tensor, nn

from audioxai.utils.errors import UserError
from audioxai.xai_methods.calls import probe

IN_PLACE_KINDS = (nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SiLU)


def require_rectifier_modules(method: str, model: nn.Module, inputs: Tensor, targets: Tensor) -> int:
    """Check that every ReLU of ``model`` is a module and not in place, and return how many are called.

    Raises
    ------
    UserError
        Saying which ReLU is in the way of ``method`` and what to change.
    """
    for name, module in model.named_modules():
        if isinstance(module, IN_PLACE_KINDS) and module.inplace:
            kind = type(module).__name__
            raise UserError(f"{method} cannot follow the in-place {kind} {name!r}; make it nn.{kind}(inplace=False)")
    rectifiers = [module for module in model.modules() if isinstance(module, nn.ReLU)]
    calls: Counter[nn.Module] = Counter()
    hooks = [module.register_forward_hook(lambda module, *_: calls.update([module])) for module in rectifiers]
    try:
        scores = probe(model, inputs, targets)
    finally:
        for hook in hooks:
            hook.remove()
    recorded = _rectifications(scores)
    if recorded != calls.total():
        raise UserError(
            f"{method} found {recorded} ReLU operations but only {calls.total()} nn.ReLU modules; replace functional "
            "calls such as torch.relu by nn.ReLU modules"
        )
    return recorded


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
