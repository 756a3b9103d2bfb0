import { expect, test } from "vitest";
import { changedVoters, Membership } from "../../src/raft/membership.ts";
import { replicaId, voterSet } from "./replica.ts";

const observer = { endpoint: "4:1", isCaughtUp: true };

test("the last set in the log is in force, and the one before again when it is cut off (§4.1, H7)", () => {
  const membership = new Membership(5, voterSet("1", "2"));
  membership.append(7, voterSet("1", "2", "3"));
  membership.append(9, voterSet("1", "3"));
  expect([membership.voters, membership.votersIndex]).toEqual([voterSet("1", "3"), 9]);
  membership.truncate(8);
  expect([membership.voters, membership.votersIndex]).toEqual([voterSet("1", "2", "3"), 7]);
  membership.truncate(5);
  expect([membership.voters, membership.votersIndex]).toEqual([voterSet("1", "2"), 5]);
});

test("sets must come in the order of the log", () => {
  const membership = new Membership(5, voterSet("1"));
  expect(() => membership.append(5, voterSet("2"))).toThrow("out of order");
});

test("who is removed may stand until the removal is committed (§4.2.2)", () => {
  const membership = new Membership(1, voterSet("1", "2"));
  membership.append(4, voterSet("2"));
  expect([membership.isVoter(replicaId("1")), membership.mayStand(replicaId("1"))]).toEqual([false, true]);
  membership.commitTo(3);
  expect(membership.mayStand(replicaId("1"))).toBe(true);
  membership.commitTo(4);
  expect(membership.mayStand(replicaId("1"))).toBe(false);
});

test("a snapshot brings its set; sets behind it stay when the log does", () => {
  const kept = new Membership(1, voterSet("1"));
  kept.append(4, voterSet("1", "2"));
  kept.append(8, voterSet("1", "2", "3"));
  kept.install(6, voterSet("1", "2"));
  expect(kept.voters).toEqual(voterSet("1", "2", "3"));
  kept.truncate(6);
  expect([kept.voters, kept.votersIndex]).toEqual([voterSet("1", "2"), 6]);
  kept.replace(9, voterSet("7"));
  expect([kept.voters, kept.votersIndex]).toEqual([voterSet("7"), 9]);
});

test("a change gives the changed set, or why not", () => {
  const voters = voterSet("1", "2");
  const id = replicaId;
  expect(changedVoters(voters, { type: "add", id: id("4") }, observer)).toEqual(voterSet("1", "2", "4"));
  expect(changedVoters(voters, { type: "add", id: id("4") }, undefined)).toBe("UNKNOWN_REPLICA");
  expect(changedVoters(voters, { type: "add", id: id("4") }, { ...observer, isCaughtUp: false })).toBe(
    "NOT_CAUGHT_UP",
  );
  expect(changedVoters(voters, { type: "add", id: id("2") }, observer)).toBe("NO_CHANGE");
  expect(changedVoters(voters, { type: "remove", id: id("2") }, undefined)).toEqual(voterSet("1"));
  expect(changedVoters(voters, { type: "remove", id: id("4") }, observer)).toBe("UNKNOWN_REPLICA");
  expect(changedVoters(voterSet("1"), { type: "remove", id: id("1") }, undefined)).toBe("LAST_VOTER");
  expect(changedVoters(voters, { type: "move", id: id("2"), endpoint: "new:1" }, undefined)).toEqual([
    ...voterSet("1"),
    { id: "2", endpoint: "new:1" },
  ]);
  expect(changedVoters(voters, { type: "move", id: id("2"), endpoint: "2:1" }, undefined)).toBe("NO_CHANGE");
  expect(changedVoters(voters, { type: "move", id: id("4"), endpoint: "4:1" }, observer)).toBe(
    "UNKNOWN_REPLICA",
  );
});
