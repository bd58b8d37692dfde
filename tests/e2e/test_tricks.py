"""What somebody who has read our source would try, and what time and chance do by themselves."""

import time

from checks import closes, findings, leaves
from events import rule_ids
from world import ROLE, WORLD, allow

KUBELET = allow("tcp", 10250, WORLD)
PRIVATE = allow("tcp", 8443, "10.0.0.0/8")


def test_a_tag_of_a_second_cluster_does_not_lend_its_mode_to_a_node_group(world, somebody, guard, aws, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("version: 1\nclusters:\n  - {name: prod, mode: enforce}\n  - {name: 'dev-*', mode: report}\n")
    subnets = [world.subnet]
    aws.eks.create_cluster(name="dev-x", roleArn=ROLE, resourcesVpcConfig={"subnetIds": subnets})
    aws.ec2.create_tags(Resources=world.node_instances, Tags=[{"Key": "kubernetes.io/cluster/dev-x", "Value": "owned"}])
    event = somebody.authorizes(world.node_group, KUBELET)
    answer = closes(guard(GUARD_POLICY=str(policy)), event, rule_ids(event))
    assert answer.logged_records[0]["group"]["cluster"] == "prod"


def test_a_bastion_that_reaches_the_api_is_no_node_even_on_an_instance_tagged_by_hand(world, somebody, guard):
    world.instance(world.bastion_group, {"eks:cluster-name": "prod", "kubernetes.io/cluster/prod": "owned"})
    world.open(world.bastion_group, allow("tcp", 443, world.cluster_group), egress=True)
    event = somebody.authorizes(world.bastion_group, allow("tcp", 22, WORLD))
    answer = leaves(guard(), event)
    assert findings(answer)[rule_ids(event)[0]]["action"] == "reported"


def test_a_rule_that_ec2_shows_late_is_judged_with_its_prefix_list(world, somebody, guard, aws):
    function = guard()
    leaves(function, somebody.authorizes(world.node_group, PRIVATE))
    event = somebody.authorizes(world.node_group, allow("tcp", 10250, world.everyone))
    aws.hide(rule_ids(event)[0], 1)
    closes(function, event, rule_ids(event))


def test_a_throttled_prefix_list_is_reported_and_the_next_try_closes_the_rule(world, somebody, guard, aws):
    function = guard(AWS_MAX_ATTEMPTS="1")
    event = somebody.authorizes(world.node_group, allow("tcp", 10250, world.everyone))
    aws.on("GetManagedPrefixListEntries", error="RequestLimitExceeded", status=503)
    answer = function.invoke(event)
    assert answer.failed
    assert world.everyone in answer.error_message
    assert len(world.notices()) == 1
    aws.calm()
    closes(function, event, rule_ids(event))


def test_a_node_of_a_cluster_younger_than_our_cache_is_guarded(world, somebody, guard, aws):
    function = guard()
    leaves(function, somebody.authorizes(world.node_group, PRIVATE))
    aws.eks.create_cluster(name="second", roleArn=ROLE, resourcesVpcConfig={"subnetIds": [world.subnet]})
    group = world.group("second-nodes")
    world.instance(group, {"aws:eks:cluster-name": "second"})
    time.sleep(10.5)  # EKS is not asked again within ten seconds
    event = somebody.authorizes(group, KUBELET)
    closes(function, event, rule_ids(event))


def test_a_role_whose_path_imitates_a_service_is_no_controller(world, somebody, guard):
    issuer = somebody.identity["sessionContext"]["sessionIssuer"]
    issuer["arn"] = "arn:aws:iam::123456789012:role/a:role/aws-service-role/eks.amazonaws.com/evil"
    event = somebody.authorizes(world.node_group, allow("tcp", 2375, WORLD, text="kubernetes.io/rule/nlb/client=shop"))
    closes(guard(), event, rule_ids(event))
