"""Drills that hit a request rather than a job: throttling, permissions, quota."""

from __future__ import annotations

from cloud.practice.aws import errors
from cloud.practice.aws.service import Call
from cloud.practice.inject import Injections

_NAMES = ("TrainingJobName", "ProcessingJobName", "TransformJobName", "HyperParameterTuningJobName", "EndpointName", "ModelName", "ModelPackageGroupName")
_COUNTED = {"CreateTrainingJob": "training job", "CreateProcessingJob": "processing job", "CreateTransformJob": "transform job", "CreateEndpoint": "endpoint"}


def name_of(call: Call) -> str:
    return next((str(call[name]) for name in _NAMES if name in call.params), "")


def apply(call: Call, injections: Injections) -> None:
    """Raise what an armed drill wants this request to be answered with."""
    name = name_of(call)
    if injections.take("throttle", "aws", name):
        raise errors.throttled()
    if not call.action.startswith("Create"):
        return
    if injections.take("access-denied", "aws", name):
        raise errors.denied(call.action, f"arn:aws:sagemaker:{call.region}:123456789012:{name}")
    if call.action in _COUNTED and injections.take("quota", "aws", name):
        what = f"{_instance(call)} for {_COUNTED[call.action]} usage"
        raise errors.limit(
            f"The account-level service limit '{what}' is 0 Instances, with current utilization of 0 Instances and a request delta of 1 Instances. "
            "Please use AWS Service Quotas to request an increase for this quota."
        )


def _instance(call: Call) -> str:
    resources = call.get("ResourceConfig") or call.get("ProcessingResources", {}).get("ClusterConfig") or call.get("TransformResources") or {}
    return str(resources.get("InstanceType", "ml.m5.xlarge"))
