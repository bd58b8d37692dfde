"""Media and game servers on nodes: docs.livekit.io (ports and firewall), RTP and TURN servers' defaults, WireGuard. They are
open to the world on purpose, and wide."""

import pytest

from account import Account
from installers import running_eks
from world import WORLD, allow

ON_NODES = "from 0.0.0.0/0 on eks-cluster-sg-prod-1000000000"


@pytest.mark.parametrize(
    ("protocol", "ports", "line"),
    [
        # Ports of nodes that face the world are told, and stay. Who means it says so in a clause. WebRTC:
        ("udp", (50000, 60000), "high other-internet + tunnel-endpoints: udp 50000-60000"),
        ("udp", 3478, "high other-internet: udp 3478"),
        ("tcp", 7881, "high other-internet: tcp 7881"),
        # RTP:
        ("udp", (10000, 20000), "high other-internet: udp 10000-20000"),
        # TURN:
        ("udp", (49152, 65535), "high other-internet + tunnel-endpoints: udp 49152-65535"),
        # The fleet of a game:
        ("udp", (7000, 8000), "high other-internet: udp 7000-8000"),
        # Tunnels authenticate their peers, so low:
        ("udp", 51820, "low tunnel-endpoints: udp 51820"),
        ("udp", 4500, "low tunnel-endpoints: udp 4500"),
    ],
)
def test_it_stays(account: Account, protocol, ports, line):
    cluster = running_eks(account)
    account.person.allows(cluster.group, allow(protocol, ports, WORLD))
    account.ends_with(f"{line} {ON_NODES}")
