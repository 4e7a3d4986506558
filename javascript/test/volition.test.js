// The client against a server of the tests, whose address and token are in the environment; without one, what needs none.
import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError, Holding, STALE, UnreachableError, Volition } from "../volition.js";

const { VOLITION_URL: url, VOLITION_TOKEN: token } = process.env;
const ask = { account: "acme", people: ["ada"], category: "content/chat", conversation: "" };
const purpose = "feature/search";
const needsServer = { skip: url ? false : "no server: run it by `pytest tests/server/test_javascript.py`" };

test("a no is heard once it is acknowledged, though answers are held", needsServer, async () => {
  let sent = 0;
  const counted = (...asked) => { sent += 1; return fetch(...asked); };
  const client = new Volition(url, { token, fetch: counted });
  for (let i = 0; i < 100; i += 1) assert.equal((await client.may(purpose, ask)).permitted, true);
  assert.ok(sent < 100, "answers are held");
  const { seq } = await client.decide({ party: "person:ada", answer: "no", data: ["content"], purpose: [purpose] });
  assert.equal((await client.may(purpose, ask)).permitted, false);
  const many = await client.mayMany(purpose, [ask, { ...ask, people: ["bo"] }, { ...ask, people: ["nobody"] }]);
  assert.deepEqual(many.map((one) => one.permitted), [false, true, false]);
  const changes = [];
  for await (const one of client.changes(String(seq), { waitS: 0 })) changes.push(one);
  assert.deepEqual(changes.map((one) => [one.seq, one.kind]), [[seq, "decision"]]);
});

test("settings are read and answered", needsServer, async () => {
  const client = new Volition(url, { token });
  const before = await client.settings({ party: "person:bo" });
  const one = before.settings.find((each) => each.purposes.includes("train/compose"));
  assert.equal(one.answer, "yes");
  const after = await client.answer({ party: "person:bo", switch: one.switch, answer: "no" });
  assert.equal(after.settings.find((each) => each.switch === one.switch).answer, "no");
});

test("a write whose answer was lost is sent again and done once", needsServer, async () => {
  const keys = [];
  const lossy = async (address, request) => {
    keys.push(request.headers["idempotency-key"]);
    const answer = await fetch(address, request);
    if (keys.length === 1) throw new TypeError("the answer was lost");
    return answer;
  };
  const client = new Volition(url, { token, fetch: lossy });
  const { seq } = await client.decide({ party: "person:bo", answer: "no", data: ["content"], purpose: ["feature/summary"] });
  assert.equal(keys.length, 2);
  assert.equal(new Set(keys).size, 1);
  const heard = [];
  for await (const one of new Volition(url, { token }).changes(String(seq), { waitS: 0 })) heard.push(one.seq);
  assert.deepEqual(heard, [seq]);
});

test("accounts, people and what they answered elsewhere are taken in, however many, and once", needsServer, async () => {
  const client = new Volition(url, { token });
  assert.equal((await client.importAccounts([{ account: "jab", name: "Jab" }])).new, 1);
  const people = Array.from({ length: 1100 }, (_, one) => ({ person: `jab-${one}`, account: "jab", name: `Jo ${one}` }));
  people[1050].account = "nowhere";
  const first = await client.importPeople(people);
  assert.deepEqual([first.new, first.known, first.rows.map(({ line }) => line)], [1099, 0, [1051]]);
  assert.equal((await client.importPeople(people, { dryRun: true })).known, 1099);
  const said = { party: "Jo 7", account: "jab", answer: "no", data: ["content"], purpose: ["train"], said: "2025-01-01T00:00:00Z" };
  assert.equal((await client.importDecisions("crm", [said])).new, 1);
  assert.equal((await client.importDecisions("crm", [said])).known, 1);
});

test("a failure has the server's identifier", needsServer, async () => {
  await assert.rejects(new Volition(url, { token: "vol_none" }).settings(), (error) => {
    assert.ok(error instanceof ApiError);
    return error.type === "urn:volition:problem:unauthorized";
  });
});

test("without a server everything is refused", async () => {
  const client = new Volition("http://127.0.0.1:9", { token: "x", patienceMs: 100, mayPatienceMs: 100 });
  assert.deepEqual(await client.may(purpose, ask), STALE);
  assert.deepEqual(await client.mayMany(purpose, [ask, ask]), [STALE, STALE]);
  await assert.rejects(client.decide({ party: "person:ada", answer: "no", data: [], purpose: [] }), UnreachableError);
});

test("what answers something else permits nothing", async () => {
  for (const body of ["", "<html>", "{}", '{"permitted":"true"}', "[true]", "null"]) {
    const other = async () => new Response(body, { status: 200 });
    const client = new Volition("https://x.example", { token: "x", mayPatienceMs: 60, fetch: other });
    assert.deepEqual(await client.may(purpose, ask), STALE, body);
  }
});

test("a token never crosses the network in the clear", () => {
  assert.throws(() => new Volition("http://privacy.example", { token: "x" }), /clear/);
});

test("an answer is held from before it was asked for, and by neither clock longer", () => {
  const now = { steady: 0, wall: 1_000 };
  const holding = new Holding(() => now.steady, () => now.wall);
  const verdict = { permitted: true, good_for_ms: 80 };
  const sent = holding.sending();
  Object.assign(now, { steady: 50, wall: 1_050 });
  holding.keep("a", verdict, sent);
  assert.equal(holding.find("a"), verdict);
  Object.assign(now, { steady: 79, wall: 1_079 });
  assert.equal(holding.find("a"), verdict);
  assert.equal(holding.find("b"), null);
  now.steady = 80;
  assert.equal(holding.find("a"), null);
  for (const wall of [1_080, 999]) {
    Object.assign(now, { steady: 0, wall: 1_000 });
    holding.keep("a", verdict, holding.sending());
    now.wall = wall;
    assert.equal(holding.find("a"), null, "suspended, or set back");
  }
});
