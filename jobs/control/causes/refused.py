"""Reports of jobs that are not let in: objects refused, something missing on the target, no permission, no image."""

from __future__ import annotations

import re

from jobs.control.causes import words
from jobs.control.causes.row import Row

_PULL = r"(?:Failed to pull image|ErrImagePull|ImagePullBackOff|Back-off pulling image|failed to pull and unpack image).*"


def _image(found: re.Match[str]) -> str:
    named = re.search(r'\bimage (?:reference )?\\?"([^"\\]+)', found.string)
    return named[1] if named else ""


ROWS = (
    # Refused by the API server
    Row(
        "pod-security",
        r'violates PodSecurity "(?P<level>[^"]+)"(?:: (?P<rules>.+))?',
        'the namespace enforces Pod Security "{level}" and the pod breaks it: {rules}',
        "set what is listed in the pod's securityContext, or use a namespace with a weaker level; Seatrial's own pods fit `restricted`",
    ),
    Row(
        "quota",
        r"exceeded quota: (?P<quota>[^,]+), requested: (?P<asked>.+?), used: (?P<used>.+?), limited: (?P<limit>[^\s\"\\]+)",
        "the namespace's quota {quota!r} is used up: {words}",
        "ask for less in `resources`, wait until other jobs end, or have the quota raised: kubectl describe resourcequota",
        speak=lambda found: words.quota(found["asked"], found["used"], found["limit"]),
    ),
    Row(
        "quota",
        r"failed quota: (?P<quota>[^:]+): must specify (?P<fields>\S+)",
        "the namespace's quota {quota!r} wants every container to say {fields}",
        "set cpu and memory in `resources`; for pods of others ask for a LimitRange with defaults",
    ),
    Row(
        "admission",
        r'admission webhook "(?P<webhook>[^"]+)" denied the request(?:: *(?P<why>.+))?',
        "a policy of the cluster (webhook {webhook}) refuses the object: {why}",
        "change what it names, or ask those who run the cluster for an exception",
    ),
    Row(
        "admission",
        r'failed calling webhook "(?P<webhook>[^"]+)"',
        "the webhook {webhook}, which must agree to new objects, does not answer",
        "look at the pods behind it: kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations",
    ),
    Row(
        "invalid-object",
        r"(?P<kind>\w+) \\?\"[^\"]+\" is invalid: (?P<why>.+)|(?:InvalidRayJobSpec|ValidationFailed): (?P<reason>.+)",
        "the object is not valid, so it is refused before it starts: {why}{reason}",
        "compare it with `seatrial plan FILE --on kubernetes`; where a LimitRange sets a maximum, ask for less",
    ),
    # The target lacks something
    Row(
        "missing-operator",
        r'no matches for kind \\?"(?P<kind>\w+)\\?" in version \\?"(?P<version>[\w./]+)',
        "the cluster does not know {kind} ({version}): its operator or its CRDs are not installed, or are older",
        "install the KubeRay operator 1.7 or newer with its CRDs: helm install kuberay-operator kuberay/kuberay-operator",
    ),
    Row(
        "missing-operator",
        r"404 page not found|the server could not find the requested resource|CRD \\?\"(?P<crd>[\w.]+)\\?\" not found",
        "the cluster does not serve this kind of object: the operator's CRDs are not installed",
        "install the KubeRay operator 1.7 or newer with its CRDs: helm install kuberay-operator kuberay/kuberay-operator",
    ),
    Row(
        "missing-operator",
        r"(?P<kind>Ray\w+) has had no status for (?P<seconds>\d+) s",
        "nobody works on the {kind}: for {seconds} s no operator has taken it up",
        "is the KubeRay operator running, and does it watch this namespace? kubectl get pods -A -l app.kubernetes.io/name=kuberay-operator",
    ),
    Row(
        "version-skew",
        r"the client has (?P<name>seatrial|ray|spark|torch) (?P<here>[\w.+]+), .+? (?P<there>\d[\w.+]*)",  # jobs.contracts.versions
        "two sides of the job run different versions of {name}: {here} here, {there} there",
        "use an image with the versions of this machine, or install here what the image has; `seatrial plan FILE --on TARGET --check` compares them",
    ),
    Row(
        "version-skew",
        r"Version mismatch: The cluster was started with|minimum Ray version is [\d.]+, got [\d.]+",
        "two sides of the job run different versions of Ray or Python",
        "the whole Ray cluster and the job must come from one image; `seatrial plan FILE --on TARGET --check` compares versions",
    ),
    # Images
    Row(
        "image-pull",
        r"is not present with pull policy of Never|ErrImageNeverPull",
        "the image {words} is not on the node, and pull_policy Never forbids to fetch it",
        "load it (kind load docker-image IMAGE, minikube image load IMAGE), or set targets.kubernetes.images.pull_policy",
        speak=_image,
    ),
    Row(
        "image-pull",
        r"InvalidImageName|couldn't parse image (?:name|reference)",
        "the name of the image {words} is not valid",
        "correct targets.kubernetes.images in the job file",
        speak=_image,
    ),
    Row(
        "image-pull",
        _PULL + r"(?:toomanyrequests|429 Too Many Requests|rate limit)",
        "the registry has had enough of this address for now (rate limit), so the image {words} does not come",
        "wait, name pull secrets of an account (targets.kubernetes.images.pull_secrets), or use a mirror",
        speak=_image,
    ),
    Row(
        "image-pull",
        _PULL + r"(?:[Uu]nauthorized|40[13] |403 Forbidden|pull access denied|denied:|authentication required|no basic auth credentials|unauthenticated)",
        "the registry does not give the image {words} to this cluster: no or wrong credentials, or it does not exist there",
        "check the name, then name a registry secret of the namespace in targets.kubernetes.images.pull_secrets",
        speak=_image,
    ),
    Row(
        "image-pull",
        _PULL + r"(?:manifest unknown|not found|NotFound|does not exist)",
        "the image {words} is not in the registry",
        "check name and tag in targets.kubernetes.images; was it pushed, or loaded into kind or minikube?",
        speak=_image,
    ),
    Row(
        "image-pull",
        _PULL + r"(?:dial tcp|no such host|i/o timeout|connection refused|TLS handshake timeout|x509:|failed to do request|context deadline exceeded)",
        "the nodes cannot reach the registry of the image {words}",
        "check the registry's name, the nodes' DNS, proxy and certificates; without network load the image onto the nodes",
        speak=_image,
    ),
    Row(
        "image-pull",
        _PULL,
        "the image {words} cannot be fetched",
        "kubectl describe pod shows the registry's answer; check targets.kubernetes.images",
        speak=_image,
    ),
    # Not allowed
    Row(
        "authentication",
        r'is forbidden: User \\?"(?P<user>[^"\\]+)\\?" cannot (?P<verb>\w+) (?:resource )?\\?"?(?P<resource>[\w./]+)',
        "{user} may not {verb} {resource}",
        "bind a Role with this right to the account; the chart holds the roles that Seatrial's own accounts need",
    ),
    Row(
        "authentication",
        r"Token authentication is enabled but|(?:Missing|Invalid|Invalid or missing) authentication token|Authentication (?:required|failed): ",
        "the Ray cluster asks for a token, and it got none or a wrong one",
        "set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to the cluster's token; KubeRay keeps it in the Secret named like the RayCluster, key auth_token",
    ),
    Row(
        "authentication",
        r'You must be logged in to the server|"reason": ?"Unauthorized"|Reason: Unauthorized|system:anonymous|\b401 Unauthorized\b',
        "the target does not accept these credentials",
        "sign in again (kubectl auth whoami shows as whom), or choose another context in targets.kubernetes.context",
    ),
    Row(
        "authentication",
        r"AWS Error (?:ACCESS_DENIED|INVALID_ACCESS_KEY_ID|INVALID_SIGNATURE|SIGNATURE_DOES_NOT_MATCH) during (?P<call>\w+)",
        "the object store refuses {call}: the credentials are missing, wrong or not enough",
        "give the pods credentials for the store (`secrets` in the job file, or the cluster's workload identity)",
    ),
)
