"""The table `[witness]` of volition.toml: whom to ask for cosignatures of the log, and how often.

    [witness]
    every_s = 60
    policy = '''
    witness north witness.example/n+468d99bb+BHm1... https://witness.example/n
    witness south witness.example/s+0c2f7a11+BC8x... https://witness.example/s
    group one any north south
    quorum one
    '''

The policy is in the form of C2SP tlog-policy. The address of a witness is what comes before `/add-checkpoint`.
"""

from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from volition.consent.terms.toml_file import FaultError, Section
from volition.errors import InvalidInputError
from volition.ledger.policy import Policy

EVERY_S: Final = 60
"""How many seconds apart a witness is asked while the log grows, if the settings say nothing else."""

_LONGEST_S: Final = 86_400
_THIS_MACHINE: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessSettings:
    """Whom to ask.

    Attributes:
        policy: The witnesses, each with its address, and how many must cosign.
        every_s: How many seconds apart a witness is asked while the log grows.
    """

    policy: Policy
    every_s: int = EVERY_S

    @classmethod
    def from_toml(cls, table: object) -> Self:
        """Read the table, strictly.

        Raises:
            FaultError: A key is missing, unknown, or holds what it cannot.
        """
        section = Section(table, (), required={"policy"}, optional={"every_s"})
        try:
            policy = Policy.from_text(section.text("policy"))
        except FaultError:
            raise
        except InvalidInputError as error:
            raise FaultError(("policy",), str(error)) from error
        if not policy.witnesses:
            raise FaultError(("policy",), "the policy names no witness. Name one, or take the table out.")
        for name, witness in policy.witnesses.items():
            if not _is_address(witness.url):
                fault = (
                    f"the witness {name} needs an address after its key, beginning with https:// (http:// only for one "
                    "on this machine)."
                )
                raise FaultError(("policy",), fault)
        every_s = section.integer("every_s", EVERY_S)
        if not 1 <= every_s <= _LONGEST_S:
            raise FaultError(("every_s",), f'"every_s" must be from 1 to {_LONGEST_S} seconds.')
        return cls(policy=policy, every_s=every_s)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return False
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and host in _THIS_MACHINE)
    return is_safe and bool(host) and url.isascii() and not parts.query and not parts.fragment
