"""What is news, and what is noise: who hears of what is told already, and how many mails a call or an hour has."""

import pytest

from events import Somebody, administrator, rule_ids
from telling import actions_told, mails
from test_known import edits, prefix_list
from test_repeats import minutes_ago
from world import OFFICE, WORLD, allow

KUBELET = allow("tcp", 10250, WORLD)
TOLERATED = allow("tcp", 8080, WORLD)


def somebody_else(world, name):
    """Another principal: another role, not only another session."""
    identity = administrator()
    issuer = identity["sessionContext"]["sessionIssuer"]
    issuer |= {"principalId": f"AROA{name.upper()}", "arn": issuer["arn"].replace("Admin", name), "userName": name}
    identity |= {"arn": identity["arn"].replace("Admin", name), "principalId": f"AROA{name.upper()}:x"}
    return Somebody(world.emulator, identity)


# --- news -----------------------------------------------------------------------------------------------------------------


def test_a_list_behind_a_reported_rule_that_grows_to_the_world_is_news(world, somebody, looked):
    partners = prefix_list(world, "203.0.113.0/29")
    service = looked()
    event = somebody.authorizes(world.node_group, allow("tcp", 8080, partners))
    [rule] = rule_ids(event)
    service.delivers(event)
    assert set(actions_told(world, rule)) == {"reported"}
    heard = len(mails(world, rule))
    service.delivers(edits(world, partners, AddEntries=[WORLD]))
    service.works()
    assert rule in world.rules(), "the policy reports it"
    assert len(mails(world, rule)) == heard + 1
    service.delivers(edits(world, partners, RemoveEntries=["203.0.113.0/29"]))
    service.works()
    assert len(mails(world, rule)) == heard + 1, "a list that shrinks is no news"


@pytest.mark.parametrize("permission", [KUBELET, TOLERATED], ids=["revoke", "report"])
def test_another_principal_who_opens_the_same_rule_is_news(world, somebody, looked, permission):
    service = looked()
    for minutes, who in ((9, somebody), (3, somebody_else(world, "Deploy"))):
        event = minutes_ago(who.authorizes(world.node_group, permission), minutes)
        service.delivers(event)
        service.works()
        if rule_ids(event)[0] in world.rules():
            somebody.revokes(world.node_group, *rule_ids(event))
    heard = mails(world, world.node_group)
    assert len(heard) == 2, [each.subject for each in heard]
    assert "Deploy" in heard[-1].text


def test_a_higher_severity_of_the_same_rule_is_news(world, somebody, looked):
    service = looked()
    event = somebody.authorizes(world.node_group, allow("tcp", 22, OFFICE))
    [rule] = rule_ids(event)
    service.delivers(event)
    service.works()
    heard = len(mails(world, rule))
    edited = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIpv4": WORLD}
    service.delivers(somebody.modifies(world.node_group, {rule: edited}))
    service.works()
    assert len(mails(world, rule)) == heard + 1


# --- noise ----------------------------------------------------------------------------------------------------------------


def test_a_list_of_twelve_groups_that_is_edited_is_one_mail(world, looked):
    partners = prefix_list(world, "10.20.0.0/16")
    groups = [world.group(f"node-{number}") for number in range(12)]
    node = {"aws:eks:cluster-name": "prod", "kubernetes.io/cluster/prod": "owned"}
    for at in range(0, 12, 4):
        world.instance(groups[at : at + 4], node)
    used = [rule for group in groups for rule in world.open(group, allow("tcp", 22, partners))]
    service = looked()
    service.delivers(edits(world, partners, AddEntries=[WORLD]))
    service.works()
    assert not set(used) & world.rules().keys()
    heard = [mail for mail in world.notices() if any(group in mail.text for group in groups)]
    assert len(heard) == 1, [each.subject for each in heard]
    for group in groups:
        assert group in heard[0].text
    assert len(heard[0].subject) <= 99
    for rule in used:
        assert dict(actions_told(world, rule)) == {"revoked": 1}, "machines get each"


def test_terraform_that_writes_its_rules_again_in_ten_calls_is_no_mail(world, somebody, looked):
    written = [
        allow("tcp", 8080, WORLD),
        allow("tcp", (30000, 32767), "203.0.113.0/24"),
        allow("-1", None, world.cluster_group),
        allow("-1", None, world.node_group),
        allow("tcp", 443, "10.0.0.0/8"),
    ]
    keep = {"control plane to nodes", "node to node"}
    old = [rule for rule, each in world.rules(world.node_group).items() if each.get("Description") in keep]
    world.emulator.ec2.revoke_security_group_ingress(GroupId=world.node_group, SecurityGroupRuleIds=old)
    rules = [world.open(world.node_group, each)[0] for each in written]
    service = looked()
    calls = [somebody.revokes(world.node_group, rule) for rule in rules]
    calls += [somebody.authorizes(world.node_group, each) for each in written]
    service.delivers(*calls)
    service.works()
    assert not world.notices(), [each.subject for each in world.notices()]


def test_a_principal_is_told_of_twenty_times_an_hour_and_then_once(world, somebody, looked):
    service = looked()
    rules = set()
    for at in range(30):
        event = somebody.authorizes(world.node_group, allow("tcp", 10250, f"203.0.{at}.0/24"))
        rules |= set(rule_ids(event))
        service.delivers(event)
    service.works()
    assert not rules & world.rules().keys()
    for rule in rules:
        assert dict(actions_told(world, rule)) == {"revoked": 1}, "machines get each"
    heard = len(world.notices())
    assert heard == 21
    other = somebody_else(world, "Deploy").authorizes(world.node_group, KUBELET)
    service.delivers(other)
    assert len(world.notices()) == heard + 1, "another principal has a count of his own"
