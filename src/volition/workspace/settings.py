"""Settings: what `volition.toml` may say, how a new one reads, and the folder in which it is found.

The settings are what makes a folder a workspace. They are read strictly: a key that is not known, or a value that makes
no sense, is refused with the file, the line and what to write instead. Every command reads them, so nothing heavy is
loaded to do so; an engine is loaded when it is made.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from volition.consent.controller import UNNAMED, Controller
from volition.consent.lease import LENGTH_MS, LONGEST_MS
from volition.consent.terms.toml_file import Document, FaultError, Section, at, check_words, name_lines, read_toml
from volition.errors import InvalidInputError
from volition.features.llm import EndpointSettings
from volition.learning.audit.bounds import Bound, read_bounds
from volition.learning.audit.defaults import BOUNDS, EARLIER_BOUNDS
from volition.learning.families.installed import BUILT_IN, find_family, settings_table
from volition.learning.families.spec import FamilySpec
from volition.records.ingest.mapping import NO_MAPPING, EventMapping
from volition.records.ingest.row_mapping import RowMapping, read_mappings
from volition.workspace.mail_settings import MailSettings
from volition.workspace.schedule_settings import ScheduleSettings
from volition.workspace.speech_settings import SpeechSettings
from volition.workspace.table_settings import TableSettings, read_tables
from volition.workspace.training_settings import TrainingSettings, read_trainings
from volition.workspace.witness_settings import WitnessSettings

if TYPE_CHECKING:
    from volition.consent.gate import Engine

PUBLIC_ITEMS: Final = ("feature",)
"""Kinds of items whose names are nobody's: what the product itself offers."""

_Read = TypeVar("_Read")


def _arrow() -> "Engine":
    from volition.records.engines.arrow import ArrowEngine  # noqa: PLC0415 - not where no record is read

    return ArrowEngine()


def _duckdb() -> "Engine":
    from volition.records.engines.duckdb import DuckDBEngine  # noqa: PLC0415 - only where it is chosen

    return DuckDBEngine()


def _spark() -> "Engine":
    from volition.records.engines.spark import SparkEngine  # noqa: PLC0415 - only where it is chosen

    return SparkEngine()


ENGINES: Final[Mapping[str, "Callable[[], Engine]"]] = {"arrow": _arrow, "duckdb": _duckdb, "spark": _spark}
"""What can run the gate over the lake, by the setting's name, and what loads it; the first is the default."""

_LONGEST_DUE_DAYS: Final = 36_500
DEFAULT_ENGINE: Final = next(iter(ENGINES))

SETTINGS_FILE: Final = "volition.toml"
SETTINGS: Final = """\
# A Volition workspace.

# The log's name: it is the origin of every checkpoint and stays for ever. No spaces, no plus.
origin = "{origin}"

# Days from a no to the day on which every model must have forgotten.
due_days = 30

# What runs the gate over the lake: "arrow", "duckdb", or "spark" (pip install 'volition[spark]', and Java 17).
engine = "arrow"

# For how many milliseconds a process may answer from memory; while one does, a no takes that long to be acknowledged.
lease_ms = 100

# Kinds of items whose names every user of an account may be shown in recommendations: what a name begins with, as in
# "document/plan". Other names are shown to those who used the thing, or who may read the meeting, channel or file.
public_items = {public_items}

# A language model behind an OpenAI-compatible API, for prose, drafts and tone. What people said, where they permitted
# the feature, is sent to this host. The key stands in the variable that key_env names, never here.
# [endpoint]
# url = "http://127.0.0.1:11434/v1"
# model = "llama3.2"
# key_env = "LLM_KEY"
# timeout_s = 60
# context_tokens = 4096

# The mail server that tells people of new terms and of what became of a no; without it no mail is sent, and pages tell.
# The password stands in a file or a variable, never here (docs/how-to/operator.md).
# [mail]
# host = "smtp.example"
# from = "Privacy centre <privacy@example>"
# user = "privacy"
# password_file = "mail.secret"

# Witnesses, who cosign the log's checkpoints so that nobody can cut or fork it unseen (docs/how-to/witness.md).
# [witness]
# policy = '''
# witness north witness.example/north+0123abcd+BHm1... https://witness.example/north
# quorum north
# '''

# What a server or worker does by itself: a forgetting once it has been owed for so many hours (never later than
# half-way to its due day), a warning to the operator so many days before a due day, a compaction of the lake at most
# every so many hours, 0 for none.
# [schedule]
# forget_hours = 24
# warn_days = 7
# compact_hours = 24

# Who decides what data is used for (the controller), as receipts and published documents name them; what is not said
# here is left out of them.
# [controller]
# name = "Acme Ltd"
# contact = "privacy@example"
# address = "1 Main Street, Dublin"
# jurisdiction = "IE"
# language = "en"
# url = "https://privacy.example/settings"
# license = "other"

# Weights of one's own for transcribing recordings, a folder as CTranslate2 reads it (pip install 'volition[speech]').
# [speech]
# weights = "models/whisper-small"

# A training of your own, and the command with which its models forget (docs/how-to/own-model.md).
# [training.churn]
# forget = "python retrain.py --without {{list}} --snapshot {{snapshot}}"

# The language model whose adapters are trained: a folder (pip install 'volition[train]'; docs/adapter.md).
# [adapter]
# base = "models/SmolLM2-135M"

# Of which category each event of OpenTelemetry is, where its records do not say so or say it wrongly; and attributes in
# which prose is no sign that somebody wrote it (docs/telemetry.md). Each change is an entry of the ledger.
# [otlp]
# allowed = ["ui.label"]
# [otlp.events]
# "search.*" = "service/usage"
# "chat.sent" = "content/chat"

# Tables and events of one's own product: which columns say whose a row is, when it was, and what it holds
# (docs/how-to/own-records.md). Each change is an entry of the ledger.
# [sources.support]
# category = "content/chat"
# types = ["com.acme.support.message"]
# columns.id = "data.message"
# columns.account = "data.tenant"
# columns.people = ["data.author", "data.to"]
# columns.time = "time"
# columns.conversation = "data.room"
# columns.text = "data.body"

# Delta and Iceberg tables elsewhere from which the rows of whom is erased are taken, too; nobody can read an older
# version of such a table afterwards (docs/how-to/erase-tables.md).
# [tables.hits]
# delta = "/srv/lake/hits"
# people = ["user"]
# account_column = "tenant"

# What a model's audits must show before it is released, unless somebody overrides by name: volition release --help
{bounds}"""


def find_workspace(start: Path) -> Path:
    """Return the nearest folder, from `start` upwards, that holds a workspace.

    Raises:
        InvalidInputError: None does.
    """
    for folder in (start, *start.parents):
        if (folder / SETTINGS_FILE).exists():
            return folder
    msg = f"There is no workspace in {start} or above. Make one with `volition init FOLDER`, or name it: --workspace."
    raise InvalidInputError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a workspace's `volition.toml` says, or leaves to a default.

    Attributes:
        origin: The log's name.
        due_days: Days from a no to the day on which every model must have forgotten.
        engine: What runs the gate over the lake, of `ENGINES`.
        lease_ms: For how many milliseconds a process may answer from memory.
        bounds: What each audit's figure is held against, by the audit's name.
        endpoint: A language model elsewhere; none if none is configured.
        mapping: Which event of OpenTelemetry is of which category.
        mail: The mail server; none where no mail is sent.
        schedule: What a server or worker does by itself, and when.
        witness: Whom to ask for cosignatures of the log; none where nobody is asked.
        controller: Who decides what data is used for, as receipts and published documents name them.
        speech: With what recordings are transcribed; none for the weights that packages carry.
        tables: Tables elsewhere that lose the rows of whom is erased, by name.
        sources: How rows and events of one's own are read, by the source's name.
        trainings: How models of one's own forget, by the name of the training.
        families: The tables of model families, by the family's name, as TOML has them; `of_family` reads one.
        public_items: Kinds of items whose names every user of an account may know.
    """

    origin: str
    due_days: int
    engine: str
    lease_ms: int
    bounds: Mapping[str, Bound]
    endpoint: EndpointSettings | None
    mapping: EventMapping
    mail: MailSettings | None
    schedule: ScheduleSettings
    witness: WitnessSettings | None
    controller: Controller
    speech: SpeechSettings | None
    tables: Mapping[str, TableSettings]
    sources: Mapping[str, RowMapping]
    trainings: Mapping[str, TrainingSettings]
    families: Mapping[str, object]
    public_items: frozenset[str]
    _document: Document = field(compare=False, repr=False)

    def of_family(self, spec: FamilySpec) -> object | None:
        """Return what a family's table says, as the family reads it; none where it has no table.

        Raises:
            InvalidInputError: The table makes no sense to the family; the message starts with the file and the line.
        """
        if spec.name not in self.families:
            return None
        with name_lines(self._document), at(*settings_table(spec.name)):
            if spec.read_settings is None:
                raise FaultError((), f"the family {spec.name} has no settings. Take the table out.")
            try:
                return spec.read_settings(self.families[spec.name])
            except InvalidInputError:
                raise
            except Exception as error:  # whatever a foreign package raises, it is that family's fault alone
                fault = f"the family {spec.name} cannot read its table ({error!r}). Mend the table, or that package."
                raise FaultError((), fault) from error


def read_settings(folder: Path) -> Settings:
    """Return a workspace's settings.

    Raises:
        InvalidInputError: There is no workspace in the folder, or its settings cannot be read or make no sense.
    """
    path = folder / SETTINGS_FILE
    if not path.exists():
        msg = f"There is no workspace in {folder}. Make one with `volition init {folder}`."
        raise InvalidInputError(msg)
    document = read_toml(path)
    with name_lines(document):
        families = _family_tables(document)
        required = {"origin", "due_days"}
        optional = {"engine", "lease_ms", "audit", "endpoint", "mail", "families", "otlp", "public_items"}
        optional |= {"controller", "witness", "schedule", "speech", "sources", "tables", "training"}
        if document.value.keys() - required - optional:  # only then do families matter, which take time to find
            optional |= {name for name in BUILT_IN if find_family(name).read_settings is not None}
        top = Section(document.value, (), required=required, optional=optional)
        engine = top.optional_text("engine") or DEFAULT_ENGINE
        check_words([engine], ENGINES, "engine", what="engine")
        lease_ms = top.integer("lease_ms", LENGTH_MS)
        if not 1 <= lease_ms <= LONGEST_MS:
            raise FaultError(("lease_ms",), f'"lease_ms" must be from 1 to {LONGEST_MS} milliseconds.')
        due_days = top.integer("due_days", 30)
        if not 0 <= due_days <= _LONGEST_DUE_DAYS:
            raise FaultError(("due_days",), f'"due_days" must be from 0 to {_LONGEST_DUE_DAYS}.')
        settings = Settings(
            origin=top.text("origin"),
            due_days=due_days,
            engine=engine,
            lease_ms=lease_ms,
            bounds=_table(top, "audit", partial(read_bounds, defaults=BOUNDS)) or EARLIER_BOUNDS,
            endpoint=_table(top, "endpoint", EndpointSettings.from_toml),
            mapping=_table(top, "otlp", EventMapping.from_toml) or NO_MAPPING,
            mail=_table(top, "mail", MailSettings.from_toml),
            schedule=_table(top, "schedule", ScheduleSettings.from_toml) or ScheduleSettings(),
            witness=_table(top, "witness", WitnessSettings.from_toml),
            controller=_table(top, "controller", Controller.from_toml) or UNNAMED,
            speech=_table(top, "speech", SpeechSettings.from_toml),
            tables=_table(top, "tables", read_tables) or {},
            sources=_table(top, "sources", read_mappings) or {},
            trainings=_table(top, "training", read_trainings) or {},
            families=families,
            public_items=frozenset(top.words("public_items") if "public_items" in top.value else PUBLIC_ITEMS),
            _document=document,
        )
    for name in families.keys() & set(BUILT_IN):
        settings.of_family(find_family(name))
    return settings


def _family_tables(document: Document) -> dict[str, object]:
    """Return the tables of families by name.

    One of another package is not looked into before that family is made: a package that was uninstalled, or reads its
    table in another way today, must not keep the workspace closed to everybody else's forgetting.
    """
    below = document.value.get("families", {})
    if not isinstance(below, dict):
        raise FaultError(("families",), "expected a table for each family, such as [families.NAME].")
    for name in below:
        if name in BUILT_IN:
            raise FaultError(("families", name), f"the family {name} is one of Volition's own: write [{name}].")
    return {**below, **{name: document.value[name] for name in BUILT_IN if name in document.value}}


def _table(top: Section, key: str, read: Callable[[object], _Read]) -> _Read | None:
    """Read a table by what knows its keys; none where it is not there."""
    if key not in top.value:
        return None
    with at(key):
        return read(top.value[key])


def make_engine(name: str) -> "Engine":
    """Return the engine of a name in `ENGINES`, loaded now.

    Raises:
        BackendError: It is not installed.
    """
    return ENGINES[name]()
