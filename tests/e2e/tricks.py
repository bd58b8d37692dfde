"""The tricks of `events/adversarial/`: how a file is read, played on the emulated account and compared with what it expects.

The format is described in `events/adversarial/README.md`. `python tests/e2e/tricks.py` writes the table of contents there.
"""

import copy
import fnmatch
import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from checks import Guard, actions, clauses, findings, revoked_ids
from emulator import ACCOUNT, REGION
from events import Somebody, event
from lambda_runtime import Answer
from world import World, allow

FOLDER = Path(__file__).resolve().parents[2] / "events" / "adversarial"
CONTENTS = FOLDER / "README.md"
START, END = "<!-- contents -->\n", "<!-- end of contents -->\n"


@dataclass(frozen=True)
class Trick:
    """One file."""

    name: str
    text: dict[str, Any]

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The file itself, then what it says happens `then`."""
        return [self.text, *self.text.get("then", [])]


def all_tricks() -> list[Trick]:
    return [Trick(path.stem, json.loads(path.read_text())) for path in sorted(FOLDER.glob("*.json"))]


# --- playing --------------------------------------------------------------------------------------------------------------


@dataclass
class Made:
    """A rule that a file opened: its group, and how a CloudTrail record shows it in a request and in a response."""

    id: str
    group: str
    egress: bool
    asked: dict[str, Any]
    answered: dict[str, Any]


@dataclass
class Story:
    """One trick as it is played: the names it gave to what it made, and the ids behind them."""

    world: World
    guard: Guard
    names: dict[str, str] = field(default_factory=dict)
    rules: dict[str, Made] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names |= {name: value for name, value in vars(self.world).items() if isinstance(value, str)}
        self.names |= {"account": ACCOUNT, "region": REGION}
        self.somebody = Somebody(self.world.emulator)

    def play(self, step: dict[str, Any]) -> None:
        """Prepare, deliver the event, compare."""
        self.prepare(step)
        before, notices = self.world.rules(), len(self.world.notices())
        self.world.emulator.forget()
        answer = self.guard.invoke(self.event(step))
        self.compare(step["expected"], answer, before, notices)

    def prepare(self, step: dict[str, Any]) -> None:
        for act in step.get("setup", []):
            ((verb, what),) = act.items()
            getattr(self, f"_{verb}")(self.fill(what) if verb != "open" else what)

    # --- the verbs of `setup` ---

    def _open(self, what: dict[str, Any]) -> None:
        """Rules by name, in one call: `[protocol, ports, peer, description]`. With `each`, so many of each; `{n}` counts."""
        numbers = range(what["each"]) if "each" in what else [""]
        written = json.dumps(what["rules"])
        wanted = {k: v for n in numbers for k, v in self.fill(json.loads(written.replace("{n}", str(n)))).items()}
        group, egress = self.names[what["group"]], what.get("egress", False)
        record = self.somebody.authorizes(group, *map(_permission, wanted.values()), egress=egress)["detail"]
        asked = record["requestParameters"]["ipPermissions"]["items"]
        answered = record["responseElements"]["securityGroupRuleSet"]["items"]
        for name, request, response in zip(wanted, asked, answered, strict=True):
            self.names[name] = response["securityGroupRuleId"]
            self.rules[name] = Made(self.names[name], group, egress, request, response)

    def _modify(self, what: dict[str, list[Any]]) -> None:
        for name, content in what.items():
            (kind, body) = _body(_permission(content))
            self.somebody.modifies(self.rules[name].group, {self.names[name]: {**kind, **body}})

    def _close(self, what: list[str]) -> None:
        for name in what:
            rule = self.rules[name]
            self.somebody.revokes(rule.group, rule.id, egress=rule.egress)

    def _group(self, what: dict[str, Any]) -> None:
        """A group; with `instance`, attached to an instance with those tags."""
        vpc, subnet = self.world.vpc, self.world.subnet
        if what.get("vpc") == "default":
            ec2 = self.world.emulator.ec2
            vpc = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
            subnet = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"][0]["SubnetId"]
        self.names[what["name"]] = self.world.group(what["name"], what.get("tags"), vpc)
        if "instance" in what:
            self.world.instance(self.names[what["name"]], what["instance"], subnet)

    def _prefix_list(self, what: dict[str, Any]) -> None:
        entries, family = what["entries"], "IPv6" if ":" in what["entries"][0] else "IPv4"
        made = self.world.emulator.ec2.create_managed_prefix_list(
            PrefixListName=what.get("called", what["name"]),
            Entries=[{"Cidr": cidr} for cidr in entries],
            MaxEntries=len(entries),
            AddressFamily=family,
        )
        self.names[what["name"]] = made["PrefixList"]["PrefixListId"]

    def _tag(self, what: dict[str, dict[str, str]]) -> None:
        for name, tags in what.items():
            listed = [{"Key": key, "Value": value} for key, value in tags.items()]
            self.world.emulator.ec2.create_tags(Resources=[self.names[name]], Tags=listed)

    def _untag(self, what: dict[str, list[str]]) -> None:
        for name, keys in what.items():
            self.world.emulator.ec2.delete_tags(Resources=[self.names[name]], Tags=[{"Key": key} for key in keys])

    # --- the event ---

    def event(self, step: dict[str, Any]) -> Any:
        """What is delivered: the `payload` as it stands, or an ordinary event with the fields that `event` gives it."""
        if "payload" in step:
            return self.fill(step["payload"])
        given = step["event"]
        delivered = self._ordinary(given.get("of", []))
        delivered["detail"] |= self.fill(given.get("detail", {}))
        return delivered | self.fill(given.get("envelope", {}))

    def _ordinary(self, of: list[str]) -> dict[str, Any]:
        """The event of the Authorize call that made these rules."""
        rules = self._rules(of)
        if not rules:
            return event("", None, None)
        name = f"AuthorizeSecurityGroup{'Egress' if rules[0].egress else 'Ingress'}"
        asked = {"groupId": rules[0].group, "ipPermissions": {"items": [rule.asked for rule in rules]}}
        return event(name, asked, _answer(rules))

    def fill(self, value: Any) -> Any:
        """The value with its placeholders filled, keys included."""
        match value:
            case dict():
                return {self.fill(key): self.fill(inner) for key, inner in value.items()}
            case list():
                return [self.fill(inner) for inner in value]
            case str():
                return self._filled(value)
            case _:
                return value

    def _filled(self, text: str) -> Any:
        if found := re.fullmatch(r"\{answer (.+)\}", text):
            return _answer(self._rules(found[1].split()))
        if found := re.fullmatch(r"\{nested (\d+)\}", text):
            return nested(int(found[1]))
        text = re.sub(r"\{(\d+) (.)\}", lambda found: found[2] * int(found[1]), text)
        text = re.sub(r"\{id (\w+)\}", lambda found: self.names.setdefault(found[0], str(uuid.uuid4())), text)
        return re.sub(r"\{(\w+)\}", lambda found: self._named(found[1]), text)

    def _named(self, name: str) -> str:
        """The id behind a name; in capitals, behind the name in capitals."""
        return self.names[name] if name in self.names else self.names[name.lower()].upper()

    def _rules(self, patterns: list[str]) -> list[Made]:
        return [self.rules[name] for name in self._known(patterns)]

    def _known(self, patterns: list[str]) -> list[str]:
        """The rules that the file opened under these names; `*` stands for any text. A name without a match is an error."""
        found = [[name for name in self.rules if fnmatch.fnmatchcase(name, pattern)] for pattern in patterns]
        assert all(found), f"of {patterns} the file opened {list(self.rules)} only"
        return [name for names in found for name in names]

    # --- what is expected ---

    def sought(self, expected: dict[str, Any]) -> list[str]:
        """The ids of the rules that are expected to go, as far as the file says which."""
        revoked = expected.get("revoked", [])
        return [] if isinstance(revoked, int) else [self.names[name] for name in self._known(revoked)]

    def compare(self, expected: dict[str, Any], answer: Answer, before: dict[str, Any], earlier: int) -> None:
        assert not answer.died, self.guard.said()
        assert answer.failed == ("error" in expected), answer.error_message
        assert expected.get("error", "") in (answer.error_message or ""), answer.error_message
        ignored = "" if answer.failed else answer.response["ignored"] or ""
        assert expected["ignored"] in ignored if "ignored" in expected else not ignored, ignored
        assert all(line.startswith("{") and json.loads(line) for line in answer.lines), answer.lines

        now = self.world.rules()
        left = {rule: content for rule, content in before.items() if rule in now}
        assert now == left, "a rule was added or changed"
        gone, asked = before.keys() - now.keys(), revoked_ids(self.world.emulator.mutations)
        assert set(asked) == gone, "asked to revoke what is still there, or did not ask for what is gone"
        assert len(asked) == len(gone), "asked twice"
        ours = {rule.id: name for name, rule in self.rules.items() if rule.id in before}
        assert gone <= ours.keys(), "a rule that the file does not know is gone"
        revoked = expected.get("revoked", [])
        if isinstance(revoked, int):  # which ones is not said
            assert len(gone) == revoked
        else:
            assert sorted(ours[rule] for rule in gone) == sorted(self._known(revoked))
            assert sorted(ours[rule] for rule in left.keys() & ours.keys()) == sorted(self._known(expected.get("left", [])))
            found = {name: action for name, rule in self.rules.items() if (action := actions(answer).get(rule.id))}
            wanted = dict.fromkeys(self._known(revoked), "revoked")
            for pattern, action in expected.get("action", {}).items():
                wanted |= dict.fromkeys(self._known([pattern]), action)
            assert found == wanted, (found, wanted)
        for name, wanted in expected.get("clauses", {}).items():
            assert clauses(findings(answer)[self.names[name]]) == set(wanted), name

        notices = self.world.notices()[earlier:]
        if revoked or "told" in expected:
            assert len(notices) == expected.get("told", 1), [notice.subject for notice in notices]
        for text in self.fill(expected.get("unsaid", [])):
            assert not [notice for notice in notices if text in f"{notice.subject}{notice.text}"], repr(text)


def _permission(rule: list[Any]) -> dict[str, Any]:
    """`[protocol, ports, peer, description]` as EC2 takes it. A peer `account/sg-…` is a group of another account."""
    protocol, ports, peer, *text = rule
    described = {"Description": text[0]} if text else {}
    ports = tuple(ports) if isinstance(ports, list) else ports
    if re.match(r"\d{12}/sg-", peer):
        account, group = peer.split("/")
        return allow(protocol, ports) | {"UserIdGroupPairs": [{"UserId": account, "GroupId": group, **described}]}
    return allow(protocol, ports, peer, text=text[0] if text else None)


def _body(permission: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same as the body of a modified rule: its peer, and the rest."""
    names = {"CidrIp": "CidrIpv4", "GroupId": "ReferencedGroupId"}
    (peer,) = next(value for value in permission.values() if isinstance(value, list))
    rest = {key: value for key, value in permission.items() if not isinstance(value, list)}
    return {names.get(key, key): value for key, value in peer.items()}, rest


def _answer(rules: list[Made]) -> dict[str, Any]:
    """`responseElements` of the Authorize call that made these rules."""
    return {
        "requestId": str(uuid.uuid4()),
        "_return": True,
        "securityGroupRuleSet": {"items": [copy.deepcopy(rule.answered) for rule in rules]},
    }


def nested(levels: int) -> Any:
    """A list in a list in a list ..."""
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


# --- mutations ------------------------------------------------------------------------------------------------------------

DROPPED, LONG, DEEP = object(), "x" * 1_000_000, nested(200)
MUTATIONS: dict[str, Callable[[Any], Any]] = {  # the value itself where the change is none
    "dropped": lambda _: DROPPED,
    "null": lambda _: None,
    "empty text": lambda _: "",
    "a megabyte of text": lambda _: LONG,
    "nested 200 levels deep": lambda _: DEEP,
    "in a list": lambda value: [value],
    "in an object": lambda value: {"items": value},
    "a list as an object": lambda value: dict(enumerate(value)) if isinstance(value, list) else value,
    "an object as a list": lambda value: list(value.values()) if isinstance(value, dict) else value,
    "a number as text": lambda value: str(value) if type(value) is int else value,
    "text as a number": lambda value: 7 if isinstance(value, str) else value,
    "a flag as its opposite": lambda value: not value if isinstance(value, bool) else value,
}
Mutation = tuple[tuple[str | int, ...], str]


def mutations(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[Mutation]:
    """Every change of every field and element of a payload: where, and how."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []:
        yield from (((*at, key), how) for how, change in MUTATIONS.items() if change(inner) is not inner)
        yield from mutations(inner, (*at, key))


def mutated(payload: Any, mutation: Mutation) -> Any:
    """A copy of the payload with that one change."""
    (*way, last), how = mutation
    payload = copy.deepcopy(payload)
    parent = payload
    for key in way:
        parent = parent[key]
    changed = MUTATIONS[how](parent[last])
    if changed is DROPPED:
        del parent[last]
    else:
        parent[last] = changed
    return payload


# --- the table of contents ------------------------------------------------------------------------------------------------


def contents() -> str:
    """The table in `README.md`, as the files want it."""
    rows = [f"| [{t.name}]({t.name}.json) | {t.text['trick']} | {_decision(t)} |\n" for t in all_tricks()]
    return "| file | trick | decision |\n| --- | --- | --- |\n" + "".join(rows)


def _decision(trick: Trick) -> str:
    return ", then ".join(_in_words(step["expected"]) for step in trick.steps) + (
        " (**not yet**)" if "not_yet" in trick.text else ""
    )


def _in_words(expected: dict[str, Any]) -> str:
    revoked = expected.get("revoked", [])
    words = ["an error"] if "error" in expected else ["ignored"] if "ignored" in expected else []
    words += [f"{revoked} revoked"] if isinstance(revoked, int) else [f"revoked: {_listed(revoked)}"] if revoked else []
    by_action: dict[str, list[str]] = {}
    for name, action in expected.get("action", {}).items():
        by_action.setdefault(action, []).append(name)
    words += [f"{action}: {_listed(names)}" for action, names in by_action.items()]
    alone = [name for name in expected.get("left", []) if name not in expected.get("action", {})]
    words += [f"left: {_listed(alone)}"] if alone else []
    return "; ".join(words) or "nothing"


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def split_readme() -> tuple[str, str, str]:
    """What stands before, in and after the table."""
    before, rest = CONTENTS.read_text().split(START)
    table, after = rest.split(END)
    return before + START, table, END + after


if __name__ == "__main__":
    before, _, after = split_readme()
    CONTENTS.write_text(before + contents() + after)
