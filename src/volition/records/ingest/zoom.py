"""Zoom's webhooks: what happens in meetings, as usage of the service. No audio, no video, no words.

A delivery that is repeated has the same key, so it is stored once. An event without an account of ours does not come
here: whoever set up the webhook said whose meetings it tells of. An event that names nobody is kept out by the gate.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from volition.canonical import canonical_json, digest
from volition.errors import InvalidInputError
from volition.records.ingest import Draft, PersonRef, Reject, raw_json

_KEPT = ("id", "uuid", "type", "duration", "topic_category", "timezone", "start_time", "end_time")


def read_zoom_event(delivery: Mapping[str, Any], *, account: str) -> Iterator[Draft | Reject]:
    """Read one event.

    Args:
        delivery: The delivery's document: `event`, `event_ts` (milliseconds) and `payload`.
        account: Whose meetings it tells of.

    Yields:
        A draft, or a reject if it has no time or no sense.
    """
    event, payload = delivery.get("event"), delivery.get("payload")
    about = payload.get("object") if isinstance(payload, Mapping) else None
    at_ms = delivery.get("event_ts")
    if not isinstance(event, str) or not isinstance(about, Mapping) or type(at_ms) is not int:
        why = "The event names no kind, no meeting or no time (event_ts)."
        yield Reject(source="zoom", where=str(event), why=why, raw=raw_json(delivery))
        return
    try:
        yield Draft(
            key="zoom:" + digest(canonical_json(dict(delivery))),
            account=account,
            people=tuple(_people(about)),
            category="service/usage",
            at_us=at_ms * 1000,
            payload={
                "kind": "event",
                "name": f"zoom.{event}",
                "attributes": {key: about[key] for key in _KEPT if isinstance(about.get(key), str | int)},
                "body": None,
            },
        )
    except InvalidInputError as error:
        yield Reject(source="zoom", where=str(event), why=str(error), raw=raw_json(delivery))


def _people(about: Mapping[str, Any]) -> Iterator[PersonRef]:
    """Yield who did it: the participant, or the host of the meeting."""
    somebody = about.get("participant")
    if isinstance(somebody, Mapping):
        email, name = _text(somebody.get("email")), _text(somebody.get("user_name"))
        identity = _text(somebody.get("participant_user_id")) or _text(somebody.get("id"))
        if email or name or identity:
            yield PersonRef(id=identity, email=email, name=name)
    elif host := _text(about.get("host_id")):
        yield PersonRef(id=host)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
