/** The rows of the validity table in one list. */
import { exact, invalid, never } from './validity-cells.ts';
import { parallel, states, windows } from './validity-mixing.ts';
import { otherPositions, rotary } from './validity-positions.ts';
import type { ValidityRow } from './validity.ts';

/** Nothing is known of the scheme: byte-equal prefixes only, learned from reported hits. */
const opaque: ValidityRow = {
  id: 'opaque',
  title: 'Hosted or unknown',
  cells: {
    append: exact,
    cross: never,
    move: invalid,
    rescale: invalid,
    evict: invalid,
    rollback: exact,
  },
  executed: false,
  note: 'A provider answers for its own cache; only equal prefixes above its minimum are ever counted on.',
};

/** All rows, in the order of the documentation. */
export const validityTable: readonly ValidityRow[] = [
  ...rotary,
  ...otherPositions,
  ...windows,
  ...states,
  ...parallel,
  opaque,
];
