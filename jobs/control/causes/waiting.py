"""Reports of jobs that are let in and cannot start: pods that cannot be put together, storage, room, queues."""

from __future__ import annotations

from jobs.control.causes import words
from jobs.control.causes.row import Row

ROWS = (
    # The pod cannot be put together
    Row(
        "config",
        r"container has runAsNonRoot and image (?:will run as root|has non-numeric user)",
        "the image wants to run as root (or as a user without a number), and the pod forbids it",
        "build the image with a numeric USER, e.g. 1000, as Seatrial's own images are",
    ),
    Row(
        "config",
        r"couldn't find key (?P<key>\S+) in (?P<kind>Secret|ConfigMap) (?P<object>[\w./-]+)",
        "the {kind} {object} has no key {key}",
        "add the key, or correct `secrets` in the job file; key names are case-sensitive",
    ),
    Row(
        "config",
        r'(?P<kind>secret|configmap|service ?account)s? \\?"(?P<object>[^"\\]+)\\?" not found',
        "the pod wants the {kind} {object}, which is not in its namespace",
        "create it there, or correct its name under `secrets` or targets.kubernetes; is the chart installed in this namespace?",
    ),
    Row("config", r"CreateContainerConfigError", "a container cannot be put together from what the pod names", "kubectl describe pod names the part"),
    Row(
        "wrong-image",
        r'(?P<command>ray|python3?|bash|java): command not found|exec: \\?"(?P<program>[^"\\]+)\\?": (?:executable file not found|stat .*no such file)',
        "the image has no {command}{program}",
        "use an image made for the job: targets.kubernetes.images.ray needs ray, python and bash on its PATH, .spark needs Java",
    ),
    # Storage
    Row(
        "storage",
        r'Multi-Attach error for volume ?"(?P<volume>[^"]+)" (?P<why>Volume is already .+)',
        "the volume {volume} allows one node at a time (ReadWriteOnce) and pods on two nodes want it",
        "the store's claim must be ReadWriteMany (NFS, CephFS, EFS, Azure Files), or use an s3:// or abfss:// store, or one node",
    ),
    Row(
        "storage",
        r"unbound immediate PersistentVolumeClaims|no persistent volumes available for this claim|find available persistent volumes to bind",
        "a volume claim of the pod has no volume: the cluster can neither make one nor has one that fits",
        "kubectl get pvc,pv,storageclass; name a class that exists and offers the claim's access mode and size, or set storage.claim.hostPath on one node",
    ),
    Row(
        "storage",
        r'volume node affinity conflict|persistentvolumeclaim \\?"(?P<claim>[^"\\]+)\\?" not found',
        "the pod's volume is not where the pod could run: {claim}{words}",
        "the store must be reachable from every node that runs pods: check the claim's name, its namespace and its zone",
        speak=lambda found: "" if found["claim"] else words.unschedulable(found.string),
    ),
    Row(
        "storage",
        r"ReadWriteOncePod access mode",
        "the volume allows one pod only (ReadWriteOncePod), and another one has it",
        "make the store's claim ReadWriteMany",
    ),
    # No room
    Row(
        "unschedulable",
        r"\d+/\d+ nodes are available: ",
        "no node can take a pod: {words}",
        "free or add such nodes, or ask for less; gpu_node_selector, node_selector and tolerations stand in targets.kubernetes",
        speak=lambda found: words.unschedulable(found.string),
    ),
    Row(
        "unschedulable",
        r"didn't trigger scale-up[^:]*: (?P<why>.+)",
        "the cluster would not grow for this pod: {why}",
        "raise the node group's maximum, or ask for what one of its machine types has",
    ),
    Row(
        "unschedulable",
        r"No available node types can fulfill (?:[\w ]+?requests?(?: \(detail=[^)]*\):)?) ?(?P<request>\{[^}]*\})",
        "no node of the Ray cluster can ever offer {words}",
        "ask for less per worker in `resources`, or add such nodes to the Ray cluster",
        speak=lambda found: words.fulfilled_by_no_type(found["request"]),
    ),
    Row(
        "unschedulable",
        r'worker group requires \{"(?P<resource>[^"]+)": (?P<asked>[\d.]+)\} but the cluster only has a maximum of \{[^:]+: (?P<most>[\d.]+)\}',
        "training asks for {asked} {resource} in all, and the Ray cluster has at most {most}",
        "ask for fewer workers or less per worker in `resources`, or add nodes to the Ray cluster",
    ),
    Row(
        "unschedulable",
        r"Job supervisor actor could not be scheduled|Initial job has not accepted any resources|worker group startup timed out",
        "the cluster is up and has no room for the job's processes",
        "wait until other jobs end, ask for less in `resources`, or add nodes",
    ),
    Row(
        "queue",
        r"insufficient (?P<unused>unused )?quota for (?P<resource>\S+) in flavor (?P<flavor>[^\s,]+)(?:, (?P<more>\S+) more needed)?",
        "Kueue holds the job back: its queue has not enough {resource} (flavor {flavor}) {more}",
        "it starts by itself when others end; where the job asks for more than the queue may ever have, ask for less",
    ),
    Row(
        "queue",
        r"(?P<queue>(?:Local|Cluster)Queue \S*) (?P<why>doesn't exist|is inactive)|couldn't assign flavors to pod set",
        "Kueue holds the job back: {queue} {why}",
        "check targets.kubernetes.queue: kubectl get localqueues, and its ClusterQueue",
    ),
)
