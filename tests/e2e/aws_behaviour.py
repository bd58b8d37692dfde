"""What AWS does where moto 5.2.5 does something else.

moto is a good stand-in for AWS, but in the points listed here it is kinder or cruder than the real thing, and a program
that is wrong (or right) would look the other way round. Each patch says first what moto does, then what AWS does.
`install()` is called once by the emulator; nothing else in the tests changes moto's code.
"""

import base64
import functools
import ipaddress
from types import SimpleNamespace

from moto.core.responses import ActionResult
from moto.ec2.exceptions import (
    EC2ClientError,
    InvalidParameterCombination,
    InvalidParameterValue,
    InvalidPermissionDuplicateError,
    InvalidPermissionNotFoundError,
    InvalidSecurityGroupNotFoundError,
    InvalidSecurityGroupRuleIdNotFoundError,
)
from moto.ec2.models import ec2_backends
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.security_groups import (
    GroupedSecurityRuleView,
    SecurityGroup,
    SecurityGroupBackend,
    SecurityGroupRule,
)
from moto.ec2.responses import EC2Response
from moto.ec2.utils import filter_dict_attribute_mapping
from moto.eks import responses as eks_responses
from moto.eks.models import EKSBackend
from moto.sns.exceptions import InvalidParameterValue as InvalidSnsParameter
from moto.sns.models import SNSBackend

PAGE = SimpleNamespace(size=1000)  # most items in one answer; tests lower it so that a program which reads one page fails

PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "all": "-1"}
WITH_PORTS = {"tcp", "udp", "icmp", "icmpv6"}
KINDS = ("CidrIpv4", "CidrIpv6", "PrefixListId", "ReferencedGroupId")


def patch(owner, name):
    """Replace `owner.name` by the decorated function, which gets the original as its first argument."""

    def put(function):
        _PATCHES.append((owner, name, function))
        return function

    return put


_PATCHES = []


def _with_original(self, function, original, *args, **kwargs):
    return function(original, self, *args, **kwargs)


def install():
    """Apply every patch of this file. Calling it twice is harmless."""
    while _PATCHES:
        owner, name, function = _PATCHES.pop(0)
        setattr(owner, name, functools.partialmethod(_with_original, function, getattr(owner, name)))
    # moto: an interface has its own groups plus, for ever, those its instance was started with. AWS: its own.
    NetworkInterface.group_set = property(lambda self: self._group_set)
    # moto: only instances of the customer are attached. AWS: services attach interfaces to instances of their own account.
    NetworkInterface.attachment = property(_attachment)
    # moto: loses the description of a rule whose source is a group or a prefix list. AWS: keeps it.
    SecurityGroupRule.description = property(lambda self: self._description)
    # moto: this filter is not there. AWS: it is.
    filter_dict_attribute_mapping["network-interface.group-id"] = "security_groups.id"


# --- one rule -------------------------------------------------------------------------------------------------------------


@patch(SecurityGroupRule, "__init__")
def _rule(
    original, self, backend, protocol, group, first, last, ip_range, source=None, prefix=None, is_egress=True, tags=None
):
    # moto: CIDRs, protocol 58 and `all` as typed; other protocols need ports. AWS: one canonical form.
    name = PROTOCOLS.get(str(protocol or "-1").lower(), str(protocol or "-1").lower())
    ip_range = dict(ip_range or {})
    for key in {"CidrIp", "CidrIpv6"} & ip_range.keys():
        ip_range[key] = str(ipaddress.ip_network(ip_range[key], strict=False))
    original(self, backend, name, group, first or 0, last or 0, ip_range, source, prefix, is_egress, tags)
    if name not in WITH_PORTS:
        self.from_port = self.to_port = None
    texts = ((peer or {}).get("Description") for peer in (ip_range, source, prefix))
    self._description = next(filter(None, texts), None)


def _peer(rule):
    return rule.cidr_ipv4, rule.cidr_ipv6, rule.prefix_list_id, rule.source_group.get("GroupId")


@patch(SecurityGroupRule, "__eq__")
def _same_rule(_, self, other):
    # moto: the description and the spelling of a source group count. AWS: protocol, ports and peer decide.
    one, two = ((rule.ip_protocol, rule.from_port, rule.to_port, _peer(rule)) for rule in (self, other))
    return one == two


@patch(SecurityGroup, "_flattened_rules")
def _permissions(_, self, rules):
    # moto: DescribeSecurityGroups loses the description of prefix lists. AWS: keeps it.
    views = {}
    for rule in rules:
        key = (rule.from_port, rule.to_port, rule.ip_protocol)
        view = views.setdefault(key, GroupedSecurityRuleView(*key))
        if rule.ip_range:
            view.all_ip_ranges.append(rule.ip_range)
        if rule.source_group:
            view.source_groups.append(rule.source_group)
        if rule.prefix_list_id:
            view.prefix_list_ids.append({"PrefixListId": rule.prefix_list_id, "Description": rule.description})
    return list(views.values())


def _uses(rules):
    """moto knows the filters by prefix list and answers that they are not implemented; EC2 has them in both directions."""
    return lambda _, self, values: any((rule.prefix_list_id or "") in values for rule in getattr(self, rules))


patch(SecurityGroup, "filter_ip_permission__prefix_list_id")(_uses("ingress_rules"))
patch(SecurityGroup, "filter_egress__ip_permission__prefix_list_id")(_uses("egress_rules"))


@patch(SecurityGroupBackend, "_verify_group_will_respect_rule_count_limit")
def _quota(_, self, group, current, ip_ranges, source_groups=None, egress=False):
    # moto: 60 rules of both address families together. AWS: 60 of each, and an account may ask for up to 1,000.
    return None


@patch(SecurityGroupBackend, "_add_source_group")
def _sources(original, self, sources, vpc):
    # moto: every source group has to exist in this account. AWS: one of another account (peering, shared VPC) does not.
    foreign = [source for source in sources or [] if source.get("UserId", self.account_id) != self.account_id]
    return original(self, [source for source in sources or [] if source not in foreign], vpc) + foreign


# --- Authorize, Revoke, Modify --------------------------------------------------------------------------------------------


def _group(response):
    backend, name = response.ec2_backend, response._get_param("GroupName")
    # moto: looks for a group name in every VPC. AWS: in the default VPC only.
    group = (
        backend.get_security_group_from_name(name, backend.default_vpc.id)
        if name
        else backend.get_security_group_from_id(response._get_param("GroupId"))
    )
    if group is None:
        raise InvalidSecurityGroupNotFoundError(name or response._get_param("GroupId"))
    return group


def _authorize(response, direction):
    # moto: answers the rules of the last permission only, and keeps the first ones when a later one fails.
    # AWS: answers all of them, and adds all or none.
    response.error_on_dryrun()
    group, added = _group(response), []
    before = list(getattr(group, f"{direction}_rules"))
    authorize = getattr(response.ec2_backend, f"authorize_security_group_{direction}")
    try:
        for permission in response._process_rules_from_querystring():
            added += authorize(**{**permission, "group_name_or_id": group.id})[0]
    except Exception:
        setattr(group, f"{direction}_rules", before)
        raise
    return ActionResult({"Return": True, "SecurityGroupRules": [_as_listed(rule) for rule in added]})


def _revoke(response, direction):
    # moto: an unknown id is InvalidPermission.NotFound, what came before it is gone, IPv6 egress is skipped without a word,
    # a mismatch is an error in the default VPC too, and the answer is `true` and nothing else.
    # AWS: InvalidSecurityGroupRuleId.NotFound, all or nothing, IPv6 as well, mismatches listed, revoked rules listed.
    response.error_on_dryrun()
    group, backend = _group(response), response.ec2_backend
    rules = getattr(group, f"{direction}_rules")
    by_id = {rule.id: rule for rule in rules}
    gone, unknown = [], []
    for rule_id in response._get_param("SecurityGroupRuleIds", []):
        if rule_id not in by_id:
            raise InvalidSecurityGroupRuleIdNotFoundError(rule_id)
        gone.append(by_id[rule_id])
    for permission in [] if gone else response._process_rules_from_querystring():
        sources = backend._add_source_group(permission["source_groups"], group.vpc_id)
        protocol, *others = (permission[key] for key in ("ip_protocol", "from_port", "to_port", "ip_ranges"))
        wanted = backend._iterate_security_rules(protocol, group.id, *others, sources, permission["prefix_list_ids"])
        for rule in wanted:
            if rule in rules:
                gone.append(rules[rules.index(rule)])
            elif group.vpc_id == backend.default_vpc.id:
                unknown += group._flattened_rules([rule])
            else:
                raise InvalidPermissionNotFoundError()
    setattr(group, f"{direction}_rules", [rule for rule in rules if rule.id not in {each.id for each in gone}])
    return ActionResult(
        {
            "Return": True,
            "RevokedSecurityGroupRules": [_as_listed(rule, revoked=True) for rule in gone],
            "UnknownIpPermissions": unknown,
        }
    )


def _as_listed(rule, revoked=False):
    """A rule as the answers of Authorize and Revoke show it: all ports are -1, and Revoke names a source group flatly."""
    source = rule.source_group.get("GroupId")
    return {
        "SecurityGroupRuleId": rule.id,
        "GroupId": rule.group_id,
        "GroupOwnerId": rule.owner_id,
        "IsEgress": rule.is_egress,
        "IpProtocol": rule.ip_protocol,
        "FromPort": -1 if rule.from_port is None else rule.from_port,
        "ToPort": -1 if rule.to_port is None else rule.to_port,
        "CidrIpv4": rule.cidr_ipv4,
        "CidrIpv6": rule.cidr_ipv6,
        "PrefixListId": rule.prefix_list_id,
        "Description": rule.description,
        "Tags": rule.get_tags(),
        **({"ReferencedGroupId": source} if revoked else {"ReferencedGroupInfo": rule.referenced_group_info}),
    }


patch(EC2Response, "authorize_security_group_ingress")(lambda _, response: _authorize(response, "ingress"))
patch(EC2Response, "authorize_security_group_egress")(lambda _, response: _authorize(response, "egress"))
patch(EC2Response, "revoke_security_group_ingress")(lambda _, response: _revoke(response, "ingress"))
patch(EC2Response, "revoke_security_group_egress")(lambda _, response: _revoke(response, "egress"))


@patch(EC2Response, "modify_security_group_rules")
def _modify(_, response):
    # moto: the source stays as it was unless it is IPv4, and earlier updates stay when a later one fails.
    # AWS: the body replaces the whole rule under the same id, the kind of source stays, all or nothing.
    response.error_on_dryrun()
    group, backend, replaced = _group(response), response.ec2_backend, []
    for update in response._get_param("SecurityGroupRules", []):
        rule, body = group.get_rule(update["SecurityGroupRuleId"]), update.get("SecurityGroupRule", {})
        if rule is None:
            raise InvalidSecurityGroupRuleIdNotFoundError(update["SecurityGroupRuleId"])
        kinds = [kind for kind in KINDS if body.get(kind)]
        if len(kinds) != 1 or kinds != [kind for kind, value in zip(KINDS, _peer(rule), strict=True) if value]:
            raise InvalidParameterValue(f"Invalid rule type for security group rule '{rule.id}'.")
        text = {"Description": body["Description"]} if body.get("Description") else {}
        name = {"CidrIpv4": "CidrIp"}.get(kinds[0], kinds[0])
        cidr = {name: body[kinds[0]], **text} if kinds[0].startswith("Cidr") else None
        prefix = {"PrefixListId": body["PrefixListId"], **text} if kinds == ["PrefixListId"] else None
        source = [{"GroupId": body["ReferencedGroupId"], **text}] if kinds == ["ReferencedGroupId"] else None
        source = backend._add_source_group(source, group.vpc_id)[0] if source else None
        ports = body.get("FromPort"), body.get("ToPort")
        fresh = SecurityGroupRule(backend, body.get("IpProtocol"), group.id, *ports, cidr, source, prefix, rule.is_egress)
        siblings = group.egress_rules if rule.is_egress else group.ingress_rules
        if any(fresh == other for other in siblings if other is not rule):
            raise InvalidPermissionDuplicateError()
        replaced.append((rule, fresh))
    for rule, fresh in replaced:
        rule.__dict__.update({key: value for key, value in fresh.__dict__.items() if key not in {"id", "filters"}})
    return ActionResult({"Return": True})


# --- pages ----------------------------------------------------------------------------------------------------------------


def _paged(action, items, ids=None, smallest=5):
    # moto: ignores MaxResults and NextToken. AWS: pages, and refuses MaxResults beside a list of ids.
    @patch(EC2Response, action)
    def page(original, response):
        size, token = response._get_param("MaxResults"), response._get_param("NextToken")
        if size and ids and response._get_param(ids):
            raise InvalidParameterCombination(f"The parameter {ids} cannot be used with the parameter maxResults")
        if size and not smallest <= int(size) <= 1000:
            raise InvalidParameterValue(f"Value ( {size} ) for parameter maxResults is invalid.")
        for name in ("MaxResults", "NextToken"):
            response.params.pop(name, None)
        result = original(response).result
        everything = list(result[items] or [])
        start = int(base64.b64decode(token)) if token else 0
        end = len(everything) if ids and response._get_param(ids) else start + min(int(size or PAGE.size), PAGE.size)
        rest = base64.b64encode(str(end).encode()).decode() if end < len(everything) else None
        return ActionResult({**result, items: everything[start:end], "NextToken": rest})


_paged("describe_security_group_rules", "SecurityGroupRules", "SecurityGroupRuleIds")
_paged("describe_security_groups", "SecurityGroups", "GroupIds")
_paged("describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceIds")
_paged("describe_instances", "Reservations", "InstanceIds")
_paged("describe_vpcs", "Vpcs", "VpcIds")
_paged("describe_managed_prefix_lists", "PrefixLists", smallest=1)


@patch(EC2Response, "get_managed_prefix_list_entries")
def _entries(original, response):
    # moto: an unknown list is an empty one. AWS: an error.
    if response.ec2_backend.get_managed_prefix_list_entries(response._get_param("PrefixListId")) is None:
        message = f"The prefix list ID '{response._get_param('PrefixListId')}' does not exist"
        raise EC2ClientError("InvalidPrefixListID.NotFound", message)
    return original(response)


_paged("get_managed_prefix_list_entries", "Entries", smallest=1)


# --- interfaces, clusters, topics -----------------------------------------------------------------------------------------


def _attachment(interface):
    owner = getattr(interface, "attached_by", None) or (interface.instance and interface.instance.owner_id)
    if not owner:
        return None
    return SimpleNamespace(
        attachment_id=interface.attachment_id or f"eni-attach-{interface.id[4:]}",
        delete_on_termination=bool(interface.delete_on_termination),
        device_index=interface.device_index,
        instance_id=interface.instance.id if interface.instance else None,
        instance_owner_id=owner,
        status="attached",
    )


@patch(NetworkInterface, "get_filter_value")
def _interface_filter(original, self, name, method=None):
    # moto: these filters are not there, or answer for the customer's account. AWS: they say what the interface says.
    values = {
        "attachment.instance-owner-id": lambda: self.attachment.instance_owner_id if self.attachment else None,
        "interface-type": lambda: self.interface_type,
        "requester-id": lambda: self.requester_id,
        "requester-managed": lambda: str(self.requester_managed).lower(),
        "status": lambda: self.status,
    }
    return values[name]() if name in values else original(self, name, method)


@patch(EKSBackend, "create_cluster")
def _cluster(original, self, name, role_arn, resources_vpc_config, **options):
    # moto: gives back the VPC settings as typed. AWS: makes the cluster security group and fills in the rest.
    ec2 = ec2_backends[self.account_id][self.region_name]
    vpc = ec2.get_subnet(resources_vpc_config["subnetIds"][0]).vpc_id
    group_name = f"eks-cluster-sg-{name}-{1000000000 + self.cluster_count}"
    tags = {"Name": group_name, "aws:eks:cluster-name": name, f"kubernetes.io/cluster/{name}": "owned"}
    group = ec2.create_security_group(group_name, "EKS created security group applied to ENI", vpc_id=vpc, tags=tags)
    group.add_ingress_rule(
        SecurityGroupRule(
            ec2, "-1", group.id, None, None, None, {"GroupId": group.id, "UserId": self.account_id}, is_egress=False
        )
    )
    settings = {
        "securityGroupIds": [],
        "endpointPublicAccess": True,
        "endpointPrivateAccess": False,
        "publicAccessCidrs": ["0.0.0.0/0"],
        **resources_vpc_config,
        "vpcId": vpc,
        "clusterSecurityGroupId": group.id,
    }
    return original(self, name, role_arn, settings, **options)


@patch(EKSBackend, "create_nodegroup")
def _nodegroup(original, self, *args, remote_access=None, **options):
    # moto: invents a remote-access group that does not exist, and a key pair. AWS: has neither unless they were asked for.
    nodegroup = original(self, *args, remote_access=remote_access, **options)
    if not remote_access:
        nodegroup.resources.pop("remoteAccessSecurityGroup")
        nodegroup.remote_access = None
    return nodegroup


for _action in ("list_clusters", "list_nodegroups"):
    # moto: a page is as large as was asked for. AWS: has a limit of its own.
    @patch(eks_responses.EKSResponse, _action)
    def _eks_page(original, response):
        asked = response._get_int_param
        response._get_int_param = lambda name, default=None: min(asked(name, default) or PAGE.size, PAGE.size)
        return original(response)


@patch(SNSBackend, "publish")
def _publish(original, self, message, arn, **options):
    # moto: takes line breaks and 100 characters in a subject, and counts a message in characters.
    # AWS: at most 99 characters, nothing that is not printable, a message of 1 to 262,144 bytes.
    subject = options.get("subject")
    if subject is not None and not (0 < len(subject) < 100 and subject.isprintable()):
        raise InvalidSnsParameter("Invalid parameter: Subject")
    if not 0 < len(message.encode()) <= 262144:
        raise InvalidSnsParameter("Invalid parameter: Message too long" if message else "Invalid parameter: Empty message")
    return original(self, message, arn, **options)
