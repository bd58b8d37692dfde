"""A Tailscale subnet router on a node, whose port is opened for direct connections: tailscale.com/kb/1296
(AWS reference architecture), and kb/1082 (firewall ports: udp 41641). Found by our own search."""

from account import Account
from installers import running_eks
from world import WORLD, WORLD_V6, allow


def test_direct_connections(account: Account):
    cluster = running_eks(account)
    account.person.allows(cluster.group, allow("udp", 41641, WORLD, WORLD_V6, text="Tailscale direct connections"))
    on = "on eks-cluster-sg-prod-1000000000"
    account.ends_with(
        # Its peers are authenticated, but the port is only Tailscale's habit: told, and stays. An own clause allows it.
        f"high other-internet: udp 41641 from 0.0.0.0/0 {on}",
        f"high other-internet: udp 41641 from ::/0 {on}",
    )
