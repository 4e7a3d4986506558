"""Search: what a person's account wrote and said, ranked by the model at work (learning to rank).

Without a model the ranking is the untrained one: BM25 and the sentence encoder. Opening a hit is a usage event; where
the terms allow it, the next model learns from it.
"""

from dataclasses import replace

from volition.canonical import canonical_json, digest
from volition.errors import InvalidInputError
from volition.features.request import CONTENT, USAGE, FeatureRequest, check_feature, rows_of
from volition.features.search_cache import Searchable
from volition.learning.encoder import Encoder
from volition.learning.families.search.lines import CLICK, opening
from volition.learning.families.search.narrowing import EVERYTHING, Narrowing
from volition.learning.families.search.ranking import Found, search_in
from volition.progress import Progress
from volition.records.ingest import Draft, PersonRef


def run_search(  # noqa: PLR0913 - who asks for what, and how
    request: FeatureRequest,
    query: str,
    *,
    encoder: Encoder | None,
    limit: int,
    narrowing: Narrowing = EVERYTHING,
    waits: bool = True,
    progress: Progress,
) -> Found:
    """Search the meetings, chats and files that the requesting person may see, or the part that is asked for.

    What is not indexed yet is indexed first. Where the search does not wait for that, what is ready is searched, and it
    says how much is not.

    Raises:
        RefusedError: The account's switch for this feature is off, with the reason and what would change it.
        InvalidInputError: The query is empty.
    """
    if not query.strip():
        raise InvalidInputError("The query is empty. Say what to look for.")
    meeting = narrowing.meeting or None
    searchable = _documents(request, encoder, meeting, waits=waits, progress=progress)
    indexes = searchable.indexes
    if searchable.waiting and not indexes:
        return Found(hits=(), note="", waiting=searchable.waiting)
    if meeting is not None and not indexes:
        # Whether the meeting is missing or may not be used is not said: that, too, is for those who may see it.
        return Found(hits=(), note=f"There is nothing to search in {meeting!r}: no such meeting may be used.")
    found = search_in(request.model, query, indexes, encoder=encoder, limit=limit, narrowing=narrowing)
    documents = (index.document for index in indexes)
    sources = {(hit.kind, hit.source) for hit in found.hits}
    lines = (
        line.row
        for document in documents
        if (document.lines[0].kind, document.lines[0].source) in sources
        for line in document.lines
    )
    request.note(rows_of(lines, (hit.record_id for hit in found.hits)))
    return replace(found, ready=searchable.ready, waiting=searchable.waiting)


def opened_hit(  # noqa: PLR0913 - who opened what, when
    request: FeatureRequest, query: str, record: str, *, encoder: Encoder | None, at_us: int, progress: Progress
) -> Draft:
    """Return the event that the requesting person opened a hit, in the form in which telemetry would bring it in.

    Raises:
        RefusedError: The account's switch for this feature is off.
        InvalidInputError: The query is empty, or a search by this person could not have found the record.
    """
    if not query.strip():
        raise InvalidInputError("The query is empty. Say what was looked for.")
    found = _documents(request, encoder, None, waits=False, progress=progress)  # a hit is ready, or it was none
    lines = (line for index in found.indexes for line in index.document.lines)
    line = next((line for line in lines if line.row.record_id == record), None)
    if line is None:
        msg = f"A search by {request.person.id} finds no record {record!r}. Name one of the hits by its record_id."
        raise InvalidInputError(msg)
    pseudonym = request.person.pseudonym
    return Draft(
        key=f"{CLICK}:{digest(canonical_json([pseudonym, query, record, at_us]))}",
        account=request.account,
        people=(PersonRef(pseudonym=pseudonym),),
        category=USAGE[0],
        at_us=at_us,
        payload={"kind": "event", "name": CLICK, "attributes": opening(line, query.strip()), "body": None},
    )


def _documents(
    request: FeatureRequest, encoder: Encoder | None, meeting: str | None, *, waits: bool, progress: Progress
) -> Searchable:
    check_feature(request.permits, request.account, CONTENT)
    return request.search_cache.documents(
        request.permits,
        account=request.account,
        audience=request.audience,
        categories=CONTENT,
        state=request.state,
        encoder=encoder,
        meeting=meeting,
        waits=waits,
        progress=progress,
    )
