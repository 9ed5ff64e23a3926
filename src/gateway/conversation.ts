/** A request as a turn of a conversation: what lineage and plans need to know of its units. */
import type { SpanReport } from '../core/report.ts';
import type { TurnRequest, UnitDecision } from '../reuse/types.ts';
import type { ReadRequest } from '../wire/types.ts';
import { candidatesOf, type DecideSettings } from './decide.ts';
import type { Unit } from './plan.ts';
import type { PrepareInput } from './types.ts';

/** Bytes of text that count as one token where nothing is counted. */
const bytesPerToken = 4;

/** @param session as the client names it; other tenants' sessions of that name are others */
export function turnRequestOf(
  input: PrepareInput,
  request: ReadRequest,
  units: readonly Unit[],
  options: {
    readonly settings: DecideSettings;
    readonly session: string | undefined;
    readonly policy: string;
  },
): TurnRequest {
  const { tenant, body } = input;
  const { settings, session, policy } = options;
  const firstUser = units.findIndex(({ messages }) =>
    messages.some(({ role }) => role === 'user' || role === null),
  );
  return {
    scope: JSON.stringify([tenant, request.dialect, request.model, policy]),
    model: request.model,
    session: session === undefined ? null : JSON.stringify([tenant, session]),
    units: units.map(({ messages }) =>
      messages.map(({ byteStart, byteEnd }) => body.subarray(byteStart, byteEnd)),
    ),
    sizes: units.map((unit) => sizeOf(unit, settings)),
    leadingUnits: firstUser < 0 ? 0 : firstUser,
    maxNewTokens: request.maxTokens,
  };
}

/** Texts too short to be compressed count as fixed. */
function sizeOf(unit: Unit, settings: DecideSettings): TurnRequest['sizes'][number] {
  const candidates = new Set(candidatesOf(unit, settings));
  let compressible = 0;
  let fixed = 0;
  for (const span of unit.spans) {
    const tokens = Math.ceil((span.byteEnd - span.byteStart) / bytesPerToken);
    const worthIt = tokens >= settings.minTokens && candidates.has(span);
    if (worthIt) compressible += tokens;
    else fixed += tokens;
  }
  return { compressible, fixed };
}

/** Tokens of the forwarded text up to and including each unit; null from the first text on that was not counted. */
export function tokensThrough(decisions: readonly UnitDecision[]): readonly (number | null)[] {
  let total: number | null = 0;
  return decisions.map(({ spans }) => {
    for (const { tokensAfter } of spans) {
      total = total === null || tokensAfter === null ? null : total + tokensAfter;
    }
    return total;
  });
}

/** What the compressor read for this request and what it left of it. */
export function compressedTokens(spans: readonly SpanReport[]): {
  readonly before: number;
  readonly after: number;
} {
  let before = 0;
  let after = 0;
  for (const span of spans) {
    if (span.replayed || span.method === null) continue;
    before += span.tokensBefore ?? 0;
    after += span.tokensAfter ?? 0;
  }
  return { before, after };
}
