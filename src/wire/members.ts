/** Adding members to a request's top-level object without touching any other byte. */
import { JsonCursor, ScanStop } from './cursor.ts';

/**
 * The body with the given members in front of its first one; those whose key is there already are left as they are.
 * A body that is not a JSON object comes back as it is.
 */
export function addMembers(
  body: Uint8Array,
  members: Readonly<Record<string, string | number>>,
): Uint8Array {
  const wanted = Object.entries(members);
  if (wanted.length === 0) return body;
  const object = topLevel(body);
  if (object === null) return body;
  const missing = wanted.filter(([key]) => !object.keys.has(key));
  if (missing.length === 0) return body;
  const text = missing.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
  const added = Buffer.from(`${text.join(',')}${object.keys.size > 0 ? ',' : ''}`);
  const result = Buffer.allocUnsafeSlow(body.byteLength + added.byteLength);
  result.set(body.subarray(0, object.start), 0);
  result.set(added, object.start);
  result.set(body.subarray(object.start), object.start + added.byteLength);
  return result;
}

/** Keys of the body's object, and where its first member goes. */
function topLevel(
  body: Uint8Array,
): { readonly keys: ReadonlySet<string>; readonly start: number } | null {
  const cursor = new JsonCursor(body);
  if (!cursor.isObject()) return null;
  const start = cursor.at + 1;
  const keys = new Set<string>();
  try {
    cursor.readObject((key) => {
      keys.add(key);
      cursor.passValue();
      return 'keep';
    });
    cursor.expectEnd();
    return { keys, start };
  } catch (error) {
    if (error instanceof ScanStop) return null;
    throw error;
  }
}
