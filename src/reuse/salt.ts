/** Cache salts of tenants: prompts with different salts never share cached KV, on servers that read them. */
import { createHmac, randomBytes } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BackendKind } from '../core/backend-kind.ts';

/** Kinds of server that read `cache_salt`. */
export const saltedKinds: readonly BackendKind[] = ['vllm', 'sglang'];

/** 32 hex digits that nobody can guess without the secret: HMAC-SHA-256 of the tenant, cut to 128 bits. */
export function tenantSalt(secret: string, tenant: string): string {
  return createHmac('sha256', secret).update(tenant).digest('hex').slice(0, 32);
}

/**
 * The secret that is kept in a folder, made there when it is missing (the file is readable by its owner alone).
 * Processes that share servers share the secret too, or they do not find each other's cached prompts.
 */
export function secretIn(folder: string): string {
  const file = join(folder, 'salt-secret');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (!existsSync(file)) {
    const whole = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
    writeFileSync(whole, randomBytes(32).toString('hex'), { mode: 0o600 });
    try {
      // Two processes that start at once end with one secret, and nobody reads half of one.
      linkSync(whole, file);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    } finally {
      rmSync(whole);
    }
  }
  return readFileSync(file, 'utf8').trim();
}

/**
 * Value of a top-level field of a JSON body, without reading the body when the name does not occur in it; null =
 * there is none.
 */
export function fieldOf(body: Uint8Array, name: string): unknown {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  if (!bytes.includes(`"${name}"`)) return null;
  try {
    const parsed: unknown = JSON.parse(bytes.toString());
    if (typeof parsed !== 'object' || parsed === null) return null;
    return new Map(Object.entries(parsed)).get(name) ?? null;
  } catch {
    return null;
  }
}
