"""The samples read back through the ways in, hang together, and hold the interests that were planted."""

import json
import re
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from volition.canonical import datetime_to_us
from volition.cli.demo.samples import DAYS, SampleAccount, SampleMeeting, Samples, slack_id, write_samples
from volition.consent.terms.regions import check_region
from volition.errors import InvalidInputError
from volition.learning.families.compose.composer import Composer
from volition.learning.families.compose.family import ComposeFamily
from volition.learning.families.family import NoParts
from volition.progress import silent
from volition.records.ingest import Complete, Draft, Reject
from volition.records.ingest.otlp import read_otlp
from volition.records.ingest.slack import read_slack
from volition.records.ingest.webvtt import read_webvtt
from volition.records.lake import Row

pytestmark = pytest.mark.slow

START = datetime(2026, 1, 5, tzinfo=UTC)
GUESTS = {"brannock": {"Keiran Boothe"}, "lantern": {"Rosalind Achterberg"}}


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    return write_samples(tmp_path_factory.mktemp("samples"), start=START)


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _segments(account: SampleAccount, meeting: SampleMeeting) -> list[Draft | Reject]:
    return list(
        read_webvtt(
            meeting.path.read_bytes(),
            source=meeting.path.name,
            account=account.id,
            meeting=meeting.name,
            start_us=meeting.start_us,
        )
    )


def _events(account: SampleAccount) -> list[Draft]:
    drafts = list(read_otlp(account.usage, account=account.id))
    assert all(isinstance(draft, Draft) for draft in drafts)
    return [draft for draft in drafts if isinstance(draft, Draft)]


def _uses(account: SampleAccount) -> dict[str, set[str]]:
    uses: dict[str, set[str]] = defaultdict(set)
    for event in _events(account):
        if item := event.payload["attributes"].get("volition.item"):
            uses[str(event.people[0].id)].add(item)
    return uses


def test_same_seed_and_start_give_the_same_bytes(samples: Samples, tmp_path: Path) -> None:
    write_samples(tmp_path, start=START)
    assert _bytes(tmp_path) == _bytes(samples.folder)


def test_writing_again_over_the_same_folder_changes_nothing(tmp_path: Path) -> None:
    write_samples(tmp_path, start=START)
    before = _bytes(tmp_path)
    write_samples(tmp_path, start=START)
    assert _bytes(tmp_path) == before


def test_another_seed_changes_what_people_do_and_not_what_they_say(samples: Samples, tmp_path: Path) -> None:
    write_samples(tmp_path, seed=8, start=START)
    ours, others = _bytes(samples.folder), _bytes(tmp_path)
    assert {Path(name).name for name in ours if ours[name] != others[name]} == {"usage.jsonl"}


def test_start_without_time_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="time zone"):
        write_samples(tmp_path, start=START.replace(tzinfo=None))
    assert not list(tmp_path.iterdir())


def test_each_cue_of_each_transcript_is_read_and_spoken_by_somebody_known(samples: Samples) -> None:
    for account in samples.accounts:
        assert len(account.meetings) == 6
        known = {person.name for person in account.people} | GUESTS.get(account.id, set())
        for meeting in account.meetings:
            segments = _segments(account, meeting)
            cues = len(re.findall("-->", meeting.path.read_text(encoding="utf-8")))
            assert 45 <= cues <= 70
            assert len(segments) == cues
            for segment in segments:
                assert isinstance(segment, Draft), segment
                assert segment.payload["speaker"] in known


def test_transcripts_come_in_the_three_forms(samples: Samples) -> None:
    texts = [m.path.read_text(encoding="utf-8") for account in samples.accounts for m in account.meetings]
    named = [text for text in texts if re.search(r"^\d+\n[\d:.]+ --> [\d:.]+\n[^:\n]+: ", text, re.MULTILINE)]
    voiced = [text for text in texts if "<v " in text]
    assert min(len(named), len(voiced), len(texts) - len(named) - len(voiced)) >= 4


def test_each_meeting_has_one_summary_of_its_length(samples: Samples) -> None:
    for account in samples.accounts:
        summaries = _lines(account.summaries)
        assert sorted(str(summary["meeting"]) for summary in summaries) == sorted(m.name for m in account.meetings)
        assert all(80 <= len(str(summary["text"]).split()) <= 120 for summary in summaries)


def test_each_query_points_at_turns_of_its_meeting(samples: Samples) -> None:
    for account in samples.accounts:
        turns = {
            meeting.name: {s.payload["turn"] for s in _segments(account, meeting) if isinstance(s, Draft)}
            for meeting in account.meetings
        }
        queries = _lines(account.queries)
        for query in queries:
            first, last = query["first_turn"], query["last_turn"]
            assert isinstance(first, int)
            assert isinstance(last, int)
            assert first <= last
            assert set(range(first, last + 1)) <= turns[str(query["meeting"])], query
        asked = [str(query["meeting"]) for query in queries]
        assert all(asked.count(name) >= 5 for name in turns)


def test_decisions_lie_neither_at_the_beginning_nor_in_the_longest_lines(samples: Samples) -> None:
    """Else taking the first or the longest lines would do for a summary, and training would gain nothing."""
    first, longest, answers = 0, 0, 0
    for account in samples.accounts:
        for meeting in account.meetings:
            segments = [s.payload for s in _segments(account, meeting) if isinstance(s, Draft)]
            wanted = {
                turn
                for query in _lines(account.queries)
                if query["meeting"] == meeting.name
                for turn in range(int(str(query["first_turn"])), int(str(query["last_turn"])) + 1)
            }
            by_length = sorted(segments, key=lambda payload: -len(payload["text"]))
            first += sum(payload["turn"] in wanted for payload in segments[:5])
            longest += by_length[0]["turn"] in wanted
            answers += 1
    assert first / (5 * answers) < 0.2
    assert longest / answers < 0.4


def test_chat_export_is_read_whole_and_written_by_people_of_the_account(samples: Samples) -> None:
    for account in samples.accounts:
        messages = [one for one in read_slack(account.slack, account=account.id) if not isinstance(one, Complete)]
        known = {person.slack_id for person in account.people} | {slack_id(user) for user in account.users}
        for message in messages:
            assert isinstance(message, Draft), message
            assert all(person.id in known for person in message.people)
            assert not re.search("<@|&amp;|&lt;", message.payload["text"])
        drafts = [message for message in messages if isinstance(message, Draft)]
        assert len({draft.payload["channel"] for draft in drafts}) >= 4
        assert 60 <= sum(draft.payload["channel"] != "front-desk" for draft in drafts) <= 100
        assert any(len(draft.people) > 1 for draft in drafts)


def test_chats_have_threads_whose_beginning_is_there(samples: Samples) -> None:
    threads = 0
    for account in samples.accounts:
        drafts = [draft for draft in read_slack(account.slack, account=account.id) if isinstance(draft, Draft)]
        stamps = {(draft.payload["channel"], draft.payload["ts"]) for draft in drafts}
        for draft in drafts:
            if draft.payload["thread"]:
                assert (draft.payload["channel"], draft.payload["thread"]) in stamps
                threads += draft.payload["thread"] != draft.payload["ts"]
    assert threads


def test_everything_happens_within_the_sixty_days(samples: Samples) -> None:
    begin, end = datetime_to_us(samples.start), datetime_to_us(samples.end)
    assert (samples.end - samples.start).days == DAYS
    for account in samples.accounts:
        said = [one for one in read_slack(account.slack, account=account.id) if not isinstance(one, Complete)]
        drafts: list[object] = [*_events(account), *said]
        for meeting in account.meetings:
            drafts += _segments(account, meeting)
        assert all(isinstance(draft, Draft) and begin <= draft.at_us < end for draft in drafts)


def test_usage_names_people_items_and_categories_of_the_account(samples: Samples) -> None:
    for account in samples.accounts:
        people = {person.id for person in account.people} | set(account.users)
        items = {item for group in account.interests.values() for item in group}
        events = _events(account)
        assert {event.people[0].id for event in events} == people
        assert {event.category for event in events} == {"service/usage", "service/diagnostics", "service/telemetry"}
        assert len({event.key for event in events}) == len(events)
        assert set().union(*_uses(account).values()) == items


def test_nobody_opens_a_search_hit_before_the_meeting_is_over(samples: Samples) -> None:
    for account in samples.accounts:
        ends = {m.name: max(s.at_us for s in _segments(account, m) if isinstance(s, Draft)) for m in account.meetings}
        clicks = [event for event in _events(account) if event.payload["name"] == "search.opened"]
        assert all(event.at_us > ends[event.payload["attributes"]["search.meeting"]] for event in clicks)


def test_most_clicks_but_not_all_open_what_answers_the_query(samples: Samples) -> None:
    for account in samples.accounts:
        answers = {(query["meeting"], query["query"]): query for query in _lines(account.queries)}
        right, searchers = [], defaultdict(set)
        for event in _events(account):
            if event.payload["name"] == "search.opened":
                opened = event.payload["attributes"]
                answer = answers[opened["search.meeting"], opened["search.query"]]
                right.append(opened["search.first_turn"] <= int(str(answer["last_turn"])))
                right[-1] &= opened["search.last_turn"] >= int(str(answer["first_turn"]))
                searchers[opened["search.meeting"], opened["search.query"]].add(event.people[0].id)
        assert 0.8 < sum(right) / len(right) < 1
        assert searchers.keys() == answers.keys()
        assert min(map(len, searchers.values())) >= 2


def test_planted_interests_show_in_what_people_use_together(samples: Samples) -> None:
    for account in samples.accounts:
        uses = list(_uses(account).values())
        for group, items in account.interests.items():
            if group == "everyone":
                continue
            for item in items:
                base = sum(item in used for used in uses) / len(uses)
                company = [used for used in uses if len(used & set(items) - {item}) >= 3]
                given = sum(item in used for used in company) / len(company)
                assert given > 1.5 * base, (account.id, item, base, given)


def test_no_group_of_items_is_popular_enough_to_answer_for_all(samples: Samples) -> None:
    for account in samples.accounts:
        uses = list(_uses(account).values())
        for group, items in account.interests.items():
            if group != "everyone":
                assert all(sum(item in used for used in uses) / len(uses) < 0.6 for item in items), group


def test_people_have_regions_that_terms_know_and_addresses_that_lead_nowhere(samples: Samples) -> None:
    people = [person for account in samples.accounts for person in account.people]
    assert all(check_region(person.region) for person in [*samples.accounts, *people])
    assert len({person.id for person in people}) == len(people)
    assert all(person.email.endswith(".example") for person in people)


def test_every_address_in_the_texts_is_in_a_domain_reserved_for_examples(samples: Samples) -> None:
    for path in samples.folder.rglob("*.vtt"):
        text = path.read_text(encoding="utf-8")
        hosts = re.findall(r"(?:https?://|\b[\w.-]+@)([\w.-]*\w)", text)
        assert all(host.endswith(".example") for host in hosts), hosts


OPENINGS = (
    "Hi, can", "We should", "I'm not s", "What ab", "Do you hav", "Let's tal", "Thanks for the", "Could you pl",
    "When is the n", "Please s", "Sorry, I h", "The meeting is mo",
)  # fmt: skip


@pytest.mark.parametrize("account", ["helio", "brannock"])
def test_a_persons_typing_gets_suggestions_in_most_tries(samples: Samples, account: str) -> None:
    [zipped] = [one.slack for one in samples.accounts if one.id == account]
    drafts = [draft for draft in read_slack(zipped, account=account) if isinstance(draft, Draft)]
    rows = [
        Row(
            record_id=draft.key,
            account=account,
            people=tuple(str(person.id) for person in draft.people),
            category=draft.category,
            collected_us=draft.at_us,
            payload=draft.payload,
        )
        for draft in drafts
    ]
    composer = Composer(ComposeFamily().fit(rows, parts=NoParts(), progress=silent))
    answered = [opening for opening in OPENINGS if composer.complete(account, opening)]
    assert len(answered) >= 8, sorted(set(OPENINGS) - set(answered))
