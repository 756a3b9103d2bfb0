import type { Row, SessionName } from "./rows.ts";

/** One start of one system, with the rows that are measured on it. */
export interface Turn {
  readonly round: number;
  readonly session: SessionName;
  readonly system: string;
  readonly rows: readonly Row[];
}

/**
 * All turns in their order: each session goes around all systems before the next session begins (A B A B ...), so that
 * what disturbs the machine for a while disturbs all of them. Whoever was first in one round is last in the next.
 */
export function scheduleOf(options: {
  readonly rounds: number;
  readonly systems: readonly string[];
  readonly rows: readonly Row[];
}): readonly Turn[] {
  const { rounds, systems, rows } = options;
  const sessions = [...new Set(rows.map(({ session }) => session))];
  const turns: Turn[] = [];
  for (let round = 0; round < rounds; round++) {
    const first = systems.length === 0 ? 0 : round % systems.length;
    const order = [...systems.slice(first), ...systems.slice(0, first)];
    for (const session of sessions) {
      const ofSession = rows.filter((row) => row.session === session);
      for (const system of order) turns.push({ round, session, system, rows: ofSession });
    }
  }
  return turns;
}
