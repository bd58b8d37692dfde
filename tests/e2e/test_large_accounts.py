"""What an event costs does not grow with the account. The whole table: `make calls`, docs/benchmarks.md."""

import pytest

from event_cost import LATENCY, Account, Cost, cost
from slow_calls import SCENARIOS, play

MOST_CALLS = 12
TWO_PAGES = 8_000_000  # bytes: two pages of a thousand attachments with all that the program asks for


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_cost_of_an_event_is_the_same_with_hundreds_of_clusters(aws, scenario):
    few, many = (cost(aws, scenario, Account(clusters)) for clusters in (1, 300))
    assert few.calls <= MOST_CALLS
    assert (many.calls, many.pages) == (few.calls, few.pages)
    assert abs(many.bytes - few.bytes) <= 0.02 * few.bytes, "numbers and ids are a few bytes longer or shorter"


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_warm_the_rule_goes_after_one_wave_of_reads(aws, scenario):
    run = play(aws, SCENARIOS[scenario], warm=True, latency=2 * LATENCY)
    assert run.gone, run.ending
    assert Cost.of(run.requests).waves == 1, [request.name for request in run.requests]


def test_a_group_with_thousands_of_attachments_costs_two_pages(aws):
    few, many = (cost(aws, "managed-node-group", Account(attachments=count)) for count in (10, 2_500))
    assert few.calls <= MOST_CALLS
    # A page of a thousand takes the emulator over two seconds: one more look, and beside it what the rules refer to.
    assert many.calls <= MOST_CALLS + 4
    assert many.pages <= few.pages + 6
    assert many.bytes <= TWO_PAGES
