"""The canned account: what is in it, which rules are open now, and which items stand in the table.

prod           a cluster in a VPC of its own; its group on the two interfaces of the control plane
prod-node      the group of its nodes, on two instances of a managed node group; this one is opened
bastion        an ordinary group on an ordinary instance in the same VPC

Owns the facts and the state. Must not know how they are asked for: that is in `answers`.
"""

import threading
from dataclasses import dataclass, field
from typing import Any

ACCOUNT, REGION = "111122223333", "us-east-1"
CLUSTER, NODE_GROUP = "prod", "workers"
VPC, RANGE = "vpc-0aa1aa1aa1aa1aa1a", "10.0.0.0/16"
SUBNETS = {"subnet-0aa1aa1aa1aa1aa1a": "us-east-1a", "subnet-0bb2bb2bb2bb2bb2b": "us-east-1b"}
CONTROL_PLANE, NODES, BASTION = "sg-0c01c01c01c01c01c", "sg-0de2de2de2de2de2d", "sg-0ba3ba3ba3ba3ba3b"
NAMES = {CONTROL_PLANE: "eks-cluster-sg-prod-1234567890", NODES: "prod-node", BASTION: "bastion"}
TEMPLATE = "lt-0aa1aa1aa1aa1aa1a"
SCALING = "eks-workers-2cc1f0d2-6d0c-4a4e-9d0a-0f0f0f0f0f0f"
CLUSTER_TAG = {f"kubernetes.io/cluster/{CLUSTER}": "owned"}
NODE_TAGS = {
    "Name": "prod-workers",
    "aws:autoscaling:groupName": SCALING,
    "aws:ec2launchtemplate:id": TEMPLATE,
    "aws:ec2launchtemplate:version": "1",
    "aws:eks:cluster-name": CLUSTER,
    "eks:cluster-name": CLUSTER,
    "eks:nodegroup-name": NODE_GROUP,
    "k8s.io/cluster-autoscaler/enabled": "true",
    "k8s.io/cluster-autoscaler/prod": "owned",
    **CLUSTER_TAG,
}
GROUP_TAGS = {CONTROL_PLANE: {"aws:eks:cluster-name": CLUSTER, **CLUSTER_TAG}, NODES: CLUSTER_TAG, BASTION: {}}
PEOPLE, RECORDS = (f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}" for name in ("people", "records"))
TABLE = "guard"

LEARNT = {"baseline", "location", "look", "member"}  # kinds of items that are of no event
EVERYWHERE = "0.0.0.0/0"


@dataclass(frozen=True)
class Rule:
    """One rule of a group. Its peer is a block or a group."""

    id: str
    group: str
    protocol: str
    ports: tuple[int, int]
    peer: str
    text: str | None = None
    egress: bool = False


@dataclass(frozen=True)
class Attachment:
    """A network interface; of an instance, if it has one."""

    interface: str
    group: str
    subnet: str
    address: str
    description: str = ""
    instance: str | None = None
    tags: dict[str, str] = field(default_factory=dict, hash=False)


ALL = (-1, -1)
RULES = [
    Rule("sgr-0c000000000000001", CONTROL_PLANE, "-1", ALL, CONTROL_PLANE),
    Rule("sgr-0c000000000000002", CONTROL_PLANE, "-1", ALL, NODES, "nodes to control plane"),
    Rule("sgr-0c000000000000003", CONTROL_PLANE, "-1", ALL, EVERYWHERE, egress=True),
    Rule("sgr-0d000000000000001", NODES, "-1", ALL, CONTROL_PLANE, "control plane to nodes"),
    Rule("sgr-0d000000000000002", NODES, "-1", ALL, NODES, "node to node"),
    Rule("sgr-0d000000000000003", NODES, "tcp", (30000, 32767), RANGE, "NodePorts"),
    Rule("sgr-0d000000000000004", NODES, "tcp", (443, 443), "10.1.0.0/16", "webhooks"),
    Rule("sgr-0d000000000000005", NODES, "tcp", (9100, 9100), "10.2.3.0/24", "metrics"),
    Rule("sgr-0d000000000000006", NODES, "-1", ALL, EVERYWHERE, egress=True),
    Rule("sgr-0b000000000000001", BASTION, "tcp", (22, 22), "10.3.0.0/24", "office"),
    Rule("sgr-0b000000000000002", BASTION, "-1", ALL, EVERYWHERE, egress=True),
]
_ZONE_A, _ZONE_B = SUBNETS
ATTACHMENTS = [
    Attachment("eni-0c1c1c1c1c1c1c1c1", CONTROL_PLANE, _ZONE_A, "10.0.1.10", f"Amazon EKS {CLUSTER}"),
    Attachment("eni-0c2c2c2c2c2c2c2c2", CONTROL_PLANE, _ZONE_B, "10.0.2.10", f"Amazon EKS {CLUSTER}"),
    Attachment("eni-0d1d1d1d1d1d1d1d1", NODES, _ZONE_A, "10.0.1.20", "", "i-0d1d1d1d1d1d1d1d1", NODE_TAGS),
    Attachment("eni-0d2d2d2d2d2d2d2d2", NODES, _ZONE_B, "10.0.2.20", "", "i-0d2d2d2d2d2d2d2d2", NODE_TAGS),
    Attachment("eni-0b1b1b1b1b1b1b1b1", BASTION, _ZONE_A, "10.0.1.30", "", "i-0b1b1b1b1b1b1b1b1", {"Name": "bastion"}),
]

Item = dict[str, Any]


class Account:
    """The rules that are open, and the items of the table. `lock` is held while either is read or changed."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.rules = {rule.id: rule for rule in RULES}
        self.items: dict[str, Item] = {}
        self._kept: dict[str, Item] = {}

    def keep(self) -> None:
        """What the table has learnt is what each event will find, without what it holds of events."""
        with self.lock:
            self._kept = {key: item for key, item in self.items.items() if key.partition("#")[0] in LEARNT}

    def put_back(self) -> None:
        """Nothing is open that somebody opened, and the table is what was kept: the events before this one never came."""
        with self.lock:
            self.rules = {rule.id: rule for rule in RULES}
            self.items = dict(self._kept)

    def open(self, rule: Rule) -> None:
        with self.lock:
            self.rules[rule.id] = rule

    @property
    def known(self) -> set[str]:
        """The ids of the nodes' rules when nobody has opened anything."""
        return {rule.id for rule in RULES if rule.group == NODES}

    def of_group(self, group: str) -> list[Rule]:
        with self.lock:
            return [rule for rule in self.rules.values() if rule.group == group]
