"""The serving application as KubeRay's RayService deploys it: ``import_path: serve.ray_service:build`` in ``serveConfigV2``.

    args:
      model: flights         registered model name; else SEATRIAL_MODEL_NAME of the pod
      others: [delays]       further models, side by side with it in each replica
      alias: champion        which version answers: the one that this alias points to
      tracking_uri: http://seatrial-mlflow:5000    MLflow; else MLFLOW_TRACKING_URI of the pod
      replicas: 1            how many; `deployments:` of the same file overrides this and everything else of a deployment

Host and port are ``http_options`` of the same file. Without a version under the alias it is live and not ready; once there is
one, each replica loads it by itself. Credentials for MLflow are variables of the pods, never arguments: Serve shows those.
"""

from __future__ import annotations

import os
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs.contracts.errors import SpecError, complaint
from jobs.control.mlflow_http import check_address
from serve.ray_app import LOGGING, deployment


class Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(default_factory=lambda: os.environ.get("SEATRIAL_MODEL_NAME", ""), min_length=1, validate_default=True)
    others: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    alias: str = Field(default="champion", min_length=1)
    tracking_uri: str = Field(
        default_factory=lambda: os.environ.get("MLFLOW_TRACKING_URI", ""), pattern=r"^(https?://|sqlite:///)[^\s]+$", validate_default=True
    )
    replicas: int = Field(default=1, ge=1)


def build(args: dict[str, Any]) -> Any:
    """A Ray Serve application (``ray.serve.Application``); nothing is read from the registry here.

    Errors: SpecError for arguments that are wrong, SetupError for credentials in the address.
    """
    try:
        given = Arguments.model_validate(args)
    except ValidationError as error:
        what, where = complaint(error)
        raise SpecError(
            what,
            where=f"args.{where}",
            hint="serveConfigV2 may give model, others, alias, tracking_uri, replicas; the first and fourth may be SEATRIAL_MODEL_NAME, MLFLOW_TRACKING_URI",
        ) from error
    check_address(given.tracking_uri)
    return deployment(given.replicas).options(logging_config=LOGGING).bind((given.model, *given.others), given.tracking_uri, given.alias)
