"""Types of the JavaScript client, `javascript/volition.d.ts`, written from the API's own OpenAPI document.

    python scripts/js_types.py

A test holds the file equal to what this writes. Of the document every schema becomes an interface, and every operation
an entry of `Operations` with its query, its document and its answer; the client's own classes stand below.
"""

import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

TYPES: Final = Path(__file__).parent.parent / "javascript" / "volition.d.ts"
_NAMES: Final = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}

_HEAD: Final = "// Written by scripts/js_types.py from the OpenAPI document of the server; do not edit.\n"
_CLASSES: Final = """
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
"""


def types_of(document: Mapping[str, Any]) -> str:
    """Return the declarations of an OpenAPI 3.1 document, and of the client's classes."""
    schemas = document["components"]["schemas"]
    parts = [_HEAD]
    for name, schema in sorted(schemas.items()):
        said = schema.get("description", "").partition("\n")[0]
        parts.append((f"/** {said} */\n" if said else "") + _declared(_name(name), _type(schema)))
    operations = "".join(_operation(path, method, one) for path, method, one in _operations(document))
    parts.append(f"export interface Operations {{\n{operations}}}\n")
    return "\n".join(parts) + _CLASSES


def _declared(name: str, form: str) -> str:
    return f"export interface {name} {form}\n" if form.startswith("{ ") else f"export type {name} = {form};\n"


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, found in sorted(document["paths"].items()):
        for method, operation in sorted(found.items()):
            yield path, method.upper(), operation


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> str:
    query = [one for one in operation.get("parameters", ()) if one["in"] == "query"]
    fields = "; ".join(
        f"{_key(one['name'])}{'' if one.get('required') else '?'}: {_type(one['schema'])}" for one in query
    )
    body = _json(operation.get("requestBody", {}))
    answers = [one for status, one in operation["responses"].items() if status.startswith("2")]
    answer = _json(answers[0]) if answers else "unknown"
    return f'  "{method} {path}": {{ query: {{ {fields} }}; document: {body}; answer: {answer} }};\n'.replace(
        "{  }", "{}"
    )


def _json(told: Mapping[str, Any]) -> str:
    schema = told.get("content", {}).get("application/json", {}).get("schema")
    return "unknown" if schema is None else _type(schema)


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return _name(schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return f'"{schema["const"]}"'
    if "enum" in schema:
        return " | ".join(f'"{one}"' for one in schema["enum"])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " | ".join(dict.fromkeys(map(_type, schema[several])))
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(_type({**schema, "type": one}) for one in kind)
    if kind == "array":
        inner = _type(schema.get("items", {}))
        return f"({inner})[]" if " " in inner and not inner.startswith("{") else f"{inner}[]"
    if kind == "object" or "properties" in schema:
        return _object(schema)
    return _NAMES.get(kind or "", "unknown")


def _object(schema: Mapping[str, Any]) -> str:
    if "properties" not in schema:
        more = schema.get("additionalProperties")
        return f"Record<string, {_type(more) if isinstance(more, Mapping) else 'unknown'}>"
    needed = set(schema.get("required", ()))
    fields = (
        f"{_key(name)}{'' if name in needed else '?'}: {_type(one)}" for name, one in schema["properties"].items()
    )
    return f"{{ {'; '.join(fields)} }}"


def _key(name: str) -> str:
    return name if re.fullmatch(r"\w+", name) else f'"{name}"'


def _name(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_")


def _document() -> dict[str, Any]:
    """Return the document of a server that is started for it."""
    from starlette.testclient import TestClient  # noqa: PLC0415 - the test that imports this has a server already

    from volition.server.app import Server  # noqa: PLC0415
    from volition.workspace import Workspace  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        Workspace.create(Path(folder) / "workspace", origin="log.example/types").close()
        server = Server(Path(folder) / "workspace", has_worker=False)
        try:
            document: dict[str, Any] = TestClient(server).get("/v1/openapi.json").json()
        finally:
            server.close()
    return document


if __name__ == "__main__":
    TYPES.write_text(types_of(_document()), encoding="utf-8")
    print(TYPES)
