"""Facts in a slow and throttled account: the rule goes at the first try, or the error says what could not be read."""

import pytest

import crowds
from checks import closes
from events import rule_ids
from slow_calls import KUBELET, SCENARIOS, play, slowed_in_turn, table
from world import WORLD, allow

OFFICE_RANGE = "203.0.113.16/28"
EKS = ("DescribeCluster", "ListClusters", "DescribeNodegroup", "ListNodegroups")


def cut(aws, pages=5, before_filter=False, empty_token=False):
    aws.page_size, aws.cut_before_filter, aws.empty_last_token = pages, before_filter, empty_token


# --- throttled ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_with_every_second_read_throttled_the_rule_goes_at_the_first_try(world, somebody, guard, aws, scenario):
    event = somebody.authorizes(SCENARIOS[scenario](world), KUBELET)
    aws.throttle_reads()
    closes(guard(), event, rule_ids(event))


@pytest.mark.parametrize("scenario", ["managed-node-group", "karpenter-node"])
def test_with_sixty_clusters_and_ten_calls_a_second_to_eks_the_rule_goes_at_once(world, somebody, guard, aws, scenario):
    group = SCENARIOS[scenario](world)
    crowds.clusters(world, 59)
    event = somebody.authorizes(group, KUBELET)
    aws.limit("eks", capacity=10, refill=10)
    closes(guard(), event, rule_ids(event))


# --- pages ----------------------------------------------------------------------------------------------------------------

PAGES = {
    "of five": {},
    "cut before the filter": {"before_filter": True},
    "an empty last token": {"empty_token": True},
    "all of it": {"pages": 1, "before_filter": True, "empty_token": True},
}


@pytest.mark.parametrize("pages", PAGES.values(), ids=PAGES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_however_answers_are_cut_into_pages_the_rule_goes(world, somebody, guard, aws, scenario, pages):
    group = SCENARIOS[scenario](world)
    for number in range(6):
        world.instance(world.bastion_group, {"Name": f"another {number}"})
        world.open(group, allow("tcp", 8000 + number, "10.0.0.0/8"))
    event = somebody.authorizes(group, KUBELET)
    cut(aws, **pages)
    closes(guard(), event, rule_ids(event))


# --- EKS refuses everything -----------------------------------------------------------------------------------------------

REFUSALS = {
    "denied": {"error": "AccessDeniedException", "status": 403},
    "throttled": {"error": "ThrottlingException", "status": 429},
    "out of order": {"error": "ServerException", "status": 500},
}


def refuses(aws, refusal):
    for action in EKS:
        aws.on(action, **refusal)


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_without_eks_a_rule_for_the_world_is_closed_and_the_error_names_eks(world, somebody, guard, aws, refusal):
    event = somebody.authorizes(world.node_group, KUBELET)
    refuses(aws, refusal)
    answer = guard().invoke(event)
    assert not set(rule_ids(event)) & world.rules().keys(), answer.error_message
    assert answer.failed
    assert "eks:" in answer.error_message.lower()


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_without_eks_a_rule_for_a_few_public_addresses_stays_and_the_error_names_eks(world, somebody, guard, aws, refusal):
    event = somebody.authorizes(world.node_group, allow("tcp", 10250, OFFICE_RANGE))
    refuses(aws, refusal)
    answer = guard().invoke(event)
    assert not aws.mutations
    assert set(rule_ids(event)) <= world.rules().keys()
    assert answer.failed
    assert "eks:" in answer.error_message.lower()
    aws.calm()
    closes(guard(), event, rule_ids(event))


def test_without_eks_the_rule_for_the_world_goes_beside_the_one_for_a_few(world, somebody, guard, aws):
    event = somebody.authorizes(world.node_group, allow("tcp", 10250, OFFICE_RANGE), allow("tcp", 22, WORLD))
    refuses(aws, REFUSALS["denied"])
    answer = guard().invoke(event)
    few, wide = rule_ids(event)
    assert few in world.rules() and wide not in world.rules()
    assert answer.failed


# --- slow -----------------------------------------------------------------------------------------------------------------


# All kinds of groups, and five seconds for the managed node group's: `make slow`.


def test_with_each_call_slower_in_turn_the_rule_goes_at_the_first_try(aws):
    runs = slowed_in_turn(aws, SCENARIOS["pod-group"], 0.5)
    assert all(run.gone and not run.answer.failed for run in runs.values()), table(runs)


def test_with_the_rules_five_seconds_slower_the_rule_goes_at_the_first_try(aws):
    run = play(aws, SCENARIOS["managed-node-group"], {"ec2:DescribeSecurityGroupRules": 5})
    assert run.gone and not run.answer.failed, run.ending
