"""templates/storage"""

from __future__ import annotations

import pytest

from tests.helm import chart


def claim(**of: object) -> list[chart.Object]:
    return chart.render({"storage": {"claim": of}})


def test_should_make_a_claim_of_the_default_class_that_outlives_the_release() -> None:
    found = chart.find(claim(size="3Gi"), "PersistentVolumeClaim")
    assert found["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert found["spec"] == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "3Gi"}}}


@pytest.mark.parametrize(("value", "written"), [("fast", "fast"), ("-", "")])
def test_should_ask_for_a_class_if_storageclassname_is_set(value: str, written: str) -> None:
    assert chart.find(claim(storageClassName=value), "PersistentVolumeClaim")["spec"]["storageClassName"] == written


def test_should_make_no_claim_and_mount_the_other_if_existing_is_set() -> None:
    objects = claim(existing="mine")
    assert not chart.names(objects, "PersistentVolumeClaim")
    volumes = chart.find(objects, "Deployment")["spec"]["template"]["spec"]["volumes"]
    assert {"name": "store", "persistentVolumeClaim": {"claimName": "mine"}} in volumes


def test_should_bind_a_volume_of_the_node_if_hostpath_is_set() -> None:
    objects = claim(hostPath="/data/seatrial", size="1Gi")
    volume, bound = chart.find(objects, "PersistentVolume"), chart.find(objects, "PersistentVolumeClaim")
    assert bound["spec"]["volumeName"] == volume["metadata"]["name"] == "seatrial-seatrial-data"
    assert bound["spec"]["storageClassName"] == volume["spec"]["storageClassName"] == ""
    assert volume["spec"]["claimRef"] == {"namespace": "seatrial", "name": "seatrial-data"}
    assert volume["spec"]["hostPath"] == {"path": "/data/seatrial", "type": "Directory"}
    assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert volume["metadata"]["annotations"] == bound["metadata"]["annotations"], "a volume that goes before its claim hangs"


def test_should_make_no_claim_of_data_if_the_store_is_an_object_store() -> None:
    objects = chart.render(profile="s3")
    assert chart.names(objects, "PersistentVolumeClaim") == {"seatrial-mlflow"}
