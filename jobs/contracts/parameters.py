"""The best parameters that a tune step found: a folder with ``parameters.json``, written last, beside the report.

A train step with an input ``parameters`` trains with them: they take the place of its own parameters of the same names.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs.contracts import fingerprint as fingerprints
from jobs.contracts import storage
from jobs.contracts.errors import InputError, IntegrityError

CONTRACT = 1
PARAMETERS = "parameters.json"


class Parameters(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    contract: int = CONTRACT
    params: dict[str, Any] = Field(description="of the best trial: what was searched, and what was given for all trials")
    metric: str
    value: float = Field(description="of the best trial, on the validation part")
    trials: int
    dataset: str = Field(description="fingerprint")
    recorded: dict[str, Any] = Field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """Of the parameters alone: a search that finds the same ones again trains nothing anew."""
        return fingerprints.of({"contract": self.contract, "params": self.params})


def load(uri: str) -> Parameters:
    """Errors: InputError when there are none; IntegrityError when they do not validate."""
    where = storage.join(uri, PARAMETERS)
    if not storage.exists(where):
        raise InputError("there are no parameters here", where=uri, hint="run the tune step; parameters.json is written last")
    try:
        return Parameters.model_validate_json(storage.read_bytes(where))
    except ValidationError as error:
        raise IntegrityError(f"parameters.json does not validate: {error.errors()[0]['msg']}", where=where, hint="run the tune step again") from error
