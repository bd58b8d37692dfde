"""When people are notified of a rule that comes back, with the table that the processes share and without it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from checks import closes, leaves
from events import delivered_again, rule_ids
from world import WORLD, allow

KUBELET = allow("tcp", 10250, WORLD)


def minutes_ago(event: dict, minutes: int) -> dict:
    """The same event, of another time: CloudTrail's clock has seconds, and the test is faster."""
    event["detail"]["eventTime"] = (datetime.now(UTC) - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return event


def test_a_rule_that_comes_back_is_closed_each_time_and_contested_at_the_third(world, somebody, guard):
    table = world.state_table()
    for minutes, notices in ((9, 1), (6, 1), (3, 2), (1, 2)):
        function = guard(GUARD_STATE_TABLE=table)  # another process each time
        event = minutes_ago(somebody.authorizes(world.node_group, KUBELET), minutes)
        closes(function, event, rule_ids(event))
        function.stop()
        assert len(world.notices()) == notices
    contested = world.notices()[1]
    assert "for the 3rd time" in contested.subject
    assert "CONTESTED: opened 3 times" in contested.text
    records = [json.loads(each.text) for each in world.published_records()]
    assert len(records) == 4, "machines get every record"
    (marked,) = [finding["contested"] for record in records for finding in record["findings"] if "contested" in finding]
    assert marked["times"] == 3
    assert sum(opener["times"] for opener in marked["by"]) == 3
    items = [item["pk"]["S"].split("#")[0] for item in world.table_items(table)]
    assert (items.count("event"), items.count("finding")) == (4, 1)


def test_an_event_that_comes_to_another_process_is_one_notice_and_one_record(world, somebody, guard):
    table = world.state_table()
    event = somebody.authorizes(world.node_group, KUBELET)
    closes(guard(GUARD_STATE_TABLE=table), event, rule_ids(event))
    answer = leaves(guard(GUARD_STATE_TABLE=table), delivered_again(event))
    assert "handled already" in answer.response["ignored"]
    assert len(world.notices()) == len(world.published_records()) == 1


def test_without_a_table_repeats_are_not_merged_and_the_log_says_so(world, somebody, guard):
    function = guard()
    for minutes in (9, 6, 3):
        event = minutes_ago(somebody.authorizes(world.node_group, KUBELET), minutes)
        closes(function, event, rule_ids(event))
    assert len(world.notices()) == 3
    assert not any("CONTESTED" in each.text for each in world.notices())


@pytest.mark.parametrize("broken", ["missing", "throttled"])
def test_a_table_that_fails_keeps_no_rule_open_and_silences_nobody(world, somebody, guard, aws, broken):
    table = "nowhere" if broken == "missing" else world.state_table()
    if broken == "throttled":
        aws.on("BatchGetItem", error="ThrottlingException", times=50)
        aws.on("PutItem", error="ThrottlingException", times=50)
    function = guard(GUARD_STATE_TABLE=table)
    event = somebody.authorizes(world.node_group, KUBELET)
    answer = function.invoke(event)
    assert not set(rule_ids(event)) & world.rules(world.node_group).keys(), "it is closed"
    assert answer.failed
    assert "could not be read" in answer.error_message
    assert len(world.notices()) == 1
    again = function.invoke(delivered_again(event))
    assert not again.failed, "the retry bothers nobody"
    assert len(world.notices()) == 1
