"""Amazon SageMaker AI as a target: requests are built and validated here before they are sent.

create      the backend of the row in ``jobs.control.backend``; boto3 is imported only when a method talks to Amazon
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloud.sagemaker.sagemaker_backend import SageMakerBackend
    from jobs.control.home import Home
    from jobs.control.spec import Targets


def create(home: Home, targets: Targets) -> SageMakerBackend:
    from cloud.sagemaker.sagemaker_backend import SageMakerBackend

    return SageMakerBackend(home, targets.sagemaker)
