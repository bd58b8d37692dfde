"""Calls that open a path without touching a rule, and the envelopes that bring events.

Each case by a guard that forgets and by one that remembers. They differ in a forbidden rule of which no event came and of
which this one does not speak: who remembers knows that it was not there at the last look, so it is new and goes along; who
forgets takes it for known and leaves it.
"""

import json

from checks import actions, closes, findings, leaves
from events import event, rule_ids
from looks import FORGETS_AND_REMEMBERS
from world import WORLD, allow

pytestmark = FORGETS_AND_REMEMBERS

KUBELET = allow("tcp", 10250, WORLD)


def deals_with(guard, event, remembers, unheard_of, gone=()):
    """The event makes these rules go, and the one that nobody spoke of only if the guard remembers."""
    answer = closes(guard, event, [*gone, *([unheard_of] if remembers else [])])
    assert actions(answer)[unheard_of] == ("revoked" if remembers else "would-revoke")
    assert findings(answer)[unheard_of]["known"] == (not remembers)
    return answer


def puts_on(world, interface, *groups):
    world.emulator.ec2.modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=list(groups))
    listed = {"items": [{"groupId": group} for group in groups]}
    return event("ModifyNetworkInterfaceAttribute", {"networkInterfaceId": interface, "groupSet": listed}, {"_return": True})


def test_an_open_group_put_on_a_node_is_closed(world, guard):
    group = world.group("debug")
    rules = world.open(group, KUBELET)
    closes(guard(), puts_on(world, world.interface_of(world.node_group), world.node_group, group), rules)


def test_an_open_group_put_on_something_else_is_none_of_our_business(world, guard):
    group = world.group("debug")
    world.open(group, KUBELET)
    interface = world.interface(world.bastion_group, "bastion")
    answer = leaves(guard(), puts_on(world, interface, world.bastion_group, group))
    assert not answer.logged_records


def test_a_prefix_list_that_grows_to_the_world_closes_the_rules_that_use_it(world, guard, remembers):
    ec2 = world.emulator.ec2
    made = ec2.create_managed_prefix_list(
        PrefixListName="office", Entries=[{"Cidr": "203.0.113.0/24"}], MaxEntries=5, AddressFamily="IPv4"
    )["PrefixList"]
    used = world.open(world.node_group, allow("tcp", 22, made["PrefixListId"]))
    [unheard_of] = world.open(world.node_group, KUBELET)
    other = world.open(world.bastion_group, allow("tcp", 22, made["PrefixListId"]))
    ec2.modify_managed_prefix_list(
        PrefixListId=made["PrefixListId"], CurrentVersion=made["Version"], AddEntries=[{"Cidr": WORLD}]
    )
    added = {"PrefixListId": made["PrefixListId"], "AddEntry": {"Cidr": WORLD, "tag": 1}}
    request = {"ModifyManagedPrefixListRequest": added}
    answer = deals_with(guard(), event("ModifyManagedPrefixList", request, None), remembers, unheard_of, used)
    assert not set(other) & set(findings(answer))


def test_a_lost_tag_does_not_hide_a_group_that_is_on_nodes(world, guard, remembers):
    [unheard_of] = world.open(world.node_group, KUBELET)
    request = {"resourcesSet": {"items": [{"resourceId": world.node_group}]}, "tagSet": {"items": [{"key": "Name"}]}}
    answer = deals_with(guard(), event("DeleteTags", request, {"_return": True}), remembers, unheard_of)
    assert list(actions(answer)) == [unheard_of]


def test_a_batch_of_sqs_fails_only_what_is_bad(world, somebody, guard):
    opened = somebody.authorizes(world.node_group, KUBELET)
    bodies = {"m-1": "{", "m-2": json.dumps(opened), "m-3": json.dumps({"Type": "Notification", "Message": "{}"})}
    batch = {"Records": [{"messageId": each, "eventSource": "aws:sqs", "body": body} for each, body in bodies.items()]}
    answer = closes(guard(), batch, rule_ids(opened))
    assert answer.response["batchItemFailures"] == [{"itemIdentifier": "m-1"}, {"itemIdentifier": "m-3"}]


def test_the_guards_own_revoke_comes_back_and_is_left_alone(world, somebody, guard, remembers):
    role = "arn:aws:iam::123456789012:role/guard/eks-sg-guard"
    allowed = world.open(world.node_group, allow("tcp", 443, "10.0.0.0/8"))
    [unheard_of] = world.open(world.node_group, KUBELET)
    delivered = somebody.revokes(world.node_group, *allowed)
    session = delivered["detail"]["userIdentity"]["sessionContext"]
    session["sessionIssuer"]["arn"] = role
    answer = leaves(guard(GUARD_OWN_ROLE_ARN=role), delivered)
    assert not answer.logged_records
    assert "own doing" in answer.response["ignored"]
    answer = deals_with(guard(), delivered, remembers, unheard_of)
    assert list(actions(answer)) == [unheard_of], "without the variable it is anybody's"
