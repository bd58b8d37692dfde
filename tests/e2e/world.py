"""The emulated account that every test starts with: one EKS cluster as people really run it, and groups that are not EKS's.

prod           cluster group on control-plane interfaces, a managed node group with its own security group, a pod group on a
               branch interface, an ingress group on load-balancer interfaces; all their rules are legitimate
bastion        an ordinary group on an ordinary instance in the same VPC
team           another team's group, on an instance in another VPC that somebody tagged as a node by hand
everyone       a customer prefix list that holds 0.0.0.0/0
audit          a trail of all regions, without which no event would come
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moto.eks import eks_backends

from aws_behaviour.prefix_lists import finish
from aws_behaviour.vpcs import associations, set_range
from emulator import ACCOUNT, REGION, Emulator, Message
from trails import make_trail
from work_queue import WorkQueue

WORLD = "0.0.0.0/0"
WORLD_V6 = "::/0"
OFFICE = "198.51.100.7/32"  # one public address
VPC_RANGE = "10.0.0.0/16"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/prod-cluster"
LONG_AGO = datetime(2024, 2, 29, tzinfo=UTC)  # when the cluster was made: before any guard
EKS_ACCOUNT = "999999999999"  # the account whose instances run the control plane


def allow(protocol: str, ports: int | tuple[int, int] | None, *peers: str, text: str | None = None) -> dict[str, Any]:
    """One IpPermission: `allow("tcp", 443, "10.0.0.0/8", "sg-1", "pl-1")`; `text` describes each of its rules."""
    permission: dict[str, Any] = {"IpProtocol": protocol}
    if ports is not None:
        permission["FromPort"], permission["ToPort"] = ports if isinstance(ports, tuple) else (ports, ports)
    for peer in peers:
        kind, name = (
            ("UserIdGroupPairs", "GroupId")
            if peer.startswith("sg-")
            else ("PrefixListIds", "PrefixListId")
            if peer.startswith("pl-")
            else ("Ipv6Ranges", "CidrIpv6")
            if ":" in peer
            else ("IpRanges", "CidrIp")
        )
        permission.setdefault(kind, []).append({name: peer, **({"Description": text} if text else {})})
    return permission


def _tagged(kind: str, tags: dict[str, str]) -> dict[str, Any]:
    """The argument that tags a resource as it is made."""
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": listed}]} if tags else {}


def _listed(groups: str | list[str]) -> list[str]:
    return [groups] if isinstance(groups, str) else groups


@dataclass
class World:
    """Ids of what was seeded, and what a test wants to know about it."""

    emulator: Emulator
    vpc: str = ""
    other_vpc: str = ""
    subnet: str = ""
    other_subnet: str = ""
    cluster_group: str = ""
    node_group: str = ""
    pod_group: str = ""
    ingress_group: str = ""
    bastion_group: str = ""
    team_group: str = ""
    everyone: str = ""
    people_topic: str = ""
    record_topic: str = ""
    node_instances: list[str] = field(default_factory=list)
    table: str = ""  # of a guard that has looked at all this; none: it remembers nothing

    @classmethod
    def seed(cls, emulator: Emulator) -> "World":
        """An empty account, then everything above."""
        return emulator.seeded(cls._made)

    @classmethod
    def _made(cls, emulator: Emulator) -> "World":
        world = cls(emulator)
        ec2, eks, sns = emulator.ec2, emulator.eks, emulator.sns
        world.vpc = ec2.create_vpc(CidrBlock=VPC_RANGE, AmazonProvidedIpv6CidrBlock=True)["Vpc"]["VpcId"]
        world.other_vpc = ec2.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
        zones = (("10.0.1.0/24", "a"), ("10.0.2.0/24", "b"))
        subnets = [
            ec2.create_subnet(VpcId=world.vpc, CidrBlock=block, AvailabilityZone=REGION + zone)["Subnet"]["SubnetId"]
            for block, zone in zones
        ]
        world.subnet = subnets[0]
        world.other_subnet = ec2.create_subnet(VpcId=world.other_vpc, CidrBlock="10.99.1.0/24")["Subnet"]["SubnetId"]

        cluster = eks.create_cluster(name="prod", roleArn=ROLE, resourcesVpcConfig={"subnetIds": subnets})["cluster"]
        world.cluster_group = cluster["resourcesVpcConfig"]["clusterSecurityGroupId"]
        eks_backends[ACCOUNT][REGION].clusters["prod"].created_at = LONG_AGO
        for subnet in subnets:
            world.interface(
                world.cluster_group, "Amazon EKS prod", subnet=subnet, owner=EKS_ACCOUNT, requester="AROAEKS:AmazonEKS"
            )

        world.node_group = world.group("prod-node", {"kubernetes.io/cluster/prod": "owned"})
        template = ec2.create_launch_template(
            LaunchTemplateName="prod-nodes", LaunchTemplateData={"SecurityGroupIds": [world.node_group]}
        )
        launch = {"id": template["LaunchTemplate"]["LaunchTemplateId"], "version": "1"}
        nodes = eks.create_nodegroup(
            clusterName="prod", nodegroupName="workers", nodeRole=ROLE, subnets=subnets, launchTemplate=launch
        )
        scaling = nodes["nodegroup"]["resources"]["autoScalingGroups"][0]["name"]
        tags = {"aws:eks:cluster-name": "prod", "aws:autoscaling:groupName": scaling, "kubernetes.io/cluster/prod": "owned"}
        world.node_instances = [world.instance(world.node_group, tags, subnet) for subnet in subnets]

        world.pod_group = world.group("prod-pods")
        branch_tags = {"eks:eni:owner": "eks-vpc-resource-controller", "kubernetes.io/cluster/prod": "owned"}
        world.interface(world.pod_group, "aws-k8s-branch-eni", kind="branch", tags=branch_tags)
        world.ingress_group = world.group("k8s-elb-a1b2c3d4", {"kubernetes.io/cluster/prod": "owned"})
        world.load_balancer(world.ingress_group)
        world.bastion_group = world.group("bastion")
        world.instance(world.bastion_group, {"Name": "bastion"}, world.subnet)
        world.team_group = world.group("team-bastion", vpc=world.other_vpc)
        world.instance(world.team_group, {"kubernetes.io/cluster/prod": "owned"}, world.other_subnet)

        entries = [{"Cidr": "203.0.113.0/24"}, {"Cidr": WORLD}]
        world.everyone = ec2.create_managed_prefix_list(
            PrefixListName="everyone", Entries=entries, MaxEntries=5, AddressFamily="IPv4"
        )["PrefixList"]["PrefixListId"]
        make_trail(emulator, IsMultiRegionTrail=True)
        world.people_topic = sns.create_topic(Name="people")["TopicArn"]
        world.record_topic = sns.create_topic(Name="records")["TopicArn"]

        world.open(
            world.node_group,
            allow("-1", None, world.cluster_group, text="control plane to nodes"),
            allow("-1", None, world.node_group, text="node to node"),
            allow("tcp", (30000, 32767), VPC_RANGE, text="NodePorts"),
        )
        world.open(
            world.cluster_group,
            allow("-1", None, world.node_group, text="nodes to control plane"),
            allow("tcp", 53, world.pod_group, text="pods to DNS"),
            allow("udp", 53, world.pod_group, text="pods to DNS"),
            allow("tcp", (8080, 15021), world.ingress_group, text="elbv2.k8s.aws/targetGroupBinding=shared"),
        )
        world.open(world.pod_group, allow("tcp", 8080, world.node_group, text="kubelet probes"))
        world.open(world.ingress_group, allow("tcp", 443, WORLD, text="clients"))
        world.open(world.bastion_group, allow("tcp", 22, "203.0.113.0/24", text="office"))
        world.open(world.team_group, allow("tcp", 22, "203.0.113.0/24", text="office"))
        return world

    # --- more of the same ---

    def group(self, name: str, tags: dict[str, str] | None = None, vpc: str | None = None) -> str:
        """A new security group, in the cluster's VPC unless said otherwise."""
        tagged = _tagged("security-group", tags or {})
        made = self.emulator.ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc or self.vpc, **tagged)
        return made["GroupId"]

    def instance(self, groups: str | list[str], tags: dict[str, str], subnet: str | None = None) -> str:
        """An instance that one or several groups are attached to. Its tags may begin with `aws:`, as only AWS can do."""
        network = {"SubnetId": subnet or self.subnet, "SecurityGroupIds": _listed(groups)}
        run = self.emulator.ec2.run_instances(
            ImageId="ami-12c6146b", MinCount=1, MaxCount=1, **network, **_tagged("instance", tags)
        )
        return run["Instances"][0]["InstanceId"]

    def interface(
        self,
        groups: str | list[str],
        description: str,
        *,
        subnet: str | None = None,
        owner: str | None = None,
        requester: str | None = None,
        kind: str = "interface",
        managed: bool = False,
        tags: dict[str, str] | None = None,
    ) -> str:
        """A network interface; with `owner`, one that a service made and attached to something in an account of its own."""
        settings = {"SubnetId": subnet or self.subnet, "Groups": _listed(groups), "Description": description}
        made = self.emulator.ec2.create_network_interface(**settings, **_tagged("network-interface", tags or {}))
        interface_id = made["NetworkInterface"]["NetworkInterfaceId"]
        model = self.emulator.backend.get_network_interface(interface_id)
        model.requester_id = requester or ACCOUNT
        model.requester_managed, model.interface_type = managed, kind
        if owner:
            model.attached_by, model.status = owner, "in-use"
        return interface_id

    def load_balancer(self, groups: str | list[str], network: bool = False) -> str:
        """An interface of an Application Load Balancer, or of a Network Load Balancer."""
        kind, path = ("network_load_balancer", "net") if network else ("interface", "app")
        return self.interface(
            groups,
            f"ELB {path}/k8s-shop/0123456789abcdef",
            owner="amazon-elb",
            requester="amazon-elb",
            kind=kind,
            managed=True,
        )

    def localise(self, cluster: str) -> None:
        """Make it a local cluster on Outposts, which no call of the emulator can."""
        eks_backends[ACCOUNT][REGION].clusters[cluster].outpost_config = {
            "outpostArns": [f"arn:aws:outposts:{REGION}:{ACCOUNT}:outpost/op-0a1"],
            "controlPlaneInstanceType": "m5.large",
        }

    # --- what changes around the groups ---

    def range_of(self, vpc: str, cidr: str, state: str = "associated") -> None:
        """A range of the VPC, new or in another state than before: `associating`, `associated`, `disassociating`, ..."""
        set_range(self.emulator.backend.vpcs[vpc], cidr, state)

    def associate(self, group: str, vpc: str, state: str = "associated") -> None:
        """Let the group be attached in another VPC too; or leave the association in another state."""
        self.emulator.ec2.associate_security_group_vpc(GroupId=group, VpcId=vpc)
        known = associations(self.emulator.backend)
        known[group, vpc] = known[group, vpc] | {"State": state}

    def list_state(self, prefix_list: str, state: str) -> None:
        """The state of a prefix list, such as `restore-in-progress` or `modify-failed`."""
        self.emulator.backend.managed_prefix_lists[prefix_list].state = state

    def finish_list(self, prefix_list: str, failed: bool = False) -> None:
        """End the modification of a prefix list that `hold_modifications` holds."""
        finish(self.emulator.backend.managed_prefix_lists[prefix_list], failed)

    # --- rules ---

    def open(self, group: str, *permissions: dict[str, Any], egress: bool = False) -> list[str]:
        """Add rules without an event, as if long ago; their ids."""
        ec2 = self.emulator.ec2
        call = ec2.authorize_security_group_egress if egress else ec2.authorize_security_group_ingress
        made = call(GroupId=group, IpPermissions=list(permissions))["SecurityGroupRules"]
        return [rule["SecurityGroupRuleId"] for rule in made]

    def rules(self, group: str | None = None) -> dict[str, dict[str, Any]]:
        """Every rule of the group, or of the whole account, by id."""
        filters = [{"Name": "group-id", "Values": [group]}] if group else []
        pages = self.emulator.ec2.get_paginator("describe_security_group_rules").paginate(Filters=filters)
        return {rule["SecurityGroupRuleId"]: rule for page in pages for rule in page["SecurityGroupRules"]}

    def interface_of(self, group: str) -> str:
        """The first interface that the group is attached to."""
        pages = self.emulator.ec2.describe_network_interfaces(Filters=[{"Name": "group-id", "Values": [group]}])
        return pages["NetworkInterfaces"][0]["NetworkInterfaceId"]

    # --- the state ---

    @property
    def settings(self) -> dict[str, str]:
        """Of a guard of this world."""
        return {"GUARD_STATE_TABLE": self.table} if self.table else {}

    def state_table(self) -> str:
        """A new table as the template makes it; its name, for `GUARD_STATE_TABLE`."""
        dynamodb = self.emulator.dynamodb
        keys = {
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        }
        name = f"guard-{len(dynamodb.list_tables()['TableNames'])}"
        dynamodb.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **keys)
        dynamodb.update_time_to_live(
            TableName=name, TimeToLiveSpecification={"AttributeName": "expires", "Enabled": True}
        )
        return name

    def table_items(self, table: str) -> list[dict[str, Any]]:
        """Every item of the table."""
        return self.emulator.dynamodb.scan(TableName=table, ConsistentRead=True)["Items"]

    # --- the work queue ---

    def work_queue(self) -> WorkQueue:
        """The work queue as the template makes it; its `url` is for `GUARD_QUEUE_URL`."""
        return WorkQueue(self.emulator)

    # --- messages ---

    def secret(self, content: str) -> str:
        """The ARN of a new secret."""
        secrets = self.emulator.client("secretsmanager")
        name = f"webhook-{len(secrets.list_secrets()['SecretList'])}"
        return secrets.create_secret(Name=name, SecretString=content)["ARN"]

    def notices(self) -> list[Message]:
        """What people were notified of."""
        return self.emulator.messages(self.people_topic)

    def published_records(self) -> list[Message]:
        """The records that machines got."""
        return self.emulator.messages(self.record_topic)
