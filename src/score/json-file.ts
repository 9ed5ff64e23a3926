/** Reading of JSON files of model folders, key by key. */
import { readFileSync } from 'node:fs';
import { SluiceError } from '../core/errors.ts';

export type Json = Readonly<Record<string, unknown>>;

export const isRecord = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** @throws SluiceError MODEL_INVALID for a file that is missing or holds no JSON object */
export function readJson(path: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new SluiceError('MODEL_INVALID', `Cannot read ${path} as JSON`, { cause });
  }
  if (!isRecord(value)) throw new SluiceError('MODEL_INVALID', `${path} is not an object`);
  return value;
}

export const invalid = (path: string, key: string, want: string): SluiceError =>
  new SluiceError('MODEL_INVALID', `${path}: "${key}" must be ${want}`);

/** A token id or null. @throws SluiceError MODEL_INVALID */
export function idOf(json: Json, key: string, path: string): number | null {
  const value = json[key] ?? null;
  if (value === null) return null;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value;
  throw invalid(path, key, 'a token id or null');
}
