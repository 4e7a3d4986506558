"""The first three steps in a new workspace, the same on every page that shows them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstStep:
    """One step: what to do and why, what to type for it, and whether it is done."""

    title: str
    detail: str
    command: str
    is_done: bool


def first_steps(
    *, is_published: bool, is_collected: bool, is_decided: bool, account: str = "ACCOUNT"
) -> tuple[FirstStep, ...]:
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
        FirstStep(
            title="Publish terms",
            detail="Terms say what may be done with which data, and whose yes is needed. Until they are published "
            "nothing may "
            "be used. The operator publishes them; each account accepts them or not.",
            command="volition terms publish FILE",
            is_done=is_published,
        ),
        FirstStep(
            title="Collect data",
            detail="Transcripts, chat exports or telemetry. From then on it is known whom the data concerns; none "
            "of it is "
            "used yet.",
            command=f"volition collect webvtt MEETING.vtt --account {account} --started 2026-06-02T09:00:00Z",
            is_done=is_collected,
        ),
        FirstStep(
            title="Ask for a decision",
            detail="An administrator answers for the account, and each person, by a link, for themselves. Before "
            "they answer "
            "they see what a yes gives and what it costs.",
            command=f"volition user link PERSON --account {account}",
            is_done=is_decided,
        ),
    )
