/** Tells a router behind the proxy which conversation a request belongs to. */
import { createHash } from 'node:crypto';
import type { RawHeaders } from './headers.ts';

/**
 * The field to add, or none when the client has set it itself. The value is opaque: equal for equal tenant and session,
 * 32 hex digits of SHA-256.
 */
export function affinityField(
  name: string,
  conversation: { readonly tenant: string; readonly session: string },
  headers: RawHeaders,
): RawHeaders {
  const lower = name.toLowerCase();
  const given = headers.some((field, at) => at % 2 === 0 && field.toLowerCase() === lower);
  if (given) return [];
  const { tenant, session } = conversation;
  const digest = createHash('sha256')
    .update(JSON.stringify([tenant, session]))
    .digest('hex');
  return [name, digest.slice(0, 32)];
}
