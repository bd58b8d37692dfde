"""The command line on a terminal: colours there and nowhere else, and none for who asked for none."""

import os
import pty
import subprocess

import pytest
from lambda_runtime import ROOT, bootstrap

COMMAND = [bootstrap().with_name("eks-sg-guard"), "explain", ROOT / "events" / "modify-one-rule.json"]


def on_a_terminal(**environment: str) -> str:
    """What the program writes to a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(COMMAND, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL, env=environment)
    os.close(theirs)
    said = b""
    try:
        while piece := os.read(ours, 65536):
            said += piece
    except OSError:
        pass  # the other end is closed: that is how Linux says it
    process.wait()
    os.close(ours)
    return said.decode()


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        pytest.param({}, True, id="a terminal has colours"),
        pytest.param({"NO_COLOR": ""}, True, id="an empty NO_COLOR asks for nothing"),
        pytest.param({"NO_COLOR": "1"}, False, id="who asks for none gets none"),
    ],
)
def test_colours_are_for_terminals(environment, coloured):
    said = on_a_terminal(**environment)
    assert "revoke" in said
    assert ("\x1b[" in said) is coloured


def test_a_pipe_gets_no_colours():
    said = subprocess.run(COMMAND, capture_output=True, env={}, check=False).stdout.decode()
    assert "revoke" in said
    assert "\x1b" not in said
