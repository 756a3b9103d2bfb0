import { expect, test } from "vitest";
import { ResourceStack } from "../../src/base/resource-stack.ts";

test("resources close in reverse order, one after the other, once", async () => {
  const stack = new ResourceStack();
  const log: string[] = [];
  const resource = stack.use({
    [Symbol.asyncDispose]: async () => {
      log.push("a...");
      await Promise.resolve();
      log.push("a");
    },
  });
  expect(resource).toBeTypeOf("object");
  stack.use({ [Symbol.dispose]: () => void log.push("b") });
  stack.defer(async () => {
    await Promise.resolve();
    log.push("c");
  });
  await Promise.all([stack.close(), stack.close()]);
  expect(log).toEqual(["c", "b", "a...", "a"]);
  expect(stack.isClosed).toBe(true);
});

test("every closer runs; one failure is thrown as it is, several together", async () => {
  const run = async (failing: readonly string[]): Promise<unknown> => {
    const stack = new ResourceStack();
    for (const name of ["a", "b", "c"]) {
      stack.defer(() => {
        closed.push(name);
        if (failing.includes(name)) throw new Error(name);
      });
    }
    return stack.close().catch((error: unknown) => error);
  };
  const closed: string[] = [];
  expect(await run(["b"])).toMatchObject({ message: "b" });
  const several = await run(["a", "c"]);
  expect(several).toBeInstanceOf(AggregateError);
  expect(several).toMatchObject({ errors: [{ message: "c" }, { message: "a" }] });
  expect(closed).toEqual(["c", "b", "a", "c", "b", "a"]);
});

test("await using closes the stack on the way out", async () => {
  const log: string[] = [];
  {
    await using stack = new ResourceStack();
    stack.defer(() => void log.push("closed"));
    log.push("body");
  }
  expect(log).toEqual(["body", "closed"]);
});

test("a moved stack owns everything, the old one nothing", async () => {
  const log: string[] = [];
  const old = new ResourceStack();
  old.defer(() => void log.push("closed"));
  const moved = old.move();
  await old.close();
  expect(log).toEqual([]);
  await moved.close();
  expect(log).toEqual(["closed"]);
});

test("a closed stack takes no resource", async () => {
  const stack = new ResourceStack();
  await stack.close();
  expect(() => stack.defer(() => undefined)).toThrow(/closed/);
  expect(() => stack.move()).toThrow(/closed/);
});
