"""Tokens: what a managed identity would get, for ``DefaultAzureCredential`` as it is.

Any token that has not expired is accepted: there is one caller, on this machine. The signature says nothing.
"""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from cloud.practice.azure.faults import Fault
from cloud.practice.settings import SUBSCRIPTION

HEADER = "practice"  # what IDENTITY_HEADER holds
_SECONDS = 24 * 3600


def issue(resource: str) -> dict[str, Any]:
    """The answer of App Service's identity endpoint, API version 2019-08-01."""
    expires = int(time.time()) + _SECONDS
    claims = {"aud": resource, "iss": "practice", "tid": SUBSCRIPTION, "oid": SUBSCRIPTION, "exp": expires, "name": "practice"}
    token = f"{_encoded({'alg': 'none', 'typ': 'JWT'})}.{_encoded(claims)}.practice"
    return {"access_token": token, "expires_on": str(expires), "resource": resource, "token_type": "Bearer", "client_id": SUBSCRIPTION}


def check(authorization: str) -> None:
    """Errors: Fault 401 without a bearer token and with one that is over."""
    kind, _, token = authorization.partition(" ")
    if kind.lower() != "bearer" or not token:
        raise Fault(401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.", headers=_CHALLENGE)
    if _expiry(token) < time.time():
        raise Fault(401, "ExpiredAuthenticationToken", "The access token expiry UTC time is earlier than the current UTC time.", headers=_CHALLENGE)


_CHALLENGE = {"WWW-Authenticate": 'Bearer error="invalid_token", error_description="The authentication failed."'}


def _expiry(token: str) -> float:
    """Seconds since the epoch; a token that is no JWT never expires."""
    try:
        part = token.split(".")[1]
        return float(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["exp"])
    except (IndexError, ValueError, KeyError, TypeError):
        return float("inf")


def _encoded(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
