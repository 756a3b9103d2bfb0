import { registerHooks } from "node:module";

/* Loaded by `node --import`: the package's own names lead to its sources, as for an installed one to what is made of them. */

const entryPoints: Readonly<Record<string, string>> = {
  lograft: "index.ts",
  "lograft/client": "client/index.ts",
  "lograft/testing": "testing.ts",
};

registerHooks({
  resolve: (specifier, context, next) => {
    const entry = entryPoints[specifier];
    if (entry === undefined) return next(specifier, context);
    return next(new URL(`../../src/${entry}`, import.meta.url).href, context);
  },
});
