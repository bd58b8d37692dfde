"""What a cluster needs: people are notified when a call or a sweep finds it closed; the guard never opens it."""

import pytest

from checks import closes, leaves
from events import rule_ids
from world import WORLD, allow

SWEEP = {"sweep": True}


def missing(answer):
    """The requirements that the records miss, with their group."""
    return {
        (finding["requirement"], record["group"]["id"])
        for record in answer.logged_records
        for finding in record["findings"]
        if finding["kind"] == "requirement"
    }


def rule_called(world, group, text):
    return next(rule for rule, content in world.rules(group).items() if content.get("Description") == text)


def test_a_public_endpoint_for_everybody_is_reported_by_a_sweep(world, guard):
    """The world's cluster has the endpoint that EKS makes where nobody says otherwise."""
    answer = leaves(guard(), SWEEP)
    endpoints = [
        (record["group"], record["clusters"], finding["kind"], finding["check"], finding["severity"])
        for record in answer.logged_records
        for finding in record["findings"]
        if finding["requirement"] == "public-endpoint"
    ]
    assert endpoints == [(None, ["prod"], "endpoint", "public-endpoint", "medium")]


def test_a_whole_cluster_misses_nothing(world, guard):
    assert not missing(leaves(guard(), SWEEP))


@pytest.mark.parametrize(
    ("group", "text", "expected"),
    [
        ("node_group", "control plane to nodes", {"control-plane-to-nodes"}),
        ("cluster_group", "nodes to control plane", {"nodes-to-control-plane"}),
        ("node_group", "node to node", {"node-dns", "node-to-node"}),
    ],
)
def test_people_hear_at_once_what_a_revoke_took_from_the_cluster(world, somebody, guard, group, text, expected):
    group = getattr(world, group)
    answer = leaves(guard(), somebody.revokes(group, rule_called(world, group, text)))
    assert missing(answer) == {(requirement, group) for requirement in expected}
    [notice] = world.notices()
    assert notice.attributes["severity"] == "high"
    assert notice.subject.startswith("[HIGH] BROKEN prod: ")
    assert "NOT OPEN, and the cluster needs it" in notice.text
    assert missing(leaves(guard(), SWEEP)) == {(requirement, group) for requirement in expected}


@pytest.mark.parametrize("how", ["revoked by its id", "edited in place"])
def test_what_a_call_took_away_can_be_copied_as_it_was_known(world, somebody, looked, how):
    service = looked()
    rule = rule_called(world, world.node_group, "control plane to nodes")
    was = world.rules()[rule]
    if how == "edited in place":
        peer = was["ReferencedGroupInfo"]["GroupId"]
        body = {"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080, "ReferencedGroupId": peer}
        event = somebody.modifies(world.node_group, {rule: body})
    else:
        event = somebody.revokes(world.node_group, rule)
    service.delivers(event)
    service.works()
    [mail] = [mail for mail in world.notices() if "BROKEN" in mail.subject]
    [command] = [line for line in mail.text.splitlines() if line.strip().startswith("aws ec2 authorize-")]
    for part in (f'"IpProtocol":"{was["IpProtocol"]}"', was["ReferencedGroupInfo"]["GroupId"]):
        assert part in command and command.endswith("--dry-run"), command


def test_a_rule_that_nobody_needs_may_go_in_silence(world, somebody, guard):
    leaves(guard(), somebody.revokes(world.node_group, rule_called(world, world.node_group, "NodePorts")))
    assert not world.notices()


def test_egress_that_is_cut_is_missed(world, somebody, guard):
    out = [rule for rule, content in world.rules(world.node_group).items() if content["IsEgress"]]
    answer = leaves(guard(), somebody.revokes(world.node_group, *out, egress=True))
    assert {requirement for requirement, _ in missing(answer)} == {"node-egress", "node-egress-dns"}


def test_closing_the_rule_a_cluster_lived_on_is_in_the_same_notice(world, somebody, guard):
    needed = rule_called(world, world.node_group, "control plane to nodes")
    world.emulator.ec2.revoke_security_group_ingress(GroupId=world.node_group, SecurityGroupRuleIds=[needed])
    event = somebody.authorizes(world.node_group, allow("tcp", (0, 65535), WORLD))
    answer = closes(guard(), event, rule_ids(event))
    assert missing(answer) == {("control-plane-to-nodes", world.node_group)}
    [notice] = world.notices()
    assert "Closed: revoked" in notice.text
    assert "Missing: control-plane-to-nodes" in notice.text
