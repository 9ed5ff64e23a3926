/** The ledger inside the process: bounded by bytes, least recently used first. */
import { boundedCache } from '../core/bounded-cache.ts';
import { createConversationBook } from './conversations.ts';
import { lineageKeys } from './lineage.ts';
import type { Ledger, UnitDecision } from './types.ts';

/** Rough bytes of one entry in memory: its texts (UTF-16) plus a fixed share per edit and span. */
export function decisionBytes(decision: UnitDecision): number {
  let bytes = 200;
  for (const edit of decision.edits) bytes += 100 + edit.text.length * 2;
  return bytes + decision.spans.length * 400;
}

export function createMemoryLedger(options: { readonly maxBytes: number }): Ledger {
  const cache = boundedCache<UnitDecision>({
    maxEntries: 100_000,
    maxSize: options.maxBytes,
    sizeOf: decisionBytes,
  });
  const book = createConversationBook({ maxConversations: 100_000, maxUnits: 1_000_000 });
  return {
    lineage: lineageKeys,
    async get(key) {
      return cache.get(key) ?? null;
    },
    async putIfAbsent(key, decision) {
      const existing = cache.get(key);
      if (existing !== undefined) return existing;
      cache.set(key, decision);
      return decision;
    },
    async find(name, keys) {
      return book.find(name, keys);
    },
    async remember(name, conversation) {
      book.store(name, conversation);
    },
    async check() {
      return { ok: true, detail: `in-process ledger, ${cache.size} units` };
    },
    async close() {},
  };
}
