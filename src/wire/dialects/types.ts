/**
 * A dialect says which members of a body hold text and what role the text has. Everything else (validation,
 * decoding, detection, spans) is shared.
 */
import type { Found } from '../found.ts';
import type { DialectName } from '../types.ts';

export interface Dialect {
  readonly name: DialectName;
  readonly path: string;
  /** The top-level member that must be there. */
  readonly required: string;
  /** What `stream` means when the body does not say. */
  readonly streamByDefault: boolean;
  /**
   * Top-level members that are read; each function consumes the value at the cursor. Members that are not named
   * here are checked and skipped. `model`, `stream` and `sluice` are common to all dialects.
   */
  readonly members: Readonly<Record<string, (found: Found) => void>>;
}
