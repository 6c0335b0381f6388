"""A volume for the store on any cluster: its default class, a volume that waits, another class, or a folder of its only node."""

from __future__ import annotations

import json
from typing import Any

from cluster.bringup.kubectl import Kubectl, Object

FOLDER = "/var/tmp/seatrial-test-store"
HELPER = "seatrial-test-prepare"  # namespace and pod that make the folder; gone when it is made
_DEFAULT = "storageclass.kubernetes.io/is-default-class"


def values(kubectl: Kubectl, image: str) -> list[str]:
    """``--set`` pairs of the chart."""
    classes = kubectl.list("storageclasses")
    if any((body["metadata"].get("annotations") or {}).get(_DEFAULT) == "true" for body in classes):
        return []
    if free := [body for body in kubectl.list("persistentvolumes") if _is_free(body)]:
        spec = free[0]["spec"]
        modes = [f"storage.claim.accessModes[{number}]={mode}" for number, mode in enumerate(spec["accessModes"])]
        return ["storage.claim.storageClassName=-", f"storage.claim.size={spec['capacity']['storage']}", *modes]
    if classes:
        return [f"storage.claim.storageClassName={classes[0]['metadata']['name']}"]
    _make_folder(kubectl.within(HELPER), image)
    return [f"storage.claim.hostPath={FOLDER}"]


def _is_free(body: Object) -> bool:
    return body["status"].get("phase") == "Available" and not body["spec"].get("storageClassName") and not body["spec"].get("claimRef")


def _make_folder(kubectl: Kubectl, image: str) -> None:
    """A hostPath's folder belongs to root, whatever fsGroup says, so a pod that may do so gives it away."""
    labels = {f"pod-security.kubernetes.io/{mode}": "privileged" for mode in ("enforce", "warn")}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": HELPER, "labels": labels}})
    kubectl.apply(_pod(image))
    done = kubectl.attempt("wait", f"pod/{HELPER}", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=120s")
    said = json.dumps((kubectl.get("pod", HELPER) or {}).get("status"))
    kubectl.delete("namespace", HELPER)
    assert done.ok, f"no default storage class, no free volume, and no folder could be made on the node: {said}; set SEATRIAL_TEST_VALUES"


def _pod(image: str) -> dict[str, Any]:
    container = {
        "name": "prepare",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["chmod", "0777", "/folder"],
        "securityContext": {"runAsUser": 0, "runAsNonRoot": False},
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "500m", "memory": "64Mi"}},
        "volumeMounts": [{"name": "folder", "mountPath": "/folder"}],
    }
    volume = {"name": "folder", "hostPath": {"path": FOLDER, "type": "DirectoryOrCreate"}}
    spec = {"restartPolicy": "Never", "containers": [container], "volumes": [volume], "automountServiceAccountToken": False}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": HELPER, "namespace": HELPER}, "spec": spec}
