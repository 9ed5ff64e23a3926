/** One pool of scorers over the reference's own small models, for all tests of a file. */
import { createScorers } from '../../src/score/create.ts';
import type { ScorerPool } from '../../src/score/create.ts';
import { causalFolder, classifierFolder } from './load.ts';

export function openOraclePool(which: {
  readonly surprisal?: boolean;
  readonly keep?: boolean;
}): Promise<ScorerPool> {
  return createScorers({
    surprisal: which.surprisal === true ? causalFolder : null,
    keep: which.keep === true ? classifierFolder : null,
    workers: 2,
    threads: 1,
    queue: 1000,
    cacheEntries: 2000,
  });
}
