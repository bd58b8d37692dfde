"""Who hears what, how often: each channel gets each message, also when it failed before, and nobody is told noise."""

import json

import pytest

from events import Somebody, administrator, delivered_again, rule_ids
from slack import Hook, Says
from telling import actions_told, mails, records_of
from test_known import edits, prefix_list
from test_repeats import minutes_ago
from world import OFFICE, WORLD, allow

KUBELET = allow("tcp", 10250, WORLD)
TOLERATED = allow("tcp", 8080, WORLD)


def somebody_else(world, name):
    """Another principal: another role, not only another session."""
    identity = administrator()
    issuer = identity["sessionContext"]["sessionIssuer"]
    issuer |= {"principalId": f"AROA{name.upper()}", "arn": issuer["arn"].replace("Admin", name), "userName": name}
    identity |= {"arn": identity["arn"].replace("Admin", name), "principalId": f"AROA{name.upper()}:x"}
    return Somebody(world.emulator, identity)


# --- a channel fails ------------------------------------------------------------------------------------------------------


class Channels:
    """All four, each with what it got, and how it can be made to fail."""

    NAMES = ("people", "records", "chat", "slack")

    def __init__(self, world):
        self.world, self.hook = world, Hook()
        self.topics = {"people": world.people_topic, "records": world.record_topic}
        self.topics["chat"] = world.emulator.sns.create_topic(Name="chat")["TopicArn"]
        self.environment = {
            "GUARD_CHAT_TOPIC_ARN": self.topics["chat"],
            "GUARD_SLACK_SECRET_ARN": world.secret(self.hook.url),
        }

    def fails(self, name, times):
        if name == "slack":
            self.hook.answers = [Says(400, "invalid_payload")] * times
        else:
            topic, refused = self.topics[name], {"error": "AuthorizationError", "status": 403}
            is_it = lambda params: params["TopicArn"] == topic  # noqa: E731
            self.world.emulator.on("Publish", when=is_it, times=times, **refused)

    def forget(self):
        self.world.emulator.forget_messages()
        self.hook.posts.clear()

    def got(self, name, rule):
        """The messages that arrived and name the rule."""
        if name == "slack":
            arrived = self.hook.posts[self.failed_posts :]
            return [post for post in map(json.dumps, arrived) if rule in post]
        return [each.text for each in self.world.emulator.messages(self.topics[name]) if rule in each.text]

    failed_posts = 0


@pytest.fixture
def channels(world):
    return Channels(world)


@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
@pytest.mark.parametrize("name", Channels.NAMES)
def test_a_channel_that_failed_gets_the_message_later_and_the_others_get_it_once(
    world, somebody, looked, channels, name, times
):
    service = looked(**channels.environment)
    channels.forget()
    event = somebody.authorizes(world.node_group, KUBELET)
    [rule] = rule_ids(event)
    channels.fails(name, times)
    channels.failed_posts = times if name == "slack" else 0
    [answer] = service.delivers(event)
    assert answer.failed
    assert rule not in world.rules()
    assert {each: len(channels.got(each, rule)) for each in channels.NAMES} == {
        each: int(each != name) for each in channels.NAMES
    }
    service.works()
    assert {each: len(channels.got(each, rule)) for each in channels.NAMES} == dict.fromkeys(channels.NAMES, 1)
    assert dict(actions_told(world, rule)) == {"revoked": 1}
    [mail] = mails(world, rule)
    assert "alice" in mail.text
    assert not service.queue.waiting and not service.queue.dead


@pytest.mark.parametrize("name", Channels.NAMES)
def test_a_channel_that_fails_for_good_keeps_nothing_from_the_others_and_ends_in_the_dead_letter_queue(
    world, somebody, looked, channels, name
):
    service = looked(**channels.environment)
    channels.forget()
    event = somebody.authorizes(world.node_group, KUBELET)
    [rule] = rule_ids(event)
    channels.fails(name, 10_000)
    channels.failed_posts = 10_000 if name == "slack" else 0
    service.delivers(event)
    service.works()
    assert rule not in world.rules()
    for each in channels.NAMES:
        told = channels.got(each, rule)
        revoked = [text for text in told if "could not be handled" not in text]
        assert len(revoked) == int(each != name), (each, told)
    assert len(service.queue.dead) == 1 and not service.queue.waiting


def test_two_processes_at_the_same_event_are_one_message(world, somebody, looked):
    from concurrent.futures import ThreadPoolExecutor

    service = looked()
    event = somebody.authorizes(world.node_group, KUBELET)
    [rule] = rule_ids(event)
    functions = [service.make() for _ in range(4)]
    for function in functions:
        function.start()
    world.emulator.slow("Publish", 0.3)
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda function: function.invoke(delivered_again(event)), functions))
    assert rule not in world.rules()
    assert len(mails(world, rule)) == 1, [answer.error_message for answer in answers]
    assert set(actions_told(world, rule)) == {"revoked"}


# --- news -----------------------------------------------------------------------------------------------------------------


def test_a_list_behind_a_reported_rule_that_grows_to_the_world_is_news(world, somebody, looked):
    partners = prefix_list(world, "203.0.113.0/29")
    service = looked()
    event = somebody.authorizes(world.node_group, allow("tcp", 8080, partners))
    [rule] = rule_ids(event)
    service.delivers(event)
    assert set(actions_told(world, rule)) == {"reported"}
    heard = len(mails(world, rule))
    service.delivers(edits(world, partners, AddEntries=[WORLD]))
    service.works()
    assert rule in world.rules(), "the policy reports it"
    assert len(mails(world, rule)) == heard + 1
    service.delivers(edits(world, partners, RemoveEntries=["203.0.113.0/29"]))
    service.works()
    assert len(mails(world, rule)) == heard + 1, "a list that shrinks is no news"


@pytest.mark.parametrize(("permission", "is_news"), [(KUBELET, True), (TOLERATED, False)], ids=["revoke", "report"])
def test_another_principal_who_opens_the_same_rule_is_news_if_it_is_forbidden(
    world, somebody, looked, permission, is_news
):
    service = looked()
    for minutes, who in ((9, somebody), (6, somebody), (3, somebody_else(world, "Deploy"))):
        event = minutes_ago(who.authorizes(world.node_group, permission), minutes)
        service.delivers(event)
        service.works()
        if rule_ids(event)[0] in world.rules():
            somebody.revokes(world.node_group, *rule_ids(event))
    heard = mails(world, world.node_group)
    assert len(heard) == (2 if is_news else 1), [each.subject for each in heard]
    if is_news:
        assert "Deploy" in heard[-1].text


def test_a_higher_severity_of_the_same_rule_is_news(world, somebody, looked):
    service = looked()
    event = somebody.authorizes(world.node_group, allow("tcp", 22, OFFICE))
    [rule] = rule_ids(event)
    service.delivers(event)
    service.works()
    heard = len(mails(world, rule))
    edited = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIpv4": WORLD}
    service.delivers(somebody.modifies(world.node_group, {rule: edited}))
    service.works()
    assert len(mails(world, rule)) == heard + 1


# --- noise ----------------------------------------------------------------------------------------------------------------


def test_a_list_of_twelve_groups_that_is_edited_is_one_mail(world, looked):
    partners = prefix_list(world, "10.20.0.0/16")
    groups = [world.group(f"node-{number}") for number in range(12)]
    node = {"aws:eks:cluster-name": "prod", "kubernetes.io/cluster/prod": "owned"}
    for at in range(0, 12, 4):
        world.instance(groups[at : at + 4], node)
    used = [rule for group in groups for rule in world.open(group, allow("tcp", 22, partners))]
    service = looked()
    service.delivers(edits(world, partners, AddEntries=[WORLD]))
    service.works()
    assert not set(used) & world.rules().keys()
    heard = [mail for mail in world.notices() if any(group in mail.text for group in groups)]
    assert len(heard) == 1, [each.subject for each in heard]
    for group in groups:
        assert group in heard[0].text
    assert len(heard[0].subject) <= 99
    for rule in used:
        assert dict(actions_told(world, rule)) == {"revoked": 1}, "machines get each"


def test_terraform_that_writes_its_rules_again_in_ten_calls_is_no_mail(world, somebody, looked):
    written = [
        allow("tcp", 8080, WORLD),
        allow("tcp", (30000, 32767), "203.0.113.0/24"),
        allow("-1", None, world.cluster_group),
        allow("-1", None, world.node_group),
        allow("tcp", 443, "10.0.0.0/8"),
    ]
    keep = {"control plane to nodes", "node to node"}
    old = [rule for rule, each in world.rules(world.node_group).items() if each.get("Description") in keep]
    world.emulator.ec2.revoke_security_group_ingress(GroupId=world.node_group, SecurityGroupRuleIds=old)
    rules = [world.open(world.node_group, each)[0] for each in written]
    service = looked()
    calls = [somebody.revokes(world.node_group, rule) for rule in rules]
    calls += [somebody.authorizes(world.node_group, each) for each in written]
    service.delivers(*calls)
    service.works()
    assert not world.notices(), [each.subject for each in world.notices()]


def test_a_principal_is_told_of_twenty_times_an_hour_and_then_once(world, somebody, looked):
    service = looked()
    events = [somebody.authorizes(world.node_group, allow("tcp", 10250, f"203.0.{at}.0/24")) for at in range(30)]
    for event in events:
        service.delivers(event)
    service.works()
    rules = {rule for event in events for rule in rule_ids(event)}
    assert not rules & world.rules().keys()
    for rule in rules:
        assert dict(actions_told(world, rule)) == {"revoked": 1}, "machines get each"
    heard = mails(world)
    assert len(heard) == 21, len(heard)
    heard_again = len(heard)
    other = somebody_else(world, "Deploy").authorizes(world.node_group, KUBELET)
    service.delivers(other)
    assert len(mails(world)) == heard_again + 1, "another principal is another's"


# --- failures -------------------------------------------------------------------------------------------------------------


def test_a_repeat_is_told_once_whatever_the_order(world, somebody, looked):
    service = looked()
    event = somebody.authorizes(world.node_group, KUBELET)
    [rule] = rule_ids(event)
    for _ in range(3):
        service.delivers(delivered_again(event))
        service.replace()
    service.works()
    assert len(mails(world, rule)) == 1
    assert dict(actions_told(world, rule)) == {"revoked": 1}
    assert len(records_of(world, rule)) == 1
