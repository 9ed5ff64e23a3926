/** The configuration file of a Sluice in front of running engines. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Engine } from './engines.ts';

/** @returns the file's path; its state lies in a folder of its own */
export function sluiceConfig(running: readonly Engine[], kind: string, rate: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-reuse-'));
  const file = join(folder, 'sluice.json');
  const events = running.flatMap((engine) => (engine.events === null ? [] : [engine.events]));
  const config = {
    upstream: running.map(({ url }) => url),
    backend: kind,
    compress: { rate },
    state_dir: join(folder, 'state'),
    ...(kind === 'vllm' ? { tokenizer: process.env['SLUICE_IT_HF'] } : {}),
    reuse: {
      ...(kind === 'llamacpp' ? { pin_slots: true } : {}),
      events: events.map(({ endpoint }) => endpoint),
      event_replays: events.map(({ replay }) => replay),
    },
  };
  writeFileSync(file, JSON.stringify(config));
  return file;
}
