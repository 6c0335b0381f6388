"""An Azure Machine Learning workspace as a target: requests are CLI-v2 documents, built and validated here before they are sent.

create      the backend of the row in ``jobs.control.backend``; azure-ai-ml is imported only when a method talks to Azure
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloud.azureml.azureml_backend import AzureMLBackend
    from jobs.control.home import Home
    from jobs.control.spec import Targets


def create(home: Home, targets: Targets) -> AzureMLBackend:
    from cloud.azureml.azureml_backend import AzureMLBackend

    return AzureMLBackend(home, targets.azureml)
