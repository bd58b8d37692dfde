"""The pictures of the docs show what is sent."""

from xml.etree import ElementTree

import pytest
from pictures import PICTURES, pictures


@pytest.mark.parametrize("name", ["email.svg", "q.svg", "slack.svg", "record.svg"])
def test_the_pictures_are_those_of_the_snapshot(name):
    drawn = pictures()[name]
    ElementTree.fromstring(drawn)
    assert (PICTURES / name).read_text() == drawn, "run python tests/e2e/pictures.py"
    assert len(drawn.splitlines()) > 10
