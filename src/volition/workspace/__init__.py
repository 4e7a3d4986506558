"""The workspace: one folder, and one function per use case. No printing, no HTTP; back ends are chosen here alone.

volition.toml     settings, for people to edit
master.key        wraps every other key (mode 0600): back it up apart from the rest
signing.key       signs the log's checkpoints and the releases (mode 0600)
ledger.db         the append-only log
parties.db        accounts and people: names, pseudonyms, keys; the part that can be destroyed
terms/            the texts that were published, by their digests
lake/             records
uses.db           how often features used whose records, counted by day; who looked at whose data
jobs.db           background jobs of a server and its workers
cosignatures.db   what witnesses signed, where volition.toml names some; it may be deleted
kept-audio.json   which accounts keep the sound of recordings; without it, none does
doubt.json        what a witness knows that contradicts the log; only while there is doubt
history/          what the gate knows of a long ledger, read once; it may be deleted
leases/           which processes answer from memory
snapshots/ models/ releases/ runs/

Besides, `generations` has how often databases were written, so that an older copy that was put back is known by it;
`making` is there until a new workspace is whole; `ledger.db.version-N` is a ledger before it was carried over.

>>> workspace = Workspace.open(Path("acme"))                                             # doctest: +SKIP
>>> workspace.consent.decide("account:helio", yes=True, data=["content"], purpose=["train"])  # doctest: +SKIP
>>> snapshot = workspace.snapshots.create("train/search")                                # doctest: +SKIP
>>> trained = workspace.models.train("search", snapshot.id)                              # doctest: +SKIP

The use cases stand in groups, each an object in a module of its own, and each an attribute of `Workspace`. A group is
handed the opened folder and the groups that it needs, so the modules can be read in this order:

mail_settings   what its table [mail] may say
schedule_settings   what its table [schedule] may say
witness_settings   what its table [witness] may say
speech_settings   what its table [speech] may say
table_settings   what its tables [tables.NAME] may say
training_settings   what its tables [training.NAME] may say
settings     what volition.toml may say
checkpoints  the newest checkpoint, kept apart from the ledger and compared with it
doubt        what a witness knows that contradicts the log: nothing is decided meanwhile
opened       the folder, opened, and what is known now
making       the folder of a new workspace, made so that a killed making can be done again
namesakes    identities that are or may be one person: the no of each counts for all
terms        publish terms, accept them
imports      answers given elsewhere: taken in from files and rows
newcomers    accounts and people in bulk, likewise
people       add accounts and people; which identities are one person
gate         may this be used?
tables       rows of tables that others keep, judged where they lie
consent      what parties say, and what stands
audiences    who may read a conversation, and opening one
exclusions   one conversation left out of some uses, or of all
event_mappings   which event is of which category, as the ledger has it
records      ways in; and what may be used, as a stream
sources      tables, rows and events of one's own, collected by a mapping
consumers    what message brokers send, collected
recordings   recordings of meetings, transcribed track by track
run_folders   folders of runs that go on, swept once nobody holds them
listed       training sets that list rows of tables that others keep
snapshots    training sets, frozen
training     a training of one's own: any code, from a snapshot to a model in the ledger
forget_command   the command of one's own that trains again without some rows
models       train, audit, release; which are at work
retraining   models trained again, and compared
accesses     who looked at whose data
permit_tables   permits as a table that others read, written once or kept current
features     models at work, for one person
summaries    summaries written by a language model: asked for, written, corrected, sent
weigh        what a yes gives and costs
erasing_tables   rows of an erased party, taken out of tables elsewhere
erasing      a party gone for good, in one order for every face
forgetting   what a no undoes
rights       what a person may ask for
witness_client   asking witnesses over HTTP
public_log   the log for others: as files, as proofs of entries, as witnesses have seen it
proofs       evidence
documents    a release or a snapshot, as others expect it
lineage      what happened to data, as OpenLineage events for others
mlflow_registry   models of one's own beside MLflow: tags, files, and an alias that is guarded
workspace    all of it, opened together
pool         several of one folder, for several threads
kept_backups   a folder of backups: files by their digests, and a signed manifest for each backup
backup       a workspace as it was at one moment, copied while it is in use
restore      a workspace from a backup, and what was said since
doctor       everything that can be checked, and what to mend
"""

from volition.workspace.settings import ENGINES, find_workspace
from volition.workspace.workspace import Workspace

__all__ = ["ENGINES", "Workspace", "find_workspace"]
