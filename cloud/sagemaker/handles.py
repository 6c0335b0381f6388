"""Handles of SageMaker's jobs and endpoints: ``sagemaker://<practice or account>/<region>/<kind>/<name>``."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.contracts.errors import RequestError

SCHEME = "sagemaker://"
PRACTICE = "practice"
TRAINING, PROCESSING, ENDPOINT = "training", "processing", "endpoint"
KINDS = (TRAINING, PROCESSING, ENDPOINT)


@dataclass(frozen=True)
class Handle:
    account: str
    region: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.account}/{self.region}/{self.kind}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Handle:
        """Errors: RequestError that shows the form."""
        parts = text.removeprefix(SCHEME).split("/")
        if not text.startswith(SCHEME) or len(parts) != 4 or not all(parts) or parts[2] not in KINDS:
            hint = f"handles look like {SCHEME}<practice or account>/<region>/<{' or '.join(KINDS)}>/<name>; `seatrial jobs` lists them"
            raise RequestError(f"not a handle of the sagemaker target: {text!r}", hint=hint)
        return cls(*parts)
