/** `manifest.json` of a model folder: what is in it, and whether the files are the ones it names. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { SluiceError } from '../core/errors.ts';
import type { ModelManifest } from './types.ts';

const kinds = [
  'causal-lm',
  'token-classifier',
  'sentence-encoder',
  'cross-encoder',
  'token-table',
] as const;

type Json = Readonly<Record<string, unknown>>;

const isRecord = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function readJson(path: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new SluiceError('MODEL_INVALID', `Cannot read ${path} as JSON`, { cause });
  }
  if (!isRecord(value)) throw new SluiceError('MODEL_INVALID', `${path} is not an object`);
  return value;
}

const digestOf = (path: string): string =>
  createHash('sha256').update(readFileSync(path)).digest('hex');

function checkFiles(path: string, files: unknown): ModelManifest['files'] {
  if (!isRecord(files)) throw invalid(path, 'files', 'an object');
  const checked: Record<string, { sha256: string; bytes: number }> = {};
  for (const [name, entry] of Object.entries(files)) {
    const sha256 = isRecord(entry) ? entry['sha256'] : undefined;
    const bytes = isRecord(entry) ? entry['bytes'] : undefined;
    if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256) || typeof bytes !== 'number')
      throw invalid(path, `files["${name}"]`, '{sha256, bytes}');
    if (name.includes('..') || name.startsWith('/'))
      throw invalid(path, `files["${name}"]`, 'a path inside the folder');
    checked[name] = { sha256, bytes };
  }
  return checked;
}

const invalid = (path: string, key: string, want: string): SluiceError =>
  new SluiceError('MODEL_INVALID', `${path}: "${key}" must be ${want}`);

function stringOf(json: Json, key: string, path: string): string {
  const value = json[key];
  if (typeof value !== 'string' || value === '') throw invalid(path, key, 'a non-empty string');
  return value;
}

function idOf(json: Json, key: string, path: string): number | null {
  const value = json[key] ?? null;
  if (value === null) return null;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value;
  throw invalid(path, key, 'a token id or null');
}

/**
 * Reads and checks `manifest.json`. A folder without one that holds `config.json`, `tokenizer.json` and an ONNX file
 * (`model.onnx` or `onnx/model.onnx`) is an imported Hugging Face model: its manifest is derived, with the hashes of
 * the files as they are.
 * @throws SluiceError MODEL_INVALID naming the file and key at fault
 */
export function readManifest(folder: string): ModelManifest {
  const path = join(folder, 'manifest.json');
  if (!existsSync(path)) return deriveManifest(folder);
  const json = readJson(path);
  const kind = kinds.find((known) => known === json['kind']);
  if (kind === undefined) throw invalid(path, 'kind', `one of ${kinds.join(', ')}`);
  const length = json['context_length'];
  if (typeof length !== 'number' || !Number.isInteger(length) || length < 2)
    throw invalid(path, 'context_length', 'an integer above 1');
  return {
    ...json,
    name: stringOf(json, 'name', path),
    version: stringOf(json, 'version', path),
    kind,
    licence: stringOf(json, 'licence', path),
    files: checkFiles(path, json['files']),
    context_length: length,
    bos_token_id: idOf(json, 'bos_token_id', path),
    eos_token_id: idOf(json, 'eos_token_id', path),
  };
}

function deriveManifest(folder: string): ModelManifest {
  const graph = ['model.onnx', 'onnx/model.onnx'].find((name) => existsSync(join(folder, name)));
  const needed = ['config.json', 'tokenizer.json'];
  if (graph === undefined || needed.some((name) => !existsSync(join(folder, name))))
    throw new SluiceError(
      'MODEL_INVALID',
      `${folder} has neither manifest.json nor config.json, tokenizer.json and model.onnx`,
    );
  const path = join(folder, 'config.json');
  const config = readJson(path);
  const files = [...needed, graph].map((name) => {
    const file = join(folder, name);
    return [name, { sha256: digestOf(file), bytes: statSync(file).size }] as const;
  });
  const positions = config['max_position_embeddings'] ?? config['n_positions'] ?? 512;
  return {
    name: basename(resolve(folder)),
    version: '0',
    kind: kindOfConfig(config, path),
    licence: 'unknown',
    files: Object.fromEntries(files),
    context_length: typeof positions === 'number' ? positions : 512,
    bos_token_id: idOf(config, 'bos_token_id', path),
    eos_token_id: idOf(config, 'eos_token_id', path),
    graph: { scorer: { file: graph } },
  };
}

function kindOfConfig(config: Json, path: string): ModelManifest['kind'] {
  const architectures: unknown = config['architectures'];
  const name: unknown = Array.isArray(architectures) ? architectures[0] : undefined;
  if (typeof name === 'string') {
    if (name.endsWith('ForTokenClassification')) return 'token-classifier';
    if (name.endsWith('ForCausalLM') || name.endsWith('LMHeadModel')) return 'causal-lm';
  }
  throw invalid(path, 'architectures', 'a ...ForCausalLM or ...ForTokenClassification model');
}

/** Path, inside the folder, of the graph that scores. @throws SluiceError MODEL_INVALID when none is named */
export function scorerFile(manifest: ModelManifest): string {
  const graph = isRecord(manifest['graph']) ? manifest['graph'] : {};
  const scorer = isRecord(graph['scorer']) ? graph['scorer'] : {};
  const named = scorer['file'];
  const file =
    typeof named === 'string'
      ? named
      : ['scorer.onnx', 'model.onnx'].find((name) => name in manifest.files);
  if (file === undefined || !(file in manifest.files))
    throw new SluiceError('MODEL_INVALID', `Model ${manifest.name} names no scorer graph`);
  return file;
}

export interface FileCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly expected: string;
  /** SHA-256 of the file, or null when it is missing. */
  readonly found: string | null;
}

/** Compares every file of a model folder with its manifest. @throws SluiceError MODEL_INVALID without a manifest */
export async function verifyModel(
  folder: string,
): Promise<{ readonly ok: boolean; readonly files: readonly FileCheck[] }> {
  const manifest = readManifest(folder);
  const files: FileCheck[] = [];
  for (const [name, { sha256 }] of Object.entries(manifest.files)) {
    const found = await streamedDigest(join(folder, name));
    files.push({ name, ok: found === sha256, expected: sha256, found });
  }
  return { ok: files.every((file) => file.ok), files };
}

async function streamedDigest(path: string): Promise<string | null> {
  if (!existsSync(path)) return null;
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
