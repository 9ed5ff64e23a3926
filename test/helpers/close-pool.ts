/** Ends a scorer pool at the end of a test file. */
import type { ScorerPool } from '../../src/score/create.ts';

/** Idle workers do not hold the process open, so something else must until they have ended. */
export async function closePool(pool: ScorerPool): Promise<void> {
  const hold = setInterval(() => {}, 1000);
  try {
    await pool.close();
  } finally {
    clearInterval(hold);
  }
}
