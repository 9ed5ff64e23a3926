/** Hash chain over the original messages of a conversation. */
import { createHash } from 'node:crypto';

/**
 * Key of unit i = SHA-256(key of unit i-1, count and length-prefixed raw bytes of its messages); the chain starts
 * with the scope. Lengths are part of the hash, so that moving a byte over a message border changes the key.
 */
export function lineageKeys(
  scope: string,
  units: readonly (readonly Uint8Array[])[],
): readonly string[] {
  let previous = createHash('sha256').update(scope).digest();
  return units.map((messages) => {
    const hash = createHash('sha256').update(previous);
    for (const bytes of messages) hash.update(`${bytes.byteLength}:`).update(bytes);
    previous = hash.digest();
    return previous.toString('base64url');
  });
}
