import { expect, test } from "vitest";
import { StateHashes } from "../../src/controller/state-hashes.ts";

test("hashes are compared at equal offsets only", () => {
  const hashes = new StateHashes();
  hashes.note({ offset: 1024, hash: 5 });
  expect(hashes.compare({ offset: 1024, hash: 5 })).toBe("equal");
  expect(hashes.compare({ offset: 1024, hash: 6 })).toBe("different");
  expect(hashes.compare({ offset: 2048, hash: 5 })).toBe("unknown");
});

test("a broker some intervals behind is still compared, one far behind is not", () => {
  const hashes = new StateHashes();
  for (let interval = 1; interval <= 20; interval++) {
    for (let times = 0; times < 3; times++) hashes.note({ offset: interval * 1024, hash: interval });
  }
  expect(hashes.compare({ offset: 5 * 1024, hash: 0 })).toBe("different");
  expect(hashes.compare({ offset: 4 * 1024, hash: 0 })).toBe("unknown");
});
