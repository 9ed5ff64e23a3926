/** `manifest.json` of a model folder: what is in it, and whether the files are the ones it names. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { SluiceError } from '../core/errors.ts';
import { deriveManifest } from './derive-manifest.ts';
import { idOf, invalid, isRecord, type Json, readJson } from './json-file.ts';
import type { ModelManifest } from './types.ts';

const kinds = [
  'causal-lm',
  'token-classifier',
  'sentence-encoder',
  'cross-encoder',
  'token-table',
] as const;

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

function stringOf(json: Json, key: string, path: string): string {
  const value = json[key];
  if (typeof value !== 'string' || value === '') throw invalid(path, key, 'a non-empty string');
  return value;
}

/**
 * Reads and checks `manifest.json`. A folder without one is taken as an imported Hugging Face model, and its
 * manifest is derived.
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

/**
 * Path, inside the folder, of the graph that scores: the file of `graph.scorer` or `graph.encoder`, else `scorer.onnx`
 * or `model.onnx`.
 * @throws SluiceError MODEL_INVALID when none is named
 */
export function scorerFile(manifest: ModelManifest): string {
  const graph = isRecord(manifest['graph']) ? manifest['graph'] : {};
  const named = ['scorer', 'encoder'].map((name) => {
    const entry = graph[name];
    return isRecord(entry) ? entry['file'] : undefined;
  });
  const file =
    named.find((name) => typeof name === 'string') ??
    ['scorer.onnx', 'model.onnx'].find((name) => name in manifest.files);
  if (typeof file !== 'string' || !(file in manifest.files))
    throw new SluiceError('MODEL_INVALID', `Model ${manifest.name} names no scorer graph`);
  return file;
}

/** Name, version and the first 12 hex digits of the file that decides; part of every decision's key. */
export function modelId(manifest: ModelManifest, file: string): string {
  const hash = manifest.files[file]?.sha256.slice(0, 12) ?? '';
  return `${manifest.name}@${manifest.version}:${hash}`;
}

/** Length of a sentence encoder's vectors. @throws SluiceError MODEL_INVALID when it is not stated */
export function dimensionOf(folder: string, manifest: ModelManifest): number {
  const { dimension } = manifest;
  if (typeof dimension === 'number' && Number.isInteger(dimension) && dimension > 0)
    return dimension;
  throw invalid(folder, 'dimension', 'the length of its vectors');
}

/** Sequences that may share a forward pass; 1 unless the manifest says that rows do not depend on each other. */
export function maxBatchOf(manifest: ModelManifest): number {
  const { max_batch: batch } = manifest;
  return typeof batch === 'number' && Number.isInteger(batch) && batch > 1 ? batch : 1;
}

/** How hidden states become a vector, for graphs that give hidden states. */
export function poolingOf(manifest: ModelManifest): 'mean' | 'first' {
  return manifest['pooling'] === 'first' ? 'first' : 'mean';
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
