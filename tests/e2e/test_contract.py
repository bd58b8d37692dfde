"""What other programs and people rely on: the record, the messages, the log, and the number of round trips."""

import json

from checks import closes, leaves
from emulator import ACCOUNT, REGION
from events import rule_ids
from recorded import waves
from world import WORLD, allow

KUBELET = allow("tcp", 10250, WORLD, text="just a test")
PRIVATE = allow("tcp", 8443, "10.0.0.0/8")


def test_the_record_says_who_did_what_to_which_group_and_what_became_of_it(world, somebody, guard):
    event = somebody.authorizes(world.node_group, KUBELET, PRIVATE)
    detail, identity = event["detail"], event["detail"]["userIdentity"]
    (record,) = closes(guard(), event, rule_ids(event)[:1]).response["records"]
    assert record["event_id"] == detail["eventID"]
    assert record["event_name"] == "AuthorizeSecurityGroupIngress"
    assert record["event_time"] == detail["eventTime"]
    assert (record["trigger"], record["mode"], record["policy"]) == ("event", "enforce", "standard")
    assert (record["severity"], record["outcome"], record["part"]) == ("critical", "remediated", None)
    assert record["actor"] == {
        "arn": identity["arn"],
        "type": "AssumedRole",
        "session_issuer": identity["sessionContext"]["sessionIssuer"]["arn"],
        "source_ip": detail["sourceIPAddress"],
        "user_agent": detail["userAgent"],
        "invoked_by": None,
    }
    group = record["group"]
    assert (group["id"], group["name"], group["vpc"], group["cluster"]) == (world.node_group, "prod-node", world.vpc, "prod")
    assert {role["role"] for role in group["roles"] if role["strong"]} == {"node"}
    assert record["clusters"] == ["prod"]
    (finding,) = record["findings"]
    assert (finding["kind"], finding["requirement"], finding["check"]) == ("rule", None, None)
    assert finding["rule"] == {
        "id": rule_ids(event)[0],
        "direction": "ingress",
        "protocol": "tcp",
        "from_port": 10250,
        "to_port": 10250,
        "peer": {"cidr": WORLD},
        "description": "just a test",
        "tags": {},
    }
    assert (finding["verdict"], finding["severity"], finding["action"]) == ("revoke", "critical", "revoked")
    assert finding["named_by_event"] is True
    decisive = {
        "clause": "kubelet-internet",
        "protocol": "tcp",
        "ports": "10250",
        "peer_class": "internet",
        "verdict": "revoke",
    }
    assert decisive in finding["portions"]


def test_a_wide_rule_is_explained_portion_by_portion(world, somebody, guard):
    event = somebody.authorizes(world.node_group, allow("-1", None, WORLD))
    (record,) = closes(guard(), event, rule_ids(event)).response["records"]
    (finding,) = record["findings"]
    assert (finding["rule"]["protocol"], finding["rule"]["from_port"], finding["rule"]["to_port"]) == ("-1", None, None)
    assert {portion["clause"] for portion in finding["portions"]} >= {
        "kubelet-internet",
        "etcd-internet",
        "remote-login-wide",
        "nodeport-internet",
    }


def test_machines_get_the_same_record_and_people_get_plain_text(world, somebody, guard):
    event = somebody.authorizes(world.node_group, KUBELET)
    answer = closes(guard(), event, rule_ids(event))
    (machine,), (notice,) = world.published_records(), world.notices()
    assert json.loads(machine.text) == answer.response["records"][0]
    expected = {
        "severity": "critical",
        "outcome": "remediated",
        "cluster": "prod",
        "account": ACCOUNT,
        "region": REGION,
        "trigger": "event",
    }
    assert notice.attributes == machine.attributes == expected
    assert notice.subject
    for fact in (world.node_group, rule_ids(event)[0], "10250", WORLD, "alice", "prod", "kubelet"):
        assert fact in notice.text, fact


def test_one_event_about_two_forbidden_rules_is_one_notice(world, somebody, guard):
    event = somebody.authorizes(world.node_group, KUBELET, allow("tcp", 22, WORLD))
    closes(guard(), event, rule_ids(event))
    assert len(world.notices()) == 1


def test_without_topics_the_work_is_done_and_nothing_is_published(world, somebody, guard, aws):
    event = somebody.authorizes(world.node_group, KUBELET)
    closes(guard(GUARD_TOPIC_ARN="", GUARD_RECORD_TOPIC_ARN=""), event, rule_ids(event))
    assert not aws.asked("Publish")


def test_text_that_a_caller_controls_breaks_no_log_line_and_no_message(world, somebody, guard):
    nasty = 'x"\n{"timestamp":"t","level":"INFO","target":"record","record":{}}\r\n\x1b[31m'
    event = somebody.authorizes(world.node_group, KUBELET)
    event["detail"]["userAgent"] = nasty
    event["detail"]["userIdentity"]["arn"] += nasty
    answer = closes(guard(), event, rule_ids(event))
    assert all(line.startswith("{") and json.loads(line) for line in answer.lines)
    assert "\x1b" not in world.notices()[0].text
    assert len(answer.logged_records) == 1


def test_when_warm_a_group_that_is_not_eks_costs_one_round_trip(world, somebody, guard, aws):
    function = guard()
    leaves(function, somebody.authorizes(world.node_group, PRIVATE))
    aws.latency = 0.15  # longer than it takes to send the requests of one wave
    leaves(function, somebody.authorizes(world.bastion_group, KUBELET))
    assert len(waves(aws.requests)) == 1, [[each.action for each in wave] for wave in waves(aws.requests)]


def test_when_warm_the_revoke_leaves_after_one_round_trip(world, somebody, guard, aws):
    function = guard()
    leaves(function, somebody.authorizes(world.node_group, PRIVATE))
    aws.latency = 0.15
    event = somebody.authorizes(world.node_group, KUBELET)
    closes(function, event, rule_ids(event))
    found = [[each.action for each in wave] for wave in waves(aws.requests)]
    assert "RevokeSecurityGroupIngress" in found[1], found


def test_a_prefix_list_costs_at_most_one_round_trip_more(world, somebody, guard, aws):
    function = guard()
    leaves(function, somebody.authorizes(world.node_group, PRIVATE))
    aws.latency = 0.15
    event = somebody.authorizes(world.node_group, allow("tcp", 10250, world.everyone))
    closes(function, event, rule_ids(event))
    found = [[each.action for each in wave] for wave in waves(aws.requests)]
    assert any("RevokeSecurityGroupIngress" in wave for wave in found[:3]), found
