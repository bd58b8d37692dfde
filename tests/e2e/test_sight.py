"""Whether the guard still sees what happens: trails, its own event rule, and lists that other accounts share."""

import json

import pytest
from checks import closes, leaves
from emulator import ACCOUNT, REGION
from events import delivered_again, event, failed, moved, omitted
from lambda_runtime import ARN
from test_known import edits, prefix_list
from trails import RULE, Hands, make_trail
from world import WORLD, allow

SWEEP = {"sweep": True}
FAR, OWNER, MEMBER = "eu-west-1", "777788889999", "444455556666"


@pytest.fixture
def hands(aws, world):
    return Hands(aws)


def found(answer):
    """What is said of the account: check and severity."""
    records = [each for each in answer.logged_records if not each["group"] and not each["clusters"]]
    findings = [each for record in records for each in record["findings"]]
    assert all(each["kind"] == "account" and each["action"] == "reported" for each in findings)
    return [(each["check"], each["severity"]) for each in findings]


def blind(world):
    return [mail for mail in world.notices() if "BLIND" in mail.subject]


# --- trails ---------------------------------------------------------------------------------------------------------------


def test_a_trail_that_is_stopped_is_told_once_with_who_and_what_to_do(world, hands, looked):
    service = looked()
    stopped = hands.trail("StopLogging")
    [answer] = service.delivers(stopped)
    assert not answer.failed, answer.error_message
    assert found(answer) == [("no-trail", "critical")]
    [mail] = world.notices()
    assert mail.subject == f"[CRITICAL] BLIND {ACCOUNT} {REGION}: no trail logs the calls to EC2, after StopLogging"
    command = f"aws cloudtrail start-logging --name audit --region {REGION}"
    for word in ("alice", "called StopLogging just before", command, '{"sweep": true}'):
        assert word in mail.text, mail.text
    (message,) = world.published_records()
    record = json.loads(message.text)
    assert (record["group"], record["clusters"], record["event_name"]) == (None, [], "StopLogging")
    service.replace()
    service.delivers(delivered_again(stopped))
    service.delivers(hands.trail("DeleteTrail"))
    assert len(world.notices()) == 1, "a repeat, and still blind"
    service.delivers(SWEEP)
    answers = service.works(0)
    assert ("no-trail", "critical") in [each for answer in answers for each in found(answer)]
    assert len(world.notices()) == 1, "known within the hour"
    service.works()
    service.passes(4000)
    service.delivers(SWEEP)
    service.works()
    assert len(blind(world)) == 2, "still blind an hour later"


def test_a_trail_that_logs_again_is_fine_and_to_stop_it_again_is_news(world, hands, looked):
    service = looked()
    service.delivers(hands.trail("StopLogging"))
    [answer] = service.delivers(hands.trail("StartLogging"))
    assert answer.response == {"records": [], "ignored": "after `StartLogging` events still reach the guard"}
    service.delivers(SWEEP)
    assert [each for answer in service.works() for each in found(answer)] == []
    assert len(world.notices()) == 1
    service.delivers(hands.trail("StopLogging"))
    assert len(blind(world)) == 2


def selectors(**one):
    return {"EventSelectors": [{"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": [], **one}]}


def advanced(*fields):
    equal = [{"Field": field, operator: values} for field, operator, values in fields]
    return {"AdvancedEventSelectors": [{"Name": "one", "FieldSelectors": equal}]}


MANAGEMENT = ("eventCategory", "Equals", ["Management"])


@pytest.mark.parametrize(
    ("call", "request_", "is_blind"),
    [
        ("DeleteTrail", {}, True),
        ("UpdateTrail", {"IsMultiRegionTrail": False}, False),
        ("PutEventSelectors", selectors(ReadWriteType="ReadOnly"), True),
        ("PutEventSelectors", selectors(ReadWriteType="WriteOnly"), False),
        ("PutEventSelectors", selectors(IncludeManagementEvents=False), True),
        ("PutEventSelectors", selectors(ExcludeManagementEventSources=["kms.amazonaws.com"]), False),
        ("PutEventSelectors", selectors(ExcludeManagementEventSources=["ec2.amazonaws.com"]), True),
        ("PutEventSelectors", advanced(MANAGEMENT), False),
        ("PutEventSelectors", advanced(("eventCategory", "Equals", ["Data"])), True),
        ("PutEventSelectors", advanced(MANAGEMENT, ("readOnly", "Equals", ["true"])), True),
        ("PutEventSelectors", advanced(MANAGEMENT, ("eventSource", "NotEquals", ["kms.amazonaws.com"])), False),
        ("PutEventSelectors", advanced(MANAGEMENT, ("eventSource", "NotStartsWith", ["ec2."])), True),
    ],
)
def test_what_a_call_leaves_of_the_trail_is_looked_at(world, hands, guard, call, request_, is_blind):
    answer = guard().invoke(hands.trail(call, **request_))
    assert not answer.failed, answer.error_message
    assert found(answer) == [("no-trail", "critical")] * is_blind
    assert len(blind(world)) == is_blind


def test_another_trail_that_logs_is_enough_and_one_of_another_region_is_not(aws, world, hands, guard):
    function = guard()
    make_trail(aws, "second")
    assert found(function.invoke(hands.trail("StopLogging"))) == []
    make_trail(aws, "far", FAR)
    assert found(function.invoke(hands.trail("DeleteTrail", "second"))) == [("no-trail", "critical")]
    make_trail(aws, "everywhere", FAR, IsMultiRegionTrail=True)
    assert found(function.invoke(SWEEP)) == []


def test_nothing_of_the_event_is_believed(world, hands, guard):
    function = guard()
    claimed = event("StopLogging", {"name": "audit"}, None)
    claimed["source"], claimed["detail"]["eventSource"] = "aws.cloudtrail", "cloudtrail.amazonaws.com"
    assert found(function.invoke(claimed)) == [], "the trail logs"
    hands.trail("StopLogging")
    assert "failed" in function.invoke(failed(claimed, "AccessDenied")).response["ignored"]
    assert found(function.invoke(delivered_again(omitted(claimed, "requestParameters")))) == [("no-trail", "critical")]
    foreign = function.invoke(moved(claimed, OWNER))
    assert "this function guards" in foreign.response["ignored"]


@pytest.mark.parametrize("call", ["DescribeTrails", "GetTrailStatus", "GetEventSelectors"])
@pytest.mark.parametrize("error", ["AccessDeniedException", "TrailNotFoundException"])
def test_trails_that_cannot_be_read_are_said_once_and_disturb_nobody(world, aws, looked, call, error):
    service = looked(GUARD_SWEEP_MODE="enforce")
    world.open(world.node_group, allow("tcp", 10250, WORLD))
    aws.on(call, error=error)
    for _ in range(3):
        service.delivers(SWEEP)
        answers = service.works()
        assert not any(answer.failed for answer in answers), [answer.error_message for answer in answers]
        assert [each for answer in answers for each in found(answer)] == [("trails-unread", "medium")]
        service.passes(86_400)
    [mail] = [mail for mail in world.notices() if "trail" in mail.subject]
    assert f"cloudtrail:{call}" in mail.text
    assert not blind(world)
    subjects = [mail.subject for mail in world.notices()]
    assert any(" OPEN " in subject or " CLOSED " in subject for subject in subjects), "the sweep did what it does"


def test_a_cloudtrail_that_does_not_answer_delays_a_sweep_by_seconds(world, aws, guard):
    aws.slow("DescribeTrails", 40)
    answer = guard().invoke(SWEEP)
    assert not answer.failed, answer.error_message
    assert answer.seconds < 20
    assert found(answer) == [("trails-unread", "medium")]


def test_a_trail_of_another_region_of_the_account_is_looked_at_where_it_logged(world, aws, guard):
    """The one that blinds us may leave its home region seeing."""
    make_trail(aws, "here")
    function = guard(GUARD_REGIONS=f"{REGION},{FAR}", GUARD_ROLE_NAME="eks-sg-guard-member")
    function.locations = {(ACCOUNT, REGION), (ACCOUNT, FAR)}
    answer = function.invoke(Hands(aws).trail("StopLogging"))
    (record,) = answer.response["records"]
    assert (record["region"], record["findings"][0]["check"]) == (FAR, "no-trail")
    assert len(blind(world)) == 1


def test_a_sweep_of_several_locations_says_it_of_each(world, aws, hands, guard):
    hands.trail("StopLogging")
    function = guard(GUARD_REGIONS=f"{REGION},{FAR}", GUARD_ROLE_NAME="eks-sg-guard-member")
    function.locations = {(ACCOUNT, REGION), (ACCOUNT, FAR)}
    answer = function.invoke(SWEEP)
    assert {each["region"] for each in answer.response["records"] if each["severity"] == "critical"} == {REGION, FAR}


# --- the own rule ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def ruled(hands, looked):
    """The function with its event rule."""
    hands.events.put_rule(Name=RULE, EventPattern='{"source": ["aws.ec2"]}')
    hands.events.put_targets(Rule=RULE, Targets=[{"Id": "guard", "Arn": ARN}])
    return looked(GUARD_EVENT_RULE=RULE)


@pytest.mark.parametrize(
    ("call", "request_"),
    [("DisableRule", {}), ("RemoveTargets", {"Ids": ["guard"]}), ("PutRule", {"EventPattern": "{}", "State": "DISABLED"})],
)
def test_the_own_rule_that_does_not_deliver_is_told_once(world, hands, ruled, call, request_):
    [answer] = ruled.delivers(hands.rule(call, **request_))
    assert not answer.failed, answer.error_message
    assert found(answer) == [("rule-disabled", "critical")]
    [mail] = world.notices()
    assert mail.subject == f"[CRITICAL] BLIND {ACCOUNT} {REGION}: the guard's event rule is off, after {call}"
    assert "alice" in mail.text and call in mail.text
    ruled.delivers(SWEEP)
    assert ("rule-disabled", "critical") in [each for answer in ruled.works() for each in found(answer)]
    assert len(world.notices()) == 1


def test_the_own_rule_that_is_gone_is_told(world, hands, ruled):
    hands.events.remove_targets(Rule=RULE, Ids=["guard"])
    [answer] = ruled.delivers(hands.rule("DeleteRule"))
    assert found(answer) == [("rule-disabled", "critical")]
    assert f"event rule `{RULE}` is gone" in world.notices()[0].text


def test_a_rule_that_delivers_again_is_fine(world, hands, ruled):
    ruled.delivers(hands.rule("DisableRule"))
    [answer] = ruled.delivers(hands.rule("EnableRule"))
    assert found(answer) == [] and "still reach" in answer.response["ignored"]
    ruled.delivers(hands.rule("DisableRule"))
    assert len(blind(world)) == 2


def test_another_rule_is_nobodys_business(world, aws, hands, ruled):
    hands.events.put_rule(Name="another", EventPattern="{}")
    aws.forget()
    [answer] = ruled.delivers(hands.rule("DisableRule", "another"))
    assert "about event rule `another`" in answer.response["ignored"]
    assert not aws.asked("DescribeRule")


def test_without_the_variable_no_rule_is_looked_at(world, aws, hands, guard):
    hands.events.put_rule(Name=RULE, EventPattern="{}")
    function = guard()
    assert "not looked at" in function.invoke(hands.rule("DisableRule")).response["ignored"]
    assert found(function.invoke(SWEEP)) == []
    assert not aws.asked("DescribeRule")


def test_a_rule_that_cannot_be_read_is_said_once(world, aws, ruled):
    aws.on("DescribeRule", error="AccessDeniedException")
    for _ in range(2):
        ruled.delivers(SWEEP)
        assert [each for answer in ruled.works() for each in found(answer)] == [("rule-unread", "medium")]
        ruled.passes(86_400)
    assert len([mail for mail in world.notices() if "event rule" in mail.subject]) == 1


# --- lists that other accounts share --------------------------------------------------------------------------------------


def test_a_shared_list_that_gains_the_world_closes_rules_of_guarded_accounts(world, guard):
    shared = prefix_list(world, "10.20.0.0/16")
    [rule] = world.open(world.node_group, allow("tcp", 10250, shared))
    answer = closes(guard(), moved(edits(world, shared, AddEntries=[WORLD]), OWNER), [rule])
    (record,) = answer.response["records"]
    assert (record["account"], record["event_name"]) == (ACCOUNT, "ModifyManagedPrefixList")


def test_a_shared_list_in_change_is_looked_at_again_where_it_is_used(world, aws, looked):
    shared = prefix_list(world, "10.20.0.0/16")
    [rule] = world.open(world.node_group, allow("tcp", 10250, shared))
    service = looked()
    aws.hold_modifications = True
    service.delivers(moved(edits(world, shared, AddEntries=[WORLD]), OWNER))
    assert rule in world.rules()
    world.finish_list(shared)
    service.works()
    assert rule not in world.rules()


def test_every_guarded_account_of_the_region_is_looked_at_and_nothing_else(world, aws, guard):
    shared = prefix_list(world, "10.20.0.0/16")
    [rule] = world.open(world.node_group, allow("tcp", 10250, shared))
    function = guard(
        GUARD_ACCOUNTS=f"{MEMBER},{ACCOUNT}", GUARD_REGIONS=f"{REGION},{FAR}", GUARD_ROLE_NAME="eks-sg-guard-member"
    )
    function.locations = {(account, region) for account in (ACCOUNT, MEMBER) for region in (REGION, FAR)}
    elsewhere = function.invoke(moved(edits(world, shared, AddEntries=[WORLD]), OWNER, "us-west-2"))
    assert "this function guards" in elsewhere.response["ignored"]
    closes(function, moved(edits(world, shared, RemoveEntries=["10.20.0.0/16"]), OWNER), [rule])
    assumed = {str(request.params["RoleArn"]) for request in aws.asked("AssumeRole")}
    assert len(assumed) == 1 and MEMBER in assumed.pop()


def test_a_list_that_nobody_uses_and_any_other_call_of_its_owner_are_ignored(world, somebody, guard):
    function = guard()
    shared = prefix_list(world, "10.20.0.0/16")
    answer = leaves(function, moved(edits(world, shared, AddEntries=[WORLD]), OWNER))
    assert answer.response["ignored"] == "`ModifyManagedPrefixList` concerns no security group that is there"
    opened = moved(somebody.authorizes(world.node_group, allow("tcp", 10250, WORLD)), OWNER)
    assert "this function guards" in leaves(function, opened).response["ignored"]
