"""The story's own clock: nine weeks pass in two minutes, and end before today."""

from datetime import datetime, timedelta

from volition.canonical import datetime_to_us, us_to_datetime


class StoryClock:
    """The story's time: a millisecond passes whenever it is read, days when the story says so."""

    def __init__(self, start: datetime) -> None:
        """Begin at an instant."""
        self._start = start
        self._now_us = datetime_to_us(start)

    def __call__(self) -> int:
        """Return the present instant of the story, in microseconds since the Unix epoch."""
        self._now_us += 1000
        return self._now_us

    def wait_until(self, day: float) -> str:
        """Let time pass until a day of the story, counted from its start; return the date."""
        self._now_us = max(self._now_us, datetime_to_us(self._start + timedelta(days=day)))
        return us_to_datetime(self._now_us).date().isoformat()
