"""Many processes at once: small sizes of what `make soak` and `make apply` play in full."""

import json

from soak import soak
from terraform import apply


def test_events_that_are_shuffled_and_repeated_with_calls_that_fail_leave_nothing_open_and_nothing_untold(aws):
    soaked = soak(aws, events=60, groups=10, processes=3)
    assert not any(soaked.wrong.values()), (soaked.text(), json.dumps(soaked.wrong))


def test_an_apply_of_many_rules_leaves_no_forbidden_rule_open_for_long(aws):
    applied = apply(aws, rules=60, groups=10, seconds=15)
    assert not applied.still_open
    assert max(applied.seconds) <= 60, applied.text()
    assert applied.throttled < 0.05 * applied.asked, applied.text()
