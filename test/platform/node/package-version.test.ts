import { expect, test } from "vitest";
import packageJson from "../../../package.json" with { type: "json" };
import { packageVersion } from "../../../src/platform/node/package-version.ts";

test("the version is that of package.json", () => {
  expect(packageVersion()).toBe(packageJson.version);
});
