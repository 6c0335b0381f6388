"""The exported graph against the module it came from."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from jobs.contracts.errors import RunError
from jobs.steps import export

WORDS, NUMBERS = np.zeros((3, 0), np.int64), np.array([[1.0], [2.0], [3.0]], np.float32)


class Branching(nn.Module):
    """What tracing cannot follow: it is traced with zeros."""

    def forward(self, categorical: Tensor, numeric: Tensor) -> Tensor:
        return numeric[:, 0] + 1 if numeric.sum() > 0 else numeric[:, 0]


def test_a_graph_that_lost_a_branch_is_refused() -> None:
    with pytest.warns(torch.jit.TracerWarning):
        graph = export.to_onnx(Branching(), 0, 1)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    taken = {each.name for each in session.get_inputs()}
    (answers,) = session.run(None, {name: value for name, value in (("categorical", WORDS), ("numeric", NUMBERS)) if name in taken})
    with pytest.raises(RunError, match=r"differs from the module by 3\.33e-01"):
        export.refuse_if_different(Branching()(torch.from_numpy(WORDS), torch.from_numpy(NUMBERS)).numpy(), answers)


@pytest.mark.parametrize(
    ("module", "graph", "passes"),
    [
        ([0.5, 0.1], [0.5, 0.1 + 2e-5], False),
        ([120.0, 0.001], [120.0, 0.001 + 2e-5], True),  # minutes: small answers are differences of large terms
        ([120.0, 0.001], [120.0, 0.002 + 2e-3], False),
        ([0.5, float("nan")], [0.5, float("nan")], False),
    ],
)
def test_the_tolerance_goes_with_the_largest_answer(module: list[float], graph: list[float], passes: bool) -> None:
    answers = np.array(module, np.float32), np.array(graph, np.float32)
    if passes:
        export.refuse_if_different(*answers)
    else:
        with pytest.raises(RunError, match="differs from the module"):
            export.refuse_if_different(*answers)
