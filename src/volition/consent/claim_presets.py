"""How exports of known consent managers are laid out.

Transcend's is that of the example in its own command line tool, fides' is its table of answers; Segment's and
RudderStack's are the consent objects of their specifications. OneTrust's reports have the columns that a customer chose
for them, so those here are a beginning.

Each is a mapping of `claims` in part. What a purpose is called, and which data it is about, every customer chooses, so
a mapping of one's own says the rest over it: `data`, and `[names.purpose]` from their names to ours.
"""

from collections.abc import Mapping
from typing import Final

PRESETS: Final[Mapping[str, str]] = {
    # A report of data subjects' purposes: a row for each purpose of a person.
    "onetrust": """
source = "onetrust"
[columns]
party = "Identifier"
purpose = "Purpose Name"
answer = "Purpose Status"
said = "Last Transaction Date"
id = "Receipt ID"
[words]
yes = ["active", "confirmed", "opt-in", "opted in", "always active"]
no = ["withdrawn", "not given", "opted out", "opt-out", "opt out", "expired", "inactive"]
none = ["pending", "no consent", "extended"]
""",
    # The preference store: a person's purposes, all of one time, as an object (in CSV, its JSON), or as a list.
    "transcend": """
source = "transcend"
[columns]
party = "userId"
said = "timestamp"
[[lists]]
column = "purposes"
name = "purpose"
answer = "enabled"
""",
    # The table `privacypreferencehistory`, decrypted: a row for each notice that somebody answered.
    "fides": """
source = "fides"
[columns]
party = "email"
purpose = "notice_key"
answer = "preference"
said = "received_at"
id = "id"
[words]
yes = ["opt_in"]
no = ["opt_out"]
none = ["acknowledge", "tcf"]
""",
    # Events with the consent object of Segment's specification.
    "segment": """
source = "segment"
[columns]
party = "userId"
said = "timestamp"
id = "messageId"
[[lists]]
column = "context.consent.categoryPreferences"
""",
    # Events with the consent object of RudderStack's specification.
    "rudderstack": """
source = "rudderstack"
[columns]
party = "userId"
said = "originalTimestamp"
id = "messageId"
[[lists]]
column = "context.consentManagement.allowedConsentIds"
says = "yes"
[[lists]]
column = "context.consentManagement.deniedConsentIds"
says = "no"
""",
    # A table of a Django or Rails application, exported as it is: times there are in UTC.
    "table": """
source = "application"
[columns]
party = "user_id"
purpose = "purpose"
answer = "granted"
said = "created_at"
id = "id"
[times]
zone = "UTC"
""",
}
