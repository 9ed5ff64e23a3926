/** What the command line does with single models; apart from `models.ts`, because measuring loads the native runtime. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { roleOf } from './score/create.ts';
import type { ModelManifest } from './score/types.ts';

export { benchModel } from './score/bench.ts';
export { pullModel } from './score/pull.ts';

/** Configuration keys that name the model of a role. */
const settings = {
  surprisal: 'score.model',
  keep: 'score.classifier',
  vectors: 'score.vectors',
  table: 'score.table',
  pairs: 'score.pairs',
} as const;

/** The configuration key that a model is for. */
export function settingFor(manifest: ModelManifest): string {
  return settings[roleOf(manifest)];
}

export function isModelFolder(path: string): boolean {
  return ['manifest.json', 'config.json'].some((name) => existsSync(join(path, name)));
}

/** English text of this package, for measuring. */
export function benchText(): string {
  return ['../README.md', '../openapi.yaml']
    .map((name) => readFileSync(new URL(name, import.meta.url), 'utf8'))
    .join('\n');
}
