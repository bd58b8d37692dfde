"""What public repositories get wrong: these must be found, and closed where the policy says so."""

import pytest

from account import Account
from installers import running_terraform
from world import WORLD, WORLD_V6, allow

# What objects when everything faces everybody, private networks included.
ALL = (
    "cluster-internals-wide + etcd-elsewhere + etcd-internet + kubelet-internet + kubelet-private + nodeport-internet + "
    "other-internet + remote-login-wide + tunnel-endpoints"
)


@pytest.mark.parametrize(
    ("group", "permission", "line"),
    [
        ("nodes", allow("-1", None, WORLD), f"critical {ALL}: all from 0.0.0.0/0 on prod-node, revoked"),
        ("nodes", allow("-1", None, WORLD_V6), f"critical {ALL}: all from ::/0 on prod-node, revoked"),
        (
            "control_plane",
            allow("-1", None, WORLD),
            f"critical api-internet + {ALL}: all from 0.0.0.0/0 on prod-cluster, revoked",
        ),
        ("nodes", allow("tcp", 53, WORLD), "high cluster-internals-wide: tcp 53 from 0.0.0.0/0 on prod-node, revoked"),
        ("nodes", allow("udp", 53, WORLD), "high cluster-internals-wide: udp 53 from 0.0.0.0/0 on prod-node, revoked"),
        ("nodes", allow("tcp", 22, WORLD), "critical remote-login-wide: tcp 22 from 0.0.0.0/0 on prod-node, revoked"),
        # One port too many. Nothing of it is a node's own, so it is told.
        (
            "nodes",
            allow("tcp", (30000, 32768), WORLD),
            "high nodeport-internet + other-internet: tcp 30000-32768 from 0.0.0.0/0 on prod-node",
        ),
        # A network of our own, and every port of it: kubelet and etcd among them.
        (
            "nodes",
            allow("tcp", (0, 65535), "10.0.0.0/8"),
            "low etcd-elsewhere + kubelet-private: tcp 0-65535 from 10.0.0.0/8 on prod-node",
        ),
        # Meant was a private network; this one is somebody's.
        ("control_plane", allow("tcp", 443, "30.0.0.0/8"), "medium api-internet: tcp 443 from 30.0.0.0/8 on prod-cluster"),
    ],
)
def test_it_is_found(account: Account, group, permission, line):
    cluster = running_terraform(account)
    account.person.allows(getattr(cluster, group), permission)
    account.ends_with(line)
