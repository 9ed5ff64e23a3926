/**
 * The `sluice` fields of a body: `{"compress", "rate", "target_tokens", "method", "session"}` at the top level,
 * `{"kind", "policy", "rate"}` in a content part. A value that makes no sense is ignored and noted, never an error.
 */
import type { Policy, SpanKind } from '../core/span.ts';
import { spanKinds } from '../core/span.ts';
import type { Declaration, Found } from './found.ts';
import type { BodyWishes } from './types.ts';

export const noWishes: BodyWishes = {
  compress: null,
  rate: null,
  targetTokens: null,
  method: null,
  session: null,
};

const policies: readonly Policy[] = ['pinned', 'compressible', 'droppable'];

/** What a kind means when the caller declares no policy. */
const policyOfKind: Readonly<Record<SpanKind, Policy>> = {
  instruction: 'pinned',
  question: 'pinned',
  demonstration: 'droppable',
  document: 'compressible',
  history: 'pinned',
  'tool-call': 'pinned',
  'tool-result': 'compressible',
};

/** What a policy means when the caller declares no kind. */
const kindOfPolicy: Readonly<Record<Policy, SpanKind>> = {
  pinned: 'instruction',
  compressible: 'document',
  droppable: 'demonstration',
};

type Fields = Readonly<Record<string, unknown>>;

/** Passes the value at the cursor; its members when it is an object and wishes are obeyed, else null. */
function readFields(found: Found, pointer: string): Fields | null {
  const { cursor } = found;
  const isObject = cursor.isObject();
  const start = cursor.at;
  if (isObject)
    cursor.readObject(() => {
      cursor.passValue();
      return 'keep';
    });
  else cursor.passValue();
  if (!found.bodyWishes) return null;
  if (!isObject) {
    found.notes.push(`${pointer} is not an object; ignored`);
    return null;
  }
  const value: unknown = JSON.parse(cursor.bytes.toString('utf8', start, cursor.at));
  return isFields(value) ? value : null;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** One member, checked; null when it is missing, null or makes no sense (then it is noted). */
function pick<T>(
  fields: Fields,
  name: string,
  accepts: (value: unknown) => value is T,
  complain: (name: string) => void,
): T | null {
  const value = Object.hasOwn(fields, name) ? fields[name] : null;
  if (value === null) return null;
  if (accepts(value)) return value;
  complain(name);
  return null;
}

const isBoolean = (value: unknown): value is boolean => typeof value === 'boolean';
const isName = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isRate = (value: unknown): value is number =>
  typeof value === 'number' && value > 0 && value <= 1;
const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) > 0;
const isKind = (value: unknown): value is SpanKind => spanKinds.some((kind) => kind === value);
const isPolicy = (value: unknown): value is Policy => policies.some((policy) => policy === value);

/** Reads the top-level `sluice` value at the cursor. */
export function readWishes(found: Found): BodyWishes {
  const fields = readFields(found, '/sluice');
  if (fields === null) return noWishes;
  const complain = (name: string): void => {
    found.notes.push(`/sluice/${name} has a value that is not understood; ignored`);
  };
  return {
    compress: pick(fields, 'compress', isBoolean, complain),
    rate: pick(fields, 'rate', isRate, complain),
    targetTokens: pick(fields, 'target_tokens', isCount, complain),
    method: pick(fields, 'method', isName, complain),
    session: pick(fields, 'session', isName, complain),
  };
}

/**
 * Reads the `sluice` value of the content part at `pointer`. A rate alone declares a document: whoever names a
 * rate for a part asks for it to be compressed.
 */
export function readDeclaration(found: Found, pointer: string): Declaration | null {
  const fields = readFields(found, `${pointer}/sluice`);
  if (fields === null) return null;
  const complain = (name: string): void => {
    found.notes.push(`${pointer}/sluice/${name} has a value that is not understood; ignored`);
  };
  const kind = pick(fields, 'kind', isKind, complain);
  const policy = pick(fields, 'policy', isPolicy, complain);
  const rate = pick(fields, 'rate', isRate, complain);
  if (kind === null && policy === null && rate === null) return null;
  const declaredKind = kind ?? kindOfPolicy[policy ?? 'compressible'];
  return { kind: declaredKind, policy: policy ?? policyOfKind[declaredKind], rate };
}
