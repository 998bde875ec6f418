"""What the tests of refusals share."""

import pytest


@pytest.fixture
def refuses():
    """Assert that a check of its first argument fails and that the message names the law."""

    def assert_refused(law, check, *arguments, **keywords):
        with pytest.raises(AssertionError) as error:
            check(*arguments, **keywords)
        assert f"\n  {law}: " in str(error.value)
        assert type(arguments[0]).__name__ in str(error.value)

    return assert_refused
