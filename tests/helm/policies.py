"""Kubernetes' rules for NetworkPolicies, as far as the chart uses them: may this pod open a connection to that one?

https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Policy = Mapping[str, Any]
HERE = "seatrial"
_NAME = "kubernetes.io/metadata.name"


@dataclass(frozen=True)
class End:
    """One end of a connection: a pod, or an address outside the cluster."""

    labels: Mapping[str, str] = field(default_factory=dict)
    namespace: str = HERE
    address: str = ""


def allowed(policies: Sequence[Policy], source: End, target: End, port: int, protocol: str = "TCP") -> bool:
    """Both ends must let it pass; an end that no policy selects lets everything pass."""
    return _passes(policies, "Egress", source, target, port, protocol) and _passes(policies, "Ingress", target, source, port, protocol)


def _passes(policies: Sequence[Policy], direction: str, own: End, other: End, port: int, protocol: str) -> bool:
    if own.namespace != HERE or own.address:
        return True
    mine = [policy for policy in policies if direction in policy["spec"]["policyTypes"] and selects(policy["spec"]["podSelector"], own.labels)]
    return not mine or any(_matches(rule, direction, other, port, protocol) for policy in mine for rule in policy["spec"].get(direction.lower(), ()))


def _matches(rule: Mapping[str, Any], direction: str, other: End, port: int, protocol: str) -> bool:
    peers, ports = rule.get("to" if direction == "Egress" else "from"), rule.get("ports")
    fits = not ports or any(each["port"] == port and each.get("protocol", "TCP") == protocol for each in ports)
    return fits and (not peers or any(_is_peer(peer, other) for peer in peers))


def _is_peer(peer: Mapping[str, Any], other: End) -> bool:
    if "ipBlock" in peer:
        return bool(other.address) and ipaddress.ip_address(other.address) in ipaddress.ip_network(peer["ipBlock"]["cidr"])
    if other.address:
        return False
    namespace = peer.get("namespaceSelector", {"matchLabels": {_NAME: HERE}})
    return selects(namespace, {_NAME: other.namespace}) and selects(peer.get("podSelector", {}), other.labels)


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """An empty selector selects everything."""
    exact = selector.get("matchLabels", {}).items() <= labels.items()
    return exact and all(_holds(each, labels) for each in selector.get("matchExpressions", ()))


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, operator, values = expression["key"], expression["operator"], expression.get("values", ())
    return {
        "In": key in labels and labels[key] in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }[str(operator)]


def selected(policies: Sequence[Policy], labels: Mapping[str, str]) -> Iterator[str]:
    """Names of the policies that speak of a pod."""
    yield from (policy["metadata"]["name"] for policy in policies if selects(policy["spec"]["podSelector"], labels))
