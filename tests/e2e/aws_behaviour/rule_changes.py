"""Authorize, Revoke and Modify: all or nothing, with the answers and errors of EC2."""

from moto.core.responses import ActionResult
from moto.ec2.exceptions import (
    InvalidParameterValue,
    InvalidPermissionDuplicateError,
    InvalidPermissionNotFoundError,
    InvalidSecurityGroupNotFoundError,
    InvalidSecurityGroupRuleIdNotFoundError,
)
from moto.ec2.models.security_groups import SecurityGroupRule
from moto.ec2.responses import EC2Response

from aws_behaviour.patching import patch
from aws_behaviour.prefix_lists import existing
from aws_behaviour.rules import peer

KINDS = ("CidrIpv4", "CidrIpv6", "PrefixListId", "ReferencedGroupId")


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
        arguments = [permission[key] for key in ("ip_protocol", "from_port", "to_port", "ip_ranges")]
        wanted = backend._iterate_security_rules(
            arguments[0], group.id, *arguments[1:], sources, permission["prefix_list_ids"]
        )
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
    # moto: the source stays as it was unless it is IPv4, what is not there may be one, and earlier updates stay when a later
    # one fails. AWS: the body replaces the whole rule under the same id, tags and the kind of source stay, all or nothing.
    # Whether rules may change places in one call, we do not know; here they may not.
    response.error_on_dryrun()
    group, backend, replaced = _group(response), response.ec2_backend, []
    updates = response._get_param("SecurityGroupRules", [])
    if len({update["SecurityGroupRuleId"] for update in updates}) < max(len(updates), 1):
        raise InvalidParameterValue("Each security group rule can be updated once in a call, and one has to be.")
    for update in updates:
        rule, body = group.get_rule(update["SecurityGroupRuleId"]), update.get("SecurityGroupRule", {})
        if rule is None:
            raise InvalidSecurityGroupRuleIdNotFoundError(update["SecurityGroupRuleId"])
        kinds = [kind for kind in KINDS if body.get(kind)]
        if len(kinds) != 1 or kinds != [kind for kind, value in zip(KINDS, peer(rule), strict=True) if value]:
            raise InvalidParameterValue(f"Invalid rule type for security group rule '{rule.id}'.")
        text = {"Description": body["Description"]} if body.get("Description") else {}
        cidr = (
            {{"CidrIpv4": "CidrIp"}.get(kinds[0], kinds[0]): body[kinds[0]], **text} if kinds[0].startswith("Cidr") else None
        )
        if kinds == ["PrefixListId"]:
            existing(backend, body["PrefixListId"])
        prefix = {"PrefixListId": body["PrefixListId"], **text} if kinds == ["PrefixListId"] else None
        source = [{"GroupId": body["ReferencedGroupId"], **text}] if kinds == ["ReferencedGroupId"] else None
        source = backend._add_source_group(source, group.vpc_id)[0] if source else None
        ports = body.get("FromPort"), body.get("ToPort")
        fresh = SecurityGroupRule(backend, body.get("IpProtocol"), group.id, *ports, cidr, source, prefix, rule.is_egress)
        siblings = group.egress_rules if rule.is_egress else group.ingress_rules
        taken = [other for other in siblings if other is not rule]
        taken += [other for _, other in replaced if other.is_egress == rule.is_egress]
        if fresh in taken:
            raise InvalidPermissionDuplicateError()
        replaced.append((rule, fresh))
    for rule, fresh in replaced:
        rule.__dict__.update({key: value for key, value in fresh.__dict__.items() if key not in {"id", "filters"}})
    return ActionResult({"Return": True})
