import { expect, test } from "vitest";
import { localAddress, parseLocalHealth } from "../../src/cli/local-health.ts";

test.each([
  [undefined, {}, "127.0.0.1", 8080],
  [undefined, { LOGRAFT_HTTP_PORT: "8081" }, "127.0.0.1", 8081],
  [undefined, { LOGRAFT_HTTP_PORT: "8081", LOGRAFT_HTTP_HOST: "0.0.0.0" }, "127.0.0.1", 8081],
  [undefined, { LOGRAFT_HTTP_HOST: "10.0.0.1" }, "10.0.0.1", 8080],
  [undefined, { LOGRAFT_HTTP_PORT: "tcp://10.0.0.1:80" }, "127.0.0.1", 8080],
  ["9000", { LOGRAFT_HTTP_PORT: "8081" }, "127.0.0.1", 9000],
  ["there:9000", {}, "there", 9000],
  ["[::1]:9000", {}, "::1", 9000],
])("--http %s with %j is %s port %d", (given, env, host, port) => {
  expect(localAddress(given, env)).toEqual({ host, port });
});

test.each(["there", "there:0", "there:65536", "there:", ""])("--http %j is refused", (given) => {
  expect(() => localAddress(given, {})).toThrow(/host:port/);
});

test("what is not a broker's answer is told", () => {
  for (const body of ["", "<html>", "[]", '{"nodeId":1}']) {
    expect(() => parseLocalHealth(body, "here:1")).toThrow(/here:1 is not a lograft broker/);
  }
});
