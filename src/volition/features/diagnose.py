"""Diagnose: which of a person's own sessions are about to fail, and the likely cause (failure prediction).

Nobody sees another person's sessions, not even a colleague's.
"""

from volition.errors import InvalidInputError
from volition.features.request import FeatureRequest, check_feature, own_rows
from volition.learning.families.diagnose.diagnosis import Diagnosed, diagnose
from volition.learning.families.diagnose.sessions import SOURCES


def run_diagnose(request: FeatureRequest, *, session: str | None, limit: int) -> Diagnosed:
    """Predict how the requesting person's own sessions end.

    Raises:
        RefusedError: The account's switch for this feature is off.
        InvalidInputError: The person has no such session.
    """
    check_feature(request.permits, request.account, SOURCES)
    own = own_rows(request, SOURCES)
    request.note(own)
    found = diagnose(request.model, own, at_us=request.permits.at_us, session=session, limit=limit)
    if session is not None and not found.sessions:
        msg = f"{request.person.id} has no session {session!r} that may be looked at. Without an id, all are listed."
        raise InvalidInputError(msg)
    return found
