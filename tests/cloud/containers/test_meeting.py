"""How hosts find each other, without a Ray: notes, addresses, shares of the workers."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from cloud.containers import addresses, peers
from cloud.containers.layout import Hosts, Layout, shortened
from cloud.containers.meeting import Invitation, Meeting
from cloud.containers.ray_node import interface
from jobs.contracts.errors import InputError, RunError
from jobs.contracts.job import Job


def test_notes_of_an_earlier_meeting_count_for_nothing(tmp_path: Path) -> None:
    meeting = Meeting(str(tmp_path))
    assert meeting.invitation("algo-1") is None
    meeting.invite("algo-1", Invitation("127.0.1.1:1", "secret", "first"))
    meeting.join("algo-2", "first")
    assert meeting.has_joined("algo-2", "first")
    assert not meeting.has_joined("algo-2", "second")
    meeting.clear("algo-1", "algo-2")
    assert meeting.invitation("algo-1") is None
    assert not meeting.has_joined("algo-2", "first")


def test_an_invitation_where_nobody_listens_is_not_open() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert Invitation(address, "", "").is_open()
    assert not Invitation(address, "", "").is_open()


@pytest.mark.parametrize(
    ("workers", "cpu", "hosts", "expected"), [(2, 1, 2, 1), (4, 2, 2, 4), (3, 1, 2, 2), (1, 1, 2, 1), ({"min": 1, "max": 4}, 1, 2, 2), (0, 1, 2, 1)]
)
def test_each_host_offers_its_share(workers: object, cpu: int, hosts: int, expected: int) -> None:
    job = Job(pipeline="p", run="r", step="s", kind="train", fingerprint="f", resources={"workers": workers, "cpu": cpu})
    assert peers.cores_per_host(job, Hosts("a", tuple("abcd"[:hosts]))) == expected


def test_names_resolve_by_the_system_or_by_a_variable() -> None:
    assert addresses.address_of("localhost", {}) == "127.0.0.1"
    assert addresses.address_of("algo-2", {"SEATRIAL_HOSTS": "algo-1=127.0.1.1 algo-2=127.0.1.2"}) == "127.0.1.2"
    with pytest.raises(RunError, match=r"no address is known of host 'algo-9\.invalid'"):
        addresses.address_of("algo-9.invalid", {}, patience=0)


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, False),
        ({"AWS_ENDPOINT_URL": "https://s3.eu-west-1.amazonaws.com"}, False),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:5601"}, True),
        ({"MLFLOW_TRACKING_URI": "azureml://westeurope.api.azureml.ms/mlflow"}, False),
        ({"IDENTITY_ENDPOINT": "https://localhost:5602/msi/token"}, True),
    ],
)
def test_practice_is_recognised_by_its_loopback_address(env: dict[str, str], expected: bool) -> None:
    assert addresses.is_practice(env) is expected


def test_collectives_use_the_network_that_the_cloud_names() -> None:
    assert interface({"network_interface_name": "eth1"}, {}) == {"GLOO_SOCKET_IFNAME": "eth1", "NCCL_SOCKET_IFNAME": "eth1"}
    assert interface({"network_interface_name": "eth1"}, {"NCCL_SOCKET_IFNAME": "ib0"}) == {"GLOO_SOCKET_IFNAME": "eth1"}
    assert interface({"network_interface_name": "lo"}, {}) == {}


def test_hosts_come_from_either_configuration(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert (layout.hosts().is_head, len(layout.hosts())) == (True, 1)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/resourceconfig.json").write_text('{"current_host": "algo-2", "hosts": ["algo-1", "algo-2"]}')
    assert (layout.hosts().head, layout.hosts().is_head, layout.hosts().others) == ("algo-1", False, ("algo-1",))
    (tmp_path / "config/resourceconfig.json").write_text('{"current_host": "algo-3", "hosts": ["algo-1"]}')
    with pytest.raises(InputError, match="algo-3"):
        layout.hosts()


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_configuration_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "input/config").mkdir(parents=True)
    (tmp_path / "input/config/hyperparameters.json").write_text(text)
    with pytest.raises(InputError, match=r"hyperparameters\.json"):
        Layout(tmp_path).hyperparameters()


def test_a_reason_is_cut_between_characters() -> None:
    assert shortened("ä" * 600) == "ä" * 512
    assert len(shortened("a" + "€" * 600).encode()) <= 1024
