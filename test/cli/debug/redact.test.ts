import { expect, test } from "vitest";
import { redactSetting, redactText } from "../../../src/cli/debug/redact.ts";

test.each([
  ["ssl.keystore.password", "hunter2"],
  ["sasl.jaas.config", "user alice"],
  ["console.session.secret", "s"],
  ["storage.s3.secret.access.key", "AKIA"],
  ["tls.private.key", "-----BEGIN"],
  ["oauth.token", "t"],
])("the value of %s is taken out", (name, value) => {
  expect(redactSetting(name, value)).toBe("[redacted]");
});

test("other settings are shown; one without a value stays so", () => {
  expect(redactSetting("log.retention.ms", "60000")).toBe("60000");
  expect(redactSetting("listeners", "CLIENT://:9092")).toBe("CLIENT://:9092");
  expect(redactSetting("oauth.token", "")).toBe("");
});

test.each([
  ["connected as password=hunter2, ok", "connected as password=[redacted], ok"],
  ['{"password":"hunter \\" 2","port":1}', '{"password":[redacted],"port":1}'],
  ["Authorization: Bearer abc.def-ghi", "Authorization: Bearer [redacted]"],
  ["from https://alice:hunter2@store.example/x", "from https://[redacted]@store.example/x"],
  ["ssl.keystore.password = hunter2", "ssl.keystore.password = [redacted]"],
  ["offset=12 topic=tokens", "offset=12 topic=tokens"],
])("%s", (text, expected) => {
  expect(redactText(text)).toBe(expected);
});
