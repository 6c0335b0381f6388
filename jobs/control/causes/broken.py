"""Reports of jobs that ran and broke, and of what only follows from something else."""

from __future__ import annotations

from jobs.control.causes.row import Row

ROWS = (
    # What broke while it ran
    Row(
        "disk-full",
        r"low on resource: (?:ephemeral-storage|nodefs|imagefs)|local storage usage exceeds|EmptyDir volume .* exceeds|condition: \[DiskPressure\]|"
        r"No space left on device|[Tt]he disk is full|local disk's utilization is over capacity",
        "a disk is full: of the node, or what the pod may write",
        "free some space or give the nodes larger disks; large outputs belong in the store, not in the pod",
    ),
    Row(
        "shared-memory",
        r"insufficient shared memory \(shm\)|out of shared memory",
        "shared memory (/dev/shm) is too small for the processes that hand over data through it",
        "raise `memory` (a Ray pod's /dev/shm may grow to it), or use fewer loader workers",
    ),
    Row(
        "gpu-memory",
        r"(?:CUDA|HIP) (?:error: )?out of memory",
        "a GPU's memory is full",
        "use a smaller batch or model, or a GPU with more memory; is another process on it? nvidia-smi shows",
    ),
    Row(
        "out-of-memory",
        r"OOMKill|Memory cgroup out of memory|[Oo]ut of memory: Killed process|running low on memory|low on resource: memory|java\.lang\.OutOfMemoryError|"
        r"[1-9]\d* Workers \(tasks / actors\) killed due to memory pressure|exit(?:ed with exit)? ?[Cc]ode:? 137\b|Cannot allocate memory|killed by signal 9\b",
        "a process was killed, as is done when memory runs out",
        "raise `memory` in the step's resources, or use a smaller batch or fewer workers per node",
    ),
    Row(
        "node-lost",
        r"due to NoExecute taint|Marking for deletion Pod|imminent node shutdown|^Preempted: |PreemptionByKubeScheduler|Node is not ready|NodeLost|"
        r"DRAIN_NODE_REASON_PREEMPTION|marked dead because the detector",
        "the node went away, or the pod had to make room for a more important one",
        "with `retries` and checkpoints the job goes on by itself; on spot capacity this is part of the bargain",
    ),
    Row(
        "head-lost",
        r"Ray head pod not found|Deleted head Pod|Failed to connect to GCS|GCS may have been killed|Unable to connect to GCS|Job supervisor actor died|"
        r"Job status checks have been failing|JobStatusCheckTimeoutExceeded",
        "the Ray cluster's head is gone or does not answer; jobs end with it",
        "with `retries` training goes on from its last checkpoint on a new cluster; give the head more memory if it was killed",
    ),
    Row(
        "worker-lost",
        r"[Ww]orker (?:died unexpectedly|unexpectedly exits)|actor died unexpectedly|Connection closed by peer|local raylet died",
        "one of the job's processes died without a word, most often for want of memory",
        "read the log of that worker; `retries` lets training go on from its last checkpoint",
    ),
    Row(
        "runtime-env",
        r"runtime_env setup failed|Failed to set ?up runtime environment|RUNTIME_ENV_SETUP_FAILURE",
        "Ray could not prepare the job's environment on its node",
        "Seatrial's jobs install nothing: use an image that has what the job needs",
    ),
    Row(
        "module-missing",
        r"ModuleNotFoundError: No module named '(?P<module>[^']+)'",
        "Python does not find the module {module}",
        "packages of yours lie below `code`; others must be in the image, or here: seatrial doctor lists what is installed",
    ),
    Row(
        "read-only-root",
        r"No usable temporary directory found|Read-only file system",
        "the process may write nowhere it wants to: the container's root is read-only",
        "mount an emptyDir at /tmp and set HOME to a writable folder",
    ),
    # What follows from something else
    Row(
        "deadline",
        r"passed the preRunningDeadlineSeconds|PreRunningDeadlineExceeded|Job supervisor actor failed to start within (?P<seconds>\d+) seconds",
        "the job was given up because it did not start in time",
        "the other causes say why it waited; if it only needs longer, raise targets.kubernetes.pending_limit",
    ),
    Row(
        "deadline",
        r"passed the activeDeadlineSeconds|longer than (?:the )?specified deadline|stopped after its time limit|\bDeadlineExceeded\b",
        "the job was stopped at its time limit",
        "raise `time_limit` in the job file; with retries and checkpoints a new attempt goes on where this one stopped",
    ),
    Row(
        "unreachable",
        r"Max retries exceeded with url|Failed to establish a new connection|The connection to the server .* was refused",
        "the target does not answer",
        "is it up, and is this the right address or context? kubectl config current-context; targets.ray.address",
    ),
    Row(
        "crash-loop",
        r"CrashLoopBackOff|[Bb]ack-off (?:\S+ )?restarting failed container|failed liveness probe, will be restarted",
        "a container starts and ends again and again",
        "its log before the last restart says why: kubectl logs POD --previous",
    ),
    Row(
        "program-failed",
        r"(?:[Ee]ntrypoint command failed with|container \S+ ended with|^)\s?exit code (?P<code>\d+)",
        "the job's own program failed with exit code {code}",
        "read its log: seatrial logs HANDLE",
        vague=True,
    ),
    Row(
        "program-failed",
        r"BackoffLimitExceeded|reached the specified backoff limit",
        "the job's own program failed as often as it may",
        "read its log: seatrial logs HANDLE",
        vague=True,
    ),
)
