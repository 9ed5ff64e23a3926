/** Where configuration comes from: file, environment, flags. The only reader of the environment. */
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, homedir } from 'node:os';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { SluiceError } from '../core/errors.ts';
import type { Environment, Finding } from './environment.ts';
import { fileFromEnvironment, readEnvironment } from './environment.ts';
import { listKeys } from './keys.ts';
import type { Layer, Surroundings } from './parse.ts';
import { parseLayers } from './parse.ts';
import type { Config } from './types.ts';

/** Looked for in the working directory when no file is named; the first that exists is read. */
export const defaultFiles = ['sluice.yaml', 'sluice.json'] as const;

export interface LoadOptions {
  /** YAML or JSON file. Left out = `SLUICE_CONFIG`, else `defaultFiles` where present. */
  readonly file?: string | undefined;
  /** Left out = the environment of this process. */
  readonly env?: Environment;
  /** Values of the caller that everything else beats, nested like the file. */
  readonly defaults?: unknown;
  /** Values given on the command line, nested like the file; undefined values count as not given. */
  readonly flags?: unknown;
  /** Where the default files are looked for; left out = the working directory. */
  readonly folder?: string;
  /** Told about what is odd but no error, such as unknown `SLUICE_*` variables. */
  readonly onFinding?: (finding: Finding) => void;
}

function stateHome(env: Environment): string {
  const xdg = env['XDG_STATE_HOME'];
  if (xdg !== undefined && xdg !== '') return xdg;
  if (process.platform === 'win32')
    return env['LOCALAPPDATA'] ?? join(homedir(), 'AppData', 'Local');
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Application Support');
  return join(homedir(), '.local', 'state');
}

function surroundingsOf(env: Environment): Surroundings {
  return { cores: availableParallelism(), stateHome: stateHome(env) };
}

function cause(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** @throws SluiceError CONFIG_INVALID naming the file, and line and column where the syntax breaks */
function readFile(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new SluiceError('CONFIG_INVALID', `Cannot read ${file}: ${cause(error)}`, {
      cause: error,
    });
  }
  if (file.endsWith('.json')) {
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new SluiceError('CONFIG_INVALID', `${file} is not JSON: ${cause(error)}`, {
        cause: error,
      });
    }
  }
  const document = parseDocument(text);
  const broken = document.errors[0];
  if (broken !== undefined) {
    const place = broken.linePos?.[0];
    const at = place === undefined ? '' : `:${place.line}:${place.col}`;
    throw new SluiceError('CONFIG_INVALID', `${file}${at} is not YAML: ${broken.code}`, {
      cause: broken,
    });
  }
  try {
    return document.toJS({ maxAliasCount: 100 }) ?? {};
  } catch (error) {
    throw new SluiceError('CONFIG_INVALID', `${file} is not YAML: ${cause(error)}`, {
      cause: error,
    });
  }
}

function findFile(options: LoadOptions, env: Environment): string | null {
  const named = options.file ?? fileFromEnvironment(env);
  if (named !== null) return named;
  const candidates = defaultFiles.map((name) =>
    options.folder === undefined ? name : join(options.folder, name),
  );
  return candidates.find((file) => existsSync(file)) ?? null;
}

/**
 * The configuration of this process: flags beat environment beats file beats preset beats defaults.
 * @throws SluiceError CONFIG_INVALID with every problem found
 */
export function loadConfig(options: LoadOptions = {}): Config {
  const env = options.env ?? process.env;
  const layers: Layer[] = [{ where: 'defaults', values: options.defaults }];
  const file = findFile(options, env);
  if (file !== null) layers.push({ where: file, values: readFile(file) });
  const { values, findings } = readEnvironment(env, listKeys());
  for (const finding of findings) options.onFinding?.(finding);
  layers.push({ where: 'environment', values });
  layers.push({ where: 'command line', values: options.flags });
  return parseLayers(layers, surroundingsOf(env));
}

/**
 * Checks an object with the keys of the file and fills in the defaults; a complete `Config` comes back equal. Neither
 * file nor `SLUICE_*` variables are read, apart from `SLUICE_STATE_DIR` for the default of `state_dir`.
 * @throws SluiceError CONFIG_INVALID with every problem found
 */
export function parseConfig(input: unknown): Config {
  const env = process.env;
  const folder = env['SLUICE_STATE_DIR'];
  const base: Layer[] =
    folder === undefined || folder === ''
      ? []
      : [{ where: 'environment', values: { state_dir: folder } }];
  return parseLayers([...base, { where: 'options', values: input }], surroundingsOf(env));
}
