/** Opens the tokenizer of a model folder. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { SluiceError } from '../core/errors.ts';
import { isRecord, readDefinition } from './definition.ts';
import { createTextTokenizer } from './text-tokenizer.ts';
import type { TextTokenizer } from './types.ts';

export interface LoadTokenizerOptions {
  /** Marks counts as standing in for another tokenizer; default false. */
  readonly estimated?: boolean;
}

/**
 * Reads `tokenizer.json` (and `tokenizer_config.json`, when there is one) of a folder; a path that ends in `.json`
 * is taken as the tokenizer file itself. Synchronous: it runs at start-up.
 *
 * The id is the folder's name and the first 12 hex digits of the file's SHA-256: equal ids count equally.
 * @throws SluiceError MODEL_INVALID when the file is missing, no JSON, or of a kind the library does not know
 */
export function loadTokenizer(folder: string, options: LoadTokenizerOptions = {}): TextTokenizer {
  const path = folder.endsWith('.json') ? folder : join(folder, 'tokenizer.json');
  const bytes = readBytes(path);
  const json = parse(bytes, path);
  const name = basename(dirname(resolve(path)));
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 12);
  return createTextTokenizer({
    id: `${name}:${hash}`,
    estimated: options.estimated ?? false,
    definition: readDefinition(json),
    config: readConfig(join(dirname(path), 'tokenizer_config.json')),
  });
}

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new SluiceError('MODEL_INVALID', `Cannot read the tokenizer ${path}`, { cause });
  }
}

function parse(bytes: Buffer, path: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new SluiceError('MODEL_INVALID', `${path} is not JSON`, { cause });
  }
  if (!isRecord(value) || !isRecord(value['model']))
    throw new SluiceError('MODEL_INVALID', `${path} has no "model" object`);
  return value;
}

/** The configuration decides little (a lower-casing flag of old models); absent or broken = none. */
function readConfig(path: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return isRecord(value) ? value : {};
  } catch {
    return {};
  }
}
