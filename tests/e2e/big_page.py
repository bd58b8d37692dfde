"""A large account as the AWS CLI prints it, always the same: what the audit's page is measured with (docs/benchmarks.md)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WORLD = "0.0.0.0/0"
ACCOUNT, REGION = "111122223333", "us-east-1"
CLUSTERS, GROUPS, RULES = 200, 10, 30  # groups of a cluster, rules of a group
# What clusters have, but that nodes let in only themselves and the cluster's own group: more findings than usual.
# Two rules of a group are findings too, and one of each cluster is forbidden.
PEERS = ["10.{group}.{n}.0/24", "192.168.0.0/16", "172.16.{n}.0/24", "fd00::/8"]
PUBLIC = {9: "203.0.113.{n}/32", 19: "198.51.100.{n}/32"}


def _rule(cluster: int, group: int, n: int) -> dict[str, Any]:
    own, first = f"sg-{cluster:04x}{group:013x}", f"sg-{cluster:04x}{0:013x}"
    port = 10250 if (group, n) == (1, 9) else 8000 + n
    peer = "0.0.0.0/0" if port == 10250 else PUBLIC.get(n, PEERS[n % len(PEERS)]).format(group=group, n=n)
    what: dict[str, Any] = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port}
    of_peer: dict[str, Any] = {"CidrIpv6" if ":" in peer else "CidrIpv4": peer}
    if n < 3:
        what = {"IpProtocol": "-1", "FromPort": -1, "ToPort": -1}
        of_group = {"ReferencedGroupInfo": {"GroupId": own if n == 0 else first, "UserId": ACCOUNT}}
        of_peer = of_group if n < 2 else {"CidrIpv4": WORLD}
    return {
        "SecurityGroupRuleId": f"sgr-{cluster:04x}{group:04x}{n:09x}", "GroupId": own, "GroupOwnerId": ACCOUNT, "Tags": [],
        "IsEgress": n == 2, "Description": f"service {n}", **what, **of_peer,
    }


def _cluster(cluster: int) -> Iterator[tuple[str, dict[str, Any]]]:
    name, vpc = f"cluster-{cluster}", f"vpc-{cluster:017x}"
    arn = f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{name}"
    yield "Vpcs", {"VpcId": vpc, "CidrBlock": "10.0.0.0/8"}
    for group in range(GROUPS):
        own, at = f"sg-{cluster:04x}{group:013x}", f"{cluster:04x}{group:013x}"
        yield "SecurityGroups", {
            "GroupId": own, "GroupName": f"{name}-group-{group}", "VpcId": vpc, "OwnerId": ACCOUNT, "Tags": [],
            "SecurityGroupArn": f"arn:aws:ec2:{REGION}:{ACCOUNT}:security-group/{own}",
        }
        yield "NetworkInterfaces", {
            "NetworkInterfaceId": f"eni-{at}", "VpcId": vpc, "OwnerId": ACCOUNT, "AvailabilityZone": f"{REGION}a",
            "InterfaceType": "interface", "Groups": [{"GroupId": own}], "TagSet": [],
            "Attachment": {"InstanceId": f"i-{at}", "InstanceOwnerId": ACCOUNT},
        }
        yield "Instances", {
            "InstanceId": f"i-{at}", "VpcId": vpc, "State": {"Name": "running"}, "SecurityGroups": [{"GroupId": own}],
            "Tags": [{"Key": "aws:eks:cluster-name", "Value": name}],
        }
        for n in range(RULES):
            yield "SecurityGroupRules", _rule(cluster, group, n)
    own = f"sg-{cluster:04x}{0:013x}"
    of_vpc = {"vpcId": vpc, "clusterSecurityGroupId": own, "securityGroupIds": []}
    yield "cluster", {"name": name, "arn": arn, "resourcesVpcConfig": of_vpc}


def save(file: Path) -> Path:
    """All answers in one file, one after the other."""
    answers: dict[str, list[dict[str, Any]]] = {}
    for cluster in range(CLUSTERS):
        for key, item in _cluster(cluster):
            answers.setdefault(key, []).append(item)
    reservations = {"Reservations": [{"OwnerId": ACCOUNT, "Instances": answers.pop("Instances")}]}
    clusters = [{"cluster": cluster} for cluster in answers.pop("cluster")]
    documents = [{key: items} for key, items in answers.items()] + [reservations, *clusters]
    file.write_text("\n".join(map(json.dumps, documents)))
    return file
