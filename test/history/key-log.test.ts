import { describe, expect, test } from "vitest";
import { Story } from "./story.ts";

describe("inconsistent-offsets", () => {
  test("two readers that were given two values at one offset", () => {
    const story = new Story().send(1, "k", [["a", 0]]).send(2, "k", [["b", -1]], { outcome: "info" });
    story.poll(3, "k", [[0, "a"]]).poll(4, "k", [[0, "b"]]);
    expect(story.anomalies()).toEqual({ "inconsistent-offsets": 1 });
  });

  test("an acknowledgement and a reader that name two values at one offset", () => {
    const story = new Story().send(1, "k", [["a", 0]]).send(2, "k", [["b", 1]]);
    story.poll(3, "k", [[0, "b"]]);
    expect(story.anomalies()).toMatchObject({ "inconsistent-offsets": 1 });
  });

  test("the offset of a send of unknown outcome that nobody read says nothing", () => {
    const story = new Story()
      .send(1, "k", [["a", 0]], { outcome: "info" })
      .send(2, "k", [["b", 0]])
      .poll(3, "k", [[0, "b"]]);
    expect(story.anomalies()).toEqual({});
  });

  test("polls of unknown outcome count: a consumer must never be given two values at one offset", () => {
    const story = new Story().send(1, "k", [["a", 0]]).send(2, "k", [["b", -1]], { outcome: "info" });
    story.poll(3, "k", [[0, "b"]], { outcome: "info" });
    expect(story.anomalies()).toEqual({ "inconsistent-offsets": 1 });
  });
});

describe("duplicate", () => {
  const twice = (story: Story): Story => story.poll(3, "k", [[0, "a"]]).poll(3, "k", [[1, "a"]]);

  test("a value at two offsets", () => {
    const story = twice(new Story().send(1, "k", [["a", 0]]));
    expect(story.anomalies()).toEqual({ duplicate: 1 });
    expect(story.violations()).toEqual(["duplicate"]);
  });

  test("without idempotence it is allowed after a send of unknown outcome", () => {
    const story = twice(new Story("plain").send(1, "k", [["a", -1]], { outcome: "info" }));
    expect(story.anomalies()).toEqual({ duplicate: 1 });
    expect(story.violations()).toEqual([]);
  });

  test("without idempotence it is allowed after a retry, and not without one", () => {
    const attempts = [
      [1, 0, 0, "TIMEOUT"],
      [1, 0, 0, null],
    ] as const;
    expect(twice(new Story("plain").send(1, "k", [["a", 0]], { more: { attempts } })).violations()).toEqual(
      [],
    );
    expect(twice(new Story("plain").send(1, "k", [["a", 0]])).violations()).toEqual(["duplicate"]);
  });

  test("one value read many times at one offset is none", () => {
    const story = new Story()
      .send(1, "k", [["a", 0]])
      .poll(2, "k", [[0, "a"]])
      .poll(3, "k", [[0, "a"]]);
    expect(story.anomalies()).toEqual({});
  });
});

describe("misrouted and corrupt records", () => {
  test("a value that was sent to another key", () => {
    const story = new Story()
      .send(1, "k", [["a", 0]])
      .poll(2, "k", [[0, "a"]])
      .poll(2, "other", [[0, "a"]]);
    expect(story.anomalies()).toEqual({ "misrouted-record": 1 });
  });

  test("bodies that the client found damaged or meant for another key", () => {
    const story = new Story().step(1, "poll", [["poll"]], {
      more: {
        mops: [
          ["damaged", "k", 4, "corrupt", "CRC 1, not 2"],
          ["damaged", "k", 5, "misrouted", "names k-2"],
        ],
      },
    });
    expect(story.anomalies()).toEqual({ "corrupt-record": 1, "misrouted-record": 1 });
    expect(story.report.anomalies[0]?.examples[0]).toContain("k@4: CRC 1, not 2");
  });

  test("two keys may hold values at the same offsets", () => {
    const story = new Story().send(1, "k", [["a", 0]]).send(1, "other", [["b", 0]]);
    story.poll(2, "k", [[0, "a"]]).poll(2, "other", [[0, "b"]]);
    expect(story.anomalies()).toEqual({});
  });
});
