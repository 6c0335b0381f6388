"""What a checkpoint holds of a model and its optimizer: whole tensors under plain names, however the workers share them.

    model.<name>                    as the module calls it
    optimizer.<number>.<name>       the moments of its parameter of this number

So a training can go on with another kind of sharding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from jobs.steps.parallel import is_sharded

MODEL, OPTIMIZER = "model.", "optimizer."


def collect(module: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """All tensors, on the CPU. Of a sharded module: every worker must call it, and rank 0 alone gets them."""
    weights, moments = _gathered(module, optimizer) if is_sharded(module) else (module.state_dict(), optimizer.state_dict()["state"])
    tensors = {MODEL + name: tensor for name, tensor in weights.items()}
    tensors |= {f"{OPTIMIZER}{number}.{name}": torch.as_tensor(value) for number, state in moments.items() for name, value in state.items()}
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def put_back(weights: Mapping[str, Tensor], moments: Mapping[str, Tensor], module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """The reverse, into a module and an optimizer of the same shape. ``moments``: "<parameter's number>.<name>".

    Of a sharded module: every worker must call it, with the tensors in the same order.
    """
    states: dict[int, dict[str, Tensor]] = {}
    for key, tensor in moments.items():
        number, _, name = key.partition(".")
        states.setdefault(int(number), {})[name] = tensor
    if is_sharded(module):
        _scatter(weights, states, module, optimizer)
        return
    module.load_state_dict(weights)
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})


def _gathered(module: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[dict[str, Any], dict[int, Any]]:
    from torch.distributed.checkpoint import state_dict  # here, because whole models need not wait 2 s for it

    options = state_dict.StateDictOptions(full_state_dict=True, cpu_offload=True)
    weights = state_dict.get_model_state_dict(module, options=options)
    moments: Any = state_dict.get_optimizer_state_dict(module, optimizer, options=options).get("state", {})  # rank 0's; the others' are empty
    numbers = {name: number for number, name in enumerate(_names(module))}
    return weights, {numbers[name]: state for name, state in moments.items()}


def _scatter(weights: Mapping[str, Tensor], states: Mapping[int, Any], module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    from torch.distributed.checkpoint import state_dict

    options, names = state_dict.StateDictOptions(full_state_dict=True), _names(module)
    groups = [{**group, "params": names} for group in optimizer.state_dict()["param_groups"]]  # there is one
    state_dict.set_model_state_dict(module, dict(weights), options=options)
    moments: Any = {"state": {names[number]: state for number, state in states.items()}, "param_groups": groups}
    state_dict.set_optimizer_state_dict(module, optimizer, moments, options=options)


def _names(module: nn.Module) -> list[str]:
    return [name for name, _ in module.named_parameters()]
