/** Reads the Mooncake traces (JSON lines, xz) and finds the sessions in them. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { TraceRequest } from './simulation.ts';

/** @returns the trace, or a reason why it cannot be read here */
export function readTrace(file: string): readonly TraceRequest[] | string {
  if (!existsSync(file)) return `${file} is absent`;
  let text: string;
  try {
    text = execFileSync('xz', ['-dc', file], { encoding: 'utf8', maxBuffer: 1 << 28 });
  } catch (error) {
    return `xz could not unpack ${file}: ${error instanceof Error ? error.message : 'unknown'}`;
  }
  const lines = text.trim().split('\n');
  return withSessions(lines.map((line) => JSON.parse(line) as RawRequest));
}

interface RawRequest {
  readonly timestamp: number;
  readonly input_length: number;
  readonly output_length: number;
  readonly hash_ids: readonly number[];
}

/** A request belongs to the session that first brought the deepest block it shares, if that is not the first block. */
function withSessions(raw: readonly RawRequest[]): readonly TraceRequest[] {
  const owner = new Map<number, number>();
  let sessions = 0;
  return raw.map(({ timestamp, input_length, output_length, hash_ids }) => {
    const shared = hash_ids.findLastIndex((id) => owner.has(id));
    const known = shared > 0 ? owner.get(hash_ids[shared] ?? -1) : undefined;
    const session = known ?? sessions;
    if (known === undefined) sessions += 1;
    for (const id of hash_ids) if (!owner.has(id)) owner.set(id, session);
    return {
      at: timestamp / 1000,
      tokens: input_length,
      outputTokens: output_length,
      blocks: hash_ids,
      session,
    };
  });
}

/** Share of blocks that one cache without bound hits: no router can do better. */
export function infiniteHitRate(trace: readonly TraceRequest[]): number {
  const seen = new Set<number>();
  let hits = 0;
  let total = 0;
  for (const { blocks } of trace) {
    let held = 0;
    while (held < blocks.length && seen.has(blocks[held] ?? -1)) held += 1;
    hits += held;
    total += blocks.length;
    for (const id of blocks) seen.add(id);
  }
  return hits / total;
}
