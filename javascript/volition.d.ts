// Written by scripts/js_types.py from the OpenAPI document of the server; do not edit.

/** Terms that an account accepts; by default the newest. */
export interface AcceptanceIn { terms?: string | null }

/** Somebody looked at a person's data, or a feature used it; `line` names its proof; null until it has one. */
export interface AccessOut { line: string | null; day: string; at: string | null; who: string; role: string; reading: string; whose: string; records: number; categories: string[]; entry: number | null }

/** An account to add. */
export interface AccountIn { account: string; name: string; region?: string | null }

/** A customer organisation; `terms` is the version that binds it now. */
export interface AccountOut { account: string; name: string; terms: string | null }

/** Accounts to add, many at once. */
export interface AccountsIn { dry_run?: boolean; accounts: AccountIn[] }

/** A model that a request affects; `due` is null once it has forgotten, `rows` where its training set is gone. */
export interface AffectedModelOut { model: string; family: string; rows: number | null; due: string | null; forgotten: string | null; successor: string | null }

/** A kind of data that can be named, in words, and whether it is what people said, wrote or made. */
export interface CategoryOut { name: string; words: string; content: boolean }

/** One entry of the ledger in the change feed; `party` is null where it names nobody, or nobody you may know. */
export interface ChangeOut { seq: number; at: string; kind: string; party: string | null; cursor: string }

/** What follows a cursor; send `next` as `after`. `behind` says how many entries are left to look through. */
export interface ChangesOut { log: string; items: ChangeOut[]; next: string; behind: number }

/** The ledger's signed size and root (C2SP tlog-checkpoint), and the key that checks it. */
export interface CheckpointOut { checkpoint: string; key: string }

/** An answer that was given elsewhere. */
export interface ClaimIn { party: string; account?: string | null; answer: "yes" | "no"; data: string[]; purpose: string[]; said: string; until?: string | null; wording?: string | null; id?: string | null }

/** A sentence of a summary. What `by_person` wrote was not checked; what is struck out its owner alone sees. */
export interface ClaimOut { id: string; kind: "overview" | "topic" | "decision" | "task" | "question"; text: string; who: string; due: string; by_person: boolean; is_struck: boolean; places: PlaceOut[] }

/** Answers that were given elsewhere. */
export interface ClaimsIn { source: string; dry_run?: boolean; decisions: ClaimIn[] }

/** A checkpoint that was kept, or the text of a receipt or proof that quotes one. */
export interface ConsistencyIn { checkpoint: string }

/** Whether the log has only grown since: `detail` in words, `old` and `new` as sizes, `proof` as a document. */
export interface ConsistencyOut { holds: boolean; detail: string; old: number | null; new: number; proof: Record<string, unknown> | null }

/** The kind of a conversation. */
export type ConversationKind = "meeting" | "channel" | "file";

/** A yes or a no of a party, "account:ID" or "person:ID". */
export interface DecisionIn { party: string; answer: "yes" | "no"; data: string[]; purpose: string[]; covers?: string | null; until?: string | null }

/** For whom a token is, and on whose pages: an origin, such as https://app.example. */
export interface EmbedTokenIn { person: string; origin: string; account?: string | null; minutes?: number }

/** An embed token; `token` is shown this once, and `id` revokes it. */
export interface EmbedTokenOut { id: string; token: string; person: string; origin: string; ends: string }

/** One entry of the ledger, as far as the caller may read it; `leaf` is its hash in the tree, hexadecimal. */
export interface EntryOut { seq: number; at: string; kind: string; leaf: string; body: Record<string, unknown> | null; salt: string | null }

/** The ledger's entry, null where it stood so already; and of which uses the conversation is left out now. */
export interface ExcludedOut { entry: number | null; left_out_of: string[] }

/** Leaving a meeting, channel or file out of some uses, or taking it back in. */
export interface ExclusionIn { name: string; account?: string | null; purpose?: string[]; excluded?: boolean }

/** For which share of the units what was wanted came first. */
export interface FirstPlaces { trained: number; untrained: number; value: number; low: number | null; high: number | null }

/** A limit in force; the group is null for the lock of the whole account. */
export interface GroupOut { group: string | null; people: number; limited: LimitedOut[] }

/** What an import did. */
export interface ImportOut { dry_run: boolean; new: number; known: number; set_aside: number; rows: SetAsideOut[] }

/** Whether the sound of an account's recordings is kept from now on. */
export interface KeepingIn { keep: boolean }

/** Whether the sound of an account's recordings is kept once they are transcribed. */
export interface KeepingOut { keep: boolean }

/** A model that learned from the party and would have to forget it. */
export interface LearnedModel { model: string; family: string; at_work: boolean; rows: number | null; overridden: Record<string, string> | null; is_unsure?: boolean }

/** A conversation that was left out: as the ledger names it, of which uses, since when, by which entry. */
export interface LeftOutOut { conversation: string; purposes: string[]; at: string; entry: number }

/** Setting or lifting a limit: for the whole account, or for a group of its people. */
export interface LimitIn { switch?: string | null; data?: string[]; purpose?: string[]; group?: string; people?: string[]; limited?: boolean }

/** A group's limit for one purpose: which data, for how many people, since when and by which entry. */
export interface LimitedOut { data: string[]; purpose: string; people: number; since: string; entry: number }

export interface Listing_AccessOut { items: AccessOut[]; next: string | null }

export interface Listing_AccountOut { items: AccountOut[]; next: string | null }

export interface Listing_EntryOut { items: EntryOut[]; next: string | null }

export interface Listing_GroupOut { items: GroupOut[]; next: string | null }

export interface Listing_LeftOutOut { items: LeftOutOut[]; next: string | null }

export interface Listing_ModelOut { items: ModelOut[]; next: string | null }

export interface Listing_PersonOut { items: PersonOut[]; next: string | null }

export interface Listing_RequestOut { items: RequestOut[]; next: string | null }

export interface Listing_RunOut { items: RunOut[]; next: string | null }

export interface Listing_SummaryOut { items: SummaryOut[]; next: string | null }

export interface Listing_TermsOut { items: TermsOut[]; next: string | null }

export interface Listing_dict_str__Any { items: (Record<string, unknown>)[]; next: string | null }

export interface Listing_str { items: string[]; next: string | null }

/** One measured figure, or a note that it was not measured. */
export interface MeasuredFigure { what: string; about: string; metric: string; value: number | null; low: number | null; high: number | null; units: number; bound: number | null; verdict: string; how: string; model: string | null; trained?: number | null; untrained?: number | null; first?: FirstPlaces | null; chance?: number | null }

/** A model, and whether it was released, forgotten or replaced. */
export interface ModelOut { model: string; family: string; snapshot: string; trained: string; released: string | null; forgotten: string | null; successor: string | null }

/** Somebody, by party and by name. */
export interface NamedOut { party: string; name: string }

/** To whom a conversation was opened, by whom ("operator" and "source" are nobody's ids), and since when. */
export interface OpeningOut { to: string; by: string; since: string | null }

/** People to add, many at once. */
export interface PeopleIn { dry_run?: boolean; people: PersonIn[] }

/** Whether a party's side allows a use now, for some kinds of data. */
export interface PermitState { party: string; data: string[]; say: string; allowed: boolean; since: string | null; reason: string | null; remedy: string }

/** A person to add; without an account a guest. */
export interface PersonIn { person: string; account?: string | null; name?: string | null; aliases?: string[]; emails?: string[]; region?: string | null }

/** A person; the ledger, the lake and snapshots know them by `pseudonym`, which an administrator does not get. */
export interface PersonOut { person: string; account: string | null; name: string | null; pseudonym: string | null }

/** A line of the transcript that a sentence rests on, and when it begins, milliseconds from the meeting's start. */
export interface PlaceOut { record_id: string; turn: number; start_ms: number }

/** Proof that an entry is in the ledger: hexadecimal hashes from the leaf's sibling up (RFC 9162). */
export interface ProofOut { seq: number; leaf: string; hashes: string[]; checkpoint: string }

/** What data can be used for: its title, what happens with a yes, and what no longer does with a no. */
export interface PurposeOut { name: string; title: string; does: string; without: string }

/** What a purpose is called, what happens with a yes, and what is no longer done with a no. */
export interface PurposeWords { title: string; does: string; without: string }

/** Who can open a conversation; members are named to those who were there themselves. */
export interface ReadersOut { was_there: boolean; members: string[]; openings: OpeningOut[] }

/** Something that a person asked for, in force since `at`. */
export interface RequestOut { kind: "refusal" | "exclusion" | "erasure"; seq: number; at: string; claimed: string | null; data: string[]; purpose: string[]; until: string | null; done: boolean; due: string | null; models: AffectedModelOut[]; spared: number }

/** What to train; from a new snapshot unless one is named. */
export interface RunIn { family: string; snapshot?: string | null }

/** A background job, as it is now. */
export interface RunOut { run: string; what: string; state: "waiting" | "running" | "done" | "failed" | "cancelled"; stage: string; done: number; total: number; loss: number | null; left_s: number | null; result: unknown; error: string | null; by: string; cancelling: boolean; attempts: number; requested: string; began: string | null; ended: string | null }

/** What a feature saved an account, or why that was not measured. */
export interface Saving { what: string; value: number | null; low: number | null; high: number | null; times: number; people: number | null; says: string }

/** One of what was given that was not taken. */
export interface SetAsideOut { line: number; why: string }

/** A yes or a no to a switch; without one, a no to everything on which the terms give a say. */
export interface SettingIn { party?: string | null; account?: string | null; switch?: string | null; answer: "yes" | "no"; covers?: string | null; until?: string | null }

/** One kind of data under one purpose of a switch. */
export interface SettingLine { category: string; purpose: string; say: "none" | "may-refuse" | "asked"; answer: string; allowed: boolean; since: string | null; reason: string | null; until: string | null; limited: boolean; by_signal: boolean }

/** One switch: what was answered, for how much of it the use is allowed, and what a no would turn off. */
export interface SettingOut { switch: string; title: string; purposes: string[]; answer: "yes" | "no" | "nothing" | "ended" | "mixed"; state: "all" | "part" | "none"; has_say: boolean; reaches_back: boolean; until: string | null; turns_off: TurnedOff[]; forget_days: number | null; lines: SettingLine[] }

/** The ledger's entry of an answer, and every switch as it stands after it. */
export interface SettingSaid { entry: number; after: SettingsOut }

/** How the purposes and kinds of data of the switches are called, by name, in the language that was asked for. */
export interface SettingWords { language: "en" | "de"; purposes: Record<string, PurposeWords>; categories: Record<string, string> }

/** Every switch of a party; `can_refuse_all` says whether one no to everything is on offer. */
export interface SettingsOut { party: string; account: string; organisation: string; terms: string | null; accepted: boolean; erased: boolean; can_refuse_all: boolean; settings: SettingOut[]; words: SettingWords }

/** The number of the ledger entry by which something was opened or closed; null where it was so already. */
export interface SharedOut { entry: number | null }

/** Opening a meeting, channel or file to people of its account or to all of it, or closing it again. */
export interface SharingIn { kind: "meeting" | "channel" | "file"; name: string; account?: string | null; people?: string[]; with_account?: boolean; shared?: boolean }

/** The purpose to freeze a training set for. */
export interface SnapshotIn { purpose: string }

/** Asking that a language model write a summary of a meeting. */
export interface SummaryAskIn { meeting: string }

/** A change to one's own finished summary. */
export interface SummaryChangeIn { meeting: string; do: "reword" | "strike" | "put back" | "add"; claim?: string; text?: string; kind?: "" | "overview" | "topic" | "decision" | "task" | "question" }

/** A summary that a language model wrote, as far as the caller may read it; lists have no `claims`. */
export interface SummaryOut { meeting: string; owner: NamedOut; own: boolean; state: "writing" | "done" | "failed"; error: string | null; asked: string; host: string; model: string; parts: number; parts_done: number; lines_sent: number; left_out: Record<string, number>; unread_parts: number; withheld: number; sent_to: NamedOut[]; claims: ClaimOut[] | null }

/** Sending one's own finished summary to colleagues, or taking it back. */
export interface SummarySendIn { meeting: string; people: string[]; shared?: boolean }

/** What turning a switch off does. */
export interface SwitchEffect { switch: string; title: string; refuses: string[]; disables: string[] }

/** Terms to publish: a shipped profile, by name. */
export interface TermsIn { profile: string }

/** A terms version, as published. */
export interface TermsOut { id: string; title: string; digest: string; text: string; terms: Record<string, unknown> }

/** A purpose that a no turns off. */
export interface TurnedOff { purpose: string; whole: boolean; categories: string[]; besides: boolean }

/** All that can be named: built in, or declared by any published terms. */
export interface VocabularyOut { categories: CategoryOut[]; purposes: PurposeOut[] }

/** All that a party weighs before it chooses. */
export interface Weighed { party: string; account: string | null; at: string; purposes: WeighedPurpose[] }

/** One purpose, weighed. */
export interface WeighedPurpose { purpose: string; now: PermitState[]; gains: MeasuredFigure[]; costs: MeasuredFigure[]; verdict: string[]; own_risks: string[]; saved: Saving[]; a_no: string; switches: SwitchEffect[]; models: LearnedModel[]; due_days: number | null; withdrawing: string; stays: string[] }

export interface Operations {
  "GET /v1/accounts": { query: { cursor?: string | null; limit?: number }; document: unknown; answer: Listing_AccountOut };
  "POST /v1/accounts": { query: {}; document: AccountIn; answer: AccountOut };
  "POST /v1/accounts/{account}/acceptance": { query: {}; document: AcceptanceIn; answer: EntryOut };
  "GET /v1/accounts/{account}/limits": { query: { cursor?: string | null; limit?: number }; document: unknown; answer: Listing_GroupOut };
  "POST /v1/accounts/{account}/limits": { query: {}; document: LimitIn; answer: EntryOut[] };
  "GET /v1/accounts/{account}/recordings": { query: {}; document: unknown; answer: KeepingOut };
  "POST /v1/accounts/{account}/recordings": { query: {}; document: KeepingIn; answer: KeepingOut };
  "POST /v1/accounts:batch": { query: {}; document: AccountsIn; answer: ImportOut };
  "GET /v1/changes": { query: { after?: string; limit?: number; wait?: number }; document: unknown; answer: ChangesOut };
  "GET /v1/checkpoint": { query: {}; document: unknown; answer: CheckpointOut };
  "POST /v1/consistency": { query: {}; document: ConsistencyIn; answer: ConsistencyOut };
  "GET /v1/decisions": { query: { cursor?: string | null; limit?: number }; document: unknown; answer: Listing_EntryOut };
  "POST /v1/decisions": { query: {}; document: DecisionIn; answer: EntryOut };
  "POST /v1/decisions:batch": { query: {}; document: ClaimsIn; answer: ImportOut };
  "POST /v1/embed-tokens": { query: {}; document: EmbedTokenIn; answer: EmbedTokenOut };
  "DELETE /v1/embed-tokens/{token}": { query: {}; document: unknown; answer: unknown };
  "GET /v1/entries": { query: { cursor?: string | null; limit?: number }; document: unknown; answer: Listing_EntryOut };
  "GET /v1/entries/{seq}/proof": { query: {}; document: unknown; answer: ProofOut };
  "POST /v1/events": { query: {}; document: unknown; answer: unknown };
  "GET /v1/exclusions": { query: { cursor?: string | null; limit?: number }; document: unknown; answer: Listing_LeftOutOut };
  "POST /v1/exclusions": { query: {}; document: ExclusionIn; answer: ExcludedOut };
  "POST /v1/forgettings": { query: {}; document: unknown; answer: RunOut };
  "POST /v1/may": { query: {}; document: { purpose: string; hold?: boolean; account: string; people: string[]; category: string; collected?: string | null } | { purpose: string; hold?: boolean; questions: { account: string; people: string[]; category: string; collected?: string | null }[] }; answer: { permitted: boolean; reason: string | null; party?: string | null; since?: string | null; good_for_ms?: number } | { answers: { permitted: boolean; reason: string | null; party?: string | null; since?: string | null; good_for_ms?: number }[] } };
  "GET /v1/models": { query: { cursor?: string | null; limit?: number }; document: unknown; answer: Listing_ModelOut };
  "POST /v1/models/{model}/audit": { query: {}; document: unknown; answer: RunOut };
  "GET /v1/models/{model}/findings": { query: {}; document: unknown; answer: (Record<string, unknown>)[] };
  "POST /v1/models/{model}/release": { query: {}; document: unknown; answer: Record<string, unknown> };
  "GET /v1/owed": { query: { cursor?: string | null; limit?: number }; document: unknown; answer: Listing_dict_str__Any };
  "GET /v1/people": { query: { account?: string | null; cursor?: string | null; limit?: number }; document: unknown; answer: Listing_PersonOut };
  "POST /v1/people": { query: {}; document: PersonIn; answer: PersonOut };
  "GET /v1/people/{person}/accesses": { query: { cursor?: string | null; limit?: number }; document: unknown; answer: Listing_AccessOut };
  "GET /v1/people/{person}/accesses/{line}/proof": { query: {}; document: unknown; answer: Record<string, unknown> };
  "GET /v1/people/{person}/collected": { query: { conversation?: string | null; record?: string | null }; document: unknown; answer: Record<string, unknown> };
  "GET /v1/people/{person}/export": { query: {}; document: unknown; answer: unknown };
  "GET /v1/people/{person}/holdings": { query: {}; document: unknown; answer: Record<string, unknown> };
  "GET /v1/people/{person}/proofs": { query: {}; document: unknown; answer: Record<string, unknown> };
  "GET /v1/people/{person}/requests": { query: { cursor?: string | null; limit?: number }; document: unknown; answer: Listing_RequestOut };
  "POST /v1/people:batch": { query: {}; document: PeopleIn; answer: ImportOut };
  "GET /v1/readers": { query: { kind: ConversationKind; name: string }; document: unknown; answer: ReadersOut };
  "GET /v1/runs": { query: { cursor?: string | null; limit?: number }; document: unknown; answer: Listing_RunOut };
  "POST /v1/runs": { query: {}; document: RunIn; answer: RunOut };
  "GET /v1/runs/{run}": { query: {}; document: unknown; answer: RunOut };
  "POST /v1/runs/{run}/cancel": { query: {}; document: unknown; answer: RunOut };
  "GET /v1/runs/{run}/events": { query: {}; document: unknown; answer: unknown };
  "GET /v1/settings": { query: { party?: string | null; account?: string | null }; document: unknown; answer: SettingsOut };
  "POST /v1/settings": { query: {}; document: SettingIn; answer: SettingSaid };
  "POST /v1/sharings": { query: {}; document: SharingIn; answer: SharedOut };
  "GET /v1/snapshots": { query: { cursor?: string | null; limit?: number }; document: unknown; answer: Listing_str };
  "POST /v1/snapshots": { query: {}; document: SnapshotIn; answer: RunOut };
  "GET /v1/snapshots/{snapshot}": { query: {}; document: unknown; answer: Record<string, unknown> };
  "GET /v1/summaries": { query: { meeting?: string | null; cursor?: string | null; limit?: number }; document: unknown; answer: Listing_SummaryOut };
  "POST /v1/summaries": { query: {}; document: SummaryAskIn; answer: SummaryOut };
  "POST /v1/summaries/corrections": { query: {}; document: SummaryChangeIn; answer: SummaryOut };
  "POST /v1/summaries/sendings": { query: {}; document: SummarySendIn; answer: SharedOut };
  "GET /v1/terms": { query: { cursor?: string | null; limit?: number }; document: unknown; answer: Listing_TermsOut };
  "POST /v1/terms": { query: {}; document: TermsIn; answer: EntryOut };
  "GET /v1/vocabulary": { query: {}; document: unknown; answer: VocabularyOut };
  "GET /v1/weigh": { query: { party?: string | null; purpose?: string[] | null }; document: unknown; answer: Weighed };
}

export type Question = Pick<Asked, "account" | "people" | "category"> & { collected?: string; conversation?: string };
type Asked = { account: string; people: string[]; category: string };

/** The gate's answer. `good_for_ms`: for how long the server lets it be repeated. */
export interface Verdict {
  permitted: boolean;
  reason: string | null;
  party?: string | null;
  since?: string | null;
  good_for_ms?: number;
}

export const STALE: Readonly<{ permitted: false; reason: "stale" }>;

/** A failure that the server described (problem details, RFC 9457). */
export class ApiError extends Error {
  readonly type: string;
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly errors: readonly { where: string; what: string }[];
  readonly retryAfterMs: number | null;
}

/** The server did not answer, or what answered is not it. */
export class UnreachableError extends Error {}

export interface Options {
  token: string;
  patienceMs?: number;
  mayPatienceMs?: number;
  holds?: boolean;
  fetch?: typeof globalThis.fetch;
}

export class Volition {
  constructor(url: string, options: Options);
  may(purpose: string, question: Question): Promise<Verdict>;
  mayMany(purpose: string, questions: readonly Question[]): Promise<Verdict[]>;
  decide(decision: DecisionIn): Promise<EntryOut>;
  importAccounts(accounts: readonly AccountIn[], options?: { dryRun?: boolean }): Promise<ImportOut>;
  importPeople(people: readonly PersonIn[], options?: { dryRun?: boolean }): Promise<ImportOut>;
  importDecisions(source: string, decisions: readonly ClaimIn[], options?: { dryRun?: boolean }): Promise<ImportOut>;
  decisions(): AsyncGenerator<EntryOut, void, undefined>;
  settings(whose?: { party?: string; account?: string }): Promise<SettingsOut>;
  answer(setting: SettingIn): Promise<SettingsOut>;
  changes(after?: string, options?: { waitS?: number }): AsyncGenerator<ChangeOut, void, undefined>;
}
