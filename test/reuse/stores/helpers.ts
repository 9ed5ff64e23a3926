/** What the tests of the stores share: decisions, conversations, folders, and programs in processes of their own. */
import { fork, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createDiskLedger, type DiskLedgerOptions } from '../../../src/reuse/stores/disk.ts';
import type { StoredLedger } from '../../../src/reuse/stores/types.ts';
import type { StoredConversation } from '../../../src/reuse/mode.ts';
import type { SpanReport } from '../../../src/core/report.ts';
import type { UnitDecision } from '../../../src/reuse/types.ts';

export const span: SpanReport = {
  pointer: '/messages/3/content',
  start: 0,
  end: 120,
  kind: 'tool-result',
  content: 'log',
  policy: 'compressible',
  reason: 'tool-result',
  detail: 'log lines',
  method: 'auto',
  tokensBefore: 40,
  tokensAfter: 12,
  replayed: false,
  skipped: null,
  original: 'abc',
};

export function decisionOf(text: string, spans: readonly SpanReport[] = [span]): UnitDecision {
  return { edits: [{ message: 0, byteStart: 3, byteEnd: 3 + text.length, text }], spans };
}

/** Keys of a conversation as a hash chain over names, like the ones of lineage. */
export function chainKeys(names: readonly string[]): readonly string[] {
  let previous = '';
  return names.map((name) => {
    previous = createHash('sha256').update(`${previous}|${name}`).digest('base64url');
    return previous;
  });
}

export function conversationOf(
  keys: readonly string[],
  more: Partial<StoredConversation> = {},
): StoredConversation {
  return {
    keys,
    forwardedTokens: keys.map((_, at) => (at % 3 === 2 ? null : (at + 1) * 100)),
    epoch: 0,
    domain: 'domain',
    replica: 'a',
    at: 1000,
    ...more,
  };
}

export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-store-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Closed after the test, also when it was closed before. */
export async function diskLedger(
  t: TestContext,
  folder: string,
  more: Partial<DiskLedgerOptions> = {},
): Promise<StoredLedger & { readonly warnings: readonly string[] }> {
  const warnings: string[] = [];
  const ledger = await createDiskLedger({
    folder,
    maxBytes: 64 << 20,
    maxConversations: 10_000,
    cacheBytes: 8 << 20,
    onWarning: (message) => warnings.push(message),
    ...more,
  });
  t.after(() => ledger.close());
  return Object.assign(ledger, { warnings });
}

/** A program beside this file, in a process of its own; lines that it sends are collected. */
export function startProgram(
  t: TestContext,
  name: string,
  args: readonly string[],
): ChildProcess & { readonly messages: unknown[] } {
  const path = fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
  const child = fork(path, [...args], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const messages: unknown[] = [];
  child.on('message', (message) => messages.push(message));
  t.after(() => void child.kill('SIGKILL'));
  return Object.assign(child, { messages });
}

export function exitOf(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once('exit', () => resolve());
  });
}
