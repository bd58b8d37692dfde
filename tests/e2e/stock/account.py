"""An empty account in which an installer works while the guard enforces, and what the guard found meanwhile.

A test of this folder is one stock set-up, told in the order in which its installer works. Every call is made by the
principal that really makes it, and its event is delivered before the next call, as if EventBridge took no time. Calls that
the stack's EventBridge rule does not deliver (an interface or an instance that starts) are made without one. At the end
`Account.ends_with` sweeps and compares all that was found with what the test accepts; each thing it accepts has a comment
that says why.

A finding is written as one line: `high other-internet: udp 7000-8000 from 0.0.0.0/0 on prod-node`, with `, revoked` behind
it where the rule was closed. Not judged here: what is remembered and sent.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from moto.eks import eks_backends

from checks import Guard, clauses, revoked_ids
from emulator import ACCOUNT, REGION, Emulator
from events import Event, Somebody, event, rule_ids
from trails import make_trail
from world import EKS_ACCOUNT, VPC_RANGE, WORLD, World, allow

CLUSTER_ROLE = f"arn:aws:iam::{ACCOUNT}:role/prod-cluster"
NODE_ROLE = f"arn:aws:iam::{ACCOUNT}:role/prod-node"
SUBNETS = ("10.0.1.0/24", "10.0.2.0/24")
# EKS opens the public endpoint of the API to everybody where the installer says nothing else.
PUBLIC_ENDPOINT = "medium public-endpoint of prod"


@dataclass
class Cluster:
    """A cluster that an installer made. `nodes`: the group of its nodes, where that is not the cluster group."""

    name: str
    group: str
    model: Any
    nodes: str = ""
    control_plane: str = ""

    @property
    def tag(self) -> dict[str, str]:
        """The ordinary tag of every Kubernetes on EC2."""
        return {f"kubernetes.io/cluster/{self.name}": "owned"}


def session(role: str, name: str, **more: Any) -> dict[str, Any]:
    """A session of a role (with its path) of this account, as `userIdentity` shows it."""
    short = role.rsplit("/", 1)[-1]
    issuer = {"type": "Role", "principalId": "AROASTOCK", "accountId": ACCOUNT, "userName": short}
    context = {"sessionIssuer": issuer | {"arn": f"arn:aws:iam::{ACCOUNT}:role/{role}"}, "attributes": {}, **more}
    arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{short}/{name}"
    identity = {"type": "AssumedRole", "principalId": f"AROASTOCK:{name}", "arn": arn, "accountId": ACCOUNT}
    return identity | {"sessionContext": context}


@dataclass
class Account(World):
    """The account, its principals, and what the guard found."""

    subnets: list[str] = field(default_factory=list)
    found: set[str] = field(default_factory=set)
    of_controllers: set[str] = field(default_factory=set)  # rules that controllers wrote
    guard: Guard = None  # type: ignore[assignment]
    table: str = ""  # of the guard; none: it remembers nothing
    is_watched: bool = True

    @classmethod
    def empty(cls, emulator: Emulator, remembers: bool = False) -> "Account":
        """A VPC with two subnets, and the guard in mode `enforce` for new and known rules, which `remembers` what it saw."""
        account = emulator.seeded(cls._made)
        account.table = account.state_table() if remembers else ""
        account.guard = account._guard("standard")
        if remembers:
            account.guard.invoke({"sweep": True})  # it begins
        return account

    @classmethod
    def _made(cls, emulator: Emulator) -> "Account":
        account = cls(emulator)
        ec2, sns = emulator.ec2, emulator.sns
        account.vpc = ec2.create_vpc(CidrBlock=VPC_RANGE, AmazonProvidedIpv6CidrBlock=True)["Vpc"]["VpcId"]
        account.subnets = [
            ec2.create_subnet(VpcId=account.vpc, CidrBlock=block, AvailabilityZone=REGION + zone)["Subnet"]["SubnetId"]
            for block, zone in zip(SUBNETS, "ab", strict=True)
        ]
        account.subnet = account.subnets[0]
        make_trail(emulator, IsMultiRegionTrail=True)
        account.people_topic = sns.create_topic(Name="people")["TopicArn"]
        account.record_topic = sns.create_topic(Name="records")["TopicArn"]
        return account

    def _guard(self, policy: str) -> Guard:
        table = {"GUARD_STATE_TABLE": self.table} if self.table else {}
        return Guard(self, GUARD_MODE="enforce", GUARD_SWEEP_MODE="enforce", GUARD_POLICY=policy, **table)

    # --- who works here ---

    @property
    def terraform(self) -> "Principal":
        """Terraform, which takes the rule from a new group that EC2 gives it: all egress."""
        return Principal(self, session("Terraform", "aws-go-sdk-1"), takes_egress=True)

    @property
    def cloudformation(self) -> "Principal":
        """CloudFormation in the name of whoever created the stack: eksctl, CDK, templates."""
        return Principal(self, session("Deployer", "stack") | {"invokedBy": "cloudformation.amazonaws.com"})

    @property
    def person(self) -> "Principal":
        """Somebody at the console or the command line; Pulumi and Cluster API look the same."""
        return Principal(self, session("Engineer", "jo"))

    @property
    def eks(self) -> "Principal":
        """EKS itself."""
        role = "aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS"
        return Principal(self, session(role, "AmazonEKS") | {"invokedBy": "eks.amazonaws.com"})

    @property
    def eks_node_groups(self) -> "Principal":
        """The part of EKS that keeps node groups."""
        role = "aws-service-role/eks-nodegroup.amazonaws.com/AWSServiceRoleForAmazonEKSNodegroup"
        return Principal(self, session(role, "EKS") | {"invokedBy": "eks-nodegroup.amazonaws.com"})

    @property
    def cluster_role(self) -> "Principal":
        """What runs in the control plane: cloud-provider-aws, the controllers of Auto Mode."""
        return Principal(self, session("prod-cluster", "1700000000"), is_controller=True)

    def pod(self, cluster: Cluster, role: str) -> "Principal":
        """A controller that runs in a pod with a web identity of the cluster."""
        issuer = cluster.model.identity["oidc"]["issuer"].removeprefix("https://")
        provider = {"federatedProvider": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}", "attributes": {}}
        return Principal(self, session(role, "1700000000", webIdFederationData=provider), is_controller=True)

    # --- what starts without an event ---

    def nodes(self, cluster: Cluster, groups: list[str], **tags: str) -> list[str]:
        """A node in each subnet, with the tags of a self-managed one unless told otherwise."""
        scaling = {"aws:autoscaling:groupName": f"{cluster.name}-nodes"}
        return [self.instance(groups, cluster.tag | (tags or scaling), subnet) for subnet in self.subnets]

    # --- what the guard makes of it ---

    def deliver(self, happened: Event) -> None:
        """EventBridge delivers it."""
        if self.is_watched:
            self._hear(self.guard, happened)

    @contextmanager
    def before_the_guard(self) -> Iterator[None]:
        """What is done here was there before the guard: for what is added to a cluster whose own test plays its events."""
        self.is_watched = False
        yield
        self.is_watched = True

    def _hear(self, guard: Guard, happened: Any) -> list[dict[str, Any]]:
        answer = guard.invoke(happened)
        assert not answer.failed, answer.error_message or guard.said()
        records = answer.logged_records
        if guard is self.guard:
            self.found |= {self._line(record, finding) for record in records for finding in record["findings"]}
        return records

    def _line(self, record: dict[str, Any], finding: dict[str, Any]) -> str:
        severity, rule = finding["severity"], finding["rule"]
        if finding["check"]:
            return f"{severity} {finding['check']} of {','.join(record['clusters'])}"
        if finding["requirement"]:
            return f"{severity} missing {finding['requirement']} on {record['group']['name']}"
        way = "from" if rule["direction"] == "ingress" else "to"
        revoked = ", revoked" if finding["action"] == "revoked" else ""
        by = " + ".join(sorted(clauses(finding)))
        return f"{severity} {by}: {_traffic(rule)} {way} {self._peer(rule)} on {record['group']['name']}{revoked}"

    def _peer(self, rule: dict[str, Any]) -> str:
        peer = rule["peer"]
        if "group" in peer:
            return self.emulator.backend.get_security_group_from_id(peer["group"]).name
        return peer.get("cidr") or self.emulator.backend.managed_prefix_lists[peer["prefix_list"]].prefix_list_name

    def ends_with(self, *accepted: str) -> None:
        """A sweep; then: these things were found and nothing else, and only what they call revoked is gone."""
        self._hear(self.guard, {"sweep": True})
        unexpected, not_found = self.found - set(accepted), set(accepted) - self.found
        assert not unexpected and not not_found, f"unexpected {unexpected}, not found {not_found}"
        assert len(revoked_ids(self.emulator.mutations)) == sum(line.endswith(", revoked") for line in accepted)
        if self.of_controllers:
            self._strict_leaves_controllers_alone()

    def _strict_leaves_controllers_alone(self) -> None:
        written = self.of_controllers & self.rules().keys()
        strict = self._guard("strict")
        try:
            records = self._hear(strict, {"sweep": True})
        finally:
            strict.stop()
        assert self.rules().keys() >= written, "`strict` revokes a controller's rule in a sweep"
        missing = [finding["requirement"] for record in records for finding in record["findings"] if finding["requirement"]]
        assert set(missing) <= {"public-endpoint"}, "`strict` takes from the cluster what it needs"


@dataclass
class Principal:
    """Somebody who works in the account. Each call is made, and its event delivered, before the next."""

    account: Account
    identity: dict[str, Any]
    is_controller: bool = False
    takes_egress: bool = False

    @property
    def _calls(self) -> Somebody:
        return Somebody(self.account.emulator, self.identity)

    def creates_group(self, name: str, tags: dict[str, str] | None = None) -> str:
        """A new group, which lets everything out unless the installer takes that from it."""
        group = self.account.group(name, tags)
        request = {"groupName": name, "groupDescription": name, "vpcId": self.account.vpc}
        self.account.deliver(event("CreateSecurityGroup", request, {"_return": True, "groupId": group}, self.identity))
        if self.takes_egress:
            self.account.deliver(self._calls.revokes(group, *self.account.rules(group), egress=True))
        return group

    def allows(
        self, group: str, *permissions: dict[str, Any], egress: bool = False, tags: dict[str, str] | None = None
    ) -> None:
        """One call for all of them."""
        happened = self._calls.authorizes(group, *permissions, egress=egress)
        if tags:
            listed = [{"Key": key, "Value": value} for key, value in tags.items()]
            self.account.emulator.ec2.create_tags(Resources=rule_ids(happened), Tags=listed)
        if self.is_controller:
            self.account.of_controllers.update(rule_ids(happened))
        self.account.deliver(happened)

    def allows_each(self, group: str, *permissions: dict[str, Any], egress: bool = False) -> None:
        """A call for each of them, as Terraform makes them."""
        for permission in permissions:
            self.allows(group, permission, egress=egress)

    def tags(self, resource: str, tags: dict[str, str]) -> None:
        """More tags on something."""
        listed = [{"key": key, "value": value} for key, value in tags.items()]
        upper = [{"Key": each["key"], "Value": each["value"]} for each in listed]
        self.account.emulator.ec2.create_tags(Resources=[resource], Tags=upper)
        request = {"resourcesSet": {"items": [{"resourceId": resource}]}, "tagSet": {"items": listed}}
        self.account.deliver(event("CreateTags", request, {"_return": True}, self.identity))

    def creates_cluster(
        self,
        control_plane: list[str] | None = None,
        *,
        public: bool = True,
        ipv6: bool = False,
        remote: list[str] | None = None,
    ) -> Cluster:
        """CreateCluster, and what EKS does until the cluster is active: its group, with its rules, and the interfaces.

        `remote`: the networks of hybrid nodes.
        """
        account, name, additional = self.account, "prod", control_plane or []
        settings = {"subnetIds": account.subnets, "securityGroupIds": additional, "endpointPublicAccess": public}
        more: dict[str, Any] = {"kubernetesNetworkConfig": {"ipFamily": "ipv6"}} if ipv6 else {}
        if remote:
            more["remoteNetworkConfig"] = {"remoteNodeNetworks": [{"cidrs": remote}]}
        request = {"name": name, "roleArn": CLUSTER_ROLE, "resourcesVpcConfig": settings, **more}
        group = account.emulator.eks.create_cluster(**request)["cluster"]["resourcesVpcConfig"]["clusterSecurityGroupId"]
        model = eks_backends[ACCOUNT][REGION].clusters[name]
        # It is being created, and DescribeCluster does not name the group yet.
        model.status = "CREATING"
        del model.resources_vpc_config["clusterSecurityGroupId"]
        made_by_moto = [rule for rule, content in account.rules(group).items() if not content["IsEgress"]]
        account.emulator.ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=made_by_moto)
        self._of_eks("CreateCluster", request, {"cluster": {"name": name, "status": "CREATING"}})

        account.eks.allows(group, allow("-1", None, group))
        account.eks.allows(group, allow("-1", None, group), egress=True)
        for subnet in account.subnets:
            account.interface(
                [group, *additional], f"Amazon EKS {name}", subnet=subnet, owner=EKS_ACCOUNT, requester="AROAEKS:AmazonEKS"
            )
        model.resources_vpc_config["clusterSecurityGroupId"] = group
        model.status = "ACTIVE"
        return Cluster(name, group, model, control_plane=additional[0] if additional else "")

    def creates_node_group(
        self, cluster: Cluster, groups: list[str] | None = None, *, ssh_from: list[str] | None = None
    ) -> list[str]:
        """CreateNodegroup, and what EKS does until its nodes are there. Without `groups` (of a launch template) nodes have
        the cluster group. `ssh_from`: remote access from these."""
        account, name = self.account, "workers"
        eks, ec2 = account.emulator.eks, account.emulator.ec2
        request = {"clusterName": cluster.name, "nodegroupName": name, "nodeRole": NODE_ROLE, "subnets": account.subnets}
        if groups:
            template = ec2.create_launch_template(
                LaunchTemplateName=name, LaunchTemplateData={"SecurityGroupIds": groups}
            )
            request["launchTemplate"] = {"id": template["LaunchTemplate"]["LaunchTemplateId"], "version": "1"}
        eks.create_nodegroup(**request)
        model = cluster.model.nodegroups[name]
        model.status, resources, model.resources = "CREATING", model.resources, {}
        self._of_eks("CreateNodegroup", request, {"nodegroup": {"clusterName": cluster.name, "nodegroupName": name}})

        remote = []
        if ssh_from:
            tags = {"eks": cluster.name, "eks:nodegroup-name": name}
            remote = [account.eks_node_groups.creates_group(f"eks-remoteAccess-{uuid.UUID(int=7)}", tags)]
            account.eks_node_groups.allows(remote[0], allow("tcp", 22, *ssh_from))
            resources["remoteAccessSecurityGroup"] = remote[0]
        model.status, model.resources = "ACTIVE", resources
        scaling = resources["autoScalingGroups"][0]["name"]
        tags = {"aws:eks:cluster-name": cluster.name, "aws:autoscaling:groupName": scaling}
        return account.nodes(cluster, [*(groups or [cluster.group]), *remote], **tags)

    def _of_eks(self, name: str, request: dict[str, Any], response: dict[str, Any]) -> None:
        happened = event(name, request, response, self.identity)
        happened["detail"]["eventSource"], happened["source"] = "eks.amazonaws.com", "aws.eks"
        self.account.deliver(happened)


def _traffic(rule: dict[str, Any]) -> str:
    if rule["protocol"] == "-1":
        return "all"
    first, last = (rule.get(end) for end in ("from_port", "to_port"))
    ports = "" if first is None else f" {first}" if first == last else f" {first}-{last}"
    return f"{rule['protocol']}{ports}"


