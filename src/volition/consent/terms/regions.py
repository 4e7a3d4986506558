"""Regions (jurisdictions): where a party is, and which rules are about that place.

A party's region is a country code of ISO 3166-1 ("DE") or a subdivision of one after ISO 3166-2 ("US-CA"). A rule may
also name the group "EEA". A country takes in its subdivisions, the group its 30 members and theirs; a party whose
region is unknown is in none.

    >>> region_matches(("EEA", "GB"), "FR-IDF")
    True
    >>> region_matches(("EEA", "GB"), None)
    False
"""

import re
from collections.abc import Sequence
from typing import Final

from volition.consent.terms.toml_file import FaultError

EEA: Final = frozenset(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT NL NO PL PT RO SE SI SK".split()  # noqa: SIM905 - quoted, they read worse
)
"""The 30 members of the European Economic Area, by ISO 3166-1 code."""

COUNTRIES: Final = EEA | frozenset(
    """
    AD AE AF AG AI AL AM AO AQ AR AS AU AW AX AZ BA BB BD BF BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF
    CG CH CI CK CL CM CN CO CR CU CV CW CX DJ DM DO DZ EC EG EH ER ET FJ FK FM FO GA GB GD GE GF GG GH GI GL GM GN GP
    GQ GS GT GU GW GY HK HM HN HT ID IL IM IN IO IQ IR JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LK LR LS
    LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MU MV MW MX MY MZ NA NC NE NF NG NI NP NR NU NZ OM PA PE PF PG
    PH PK PM PN PR PS PW PY QA RE RS RU RW SA SB SC SD SG SH SJ SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK
    TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
    """.split()  # noqa: SIM905 - quoted, they read worse
)
"""The 249 countries and territories of ISO 3166-1, by alpha-2 code."""

_REGION_NICKNAMES: Final = {"UK": "GB", "EL": "GR"}
_SUBDIVISION: Final = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}")  # ISO 3166-2, whose 5,000 names are not listed here


def check_region(region: str) -> str:
    """Return a party's region unchanged: an ISO 3166-1 alpha-2 code, or a subdivision of one such as "US-CA".

    Raises:
        InvalidInputError: It is neither.
    """
    if region in COUNTRIES or (_SUBDIVISION.fullmatch(region) and region[:2] in COUNTRIES):
        return region
    hint = f'Write "{_REGION_NICKNAMES[region]}". ' if region in _REGION_NICKNAMES else ""
    hint += 'Use a code of ISO 3166, such as "DE" or "US-CA"; a rule can also say "EEA".'
    raise FaultError((), f'There is no region "{region}". {hint}')


def region_matches(rule_regions: Sequence[str], region: str | None) -> bool:
    """Return whether a rule's regions take in a party's region. No regions take in all; an unknown region is in none.

    A country takes in its subdivisions, "EEA" its members and theirs.
    """
    if not rule_regions:
        return True
    if region is None:
        return False
    country = region[:2]
    return region in rule_regions or country in rule_regions or ("EEA" in rule_regions and country in EEA)
