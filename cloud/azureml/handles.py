"""Handles of Azure ML: ``azureml://<practice or subscription>/<group>/<workspace>/<job>``, and of a deployment ``…/<endpoint>/<deployment>``."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.contracts.errors import RequestError

SCHEME = "azureml://"
PRACTICE = "practice"
_OF_A_JOB, _OF_A_DEPLOYMENT = 4, 5  # parts


@dataclass(frozen=True)
class Handle:
    subscription: str
    group: str
    workspace: str
    name: str  # of a job or an endpoint
    deployment: str = ""

    def __str__(self) -> str:
        return SCHEME + "/".join(filter(None, (self.subscription, self.group, self.workspace, self.name, self.deployment)))

    @classmethod
    def parse(cls, text: str) -> Handle:
        """Errors: RequestError that shows the form."""
        parts = text.removeprefix(SCHEME).split("/")
        if not text.startswith(SCHEME) or len(parts) not in (_OF_A_JOB, _OF_A_DEPLOYMENT) or not all(parts):
            hint = f"handles look like {SCHEME}<practice or subscription>/<group>/<workspace>/<job>; `seatrial jobs` lists them"
            raise RequestError(f"not a handle of the azureml target: {text!r}", hint=hint)
        return cls(*parts)
