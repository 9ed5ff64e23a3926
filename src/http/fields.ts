/** Reading of JSON request bodies on Sluice's own routes: every refusal names the field and what was found. */
import { SluiceError } from '../core/errors.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @throws SluiceError REQUEST_INVALID when the bytes are no JSON object */
export function parseObject(body: Uint8Array): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch (error) {
    const message = `The body (${body.byteLength} bytes) is not JSON in UTF-8`;
    throw new SluiceError('REQUEST_INVALID', message, { cause: error });
  }
  if (!isObject(value)) {
    throw new SluiceError('REQUEST_INVALID', `The body is ${nameOf(value)}, not an object`);
  }
  return value;
}

/** Refuses fields that are not in `known`: a misspelt option must not be ignored. */
export function refuseUnknown(body: JsonObject, known: readonly string[], where: string): void {
  for (const name of Object.keys(body)) {
    if (known.includes(name)) continue;
    const message = `Unknown field '${name.slice(0, 64)}' in ${where}; known are ${known.join(', ')}`;
    throw new SluiceError('REQUEST_INVALID', message);
  }
}

export function optionalString(body: JsonObject, name: string): string | undefined {
  const value = body[name];
  if (value === undefined || value === null || typeof value === 'string') return value ?? undefined;
  throw wrong(name, 'a string', value);
}

export function optionalBoolean(body: JsonObject, name: string): boolean | undefined {
  const value = body[name];
  if (value === undefined || value === null || typeof value === 'boolean')
    return value ?? undefined;
  throw wrong(name, 'a boolean', value);
}

export function optionalObject(body: JsonObject, name: string): JsonObject | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (isObject(value)) return value;
  throw wrong(name, 'an object', value);
}

/** A keep rate: above 0, at most 1. */
export function optionalRate(body: JsonObject, name: string): number | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number' && value > 0 && value <= 1) return value;
  throw wrong(name, 'a number above 0 and up to 1', value);
}

export function optionalCount(body: JsonObject, name: string): number | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value > 0) return value;
  throw wrong(name, 'a positive integer', value);
}

export function optionalChoice<T extends string>(
  body: JsonObject,
  name: string,
  choices: readonly T[],
): T | undefined {
  const value = optionalString(body, name);
  if (value === undefined) return undefined;
  const known = choices.find((choice) => choice === value);
  if (known !== undefined) return known;
  throw wrong(name, `one of ${choices.join(', ')}`, value);
}

export function wrong(name: string, expected: string, found: unknown): SluiceError {
  return new SluiceError('REQUEST_INVALID', `Field '${name}' is ${nameOf(found)}, not ${expected}`);
}

/** The kind of a value, and the value itself where it is a number or a boolean: never text from a body. */
function nameOf(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return typeof value === 'string' ? `a string of ${value.length} characters` : 'an object';
}

/** Plain data with its camelCase keys in snake_case, as every JSON body of this server has them. */
export function snakeCase(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeCase);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      snakeCase(inner),
    ]),
  );
}
