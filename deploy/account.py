"""Whether an account is ready for the guard, before anything is made in it. Must not: change anything."""

from __future__ import annotations

from collections.abc import Iterator

from .aws import Clients, Refusal, Say, code

RESERVED = 5  # what the guard works well with
UNRESERVED = 100  # what Lambda keeps for all other functions
TOPICS = ("TopicArn", "RecordTopicArn", "ChatTopicArn", "AlarmTopicArn")


def check(client: Clients, parameters: dict[str, str], say: Say) -> None:
    """Whatever would make a stack that is deaf or mute is a refusal, all of them at once."""
    try:
        identity = client("sts").get_caller_identity()
    except Exception as error:
        raise Refusal(f"no credentials that AWS accepts: {error}; log in, or set AWS_PROFILE") from error
    say(f"Account {identity['Account']}, as {identity['Arn']}.")
    problems = [*_trails(client), *_topics(client, parameters)]
    if problems:
        raise Refusal("\n  ".join(["nothing was made, because of this:", *problems]))


def _trails(client: Clients) -> Iterator[str]:
    """One that logs here: without it no event comes. What it logs is looked at by the guard itself, in each sweep."""
    trails = client("cloudtrail")
    unreadable = []
    for trail in trails.describe_trails(includeShadowTrails=True)["trailList"]:
        try:
            if trails.get_trail_status(Name=trail["TrailARN"])["IsLogging"]:
                return
        except Exception as error:
            unreadable.append(f"{trail['TrailARN']} ({code(error)})")
    if unreadable:
        return  # such as an organisation's: it is said in the first sweep
    yield "no trail of CloudTrail logs in this region, so no event would come: turn one on (aws cloudtrail create-trail)"


def _topics(client: Clients, parameters: dict[str, str]) -> Iterator[str]:
    for name in TOPICS:
        topic = parameters.get(name)
        if not topic:
            continue
        try:
            attributes = client("sns").get_topic_attributes(TopicArn=topic)["Attributes"]
        except Exception as error:
            yield f"{name} names `{topic}`, which cannot be read ({code(error)})"
            continue
        if attributes.get("FifoTopic") == "true":
            yield f"{name} names `{topic}`, a FIFO topic, to which no mail address and no chat can subscribe"


def propose(client: Clients, parameters: dict[str, str], say: Say) -> dict[str, str]:
    """Parameters for a new stack: a reservation, where the account can spare it."""
    if "ReservedConcurrency" in parameters:
        return {}
    free = client("lambda").get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"]
    if free >= UNRESERVED + RESERVED:
        return {"ReservedConcurrency": str(RESERVED)}
    say(f"The account has {free} concurrent executions left, so none is reserved for the guard (ReservedConcurrency=-1).")
    return {}
