"""The clouds' own words for what went wrong, each under the name that the doctor knows."""

from __future__ import annotations

import pytest

from cloud.causes import causes_of

SAID = {
    "ClientError: Failed to pull image 123456789012.dkr.ecr.eu-west-1.amazonaws.com/mine:1": "image-pull",
    "Failed to pull Docker image team.azurecr.io/mine:1. Reason: image pull was refused by the registry.": "image-pull",
    "CapacityError: Unable to provision requested ML compute capacity.": "capacity",
    "The account-level service limit 'ml.p4d.24xlarge for training job usage' is 0 Instances": "quota",
    "ClientError: Access denied for the bucket": "access-denied",
    "Training job interrupted: the spot instances were reclaimed": "spot-interruption",
    "InternalServerError: We encountered an internal error. Please try again.": "machine-lost",
    "Node node-1 became unusable and the job could not continue.": "machine-lost",
    "MaxRuntimeExceeded": "deadline",
    "ClientError: Please use an instance type with more memory": "out-of-memory",
    "The primary container for production variant did not pass the ping health check": "ping",
}


@pytest.mark.parametrize("text", SAID, ids=list(SAID.values()))
def test_a_clouds_words_have_a_name_and_a_next_step(text: str) -> None:
    found = causes_of([text], [])
    assert found[0].name == SAID[text]
    assert found[0].what
    assert found[0].hint


def test_unknown_words_are_passed_on() -> None:
    assert [cause.what for cause in causes_of(["something new"], [])] == ["something new"]
    assert causes_of([], []) == []
