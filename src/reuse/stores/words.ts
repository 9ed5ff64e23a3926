/** Words that several stores use. */
import { hash } from 'node:crypto';

export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/** Names come from clients; only their hash is stored. */
export function labelOf(name: string | null): string | null {
  return name === null ? null : hash('sha256', name, 'base64url');
}
