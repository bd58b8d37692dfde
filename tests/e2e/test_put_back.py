"""A known rule that somebody edited in place to what is forbidden becomes again what it was; or what becomes of it else."""

import pytest

from checks import actions, closes, findings, leaves, outcome, put_back, puts_back, revoked_ids
from events import rule_ids
from test_adoption import KUBELET, SWEEP, breaks_nothing, program, state  # noqa: F401
from test_known import edits, known, prefix_list, told  # noqa: F401
from world import VPC_RANGE, WORLD, WORLD_V6, allow

MODIFY = "ModifySecurityGroupRules"


def body(protocol, port, peer, **more):
    """What ModifySecurityGroupRules makes of a rule."""
    kind = "PrefixListId" if peer.startswith("pl-") else "CidrIpv6" if ":" in peer else "CidrIpv4"
    return {"IpProtocol": protocol, "FromPort": port, "ToPort": port, kind: peer, **more}


OPEN = body("tcp", 10250, WORLD)
SSH = body("tcp", 22, WORLD)
HTTPS = allow("tcp", 443, "10.0.0.0/8", text="from the office")


@pytest.fixture
def good(world):
    """A rule that nobody minds, there at the first look."""
    [rule] = world.open(world.node_group, HTTPS)
    return rule


def only(world, *rules):
    """These rules as they are now."""
    return {rule: world.rules()[rule] for rule in rules}


def last_notice(world):
    return world.notices()[-1]


# --- put back -------------------------------------------------------------------------------------------------------------


def test_of_forty_forbidden_rules_the_one_that_was_edited_is_put_back(world, somebody, known):
    old = world.open(world.node_group, *(allow("tcp", 10250, f"203.0.{each}.0/24", text=f"n{each}") for each in range(40)))
    function, former = known(), only(world, old[7])
    answer = puts_back(function, somebody.modifies(world.node_group, {old[7]: SSH}), former)
    others = {rule: action for rule, action in actions(answer).items() if rule != old[7]}
    assert others == {rule: "would-revoke" for rule in old if rule != old[7]}
    assert put_back(world.emulator.mutations)[old[7]]["Description"] == "n7"
    answer = leaves(function, SWEEP)
    assert actions(answer) == dict.fromkeys(old, "would-revoke")


@pytest.mark.parametrize("is_lost", [False, True], ids=["its event", "a sweep"])
@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (HTTPS, OPEN),
        (allow("udp", (8000, 9000), "10.0.0.0/8"), body("-1", -1, WORLD)),
        (allow("tcp", 443, "fd00::/8", text="v6"), body("tcp", 10250, WORLD_V6)),
        (allow("icmp", (8, 0), "10.0.0.0/8"), SSH),
        (allow("47", None, "10.0.0.0/8"), SSH),
        (allow("-1", None, "10.0.0.0/8"), body("-1", -1, WORLD)),
    ],
    ids=["tcp", "udp", "IPv6", "ICMP", "GRE", "all"],
)
def test_a_good_rule_that_was_edited_to_the_world_is_put_back_and_nothing_is_lost(
    world, somebody, known, was, becomes, is_lost
):
    [rule] = world.open(world.node_group, was)
    world.emulator.ec2.create_tags(Resources=[rule], Tags=[{"Key": "team", "Value": "web"}])
    function, former = known(), only(world, rule)
    event = somebody.modifies(world.node_group, {rule: becomes})
    answer = puts_back(function, SWEEP if is_lost else event, former)
    assert findings(answer)[rule]["rule"] != findings(answer)[rule]["before"]
    notice = last_notice(world)
    assert "put back to what it was" in notice.text
    leaves(function, SWEEP)


def test_several_rules_of_one_call_are_put_back_each_to_its_own(world, somebody, known, good):
    rules = [good, *world.open(world.node_group, *(allow("tcp", 8000 + each, "10.0.0.0/8") for each in range(30)))]
    function, former = known(), only(world, *rules)
    puts_back(function, somebody.modifies(world.node_group, {rule: body("tcp", 10250, f"9.0.{n}.0/24") for n, rule in
                                                             enumerate(rules)}), former)


def test_where_a_requirement_stood_on_it_it_stands_on_it_again(world, somebody, known):
    """What the control plane needs is let in by addresses alone."""
    ec2 = world.emulator.ec2
    from_control_plane = [rule for rule, content in world.rules(world.node_group).items()
                          if content.get("Description") == "control plane to nodes"]
    ec2.revoke_security_group_ingress(GroupId=world.node_group, SecurityGroupRuleIds=from_control_plane)
    [kubelet, _] = world.open(world.node_group, allow("tcp", 10250, VPC_RANGE), allow("tcp", 443, VPC_RANGE))
    function, former = known(), only(world, kubelet)
    answer = puts_back(function, somebody.modifies(world.node_group, {kubelet: SSH}), former)
    assert not [finding for record in answer.logged_records for finding in record["findings"] if finding["requirement"]]


def test_a_list_based_rule_is_put_back_to_its_list(world, somebody, known):
    partners = prefix_list(world, "10.20.0.0/16")
    [rule] = world.open(world.node_group, allow("tcp", 443, partners, text="partners"))
    function, former = known(), only(world, rule)
    puts_back(function, somebody.modifies(world.node_group, {rule: body("tcp", 22, world.everyone)}), former)
    leaves(function, SWEEP)


def test_a_list_that_has_become_the_worlds_since_is_nothing_to_go_back_to(world, somebody, known):
    partners = prefix_list(world, "10.20.0.0/16")
    [rule] = world.open(world.node_group, allow("tcp", 10250, partners))
    function = known()
    edits(world, partners, AddEntries=[WORLD])
    answer = closes(function, somebody.modifies(world.node_group, {rule: body("tcp", 22, world.everyone)}), [rule])
    assert "its prefix list" in findings(answer)[rule]["detail"]


def test_a_list_that_is_gone_is_nothing_to_go_back_to(world, somebody, known, aws):
    partners = prefix_list(world, "10.20.0.0/16")
    [rule] = world.open(world.node_group, allow("tcp", 443, partners))
    function = known()
    event = somebody.modifies(world.node_group, {rule: body("tcp", 22, world.everyone)})
    aws.ec2.delete_managed_prefix_list(PrefixListId=partners)
    function.invoke(event)
    assert rule not in world.rules()
    assert "ost is what the rule was" in last_notice(world).text


# --- edited more than once ------------------------------------------------------------------------------------------------


def test_edited_twice_before_we_look_it_is_put_back_once_to_what_was_known(world, somebody, known, good):
    function, former = known(), only(world, good)
    one = somebody.modifies(world.node_group, {good: OPEN})
    other = somebody.modifies(world.node_group, {good: SSH})
    puts_back(function, one, former)
    answer = leaves(function, other)
    assert good not in actions(answer)


def test_edited_to_what_is_allowed_and_then_to_the_world_it_is_put_back_to_what_was_seen(world, somebody, known, good):
    function = known()
    leaves(function, somebody.modifies(world.node_group, {good: body("tcp", 8443, "10.0.0.0/8")}))
    former = only(world, good)
    puts_back(function, somebody.modifies(world.node_group, {good: OPEN}), former)


def test_edited_and_deleted_nothing_is_opened_again(world, somebody, known, good):
    function = known()
    event = somebody.modifies(world.node_group, {good: OPEN})
    deleted = somebody.revokes(world.node_group, good)
    answer = leaves(function, event)
    assert actions(answer).get(good) == "was-open"
    leaves(function, deleted)


def test_edited_and_mended_by_hand_nothing_is_done(world, somebody, known, good):
    function = known()
    event = somebody.modifies(world.node_group, {good: OPEN})
    somebody.modifies(world.node_group, {good: body("tcp", 443, "10.0.0.0/8")})
    leaves(function, event)


# --- while we put back ----------------------------------------------------------------------------------------------------


def meanwhile(world, rule, content):
    """Somebody edits or deletes the rule."""
    ec2 = world.emulator.ec2

    def happens():
        if content is None:
            ec2.revoke_security_group_ingress(GroupId=world.node_group, SecurityGroupRuleIds=[rule])
        else:
            updates = [{"SecurityGroupRuleId": rule, "SecurityGroupRule": content}]
            ec2.modify_security_group_rules(GroupId=world.node_group, SecurityGroupRules=updates)

    return happens


def test_edited_again_just_before_our_call_it_is_put_back(world, somebody, known, good, aws):
    function, former = known(), only(world, good)
    event = somebody.modifies(world.node_group, {good: OPEN})
    aws.on(MODIFY, before=meanwhile(world, good, SSH), times=1)
    puts_back(function, event, former)


def test_edited_again_just_after_our_call_it_is_put_back_once_more(world, somebody, known, good, aws):
    function, former = known(), only(world, good)
    event = somebody.modifies(world.node_group, {good: OPEN})
    aws.on(MODIFY, after=meanwhile(world, good, SSH), times=1)
    puts_back(function, event, former)
    assert len(aws.mutations) == 2


def test_edited_again_and_again_it_is_open_and_said_to_be(world, somebody, known, good, aws):
    function = known()
    event = somebody.modifies(world.node_group, {good: OPEN})
    aws.on(MODIFY, after=meanwhile(world, good, SSH))
    answer = function.invoke(event)
    assert answer.failed
    assert (actions(answer)[good], outcome(answer)) == ("failed", "failed")
    assert 1 <= len(aws.mutations) <= 3
    assert "STILL OPEN" in last_notice(world).text


def test_edited_to_something_fine_just_after_our_call_it_stays_that(world, somebody, known, good, aws):
    function = known()
    event = somebody.modifies(world.node_group, {good: OPEN})
    aws.on(MODIFY, after=meanwhile(world, good, body("tcp", 8443, "10.0.0.0/8")), times=1)
    answer = function.invoke(event)
    assert not answer.failed, answer.error_message
    assert world.rules()[good]["FromPort"] == 8443
    assert len(aws.mutations) == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_deleted_while_we_put_it_back_nothing_is_opened_again(world, somebody, known, good, aws, when):
    function, before = known(), world.rules()
    event = somebody.modifies(world.node_group, {good: OPEN})
    aws.on(MODIFY, **{when: meanwhile(world, good, None)}, times=1)
    answer = function.invoke(event)
    assert not answer.failed, answer.error_message
    assert actions(answer)[good] == "already-gone"
    assert world.rules() == {rule: content for rule, content in before.items() if rule != good}


def test_an_answer_that_is_lost_is_no_failure(world, somebody, known, good, aws):
    function, former = known(), only(world, good)
    event = somebody.modifies(world.node_group, {good: OPEN})
    aws.on(MODIFY, lose=True, times=1)
    puts_back(function, event, former)


# --- EC2 refuses ----------------------------------------------------------------------------------------------------------


def test_denied_it_is_a_failure_told_critically_and_not_revoked_instead(world, somebody, known, good, aws):
    function, former = known(), only(world, good)
    event = somebody.modifies(world.node_group, {good: OPEN})
    edited = world.rules()
    aws.on(MODIFY, error="UnauthorizedOperation", status=403)
    answer = function.invoke(event)
    assert answer.failed
    assert "ModifySecurityGroupRules" in answer.error_message
    finding = findings(answer)[good]
    assert (finding["action"], finding["severity"], outcome(answer)) == ("failed", "critical", "failed")
    assert finding["before"]["id"] == good
    assert world.rules() == edited
    assert put_back(aws.mutations).keys() == {good}
    notice = last_notice(world)
    assert notice.attributes["severity"] == "critical"
    assert "STILL OPEN" in notice.text
    aws.calm()
    puts_back(function, event, former)


def test_one_that_ec2_throttles_is_tried_again_and_never_revoked(world, somebody, known, good, aws):
    function, former = known(), only(world, good)
    event = somebody.modifies(world.node_group, {good: OPEN})
    aws.on(MODIFY, throttled=True, times=20)
    answer = function.invoke(event)
    assert answer.failed
    assert good in world.rules()
    aws.calm()
    puts_back(function, event, former)


def test_what_another_rule_lets_in_by_now_is_revoked_and_nothing_is_lost(world, somebody, known, good, aws):
    function = known()
    event = somebody.modifies(world.node_group, {good: OPEN})
    [twin] = world.open(world.node_group, HTTPS)
    before = world.rules()
    aws.forget()
    answer = function.invoke(event)
    assert not answer.failed, answer.error_message
    assert actions(answer)[good] == "revoked"
    assert world.rules() == {rule: content for rule, content in before.items() if rule != good}
    assert twin in findings(answer)[good]["detail"]
    assert revoked_ids([request for request in aws.mutations if request.action != MODIFY]) == [good]


# --- told not to, or not able to ------------------------------------------------------------------------------------------


def test_in_report_mode_nothing_is_called_and_people_read_what_would_be(world, somebody, known, program, good):
    known()
    answer = leaves(program(GUARD_MODE="report"), somebody.modifies(world.node_group, {good: OPEN}))
    finding = findings(answer)[good]
    assert finding["action"] == "would-revoke"
    assert "would be put back to" in finding["detail"]
    assert "would be put back to" in last_notice(world).text


def test_told_never_to_put_back_it_is_revoked_and_the_notice_says_what_was_lost(world, somebody, known, program, good):
    known()
    function = program(GUARD_RESTORE="never")
    answer = closes(function, somebody.modifies(world.node_group, {good: OPEN}), [good])
    finding = findings(answer)[good]
    assert finding["before"]["from_port"] == 443
    assert "`GUARD_RESTORE` is `never`" in finding["detail"]
    text = last_notice(world).text
    assert text.index("LOST with it") < text.index("aws ec2")


@pytest.mark.parametrize("is_event", [True, False], ids=["its event", "a sweep"])
def test_without_a_table_it_is_revoked_by_its_event_and_never_put_back(world, somebody, guard, good, is_event):
    function = guard()
    event = somebody.modifies(world.node_group, {good: OPEN})
    closes(function, event if is_event else SWEEP, [good] if is_event else [])


def test_a_rule_that_was_never_known_is_revoked(world, somebody, known):
    function = known()
    [rule] = world.open(world.node_group, HTTPS)
    closes(function, somebody.modifies(world.node_group, {rule: OPEN}), [rule])


def test_a_rule_that_its_own_event_made_and_somebody_edited_is_put_back_or_closed(world, somebody, known):
    function = known()
    made = somebody.authorizes(world.node_group, HTTPS)
    leaves(function, made)
    [rule] = rule_ids(made)
    former = only(world, rule)
    puts_back(function, somebody.modifies(world.node_group, {rule: OPEN}), former)
    again = somebody.authorizes(world.node_group, allow("tcp", 444, "10.0.0.0/8"))
    [late] = rule_ids(again)
    somebody.modifies(world.node_group, {late: OPEN})
    closes(function, again, [late])


GARBLED = {"ip_protocol": "carp?"}


def test_a_rule_that_nobody_can_read_after_its_edit_is_left_and_told(world, somebody, known, good, aws):
    function, former = known(), only(world, good)
    event = somebody.modifies(world.node_group, {good: OPEN})
    aws.garble(good, **GARBLED)
    answer = breaks_nothing(function, event)
    assert good not in actions(answer)
    assert "unreadable-rule" in {each["check"] for record in answer.logged_records for each in record["findings"]}
    aws.garble(good)
    puts_back(function, SWEEP, former)


def test_a_rule_that_nobody_could_read_at_the_first_look_is_never_put_back(world, somebody, known, good, aws):
    aws.garble(good, **GARBLED)
    function = known()
    event = somebody.modifies(world.node_group, {good: OPEN})
    aws.garble(good)
    closes(function, event, [good])


def test_while_the_table_is_away_it_waits_and_is_put_back_with_the_next_try(world, somebody, known, good, aws):
    function, former = known(), only(world, good)
    event = somebody.modifies(world.node_group, {good: OPEN})
    for action in ("BatchGetItem", "PutItem"):
        aws.on(action, error="AccessDeniedException")
    answer = breaks_nothing(function, event)
    assert answer.failed
    assert told(answer, good)[0] == "refused"
    aws.calm()
    puts_back(function, event, former)


def test_two_processes_that_see_the_same_edit_put_it_back_and_lose_nothing(world, somebody, known, program, good, aws):
    one, other, former = known(), program(), only(world, good)
    event = somebody.modifies(world.node_group, {good: OPEN})
    inner = []
    aws.on(MODIFY, before=lambda: inner.append(other.invoke(event)), times=1)
    answer = one.invoke(event)
    assert not answer.failed and not inner[0].failed
    assert world.rules()[good] == former[good]
    leaves(one, SWEEP)
