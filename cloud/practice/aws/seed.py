"""What an account has before its first job: an execution role, a default bucket, repositories. Made again at every start."""

from __future__ import annotations

from contextlib import suppress

from cloud.practice.aws.objects import Objects
from cloud.practice.images import Images
from cloud.practice.settings import ACCOUNT, BUCKET, REGION, ROLE

_TRUST = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'


def seed(objects: Objects, images: Images) -> None:
    from moto.ecr.models import ecr_backends
    from moto.iam.models import iam_backends

    if not role_exists(ROLE):
        iam_backends[ACCOUNT]["aws"].create_role(
            ROLE.rsplit("/", 1)[-1], _TRUST, "/", permissions_boundary=None, description="practice", tags=[], max_session_duration="3600"
        )
    objects.make_bucket(BUCKET, REGION)
    for image in images.all():
        with suppress(Exception):  # a user's image may carry a name that ECR refuses; it then is no repository, and still runs
            ecr_backends[ACCOUNT][REGION].create_repository(image.name.split(":")[0], None, {"encryptionType": "AES256"}, None, "MUTABLE", [])


def role_exists(arn: str) -> bool:
    from moto.iam.models import iam_backends

    return any(role.arn == arn for role in iam_backends[arn.split(":")[4]]["aws"].roles.values())
