/** As `engines` in package.json says, which npm only warns about. */
const OLDEST_NODE = [22, 19] as const;

/** Why this engine cannot run lograft; undefined: it can. */
export function engineRefusal(version: string): string | undefined {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return undefined;
  const oldest = OLDEST_NODE.join(".");
  return `lograft needs Node.js ${oldest} or newer, and this is ${version}; in a clone, npm start brings its own`;
}
