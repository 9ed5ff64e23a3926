/** Who may share cached KV with whom: fingerprints, tenants, salts and regimes as the root of every block chain. */
import { createHash, randomBytes } from 'node:crypto';
import { unshared } from './regime.ts';

/**
 * Everything that makes the cached KV of two servers interchangeable. null = not known, which is a value of its own:
 * it never equals a known one.
 */
export interface Fingerprint {
  /** Kind and major version of the server. */
  readonly backend: string;
  readonly model: string;
  readonly revision: string | null;
  readonly lora: string | null;
  /** Hash of tokenizer, chat template and template arguments. */
  readonly tokenizer: string | null;
  readonly kvDtype: string | null;
  /** Changes whenever the server recomputed its KV scales or reloaded its weights. */
  readonly kvEpoch: string | null;
  /** Position scheme with all of its parameters. */
  readonly position: string | null;
  /** Groups of layers and their windows. */
  readonly layout: string | null;
}

export interface DomainParts {
  readonly fingerprint: Fingerprint;
  readonly tenant: string;
  /** Salt of the tenant, also sent to servers that isolate by salt; null = none. */
  readonly salt: string | null;
  /** Regime of the position scheme at the request's total length (see regime.ts). */
  readonly regime: string;
}

/** Order of the hashed fields; a new field goes to the end. */
const fields = [
  'backend',
  'model',
  'revision',
  'lora',
  'tokenizer',
  'kvDtype',
  'kvEpoch',
  'position',
  'layout',
] as const satisfies readonly (keyof Fingerprint)[];

/**
 * 16 bytes that start a block chain: SHA-256 over the length-prefixed parts, cut to 128 bits. Chains of different
 * domains never meet, so KV of another model, tenant, salt or regime is never expected. In the regime `unshared` every
 * call gives another domain: nothing is reused, not even by the same text.
 */
export function domainOf(parts: DomainParts): Uint8Array {
  const { fingerprint } = parts;
  if (parts.regime === unshared) return new Uint8Array(randomBytes(16));
  const values = [...fields.map((name) => fingerprint[name]), parts.tenant, parts.salt];
  return digestOf([...values, parts.regime]);
}

/** One short label of a fingerprint, for comparing replicas and for reports. */
export function fingerprintLabel(fingerprint: Fingerprint): string {
  return Buffer.from(digestOf(fields.map((name) => fingerprint[name]))).toString('hex');
}

function digestOf(values: readonly (string | null)[]): Uint8Array {
  const hash = createHash('sha256');
  for (const value of values) {
    // A null is written without a length, so that it differs from every string.
    if (value === null) hash.update('-;');
    else hash.update(`${Buffer.byteLength(value)}:`).update(value);
  }
  return new Uint8Array(hash.digest().subarray(0, 16));
}
