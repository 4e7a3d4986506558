"""How to begin: the three steps of a workspace in which nothing was decided, the same wherever they are told."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: what to do and why, what to type for it, and whether it is done."""

    title: str
    told: str
    command: str
    is_done: bool


def first_steps(
    *, is_published: bool, is_collected: bool, is_decided: bool, account: str = "ACCOUNT"
) -> tuple[Step, ...]:
    """Return the three steps, or none of them once all are taken.

    Args:
        is_published: Whether terms were published.
        is_collected: Whether anything was collected.
        is_decided: Whether anybody answered.
        account: Whose steps they are, for the commands.
    """
    if is_published and is_collected and is_decided:
        return ()
    return (
        Step(
            title="Publish terms",
            told="They say what may be done with which data, and whose yes it takes; before, nothing may be used. The "
            "operator publishes them, and each account accepts them or not.",
            command="volition terms publish FILE",
            is_done=is_published,
        ),
        Step(
            title="Collect something",
            told="Transcripts, chat exports, telemetry: whom it concerns is known then. Nothing of it is used yet.",
            command=f"volition collect webvtt MEETING.vtt --account {account} --started 2026-06-02T09:00:00Z",
            is_done=is_collected,
        ),
        Step(
            title="Invite a decision",
            told="An administrator answers the switches for the account, and each person by a link for themselves. "
            "Whoever is asked sees what a yes gives and costs before they answer.",
            command=f"volition user link PERSON --account {account}",
            is_done=is_decided,
        ),
    )
