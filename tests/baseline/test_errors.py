"""An interruption is one, whatever a library makes of it."""

import pytest

from baseline.errors import pass_interrupt


@pytest.mark.parametrize("explicit", [True, False])
def test_an_interruption_behind_an_error_goes_on(explicit):
    try:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as interrupt:
            raise SystemError("a result with an exception set") from (
                interrupt if explicit else None
            )
    except SystemError as error:
        with pytest.raises(KeyboardInterrupt):
            pass_interrupt(error)


def test_any_other_error_does_not():
    pass_interrupt(OSError("cut short"))
