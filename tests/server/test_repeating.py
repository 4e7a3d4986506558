"""What a server repeats goes on after trouble, after a fault, and until it is closed."""

from threading import Event

import pytest

from volition.errors import BackendError
from volition.server.repeating import Repeating


@pytest.mark.slow
@pytest.mark.parametrize("error", [BackendError("the other side is away"), ZeroDivisionError("a fault of ours")])
def test_whatever_goes_wrong_once_what_comes_later_is_done(error, caplog):
    done, trouble, times = Event(), [], []

    def work():
        times.append(None)
        if len(times) == 1:
            raise error
        done.set()

    repeating = Repeating("the work", work, on_trouble=trouble.append)
    assert done.wait(30)
    repeating.close()
    assert repeating.is_closing
    assert trouble == ([error] if isinstance(error, BackendError) else [])
    assert "the work" in caplog.text
    assert str(error) in caplog.text
