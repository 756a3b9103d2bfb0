import { expect, test } from "vitest";
import { checkAddresses } from "../../../src/cli/doctor/address-checks.ts";
import type { Reached } from "../../../src/cli/doctor/dial.ts";
import { answering, look, seen } from "./looks.ts";

function findingsOf(reached: Reached, host = "lograft-2", change: { isFenced?: boolean } = {}): string[] {
  const findings = checkAddresses(look([seen(2, { host, reached, ...change })]));
  return findings.map(({ state, about, found, next }) => `${state} ${about}: ${found}; ${next}`);
}

test("an address that answers as its broker is well", () => {
  expect(findingsOf(answering(2))).toEqual([
    "ok broker 2: OUTSIDE://lograft-2:9092 answers as this broker; ",
  ]);
});

test("a name that is none here: what to set, and that inside and outside need a listener each", () => {
  const [line] = findingsOf({ kind: "unresolved", cause: "the name lograft-2 does not resolve here" });
  expect(line).toMatch(
    /^failed broker 2: OUTSIDE:\/\/lograft-2:9092: the name lograft-2 does not resolve here; /,
  );
  expect(line).toMatch(/set advertised\.listeners of broker 2 .*a listener each \(docs\/cluster\.md\)/);
});

test("localhost that is another broker's: the trap is named", () => {
  const [line] = findingsOf(answering(1), "localhost");
  expect(line).toMatch(
    /^failed broker 2: .*broker 1 answers there; localhost is each machine's own, also each container's/,
  );
  expect(line).toMatch(/set advertised\.listeners of broker 2/);
});

test("a broker of another cluster is told apart from one of this", () => {
  expect(findingsOf(answering(2, "other-cluster"))[0]).toMatch(/failed .*another cluster \(other-cluster\)/);
});

test("a refused connection is a broker that is down when it is out of service, else a port that is not published", () => {
  const refused = { kind: "refused", cause: "nothing listens there" } as const;
  expect(findingsOf(refused, "lograft-2", { isFenced: true })[0]).toMatch(
    /not in service; start it, and see its log$/,
  );
  expect(findingsOf(refused)[0]).toMatch(
    /though the broker is in service; publish the port here, or set advertised/,
  );
});

test("no answer is a way that is shut, and something else that listens is told as such", () => {
  expect(findingsOf({ kind: "timeout", cause: "no answer within 3 s" })[0]).toMatch(/failed .*firewall/);
  expect(findingsOf({ kind: "foreign", cause: "HTTP/1.1" })[0]).toMatch(/failed .*no broker \(HTTP\/1\.1\)/);
});

test("the addresses of listeners for clients elsewhere only warn", () => {
  const other = { listener: "INSIDE", host: "lograft-2", port: 9092 };
  const reached = { kind: "unresolved", cause: "the name lograft-2 does not resolve here" } as const;
  const two = seen(2, { host: "localhost", reached: answering(2), others: [{ ...other, reached }] });
  const findings = checkAddresses(look([two]));
  expect(findings.map(({ state }) => state)).toEqual(["ok", "warning"]);
  expect(findings[1]).toMatchObject({
    found: "INSIDE://lograft-2:9092: the name lograft-2 does not resolve here",
    next: "right if clients of INSIDE are elsewhere: run doctor there, with -b lograft-2:9092",
  });
});
