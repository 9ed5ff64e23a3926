/**
 * Entry of a process that looks at a database before Sluice opens it. LMDB trusts its file: one that is cut off,
 * overwritten or no database at all ends the process that reads it with a signal. Here that is only this process.
 * Argument: path of the file. Sends a judgement, or ends without one.
 */
import { open } from 'lmdb';
import { environment, judge, openTables, readAll, type Judgement } from './disk-tables.ts';

/** LMDB's own errors are negative; others are the system's (permissions) and say nothing about the content. */
function isDamage(cause: unknown): boolean {
  const code = cause instanceof Error && 'code' in cause ? cause.code : null;
  return typeof code !== 'number' || code < 0;
}

function look(path: string): Judgement | 'damaged' | null {
  try {
    const root = open<Buffer, Buffer>({ path, ...environment, readOnly: true });
    const judgement = judge(root);
    if (judgement === 'fine') readAll(openTables(root));
    return judgement;
  } catch (cause) {
    return isDamage(cause) ? 'damaged' : null;
  }
}

const path = process.argv[2];
if (process.send !== undefined && path !== undefined) {
  process.send(look(path), () => process.disconnect());
}
