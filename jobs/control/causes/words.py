"""Sentences for the two reports that carry numbers: why no node fits a pod, and which quota is used up."""

from __future__ import annotations

import re

# What the scheduler says of nodes -> in words; {n} nodes of {all}.
_REASONS = {
    r"untolerated taint \{node-role\.kubernetes\.io/(control-plane|master)|had taint \{node-role\.kubernetes\.io/(control-plane|master)": (
        "{n} of {all} nodes only run the cluster itself (control plane)"
    ),
    r"taint \{node\.kubernetes\.io/(not-ready|unreachable|network-unavailable)": "{n} of {all} nodes are not ready",
    r"taint \{node\.kubernetes\.io/(disk|memory|pid)-pressure": "{n} of {all} nodes are short of disk or memory themselves",
    r"unschedulable": "{n} of {all} nodes are closed for new pods (cordoned)",
    r"taint \{(?P<taint>[^:}]+)": "{n} of {all} nodes are kept for other work by the taint {taint}",
    r"didn't match .*node (affinity|selector)": "{n} of {all} nodes lack the labels that the pod asks for",
    r"didn't match pod (anti-)?affinity|anti-affinity|topology spread": "{n} of {all} nodes are ruled out by rules about other pods",
    r"free ports": "{n} of {all} nodes have the port in use",
    r"Too many pods": "{n} of {all} nodes hold as many pods as they may",
    r"PersistentVolumeClaims": "a volume claim of the pod has no volume",
    r"volume node affinity|persistent volumes to bind": "the volume cannot be reached from {n} of {all} nodes",
}


def unschedulable(message: str) -> str:
    """``0/3 nodes are available: 3 Insufficient nvidia.com/gpu.`` to "needs nvidia.com/gpu, none of the 3 nodes has one free"."""
    counted = re.search(r"\b\d+/(\d+) nodes are available: (.*?)(?:\. preemption:|\. no new claims|$)", message)
    if not counted:
        return "no node has room for a pod"
    everything, parts = int(counted[1]), re.split(r", (?=\d+ )", counted[2].rstrip(". "))
    return "; ".join(dict.fromkeys(_part(part, everything) for part in parts))


def _part(part: str, everything: int) -> str:
    number = re.match(r"\d+", part)
    nodes = int(number[0]) if number else everything
    if lacking := re.search(r"Insufficient (\S+)", part):
        return _lacking(lacking[1], nodes, everything)
    for pattern, words in _REASONS.items():
        if found := re.search(pattern, part):
            return words.format(n=nodes, all=everything, **found.groupdict())
    return part


def _lacking(resource: str, nodes: int, everything: int) -> str:
    free = "one free" if "/" in resource else "enough free"  # devices are counted; cpu and memory are amounts
    if nodes < everything:
        return f"needs {resource}, {nodes} of the {everything} nodes {'has' if nodes == 1 else 'have'} too little free"
    return f"needs {resource}, {f'none of the {nodes} nodes has' if nodes > 1 else 'the only node does not have'} {free}"


def quota(requested: str, used: str, limited: str) -> str:
    """``limits.cpu=12``, ``limits.cpu=4``, ``limits.cpu=10`` to "asks for limits.cpu 12 where 4 of 10 are used"."""
    asked, taken, allowed = (dict(pair.split("=", 1) for pair in text.split(",") if "=" in pair) for text in (requested, used, limited))
    return "; ".join(f"asks for {name} {amount} where {taken.get(name, '?')} of {allowed.get(name, '?')} are used" for name, amount in asked.items())


def fulfilled_by_no_type(request: str) -> str:
    """Ray's ``{'CPU': 6.0}`` to ``CPU 6``."""
    pairs = re.findall(r"'([^']+)': ([\d.]+)", request)
    return ", ".join(f"{name} {float(amount):g}" for name, amount in pairs) or request
