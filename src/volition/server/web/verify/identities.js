"use strict";
/* One person under several identities. Written from docs/formats/bundle.md, "identities". */
(function (volition) {
  const { need, CATEGORIES, PURPOSES, leaves, looseUs, nameable } = volition;
  const RESTING = new Set(["snapshot", "model", "release"]);

  const isMerge = ({ kind, body }) => kind === "identity" && body.act === "merge";
  const namesSeveral = (entries) => entries.some((entry) => isMerge(entry) || "same_as" in entry.body || "namesake" in entry.body);

  /** The parties of whom answers have to be known. */
  function concerned(entries) {
    const found = new Set();
    for (const entry of entries) {
      const { body } = entry;
      if (isMerge(entry)) for (const one of body.people) found.add(one);
      if ("same_as" in body) found.add(body.party).add(body.same_as);
      if ("namesake" in body && body.answer === "yes") found.add(body.party);
    }
    return found;
  }

  class Identities {
    constructor(parties) {
      this.parties = new Map([...parties].map((one) => [one, { answers: new Map(), own: new Map(), forGood: new Set(), owed: new Set() }]));
      this.persons = new Map([...parties].map((one) => [one, [one]]));
      this.shortest = null;
      [this.categories, this.purposes] = [CATEGORIES, PURPOSES]; // known so far
    }

    read(entry) {
      const { kind, body, us } = entry;
      if (kind === "terms") this.readTerms(body.terms);
      if (isMerge(entry)) {
        this.owe(...body.people, us);
        this.owe(body.people[1], body.people[0], us);
        this.join(...body.people);
      }
      if ("same_as" in body) this.join(body.same_as, body.party);
      const party = this.parties.get(body.party);
      if (party === undefined) return;
      if (kind === "decision") this.decide(party, entry);
      if (kind === "signal" || kind === "erasure") party.forGood.add(body.signal ?? "erasure");
    }

    readTerms(version) {
      this.categories = [...new Set([...this.categories, ...nameable(version, "category")])];
      this.purposes = [...new Set([...this.purposes, ...nameable(version, "purpose")])];
      for (const rule of version.rule) {
        const age = "max_yes_age" in rule ? volition.age(rule, "max_yes_age") : null;
        if (age !== null && (this.shortest === null || age < this.shortest)) this.shortest = age;
      }
    }

    /** What one refuses, and the other does not, has to become a no of the other; a yes may have ended. */
    owe(one, other, us) {
      for (const mine of this.persons.get(one)) for (const theirs of this.persons.get(other)) {
        const { answers, owed } = this.parties.get(theirs);
        for (const [use, { yes }] of this.parties.get(mine).answers) {
          if (!yes && (!answers.has(use) || this.lasts(answers.get(use), us))) owed.add(use);
        }
      }
    }

    lasts({ yes, said, until }, us) {
      return yes && (until === null || until > us) && (this.shortest === null || said + this.shortest > us);
    }

    join(one, other) {
      const mine = this.persons.get(one), theirs = this.persons.get(other);
      if (mine === theirs) return;
      mine.push(...theirs);
      for (const each of theirs) this.persons.set(each, mine);
    }

    decide(party, { body, us, seq }) {
      const yes = body.answer === "yes", until = "until" in body ? looseUs(body.until) : null;
      for (const category of leaves(body.data, this.categories, "An answer")) for (const purpose of leaves(body.purpose, this.purposes, "An answer")) {
        const use = `${category} for ${purpose}`;
        if (!("namesake" in body)) party.own.set(use, yes);
        else need(!yes || party.own.get(use) === true, `Entry ${seq} is a yes of ${body.party} that somebody else said.`);
        if ("same_as" in body) party.owed.delete(use);
        party.answers.set(use, { yes, said: us, until });
      }
    }

    compare(when) {
      for (const [name, { owed, forGood }] of this.parties) {
        need(owed.size === 0, `${name} was merged with somebody who had said no to ${[...owed][0]}: it is not recorded ${when}.`);
        for (const one of this.persons.get(name)) for (const said of this.parties.get(one).forGood) {
          need(forGood.has(said), `${name} and ${one} are one person: the ${said} of one is not recorded for the other ${when}.`);
        }
      }
    }
  }

  /** The check `identities`, of a log that can be read. */
  function checkIdentities(entries) {
    const found = new Identities(concerned(entries));
    for (const entry of entries) {
      if (RESTING.has(entry.kind)) found.compare(`by entry ${entry.seq}`);
      found.read(entry);
    }
    found.compare("by the end of the log");
    const people = new Set([...found.persons.values()].filter((one) => one.length > 1)).size;
    return { sentence: `${people} people with several identities: what they refused when they were merged is refused under each.` };
  }

  Object.assign(volition, { namesSeveral, checkIdentities });
})((globalThis.volition ??= {}));
