/** An engine's events as changes of what is known about its cache. */
import type { Tier } from './block-set.ts';
import { namesAfter } from './chain.ts';
import type { At, GroupState } from './index-options.ts';
import type { BlockStored, EngineHash, KvEvent } from './kv-events.ts';

interface EventContext extends At {
  readonly counts: { orphans: number; foreign: number };
}

/** Applies one event; what cannot be placed is counted. */
export function applyEvent(
  groups: readonly GroupState[],
  event: KvEvent,
  context: EventContext,
): void {
  if (event.type === 'cleared') {
    for (const { blocks, engine } of groups) {
      blocks.clear();
      engine.clear();
    }
    return;
  }
  const state = groups[event.group];
  if (state === undefined) {
    context.counts.foreign += 1;
    return;
  }
  if (event.type === 'stored') {
    applyStored(groups, event, context);
    return;
  }
  for (const hash of event.hashes) {
    const entry =
      context.options.names === 'engine'
        ? state.blocks.find(Uint32Array.of(0, 0, hash.high, hash.low), 0)
        : state.engine.entryOf(hash);
    if (entry >= 0) state.blocks.remove(entry, tierOf(event.medium));
  }
}

function applyStored(
  groups: readonly GroupState[],
  event: BlockStored,
  context: EventContext,
): void {
  const { options, now, counts } = context;
  const state = groups[event.group];
  if (state === undefined) return;
  if (event.blockTokens !== options.blockTokens) {
    counts.foreign += 1;
    return;
  }
  const facts = { confidence: 'event', tier: tierOf(event.medium), at: now } as const;
  if (options.names === 'engine') {
    const name = new Uint32Array(4);
    for (const { high, low } of event.hashes) {
      name[2] = high;
      name[3] = low;
      state.blocks.put(name, 0, facts);
    }
    return;
  }
  const above = event.parent === null ? null : parentName(groups, event.parent);
  const origin = options.eventDomain?.(event) ?? null;
  if (origin === null || (event.parent !== null && above === null)) {
    if (origin === null) counts.foreign += 1;
    else counts.orphans += 1;
    return;
  }
  const names = namesAfter(above, event.tokens, { ...origin, blockTokens: event.blockTokens });
  for (const [block, hash] of event.hashes.entries()) {
    if (block * 4 >= names.length) break;
    state.engine.bind(hash, state.blocks.put(names, block * 4, facts));
  }
}

/** A window or a saved state may hold a block without the one before it; another group then knows its name. */
function parentName(groups: readonly GroupState[], parent: EngineHash): Uint32Array | null {
  for (const { engine, blocks } of groups) {
    const entry = engine.entryOf(parent);
    if (entry >= 0) return blocks.nameOf(entry).slice();
  }
  return null;
}

function tierOf(medium: string | null): Tier {
  switch (medium?.toLowerCase()) {
    case 'cpu':
    case 'cpu_pinned':
    case 'host':
      return 'host';
    case 'disk':
    case 'storage':
    case 'external':
    case 'remote':
      return 'disk';
    default:
      return 'device';
  }
}
