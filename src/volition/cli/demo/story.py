"""The demo: four invented customers walk the whole road, and every promise is checked on the way.

Two of them lie where the terms ask each person, too; one said yes only from a day on; one has changed its mind by the
end. The story takes nine weeks on a clock of its own, which ends before today: what is left in the folder is a
workspace like any other, and every command works on it.

What the demo says, it has checked: where a promise does not hold it stops with an error instead of going on.

    figures = run_demo(folder, show=print)

    FOLDER/exports/        what the customers' product exported (see `samples`)
    FOLDER/workspace/      the workspace
    FOLDER/evidence.zip    what was proved about it
    FOLDER/log.pub         the public key, all that checking it takes
"""

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from volition import canonical
from volition.canonical import datetime_to_us, us_to_datetime, us_to_text
from volition.cli.demo.cast import (
    ASKED_EACH,
    ASKER,
    FAMILIES,
    GUEST_WHO_SAYS_YES,
    GUEST_WHO_WAS_NOT_ASKED,
    LATE,
    LEAVER,
    LEAVER_ASKER,
    NEWCOMER,
    NO_TO_BEING_QUOTED,
    NO_TO_SUMMARY_TRAINING,
    NO_TO_USAGE_TRAINING,
    ORIGIN,
    QUERY,
    SILENT,
    SUMMARISED,
    TYPED,
)
from volition.cli.demo.clock import StoryClock
from volition.cli.demo.promises import (
    check_left_out,
    check_scrubbed,
    check_tampered,
    hold,
    must_refuse,
    release_by_name,
    require_attack,
    told_refusals,
)
from volition.cli.demo.samples import DAYS, SampleAccount, Samples, slack_id, write_samples
from volition.cli.demo.tables import (
    Show,
    Step,
    Table,
    benefits_table,
    clock,
    dropped_rows,
    kept_rows,
    place_of,
    read_rows,
)
from volition.errors import InvalidInputError, ProofError
from volition.learning.audit.finding import Finding
from volition.learning.families.family import NoParts
from volition.ledger.signing import VerifierKey
from volition.progress import Progress, silent
from volition.records.audience import ConversationKind
from volition.transparency.verify.bundle import verify_bundle
from volition.transparency.verify.people import verify_person
from volition.workspace import Workspace
from volition.workspace.forgetting import Forgotten

if TYPE_CHECKING:
    from volition.records.snapshot import Snapshot


_STORY_DAYS: Final = 70  # how long ago it begins, at least: it is over before today
_SHOWN: Final = 3
_REFUSED: Final = 3  # exit code of `volition may` where the answer is no

_PURPOSES: Final = tuple(f"train/{family}" for family in FAMILIES)
_ALL_DATA: Final = ("service", "content")


def run_demo(
    folder: Path, show: Show, *, progress: Progress = silent, now: Callable[[], int] = canonical.now_us
) -> dict[str, Any]:
    """Walk the story and leave its workspace in a folder.

    Args:
        folder: Where everything goes; empty, or not there.
        show: Called with each step when it is done.
        progress: Called with how far long work has come.
        now: Gives the present instant; the story ends before it.

    Returns:
        Every figure of the story, as a JSON object.

    Raises:
        InvalidInputError: The folder holds something already.
        ProofError: A promise does not hold. That is a fault of Volition's own.
    """
    if folder.exists() and any(folder.iterdir()):
        msg = f"{folder} is not empty. Name a new folder for the demo."
        raise InvalidInputError(msg)
    today = us_to_datetime(now()).replace(hour=0, minute=0, second=0, microsecond=0)
    start = today - timedelta(days=_STORY_DAYS + today.weekday())  # a Monday: the samples' weekends count from it
    samples = write_samples(folder / "exports", start=start)
    clock = StoryClock(start)
    public = ("feature", "document")  # these organisations' documents are open to all of their people
    Workspace.create(folder / "workspace", origin=ORIGIN, clock=clock, public_items=public).close()
    require_attack(folder / "workspace")
    with Workspace.open(folder / "workspace", clock=clock) as workspace:
        story = _Story(folder=folder, workspace=workspace, samples=samples, clock=clock, show=show, progress=progress)
        return story.tell()


class _Story:
    """The story in its order; each step checks what it says."""

    def __init__(  # noqa: PLR0913 - what a story needs
        self, *, folder: Path, workspace: Workspace, samples: Samples, clock: StoryClock, show: Show, progress: Progress
    ) -> None:
        self._folder = folder
        self._workspace = workspace
        self._samples = samples
        self._accounts = {account.id: account for account in samples.accounts}
        self._clock = clock
        self._show_step = show
        self._progress = progress
        self._steps = 0
        self._models: dict[str, str] = {}  # family -> the model at work
        self._snapshots: dict[str, Snapshot] = {}

    def tell(self) -> dict[str, Any]:
        """Walk every step; return the figures of each, and how long it took."""
        steps: dict[str, Callable[[], dict[str, Any]]] = {
            "accept": self._accept,
            "off": self._collect_with_everything_off,
            "yes": self._say_yes,
            "learn": self._learn,
            "use": self._use,
            "withdraw": self._withdraw,
            "forget": self._forget,
            "prove": self._prove,
            "next": self._what_next,
        }
        figures: dict[str, Any] = {"folder": str(self._folder)}
        seconds: dict[str, float] = {}
        for name, step in steps.items():
            began = perf_counter()
            figures[name] = step()
            seconds[name] = round(perf_counter() - began, 1)
        return figures | {"seconds": seconds}

    def _show(self, title: str, *blocks: str | Table) -> None:
        self._steps += 1
        self._show_step(Step(title=f"{self._steps}. {title}", blocks=blocks))

    # --- the steps ---

    def _accept(self) -> dict[str, Any]:
        """Add the accounts and their people; the accounts accept the terms, and nobody has said yes to anything."""
        workspace = self._workspace
        for account in self._samples.accounts:
            workspace.people.add_account(account.id, account.name, region=account.region)
            for person in account.people:
                workspace.people.add_person(
                    person.id,
                    account=account.id,
                    name=person.name,
                    aliases=[*person.aliases, person.slack_id],
                    emails=[person.email],
                    region=person.region if person.region != account.region else None,
                )
            for user in account.users:
                workspace.people.add_person(user, account=account.id, aliases=[slack_id(user)])
            workspace.terms.accept(account.id)
        [terms] = workspace.terms.published()
        accounts = [
            {
                "account": account.id,
                "name": account.name,
                "region": account.region,
                "people": len(account.people) + len(account.users),
            }
            for account in self._samples.accounts
        ]
        self._show(
            "Four customers accept the terms",
            f'They accept "{terms.title}" ({terms.id}): each purpose and each feature has a switch of its own, and '
            "all are off.",
            Table(
                columns=("account", "name", "region", "people"),
                rows=tuple(tuple(account.values()) for account in accounts),
            ),
        )
        return {"terms": terms.id, "start": us_to_text(datetime_to_us(self._samples.start)), "accounts": accounts}

    def _collect_with_everything_off(self) -> dict[str, Any]:
        """Collect two months while every switch is off; nothing is learned, and every feature refuses."""
        date = self._clock.wait_until(DAYS)
        for number, account in enumerate(self._samples.accounts):
            self._progress("collecting", number, len(self._samples.accounts))
            self._collect(account)
        self._progress("collecting", len(self._samples.accounts), len(self._samples.accounts))
        records = self._workspace.status()["records"]
        snapshots = {purpose: self._workspace.snapshots.create(purpose) for purpose in _PURPOSES}
        rows = {purpose: dict(snapshot.manifest["rows"]) for purpose, snapshot in snapshots.items()}
        hold(not any(len(snapshot.keys) for snapshot in snapshots.values()), "without a yes nothing is kept")
        hold(all(read_rows(counted) for counted in rows.values()), "there was something to learn from")
        refused = self._refusals(ASKER, SUMMARISED[0], reason="not-asked")
        self._show(
            f"Two months are collected, every switch is off ({date})",
            "What the terms could allow one day is kept, content sealed under each account's own key. Nobody has been "
            "asked yet, and silence is no yes: nothing is learned.",
            Table(columns=("category", "records"), rows=tuple(records.items())),
            Table(
                columns=("training set for", "read", "kept", "dropped, by reason"),
                rows=tuple(
                    (purpose, read_rows(rows[purpose]), kept_rows(rows[purpose]), dropped_rows(rows[purpose]))
                    for purpose in rows
                ),
            ),
            "The features are off as well. Asked for a search, Volition answers:",
            f"  {refused['search']}",
        )
        return {"records": records, "rows": rows, "refused": refused}

    def _collect(self, account: SampleAccount) -> None:
        collected = [
            self._workspace.records.collect_webvtt(
                meeting.path, account=account.id, started=us_to_datetime(meeting.start_us), meeting=meeting.name
            )
            for meeting in account.meetings
        ]
        collected += [
            self._workspace.records.collect_summaries(account.summaries, account=account.id),
            self._workspace.records.collect_slack(account.slack, account=account.id),
            self._workspace.records.collect_otlp(account.usage, account=account.id),
        ]
        hold(not any(outcome.rejected or outcome.not_kept for outcome in collected), "every export is collected whole")
        for meeting in account.meetings:  # in these customers' product a meeting is open to all users of the account
            self._workspace.audiences.share(
                meeting.name, kind=ConversationKind.MEETING, account=account.id, with_account=True
            )

    def _say_yes(self) -> dict[str, Any]:
        """Accounts and people say yes; some say nothing, some say no, and the gate keeps those out."""
        date = self._clock.wait_until(DAYS + 1)
        said = Counter({"yes": 0, "no": 0, "nothing": 0})
        for answer in self._answers():
            said[answer] += 1
        guest, speaker = GUEST_WHO_WAS_NOT_ASKED[1], NO_TO_SUMMARY_TRAINING[1]
        user, silent_user = NO_TO_USAGE_TRAINING[0], f"helio-u{SILENT}"
        why = {
            f"{guest}, a guest": self._why("train/summary", "brannock", self._guest_party_set()),
            f"{speaker}, who spoke": self._why("train/summary", "helio", ["helio-mara", NO_TO_SUMMARY_TRAINING[0]]),
            user: self._why("train/recommend", "copper", [user], "service/usage"),
            silent_user: self._why("train/recommend", "helio", [silent_user], "service/usage"),
        }
        for purpose in _PURPOSES:
            self._snapshots[purpose] = self._workspace.snapshots.create(purpose, progress=self._progress)
        rows = {purpose: dict(snapshot.manifest["rows"]) for purpose, snapshot in self._snapshots.items()}
        check_left_out(self._workspace, self._snapshots, self._accounts, self._samples.start)
        scrubbed = check_scrubbed(self._workspace, self._snapshots["train/summary"])
        self._show(
            f"Yeses come in, and some do not ({date})",
            f"Of {sum(said.values())} parties asked, {said['yes']} say yes, {said['no']} say no to a part, "
            f"{said['nothing']} say nothing. Helio and Brannock lie where each person is asked. Lantern says yes to "
            f"what came after its first {LATE[1]} days, the others to all of the past.",
            Table(
                columns=("training set for", "category", "read", "kept", "dropped, by reason"),
                rows=tuple(
                    (purpose, category, counted["read"], counted["kept"], dropped_rows({category: counted}))
                    for purpose, categories in rows.items()
                    for category, counted in categories.items()
                ),
            ),
            "Whose silence or no keeps a record out, and what would change it:",
            Table(
                columns=("who", "training set for", "reason", "what would change it"),
                rows=tuple((who, answer["purpose"], answer["reason"], answer["remedy"]) for who, answer in why.items()),
            ),
            f"One guest of one meeting was not asked, so none of {GUEST_WHO_WAS_NOT_ASKED[2]} is learned from. "
            "Personal identifiers are scrubbed from what is; a line of the set:",
            f"  {scrubbed}",
        )
        return {"answers": dict(said), "rows": rows, "why": why, "scrubbed": scrubbed}

    def _answers(self) -> Iterator[str]:
        """Let everybody answer; yield what each party said: "yes", "no" (to a part), or "nothing"."""
        workspace = self._workspace
        uses = ("train", "feature")
        refusals = {NO_TO_SUMMARY_TRAINING[0]: "train/summary", NO_TO_BEING_QUOTED[0]: "feature/summary"}
        late = us_to_text(datetime_to_us(self._samples.start + timedelta(days=LATE[1])))
        for account in self._samples.accounts:
            covers = late if account.id == LATE[0] else "past"
            workspace.consent.decide(f"account:{account.id}", yes=True, data=_ALL_DATA, purpose=uses, covers=covers)
            yield "yes"
            for person in account.people:
                party, refused = f"person:{person.id}", refusals.get(person.id)
                purposes = [purpose for purpose in _PURPOSES if purpose != refused]
                workspace.consent.decide(party, yes=True, data=_ALL_DATA, purpose=purposes, covers="past")
                if refused:
                    workspace.consent.decide(party, yes=False, data=("content",), purpose=(refused,))
                yield "no" if refused else "yes"
            for number, user in enumerate(account.users, start=1):
                if user in NO_TO_USAGE_TRAINING:
                    workspace.consent.decide(f"person:{user}", yes=False, data=("service",), purpose=("train",))
                    yield "no"
                elif account.id in ASKED_EACH:
                    if number % SILENT:
                        workspace.consent.decide(
                            f"person:{user}", yes=True, data=_ALL_DATA, purpose=("train",), covers="past"
                        )
                    yield "yes" if number % SILENT else "nothing"
        guest = workspace.parties.guest(*GUEST_WHO_SAYS_YES)
        workspace.consent.decide(f"person:{guest.id}", yes=True, data=("content",), purpose=("train",), covers="past")
        yield "yes"
        yield "nothing"  # the other guest

    def _guest_party_set(self) -> list[str]:
        """Return a speaker of the meeting whose guest was not asked, and that guest."""
        account, name, _ = GUEST_WHO_WAS_NOT_ASKED
        return [self._accounts[account].people[0].id, self._workspace.parties.guest(account, name).id]

    def _why(
        self, purpose: str, account: str, people: Sequence[str], category: str = "content/transcript"
    ) -> dict[str, str]:
        """Ask the gate about a record of the samples' time; it must say no, and say why."""
        verdict = self._workspace.gate.may(
            purpose,
            account=account,
            people=people,
            category=category,
            collected=self._samples.end - timedelta(days=1),
        ).verdict
        hold(not verdict.permitted, f"{purpose} is not permitted with {', '.join(people)}")
        return {
            "purpose": purpose,
            "party": self._workspace.party_name(verdict.party),
            "reason": str(verdict.reason and verdict.reason.value),
            "remedy": verdict.remedy,
        }

    def _learn(self) -> dict[str, Any]:
        """Train, measure and release a model of each family."""
        date = self._clock.wait_until(DAYS + 2)
        figures: dict[str, Any] = {}
        for family in FAMILIES:
            trained = self._workspace.models.train(
                family, self._snapshots[f"train/{family}"].id, progress=self._progress
            )
            self._workspace.models.audit(trained.id, progress=self._progress)
            refused = release_by_name(self._workspace, trained.id)
            self._models[family] = trained.id
            finding = self._benefit(family)
            figures[family] = {
                "model": trained.id,
                "rows": trained.record["rows"],
                "people": trained.record["people"],
                "card": str(self._workspace.folder / "releases" / trained.id / "card.md"),
                "benefit": finding.to_json(),
                "refused": refused,
            }
            hold(finding.measured, f"the benefit of {family} is measured")
        self._show(
            f"Four models learn, are measured, and go to work ({date})",
            "Each is measured on what it had not seen, against the same feature without training. A release has a "
            "signed card that says all this; a model that was not measured is not released.",
            benefits_table(figures),
            "An interval that reaches below zero says that the benefit is not sure.",
            *told_refusals(figures),
            f"The card of the first: {figures[FAMILIES[0]]['card']}",
        )
        return figures

    def _use(self) -> dict[str, Any]:
        """Search, summarise, recommend and complete; who said no to being quoted is not quoted."""
        workspace = self._workspace
        found = workspace.features.search(QUERY, person=ASKER, limit=_SHOWN)
        meeting, asker = SUMMARISED
        summary = workspace.features.summarize(meeting, person=asker)
        moments = [asdict(moment) for moment in summary.moments]
        suggestions = workspace.features.recommend(NEWCOMER, limit=_SHOWN)
        completions = workspace.features.complete(TYPED, person=ASKER, limit=_SHOWN)
        hold(bool(found.hits and summary.moments and suggestions and completions), "the features give something")
        hold(NO_TO_BEING_QUOTED[1] not in {moment.speaker for moment in summary.moments}, "a no to a quote counts")
        self._why("feature/summary", "brannock", [NO_TO_BEING_QUOTED[0]])
        self._show(
            "The features are at work",
            f'{ASKER} searches "{QUERY}":',
            Table(
                columns=("where", "who", "what"),
                rows=tuple((place_of(hit), hit.speaker, hit.text) for hit in found.hits),
            ),
            *filter(None, [found.note]),
            f"{asker} has {meeting} summarised, in quotes; {NO_TO_BEING_QUOTED[1]}, who said no to that, is not "
            "quoted:",
            Table(
                columns=("at", "who", "said"),
                rows=tuple(
                    (clock(moment.start_ms), moment.speaker, moment.quote) for moment in summary.moments[:_SHOWN]
                ),
            ),
            f"{NEWCOMER} may like:",
            Table(columns=("item", "because"), rows=tuple((item.item, item.because) for item in suggestions)),
            f'While {ASKER} types "{TYPED}", only what five people of the account wrote may complete it:',
            Table(
                columns=("goes on", "people who wrote it"),
                rows=tuple((one.phrase, one.people) for one in completions),
            ),
        )
        return {
            "search": {"query": QUERY, "by": ASKER, **found.to_json()},
            "summary": {"meeting": meeting, "by": asker, "moments": moments, "note": summary.note},
            "recommend": {"for": NEWCOMER, "items": [item.item for item in suggestions]},
            "compose": {"by": ASKER, "typed": TYPED, "completions": [one.phrase for one in completions]},
        }

    def _withdraw(self) -> dict[str, Any]:
        """One account withdraws, in one step: its features stop at once, and what must be forgotten is named."""
        date = self._clock.wait_until(DAYS + 4)
        leaver = self._accounts[LEAVER]
        meeting = leaver.meetings[-1].name
        for call in self._features(LEAVER_ASKER, meeting).values():
            call()  # they work now
        self._workspace.consent.decide(f"account:{LEAVER}", yes=False, data=_ALL_DATA, purpose=("train", "feature"))
        refused = self._refusals(LEAVER_ASKER, meeting, reason="withdrawn")
        for call in self._features(ASKER, self._accounts["helio"].meetings[0].name).values():
            call()  # for the others they go on
        owed = [line.to_json() for line in self._workspace.models.owed()]
        hold(
            {line["model"] for line in owed} == set(self._models.values()), "every model that learned from it is named"
        )
        hold(all(set(line["parties"]) == {f"account:{LEAVER}"} for line in owed), "nothing else is owed")
        must_refuse(lambda: self._workspace.models.release(owed[0]["model"]), "stale")
        self._show(
            f"{leaver.name} withdraws, in one step ({date})",
            "Its features stop at once, and go on for everybody else:",
            f"  {refused['search']}",
            "The models that learned from it are named, with the day by which they must have forgotten:",
            Table(
                columns=("model", "rows to forget", "due"),
                rows=tuple((line["model"], line["rows"], line["due"][:10]) for line in owed),
            ),
        )
        return {"account": LEAVER, "refused": refused, "owed": owed}

    def _forget(self) -> dict[str, Any]:
        """Make the models that never saw the account; the old ones and what they learned from are erased."""
        date = self._clock.wait_until(DAYS + 5)
        workspace = self._workspace
        before = {family: workspace.models.open(model).model.digest for family, model in self._models.items()}
        done = workspace.forgetting.forget(progress=self._progress)
        hold({line.model for line in done} == set(self._models.values()), "every model that owed it has forgotten")
        hold(workspace.models.owed() == [], "nothing is owed any more")
        figures = {family: self._check_forgotten(family, done, before[family]) for family in FAMILIES}
        for call in self._features(ASKER, self._accounts["helio"].meetings[0].name).values():
            call()
        benefits = {family: {"benefit": self._benefit(family).to_json()} for family in FAMILIES}
        self._show(
            f"The models forget, exactly ({date})",
            "Each is replaced by the model that never saw the account; the old files are erased. Trained anew without "
            "the account, they come out the same, byte for byte:",
            Table(
                columns=("forgotten", "rows", "the model that never saw them", "trained anew"),
                rows=tuple(
                    (line["model"], line["rows"], line["successor"], "the same bytes") for line in figures.values()
                ),
            ),
            "They were measured again before they went to work:",
            benefits_table(benefits),
        )
        return {"models": figures, "benefit": {family: line["benefit"] for family, line in benefits.items()}}

    def _check_forgotten(self, family: str, done: Iterable[Forgotten], digest_before: str) -> dict[str, Any]:
        """Check that a family's old model is gone for good, and that its successor never saw the account."""
        workspace = self._workspace
        old = self._models[family]
        [line] = [line for line in done if line.model == old]
        if (successor := line.successor or line.waits) is None:
            msg = f"{old} has no successor, though other customers still say yes. Please report it."
            raise ProofError(msg)
        if line.waits:  # it misses a bound, as the old one did
            release_by_name(workspace, successor)
        new = workspace.models.open(successor)
        snapshot = workspace.snapshots.open(new.record["snapshot"])
        must_refuse(lambda: workspace.models.open(old), "forgotten")
        gone = [workspace.folder / "models" / old, self._snapshots[f"train/{family}"].folder / "rows.parquet"]
        hold(not any(path.exists() for path in gone), f"the files of {old} are erased")
        hold(LEAVER not in new.record["accounts"], f"{new.id} never saw {LEAVER}")
        anew = workspace.models.family(family).fit(
            snapshot.rows(workspace.parties), parts=NoParts(), progress=self._progress
        )
        hold(anew.digest == new.model.digest != digest_before, f"{new.id} is the model that never saw {LEAVER}")
        self._models[family] = new.id
        self._snapshots[f"train/{family}"] = snapshot
        return {"model": old, "rows": line.rows, "successor": new.id, "same_as_anew": True, "erased": True}

    def _benefit(self, family: str) -> Finding:
        findings = self._workspace.models.findings(self._workspace.models.open(self._models[family]))
        return next(finding for finding in findings if finding.audit == "benefit")

    def _prove(self) -> dict[str, Any]:
        """Prove it all to somebody who has nothing but the public key; one changed byte, and it does not hold."""
        workspace = self._workspace
        bundle, public = self._folder / "evidence.zip", self._folder / "log.pub"
        public.write_text(workspace.verifier.to_text() + "\n", encoding="utf-8")
        entries = workspace.proofs.bundle(bundle)
        key = VerifierKey.from_text(public.read_text(encoding="utf-8"))
        verified = verify_bundle(bundle, key)
        hold(verified.holds, "the evidence verifies")
        tampered = check_tampered(bundle, key)
        people = [person.id for person in workspace.parties.people(LEAVER)]
        absent = [self._proof(person, model, key) for person in people for model in self._models.values()]
        hold(not any(proof["present"] for proof in absent), f"nobody of {LEAVER} is in a model at work")
        retired = [model for model in workspace.models.states() if model not in self._models.values()]
        presence = [self._proof(LEAVER_ASKER, model, key) for model in retired]
        hold(all(proof["present"] for proof in presence), f"{LEAVER_ASKER} was in the models that are forgotten")
        [fault] = [check for check in tampered.checks if not check.holds]
        self._show(
            "All of it is proved, with nothing but the public key",
            f"The evidence is one file with {entries} log entries, no names and no content. Checked offline:",
            Table(
                columns=("", "what", "detail"),
                rows=tuple(
                    ("holds" if check.holds else "FAILS", check.name, check.detail) for check in verified.checks
                ),
            ),
            f"One byte of it changed, in the log's line of {LEAVER}'s no, and it fails:",
            f"  {fault.detail}",
            f"Each of the {len(people)} people of {LEAVER} has a proof of absence from each model at work. "
            f"{LEAVER_ASKER} also has one of having been in each that was forgotten. All verify.",
        )
        return {
            "entries": entries,
            "key": key.to_text(),
            **verified.to_json(),
            "tampered": tampered.to_json(),
            "people": len(people),
            "absent": len(absent),
            "was_present": {proof["model"]: proof["rows"] for proof in presence},
        }

    def _proof(self, person: str, model: str, key: VerifierKey) -> Mapping[str, Any]:
        [proof] = self._workspace.proofs.person(person, model=model)
        hold(verify_person(proof, key).holds, f"the proof of {person} in {model} verifies")
        return proof

    def _what_next(self) -> dict[str, Any]:
        """Name commands that work on what is left, and the exit code of each."""
        leaver = ["--account", LEAVER, "--person", LEAVER_ASKER, "--category", "service/usage"]
        yes = ["--party", f"account:{LEAVER}", "--data", "service", "--purpose", "train/recommend", "--covers", "past"]
        evidence = [str(self._folder / "evidence.zip"), "--key", str(self._folder / "log.pub")]
        lines: list[tuple[int, list[str]]] = [
            (0, ["status"]),
            (0, ["search", "which rims did we choose", "--as", ASKER]),
            (0, ["summarize", self._accounts["helio"].meetings[0].name, "--as", ASKER]),
            (_REFUSED, ["may", "train/recommend", *leaver]),
            (0, ["decide", "yes", *yes]),
            (0, ["may", "train/recommend", *leaver]),
            (0, ["train", "recommend"]),
            (0, ["verify", *evidence]),
        ]
        workspace = str(self._workspace.folder)
        commands = [{"command": shlex.join(["volition", *arguments]), "exit": code} for code, arguments in lines]
        self._show(
            "What to try next",
            f"Everything is in {self._folder}, and every command works on it. Name the workspace once, or with "
            "--workspace each time:",
            f"  export VOLITION_WORKSPACE={shlex.quote(workspace)}",
            *(f"  {line['command']}" for line in commands),
        )
        return {"workspace": workspace, "commands": commands}

    # --- asking the features ---

    def _features(self, person: str, meeting: str) -> dict[str, Callable[[], object]]:
        """Return a call of each feature."""
        workspace = self._workspace
        return {
            "search": lambda: workspace.features.search(QUERY, person=person, limit=1),
            "recommend": lambda: workspace.features.recommend(person, limit=1),
            "summary": lambda: workspace.features.summarize(meeting, person=person),
            "compose": lambda: workspace.features.complete(TYPED, person=person),
        }

    def _refusals(self, person: str, meeting: str, *, reason: str) -> dict[str, str]:
        """Ask each feature; each must refuse, for the reason."""
        return {name: must_refuse(call, reason) for name, call in self._features(person, meeting).items()}
