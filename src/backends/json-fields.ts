/** Careful reading of parsed JSON that came from elsewhere. */

export function field(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return Reflect.get(value, name);
}

export function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** A whole number of 0 or more, else null. */
export function wholeNumber(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/** Token ids, or null when one of them is none. */
export function tokenIds(value: unknown): Uint32Array | null {
  if (!Array.isArray(value)) return null;
  const ids = new Uint32Array(value.length);
  for (const [at, id] of value.entries()) {
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id > 0xffffffff) return null;
    ids[at] = id;
  }
  return ids;
}
