"""Much at once: groups of a thousand rules, events that name hundreds, a list that many groups use."""

from checks import closes
from events import event, rule_ids
from world import WORLD, allow


def test_a_group_of_a_thousand_rules_is_read_to_its_last_page(world, aws, somebody, guard):
    blocks = [f"10.{n // 250}.{n % 250}.0/24" for n in range(990)]
    world.open(world.node_group, *(allow("tcp", 8443, *blocks[at : at + 198]) for at in range(0, 990, 198)))
    aws.page_size = 100
    opened = somebody.authorizes(world.node_group, allow("tcp", 10250, WORLD))
    closes(guard(), opened, rule_ids(opened))
    assert len(aws.asked("DescribeSecurityGroupRules")) <= 4 * 11, "each read takes its pages once"
    assert len(world.notices()) == 1


def test_an_event_that_names_hundreds_of_rules_closes_them_all_and_is_one_notice(world, aws, somebody, guard):
    blocks = [f"203.0.{n}.0/24" for n in range(150)] + [f"203.1.{n}.0/24" for n in range(150)]
    opened = somebody.authorizes(world.node_group, allow("tcp", 10250, *blocks))
    closes(guard(GUARD_MAX_REVOKES="400"), opened, rule_ids(opened))
    assert len(rule_ids(opened)) == 300
    assert len(aws.asked("RevokeSecurityGroupIngress")) == 300 // 20
    (notice,) = world.notices()
    assert "CLOSED" in notice.subject and "298 more" in notice.subject
    assert "… and 280 more" in notice.text


def test_beyond_the_limit_hundreds_are_refused_in_one_notice(world, somebody, guard):
    blocks = [f"203.0.{n}.0/24" for n in range(120)]
    opened = somebody.authorizes(world.node_group, allow("tcp", 10250, *blocks))
    answer = guard(GUARD_MAX_REVOKES="100").invoke(opened)
    assert answer.failed
    left = set(rule_ids(opened)) & world.rules(world.node_group).keys()
    assert len(left) == 20
    (notice,) = world.notices()
    assert notice.attributes["severity"] == "critical"


def test_a_list_that_grows_to_the_world_closes_it_in_every_group(world, aws, guard):
    ec2 = world.emulator.ec2
    made = ec2.create_managed_prefix_list(
        PrefixListName="office", Entries=[{"Cidr": "203.0.113.0/24"}], MaxEntries=5, AddressFamily="IPv4"
    )["PrefixList"]
    used = []
    for number in range(40):
        group = world.group(f"nodes-{number}")
        world.instance(group, {"aws:eks:cluster-name": "prod"}, world.subnet)
        used += world.open(group, allow("tcp", 22, made["PrefixListId"]))
    ec2.modify_managed_prefix_list(
        PrefixListId=made["PrefixListId"], CurrentVersion=made["Version"], AddEntries=[{"Cidr": WORLD}]
    )
    added = {"PrefixListId": made["PrefixListId"], "AddEntry": {"Cidr": WORLD, "tag": 1}}
    request = {"ModifyManagedPrefixListRequest": added}
    aws.page_size = 15
    closes(guard(), event("ModifyManagedPrefixList", request, None), used)
    assert len(aws.asked("RevokeSecurityGroupIngress")) == 40, "one call for each group"


def test_an_event_id_of_a_megabyte_is_cut_and_loses_nothing(world, somebody, guard):
    opened = somebody.authorizes(world.node_group, allow("tcp", 10250, WORLD))
    opened["detail"]["eventID"] = "e" * 1_000_000
    answer = closes(guard(), opened, rule_ids(opened))
    (record,) = answer.response["records"]
    assert record["event_id"].endswith("… (cut)")
    assert len(record["event_id"]) < 2000


def test_the_internal_group_of_a_local_cluster_is_left_alone(world, aws, somebody, guard):
    group = world.group("eks-local-internal-do-not-use-or-edit-prod-a1b2c3")
    world.instance(group, {"aws:eks:cluster-name": "prod"}, world.subnet)
    world.localise("prod")
    opened = somebody.authorizes(group, allow("tcp", 10250, WORLD))
    closes(guard(), opened, [])
    (notice,) = world.notices()
    assert "Outposts" in notice.text
