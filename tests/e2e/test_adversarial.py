"""Every file of `events/adversarial/` against the real program, as it stands and mutated.

The files share one account, which is put back after each, and one warm function. A file that sets `guard` gets a function of
its own. Of the mutations of each file's last event a few are tried; `ADVERSARIAL=1000000` tries all, which takes hours.
"""

import os
import random
import uuid
from collections.abc import Callable, Iterator

import pytest

from checks import Guard, findings
from emulator import Emulator
from lambda_runtime import Answer
from tricks import FOLDER, Story, Trick, all_tricks, contents, mutated, mutations, split_readme
from world import World

TRICKS = all_tricks()
SAMPLE = int(os.environ.get("ADVERSARIAL", "2"))  # mutations of each file; always the same ones

# Fields that say what happened, or where. With something else there, the event is about something else, and is ignored.
DECISIVE = {
    "eventName": "another call opens no rule",
    "eventSource": "a call of another service opens no rule",
    "eventType": "what is no call opens nothing",
    "awsRegion": "another region is not ours to guard",
}


def tricks(*, marked: bool) -> list:
    """One case per file; what the guard does not do yet is expected to fail, with the reason that the file gives."""
    wrong = {each.name: pytest.mark.xfail(reason=each.text["not_yet"], strict=True) for each in TRICKS if "not_yet" in each.text}
    return [pytest.param(each, id=each.name, marks=[wrong[each.name]] if marked and each.name in wrong else []) for each in TRICKS]


@pytest.fixture(scope="module")
def scene(aws: Emulator) -> Iterator[tuple[World, Guard]]:
    world = World.seed(aws)
    shared = Guard(world)
    yield world, shared
    shared.stop()


@pytest.fixture
def begin(scene: tuple[World, Guard]) -> Iterator[Callable[[Trick], Story]]:
    """Starts the story of a file, and puts the account back at the end."""
    world, shared = scene
    put_back = world.emulator.keep()
    own: list[Guard] = []

    def story(trick: Trick) -> Story:
        if "guard" in trick.text:
            own.append(Guard(world, **trick.text["guard"]))
        return Story(world, own[-1] if "guard" in trick.text else shared)

    yield story
    put_back()
    for each in own:
        each.stop()


@pytest.mark.parametrize("trick", tricks(marked=True))
def test_the_trick_gains_nothing(trick, begin):
    story = begin(trick)
    for step in trick.steps:
        story.play(step)


def test_the_table_of_contents_is_that_of_the_files():
    assert split_readme()[1] == contents(), "run: python tests/e2e/tricks.py"


def test_every_file_of_the_folder_is_played():
    others = {path.name for path in FOLDER.iterdir()} - {f"{trick.name}.json" for trick in TRICKS} - {"README.md"}
    assert not others
    assert len(TRICKS) > 50


@pytest.mark.parametrize("trick", tricks(marked=False))
def test_a_mutated_event_neither_kills_the_function_nor_hides_a_rule(trick, begin):
    story = begin(trick)
    *before, last = trick.steps
    for step in before:
        story.prepare(step)
        story.guard.invoke(story.event(step))
    story.prepare(last)
    payload = story.event(last)
    must_go = [] if "not_yet" in trick.text else story.sought(last["expected"])
    put_back = story.world.emulator.keep()
    possible = list(mutations(payload))
    for mutation in random.Random(trick.name).sample(possible, min(SAMPLE, len(possible))):
        # Where nothing has to go, so little time is left that a rule which is not there is not waited for.
        answer = story.guard.invoke(mutated(with_new_id(payload), mutation), timeout=30 if must_go else 25)
        assert not answer.died, (mutation, story.guard.said()[-2000:])
        assert "panicked" not in "\n".join(answer.lines), mutation
        if mutation[0][-1] not in DECISIVE:
            assert not open_in_silence(story, answer, must_go), mutation
        put_back()


def with_new_id(payload):
    """The same under an event id that the guard has not handled."""
    record = payload.get("detail", payload) if isinstance(payload, dict) else None
    if isinstance(record, dict):
        record["eventID"] = str(uuid.uuid4())
    return payload


def open_in_silence(story: Story, answer: Answer, must_go: list[str]) -> list[str]:
    """Rules that are still open although the answer is a success, and of which no record says that they should not be."""
    recorded = {rule for rule, finding in findings(answer).items() if finding["verdict"] == "revoke"}
    silent = [] if answer.failed else [rule for rule in must_go if rule not in recorded]
    return [rule for rule in silent if rule in story.world.rules()]
