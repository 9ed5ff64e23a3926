/** `SLUICE_*` variables as configuration values, and the places that the user's variables name. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { ConfigKey } from './keys.ts';
import { nearestPath, setPath } from './keys.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Something worth telling that is no error. */
export interface Finding {
  readonly level: 'warn';
  readonly message: string;
}

/** Names the configuration file; the one variable that is no key. */
export const fileVariable = 'SLUICE_CONFIG';

const truths = ['true', '1', 'yes', 'on'];
const untruths = ['false', '0', 'no', 'off'];

function parseList(raw: string): unknown {
  if (!raw.trimStart().startsWith('[')) {
    return raw
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '');
  }
  try {
    return JSON.parse(raw);
  } catch {
    return raw;
  }
}

/** The variable's text as the key's type; text that does not fit stays text, so that the schema's error names it. */
function parseValue(key: ConfigKey, raw: string): unknown {
  if (key.nullable && raw === 'null') return null;
  switch (key.type) {
    case 'boolean': {
      const lower = raw.toLowerCase();
      if (truths.includes(lower)) return true;
      return untruths.includes(lower) ? false : raw;
    }
    case 'integer':
    case 'number':
      return raw.trim() !== '' && Number.isFinite(Number(raw)) ? Number(raw) : raw;
    case 'list':
      return parseList(raw);
    case 'string':
      return raw;
  }
}

/**
 * The `SLUICE_*` variables as a configuration tree. Lists are comma-separated, or JSON when they begin with `[`. An empty
 * variable counts as not set. Unknown names are findings, since other programs may share the prefix.
 */
export function readEnvironment(
  env: Environment,
  keys: readonly ConfigKey[],
): { readonly values: Record<string, unknown>; readonly findings: readonly Finding[] } {
  const byName = new Map(keys.map((key) => [key.env, key]));
  const names: ReadonlySet<string> = new Set([...byName.keys(), fileVariable]);
  const values: Record<string, unknown> = {};
  const findings: Finding[] = [];
  for (const [name, raw] of Object.entries(env)) {
    if (!name.startsWith('SLUICE_') || name === fileVariable || raw === undefined || raw === '')
      continue;
    const key = byName.get(name);
    if (key === undefined) {
      const nearest = nearestPath(name, names);
      const hint = nearest === null ? '' : `; did you mean ${nearest}?`;
      findings.push({ level: 'warn', message: `Unknown variable ${name} is ignored${hint}` });
    } else setPath(values, key.path, parseValue(key, raw));
  }
  return { values, findings };
}

/** The file named by `SLUICE_CONFIG`, or null. */
export function fileFromEnvironment(env: Environment): string | null {
  const file = env[fileVariable];
  return file === undefined || file === '' ? null : file;
}

/** Where the user's own models are kept: `sluice/models` in the user's directory for data. */
export function modelsHome(env: Environment = process.env): string {
  return join(dataHome(env), 'sluice', 'models');
}

function dataHome(env: Environment): string {
  const xdg = env['XDG_DATA_HOME'];
  if (xdg !== undefined && xdg !== '') return xdg;
  if (process.platform === 'win32')
    return env['LOCALAPPDATA'] ?? join(homedir(), 'AppData', 'Local');
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Application Support');
  return join(homedir(), '.local', 'share');
}
