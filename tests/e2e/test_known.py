"""New or known: what the guard closes, however it comes to see it, and what it leaves because it was there."""

import pytest

from checks import actions, closes, findings, leaves
from events import delivered_again, failed, rule_ids
from state import State
from test_adoption import KUBELET, SWEEP, program, state  # noqa: F401
from test_repeats import minutes_ago
from test_triggers import puts_on
from world import OFFICE, WORLD, allow
from events import event

NODE = {"aws:eks:cluster-name": "prod", "kubernetes.io/cluster/prod": "owned"}
KUBELET_RULE = {"IpProtocol": "tcp", "FromPort": 10250, "ToPort": 10250, "CidrIpv4": WORLD}


@pytest.fixture
def known(program):
    """A process that has looked at everything."""

    def start(**environment):
        function = program(**environment)
        leaves(function, SWEEP)
        return function

    return start


def prefix_list(world, *entries):
    listed = [{"Cidr": entry} for entry in entries]
    made = world.emulator.ec2.create_managed_prefix_list(
        PrefixListName="partners", Entries=listed, MaxEntries=10, AddressFamily="IPv4"
    )
    return made["PrefixList"]["PrefixListId"]


def edits(world, prefix_list, **changes):
    """Entries are added or removed; the event of it."""
    ec2 = world.emulator.ec2
    version = ec2.describe_managed_prefix_lists(PrefixListIds=[prefix_list])["PrefixLists"][0]["Version"]
    listed = {kind: [{"Cidr": entry} for entry in entries] for kind, entries in changes.items()}
    ec2.modify_managed_prefix_list(PrefixListId=prefix_list, CurrentVersion=version, **listed)
    return event("ModifyManagedPrefixList", {"ModifyManagedPrefixListRequest": {"PrefixListId": prefix_list}}, None)


def told(answer, rule):
    """What became of the rule, and whether it was known."""
    finding = findings(answer)[rule]
    return finding["action"], finding["known"]


# --- what was there stays -------------------------------------------------------------------------------------------------


def test_a_known_rule_whose_description_is_edited_stays(world, somebody, known):
    [old] = world.open(world.node_group, KUBELET)
    function = known()
    answer = leaves(function, somebody.modifies(world.node_group, {old: {**KUBELET_RULE, "Description": "tuned"}}))
    assert told(answer, old) == ("would-revoke", True)
    leaves(function, SWEEP)


def test_a_known_rule_that_somebody_opens_again_stays(world, somebody, known):
    [old] = world.open(world.node_group, KUBELET)
    [twin] = world.open(world.pod_group, KUBELET)
    function = known()
    again = somebody.authorizes(world.node_group, allow("tcp", 9, "10.0.0.0/8"))
    again["detail"]["requestParameters"]["ipPermissions"]["items"][0] |= {
        "fromPort": 10250,
        "toPort": 10250,
        "ipRanges": {"items": [{"cidrIp": WORLD}]},
    }
    answer = leaves(function, failed(again, "Client.InvalidPermission.Duplicate"))
    assert told(answer, old) == ("would-revoke", True)
    assert twin in world.rules(world.pod_group)


def test_a_duplicate_of_a_rule_whose_event_was_lost_closes_it(world, somebody, known):
    function = known()
    lost = somebody.authorizes(world.node_group, KUBELET)
    answer = closes(function, failed(lost, "Client.InvalidPermission.Duplicate"), rule_ids(lost))
    assert told(answer, rule_ids(lost)[0]) == ("revoked", False)


@pytest.mark.parametrize("minutes", [61, 60 * 24 * 6])
def test_an_old_event_that_comes_again_makes_nothing_new(world, somebody, known, state, minutes):
    opened = somebody.authorizes(world.node_group, KUBELET)
    function = known()
    minutes_ago(opened, minutes)
    answer = leaves(function, opened)
    assert told(answer, rule_ids(opened)[0]) == ("would-revoke", True)
    state.lose("event")
    leaves(known(), delivered_again(opened))


def test_a_list_that_shrinks_makes_nothing_new(world, known):
    partners = prefix_list(world, "203.0.113.0/24", WORLD)
    [old] = world.open(world.node_group, allow("tcp", 10250, partners))
    function = known()
    answer = leaves(function, edits(world, partners, RemoveEntries=["203.0.113.0/24"]))
    assert told(answer, old) == ("would-revoke", True)
    leaves(function, SWEEP)


def test_an_open_list_that_gains_a_private_entry_makes_nothing_new(world, known):
    partners = prefix_list(world, WORLD)
    [old] = world.open(world.node_group, allow("tcp", 10250, partners))
    function = known()
    answer = leaves(function, edits(world, partners, AddEntries=["10.20.0.0/16"]))
    assert told(answer, old) == ("would-revoke", True)
    leaves(function, SWEEP)


@pytest.mark.parametrize("is_lost", [False, True], ids=["its event", "a sweep"])
def test_a_list_that_gains_what_is_forbidden_closes_what_uses_it(world, known, is_lost):
    partners = prefix_list(world, "10.20.0.0/16")
    used = world.open(world.node_group, allow("tcp", 10250, partners))
    function = known()
    edited = edits(world, partners, AddEntries=["198.51.100.0/24"])
    closes(function, SWEEP if is_lost else edited, used)


def test_a_list_that_loses_the_world_and_gains_it_again_is_closed(world, known):
    partners = prefix_list(world, WORLD)
    used = world.open(world.node_group, allow("tcp", 10250, partners))
    function = known()
    leaves(function, edits(world, partners, RemoveEntries=[WORLD], AddEntries=["10.20.0.0/16"]))
    leaves(function, SWEEP)
    closes(function, edits(world, partners, AddEntries=[WORLD]), used)


def test_a_known_open_list_that_gains_more_of_the_internet_is_closed(world, known):
    partners = prefix_list(world, "203.0.113.0/24")
    used = world.open(world.node_group, allow("tcp", 10250, partners))
    function = known()
    closes(function, edits(world, partners, AddEntries=["198.51.100.0/24"]), used)


def test_terraform_replaces_a_tolerated_rule_by_an_equal_one_and_it_stays(world, somebody, known):
    tolerated = allow("tcp", 8080, WORLD)
    old = world.open(world.node_group, tolerated)
    function = known()
    leaves(function, somebody.revokes(world.node_group, *old))
    created = somebody.authorizes(world.node_group, tolerated)
    answer = leaves(function, created)
    assert told(answer, rule_ids(created)[0])[0] == "reported"
    leaves(function, SWEEP)


# --- what came afterwards goes --------------------------------------------------------------------------------------------


def test_a_forbidden_rule_that_is_made_again_under_a_new_id_is_closed(world, somebody, known):
    old = world.open(world.node_group, KUBELET)
    function = known()
    leaves(function, somebody.revokes(world.node_group, *old))
    again = somebody.authorizes(world.node_group, KUBELET)
    closes(function, again, rule_ids(again))
    leaves(function, SWEEP)
    closes(function, SWEEP, world.open(world.node_group, KUBELET))


def test_two_rules_by_two_calls_that_are_both_there_are_closed_and_told_truly(world, somebody, known):
    function = known()
    one = somebody.authorizes(world.node_group, KUBELET)
    other = somebody.authorizes(world.node_group, allow("tcp", 2379, WORLD))
    answer = closes(function, one, [*rule_ids(one), *rule_ids(other)])
    assert [told(answer, rule)[1] for rule in rule_ids(one) + rule_ids(other)] == [False, False]
    answer = leaves(function, other)
    assert actions(answer) == {}, "it was told with the first: the journal says that it was the guard"
    assert not any("there before" in notice.text for notice in world.notices())


def test_an_event_about_something_else_closes_what_a_lost_event_opened(world, somebody, known):
    function = known()
    lost = world.open(world.node_group, KUBELET)
    answer = closes(function, somebody.authorizes(world.node_group, allow("tcp", 8443, "10.0.0.0/8")), lost)
    assert told(answer, lost[0]) == ("revoked", False)


EXCEPTION = """version: 1
exceptions:
  - id: pentest
    reason: penetration test
    owner: secops@example.com
    expires: {expires}
    cluster: prod
    protocol: tcp
    ports: [10250]
    from: [198.51.100.7/32]
"""


def test_an_exception_that_ends_closes_what_it_allowed_and_not_what_was_known_before(
    world, somebody, known, program, tmp_path
):
    policies = {}
    for name, expires in (("running", "2999-12-31"), ("ended", "2020-12-31")):
        path = tmp_path / f"{name}.yaml"
        path.write_text(EXCEPTION.format(expires=expires))
        policies[name] = str(path)
    before = world.open(world.pod_group, allow("tcp", 10250, OFFICE))
    known()
    excepted = program(GUARD_POLICY=policies["running"])
    event = somebody.authorizes(world.node_group, allow("tcp", 10250, OFFICE))
    leaves(excepted, event)
    leaves(excepted, SWEEP)
    ended = program(GUARD_POLICY=policies["ended"])
    answer = closes(ended, SWEEP, rule_ids(event))
    assert told(answer, before[0]) == ("would-revoke", True)
    leaves(ended, SWEEP)


@pytest.mark.parametrize("by_event", [False, True], ids=["a sweep", "its event"])
def test_what_was_opened_while_the_guard_only_reported_stays_and_is_told_critically_once(
    world, somebody, known, program, by_event
):
    known()
    reporting = program(GUARD_MODE="report")
    opened = somebody.authorizes(world.node_group, KUBELET)
    leaves(reporting, opened if by_event else SWEEP)
    before = len(world.notices())
    enforcing = program()
    [rule] = rule_ids(opened)
    answer = leaves(enforcing, SWEEP)
    finding = findings(answer)[rule]
    assert (finding["action"], finding["severity"]) == ("would-revoke", "critical")
    assert "while the guard only reported" in finding["detail"]
    (notice,) = world.notices()[before:]
    assert "while the guard only reported" in notice.text
    again = leaves(enforcing, SWEEP)
    assert "while the guard only reported" not in (findings(again)[rule]["detail"] or "")
    closes(enforcing, SWEEP, world.open(world.node_group, allow("tcp", 2379, WORLD)))
