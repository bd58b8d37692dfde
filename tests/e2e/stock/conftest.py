"""An empty account in which the guard enforces, for one installer, with a table and without."""

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("account")

from account import Account  # noqa: E402


@pytest.fixture(params=[False, True], ids=["forgets", "remembers"])
def account(aws, request) -> Iterator[Account]:
    account = Account.empty(aws, remembers=request.param)
    yield account
    account.guard.stop()
