"""An empty account in which the guard enforces, for one installer."""

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("account")

from account import Account  # noqa: E402


@pytest.fixture
def account(aws) -> Iterator[Account]:
    account = Account.empty(aws)
    yield account
    account.guard.stop()
