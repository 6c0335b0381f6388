"""What AWS and botocore raise, as sentences: translated once, here, with the cause kept.

botocore has retried throttling and lost connections by then (standard mode, five attempts); nothing else is sent again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jobs.contracts.errors import RequestError, RunError, SeatrialError, SetupError

_SIGN_IN = "sign in again: aws sso login, or new AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
_POLICY = "give the caller the policy, and jobs the role, of cloud/sagemaker/setup/account.yaml (docs/guides/sagemaker.md)"

# Codes, what it is for us, in words, and what to do.
_KNOWN: tuple[tuple[set[str], type[SeatrialError], str, str], ...] = (
    ({"ExpiredToken", "ExpiredTokenException", "RequestExpired"}, SetupError, "the AWS token has expired", _SIGN_IN),
    (
        {"UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch", "MissingAuthenticationToken"},
        SetupError,
        "AWS does not know these credentials",
        _SIGN_IN,
    ),
    ({"AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "403"}, RequestError, "not allowed", _POLICY),
    (
        {"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded", "SlowDown"},
        RunError,
        "AWS is throttling requests",
        "wait a minute and run the same command again; nothing is sent twice",
    ),
    (
        {"ResourceLimitExceeded", "ServiceQuotaExceededException", "LimitExceededException"},
        RequestError,
        "a limit of the account is reached",
        "ask for fewer or smaller instances, wait until others end, or have the limit raised in Service Quotas",
    ),
)


@contextmanager
def translate(where: str) -> Iterator[None]:
    """Errors: SetupError for credentials and connections, RequestError for what AWS refuses, RunError for what may pass by itself."""
    from botocore import exceptions

    try:
        yield
    except exceptions.ClientError as error:
        raise _of_service(error, where) from error
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.ProfileNotFound) as error:
        hint = f'for practice: eval "$(seatrial practice env)"; for a real account {_SIGN_IN}'
        raise SetupError(f"no AWS credentials: {error}", where=where, hint=hint) from error
    except (exceptions.SSOError, exceptions.TokenRetrievalError, exceptions.CredentialRetrievalError) as error:
        raise SetupError(f"the AWS sign-in has run out: {error}", where=where, hint=_SIGN_IN) from error
    except exceptions.ParamValidationError as error:
        raise RequestError(str(error), where=where, hint="correct the job file's targets.sagemaker") from error
    except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
        hint = "check the network, or whether practice is up: seatrial practice status"
        raise SetupError(f"AWS does not answer: {error}", where=where, hint=hint) from error
    except exceptions.BotoCoreError as error:
        raise SetupError(f"AWS cannot be asked: {error}", where=where, hint="check the AWS variables and ~/.aws/config") from error


def _of_service(error: Exception, where: str) -> SeatrialError:
    code, message = code_of(error), message_of(error)
    for codes, kind, what, hint in _KNOWN:
        if code in codes:
            return kind(f"{what}: {message}", where=where, hint=hint)
    if status_of(error) >= 500:
        return RunError(f"AWS failed ({code}): {message}", where=where, hint="run the same command again; nothing is sent twice")
    return RequestError(f"AWS refuses the request ({code}): {message}", where=where, hint="correct what it names in the job file's targets.sagemaker")


def code_of(error: Exception) -> str:
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def message_of(error: Exception) -> str:
    return str(getattr(error, "response", {}).get("Error", {}).get("Message", "") or error)


def status_of(error: Exception) -> int:
    return int(getattr(error, "response", {}).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


_ABSENT = ("could not find", "does not exist", "not found")


def is_absent(error: Exception) -> bool:
    """SageMaker answers ValidationException for most things that it does not know; only the message tells them apart."""
    if code_of(error) in ("ResourceNotFound", "ResourceNotFoundException"):
        return True
    return code_of(error) == "ValidationException" and any(word in message_of(error).lower() for word in _ABSENT)


def is_taken(error: Exception) -> bool:
    if code_of(error) in ("ResourceInUse", "ConflictException"):
        return True
    return code_of(error) == "ValidationException" and "already exist" in message_of(error).lower()
