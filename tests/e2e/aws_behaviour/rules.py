"""What a security group rule is, and how groups show theirs."""

import ipaddress

from moto.ec2.models.security_groups import (
    GroupedSecurityRuleView,
    SecurityGroup,
    SecurityGroupBackend,
    SecurityGroupRule,
)

from aws_behaviour.patching import add, patch

PROTOCOLS = {"1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6", "all": "-1"}
WITH_PORTS = {"tcp", "udp", "icmp", "icmpv6"}

# moto: loses the description of a rule whose source is a group or a prefix list. AWS: keeps it.
add(SecurityGroupRule, "description", property(lambda self: self._description))


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
    self._description = next(
        (text for peer in (ip_range, source, prefix) if (text := (peer or {}).get("Description"))), None
    )


def peer(rule):
    return rule.cidr_ipv4, rule.cidr_ipv6, rule.prefix_list_id, rule.source_group.get("GroupId")


@patch(SecurityGroupRule, "__eq__")
def _same_rule(_, self, other):
    # moto: the description and the spelling of a source group count. AWS: protocol, ports and peer decide.
    one, two = ((rule.ip_protocol, rule.from_port, rule.to_port, peer(rule)) for rule in (self, other))
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


@patch(SecurityGroupBackend, "_verify_group_will_respect_rule_count_limit")
def _quota(_, self, group, current, ip_ranges, source_groups=None, egress=False):
    # moto: 60 rules of both address families together. AWS: 60 of each, and an account may ask for up to 1,000.
    return None


@patch(SecurityGroupBackend, "_add_source_group")
def _sources(original, self, sources, vpc):
    # moto: every source group has to exist in this account. AWS: one of another account (peering, shared VPC) does not.
    foreign = [source for source in sources or [] if source.get("UserId", self.account_id) != self.account_id]
    return original(self, [source for source in sources or [] if source not in foreign], vpc) + foreign
