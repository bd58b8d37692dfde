"""Each channel gets each message once, also when it failed before, whatever another channel or process does."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from events import delivered_again, rule_ids
from slack import Hook, Says
from telling import actions_told, mails, records_of
from world import WORLD, allow

KUBELET = allow("tcp", 10250, WORLD)


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
    page = f"log-group/$252Faws$252Flambda$252Feks-sg-guard/log-events$3FfilterPattern$3D$2522{event['detail']['eventID']}"
    assert page in mail.text and page in channels.got("slack", rule)[0], "the record is a click away"
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
        revoked = [text for text in told if "given up" not in text]
        assert len(revoked) == int(each != name), (each, told)
    assert len(service.queue.dead) == 1 and not service.queue.waiting


def test_two_processes_at_the_same_event_are_one_message(world, somebody, looked):
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


# --- repeats --------------------------------------------------------------------------------------------------------------


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
