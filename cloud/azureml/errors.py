"""What azure-core, azure-identity and azure-ai-ml raise, as sentences: translated once, here, with the cause kept.

azure-core has retried throttling and lost connections by then; a job has its name before it is sent, so nothing is made twice.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from jobs.contracts.errors import RequestError, RunError, SeatrialError, SetupError

_SIGN_IN = 'sign in again: az login; for practice: eval "$(seatrial practice env)"'
_ROLES = "the caller needs the role AzureML Data Scientist on the workspace and Storage Blob Data Contributor on its storage (docs/guides/azure-ml.md)"
_QUOTA = ("quota", "QuotaExceeded", "OperationNotAllowed", "not enough cores")


@contextmanager
def translate(where: str) -> Iterator[None]:
    """Errors: SetupError for sign-in and connections, RequestError for what Azure refuses, RunError for what may pass by itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the SDK's import warns of marshmallow's future
        from azure.ai.ml.exceptions import MlException
        from azure.core import exceptions
        from marshmallow import ValidationError
    try:
        yield
    except exceptions.ClientAuthenticationError as error:  # azure-identity's errors are of this kind too
        raise SetupError(f"the Azure sign-in is missing or has run out: {_first_line(error)}", where=where, hint=_SIGN_IN) from error
    except exceptions.HttpResponseError as error:
        raise _of_service(error, where) from error
    except (exceptions.ServiceRequestError, exceptions.ServiceResponseError) as error:
        hint = "check the network, or whether practice is up: seatrial practice status"
        raise SetupError(f"Azure does not answer: {_first_line(error)}", where=where, hint=hint) from error
    except (MlException, ValidationError) as error:  # before AzureError, of which the first is a kind
        raise RequestError(_plain(error), where=where, hint="correct it in the job file's targets.azureml") from error
    except exceptions.AzureError as error:
        raise RunError(f"Azure failed: {_first_line(error)}", where=where, hint="run the same command again; nothing is made twice") from error


def _of_service(error: Exception, where: str) -> SeatrialError:
    status, text = int(getattr(error, "status_code", 0) or 0), _first_line(error)
    if status == 401:
        return SetupError(f"the Azure sign-in has run out: {text}", where=where, hint=_SIGN_IN)
    if any(word in text for word in _QUOTA):
        hint = "ask for fewer or smaller machines, wait until others end, or have the quota raised in the Azure portal"
        return RequestError(f"a quota is used up: {text}", where=where, hint=hint)
    if status == 403:
        return RequestError(f"not allowed: {text}", where=where, hint=_ROLES)
    if status == 429:
        return RunError(f"Azure is throttling requests: {text}", where=where, hint="wait a minute and run the same command again; nothing is made twice")
    if status >= 500 or not status:
        return RunError(f"Azure failed: {text}", where=where, hint="run the same command again; nothing is made twice")
    return RequestError(f"Azure refuses the request ({status}): {text}", where=where, hint="correct what it names in the job file or its targets.azureml")


def is_absent(error: Exception) -> bool:
    return int(getattr(error, "status_code", 0) or 0) == 404


def _first_line(error: Exception) -> str:
    return (str(getattr(error, "message", "") or error).strip().splitlines() or [type(error).__name__])[0]


def _plain(error: Exception) -> str:
    """The SDK paints its messages for a terminal, and its schema's end with where to read how YAML is written."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split()).partition(" If you are trying to configure")[0]
