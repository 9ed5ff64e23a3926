/** Units as their identity bytes, and decisions carried between those and the bytes of a request. */
import {
  endInMessage,
  identityBytes,
  identityCuts,
  offsetInIdentity,
  offsetInMessage,
  type Cut,
} from './markers.ts';
import type { MessageEdit, UnitDecision } from './types.ts';

interface IdentityMessage {
  readonly bytes: Uint8Array;
  readonly cuts: readonly Cut[];
}

/** The messages of one unit without what may change about them from turn to turn. */
export interface IdentityUnit {
  readonly messages: readonly IdentityMessage[];
}

export function identityUnit(messages: readonly Uint8Array[]): IdentityUnit {
  return {
    messages: messages.map((message) => {
      const cuts = identityCuts(message);
      return { bytes: identityBytes(message, cuts), cuts };
    }),
  };
}

/** A request's decision as it is stored. */
export function toIdentity(decision: UnitDecision, unit: IdentityUnit): UnitDecision {
  if (isPlain(unit)) return decision;
  return mapped(decision, (edit) => {
    const cuts = unit.messages[edit.message]?.cuts ?? [];
    return {
      ...edit,
      byteStart: offsetInIdentity(edit.byteStart, cuts),
      byteEnd: offsetInIdentity(edit.byteEnd, cuts),
    };
  });
}

/** A stored decision in the bytes of this request; null when it does not fit them, so that it is decided anew. */
export function fromIdentity(decision: UnitDecision, unit: IdentityUnit): UnitDecision | null {
  if (!decision.edits.every((edit) => fits(edit, unit))) return null;
  if (isPlain(unit)) return decision;
  return mapped(decision, (edit) => {
    const cuts = unit.messages[edit.message]?.cuts ?? [];
    return {
      ...edit,
      byteStart: offsetInMessage(edit.byteStart, cuts),
      byteEnd: endInMessage(edit.byteEnd, cuts),
    };
  });
}

function isPlain(unit: IdentityUnit): boolean {
  return unit.messages.every(({ cuts }) => cuts.length === 0);
}

function fits({ message, byteStart, byteEnd }: MessageEdit, unit: IdentityUnit): boolean {
  const length = unit.messages[message]?.bytes.byteLength ?? -1;
  return byteStart >= 0 && byteStart <= byteEnd && byteEnd <= length;
}

function mapped(decision: UnitDecision, map: (edit: MessageEdit) => MessageEdit): UnitDecision {
  return { ...decision, edits: decision.edits.map(map) };
}
