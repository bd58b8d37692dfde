"""Which rules go and which stay: the built-in policy on live groups, end to end."""

import pytest

from checks import actions, clauses, closes, findings, leaves, outcome
from events import rule_ids
from world import OFFICE, VPC_RANGE, WORLD, WORLD_V6, allow

# What is written beside each forbidden rule, in the same call: nobody may touch it.
HARMLESS = [allow("tcp", 8443, "10.0.0.0/8"), allow("tcp", 30080, VPC_RANGE), allow("udp", 8125, OFFICE)]

FORBIDDEN = {
    "the kubelet open to the world": allow("tcp", 10250, WORLD),
    "the kubelet open to one public address": allow("tcp", 10250, OFFICE),
    "the read-only kubelet open to the world": allow("tcp", 10255, WORLD),
    "all TCP ports open to the world": allow("tcp", (0, 65535), WORLD),
    "every protocol open to the world": allow("-1", None, WORLD),
    "the upper TCP ports open to every IPv6 address": allow("tcp", (1025, 65535), WORLD_V6),
    "etcd open to the world": allow("tcp", (2379, 2380), WORLD),
    "the kubelet open to all global IPv6 addresses": allow("tcp", 10250, "2000::/3"),
    "the kubelet open to the world, with host bits": allow("tcp", 10250, "1.2.3.4/0"),
    "SSH open to the world": allow("tcp", 22, WORLD),
    "the kubelet open, protocol by number": allow("6", 10250, WORLD),
}


@pytest.mark.parametrize("permission", FORBIDDEN.values(), ids=FORBIDDEN)
def test_a_forbidden_rule_on_nodes_goes_and_nothing_else(world, somebody, guard, permission):
    event = somebody.authorizes(world.node_group, permission, *HARMLESS)
    closes(guard(), event, rule_ids(event)[:1])


def test_a_prefix_list_that_holds_the_world_gains_nothing(world, somebody, guard):
    event = somebody.authorizes(world.node_group, allow("tcp", 10250, world.everyone), *HARMLESS)
    closes(guard(), event, rule_ids(event)[:1])


def test_udp_and_tcp_in_one_call_are_distinguished(world, somebody, guard):
    event = somebody.authorizes(world.node_group, allow("udp", 10250, WORLD), allow("tcp", 10250, WORLD), *HARMLESS)
    answer = closes(guard(), event, [rule_ids(event)[1]])
    assert actions(answer)[rule_ids(event)[0]] == "reported"


@pytest.mark.parametrize("ports", [10250, (10000, 10300)], ids=["the kubelet", "a range around the kubelet"])
def test_two_halves_of_the_internet_in_two_calls_are_both_closed(world, somebody, guard, ports):
    function = guard()
    for half in ("0.0.0.0/1", "128.0.0.0/1"):
        event = somebody.authorizes(
            world.node_group, allow("tcp", ports, half), *[allow("tcp", 9000, "10.0.0.0/8")][: half == "0.0.0.0/1"]
        )
        closes(function, event, rule_ids(event)[:1])


def test_two_halves_opened_before_the_first_event_arrives_are_both_closed_by_their_own_events(world, somebody, guard):
    events = [somebody.authorizes(world.node_group, allow("tcp", 10250, half)) for half in ("0.0.0.0/1", "128.0.0.0/1")]
    function = guard()
    for event in events:
        closes(function, event, rule_ids(event))


def test_only_the_public_source_of_a_permission_goes(world, somebody, guard):
    event = somebody.authorizes(world.node_group, allow("tcp", 10250, WORLD, "10.0.0.0/8", world.bastion_group))
    closes(guard(), event, rule_ids(event)[:1])


def test_ssh_split_over_twenty_public_blocks_is_wide_and_all_of_it_goes(world, somebody, guard):
    blocks = [f"52.{number}.0.0/20" for number in range(20)]
    event = somebody.authorizes(world.node_group, allow("tcp", 22, *blocks))
    closes(guard(), event, rule_ids(event))


def test_ssh_from_one_office_address_is_only_reported(world, somebody, guard):
    event = somebody.authorizes(world.node_group, allow("tcp", 22, OFFICE))
    answer = leaves(guard(), event)
    (rule,) = rule_ids(event)
    assert actions(answer) == {rule: "reported"}
    assert clauses(findings(answer)[rule]) == {"remote-login-public"}
    assert outcome(answer) == "reported"


def test_ssh_from_one_office_address_is_only_reported_beside_a_world_rule_too(world, somebody, guard):
    event = somebody.authorizes(world.node_group, allow("tcp", 22, OFFICE, WORLD))
    office, everybody = rule_ids(event)
    answer = closes(guard(), event, [everybody])
    assert actions(answer)[office] == "reported"


@pytest.mark.parametrize(
    ("first", "last"), [(3, 4), (8, -1), (-1, -1)], ids=["type 3 code 4", "all of type 8", "everything"]
)
def test_icmp_types_and_codes_are_never_read_as_ports(world, somebody, guard, first, last):
    event = somebody.authorizes(world.node_group, allow("icmp", (first, last), WORLD))
    answer = leaves(guard(), event)
    if (first, last) == (3, 4):
        assert outcome(answer) == "compliant"


def test_an_allowed_rule_is_left_alone_and_nobody_is_bothered(world, somebody, guard):
    answer = leaves(guard(), somebody.authorizes(world.node_group, allow("tcp", 8443, "10.0.0.0/8")))
    assert outcome(answer) == "compliant"
    assert answer.logged_records[0]["findings"] == []
    assert world.notices() == world.published_records() == []


def test_egress_to_the_world_is_left_alone(world, somebody, guard):
    leaves(guard(), somebody.authorizes(world.node_group, allow("tcp", 10250, WORLD), egress=True))


def test_old_forbidden_rules_are_reported_not_revoked_when_the_event_does_not_name_them(world, somebody, guard):
    (old,) = world.open(world.node_group, allow("tcp", 10250, WORLD))
    answer = leaves(guard(), somebody.authorizes(world.node_group, allow("tcp", 8443, "10.0.0.0/8")))
    finding = findings(answer)[old]
    assert (finding["verdict"], finding["named_by_event"]) == ("revoke", False)
    assert finding["action"] in {"reported", "would-revoke"}
    assert world.notices() == [], "it waits for the digest"


def test_old_forbidden_rules_go_too_when_sweeps_enforce(world, somebody, guard):
    (old,) = world.open(world.node_group, allow("tcp", 10250, WORLD))
    event = somebody.authorizes(world.node_group, allow("tcp", 10255, WORLD))
    closes(guard(GUARD_SWEEP_MODE="enforce"), event, [old, *rule_ids(event)])


@pytest.mark.parametrize("sweep", ["report", "enforce"])
def test_report_mode_notifies_and_changes_nothing(world, somebody, guard, sweep):
    world.open(world.node_group, allow("tcp", 10255, WORLD))
    event = somebody.authorizes(world.node_group, allow("tcp", 10250, WORLD))
    answer = leaves(guard(GUARD_MODE="report", GUARD_SWEEP_MODE=sweep), event)
    assert actions(answer)[rule_ids(event)[0]] == "would-revoke"
    assert outcome(answer) == "reported"
    assert len(world.notices()) == 1


def test_a_group_with_sixty_rules_is_read_page_by_page(world, somebody, guard, aws):
    world.open(world.node_group, *[allow("tcp", port, "10.0.0.0/8") for port in range(8000, 8057)])
    aws.page_size = 5
    event = somebody.authorizes(world.node_group, allow("tcp", 10250, WORLD, "2000::/3"))
    closes(guard(), event, rule_ids(event))


def test_more_rules_than_may_be_revoked_at_once_are_refused_with_a_notice(world, somebody, guard):
    event = somebody.authorizes(world.node_group, allow("tcp", 10250, WORLD), allow("tcp", 22, WORLD))
    answer = guard(GUARD_MAX_REVOKES="1").invoke(event)
    assert answer.failed
    assert sorted(actions(answer).values()) == ["refused", "revoked"]
    assert len(world.rules().keys() & set(rule_ids(event))) == 1
    assert world.notices()[0].attributes["severity"] == "critical"
