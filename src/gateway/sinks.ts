/** Conversations without their middle: which messages are left out of a request, and what stands there instead. */
import type { SpanReport } from '../core/report.ts';
import type { SinksReport } from '../core/window-words.ts';
import type { SinkTools, SinkUnit } from '../context/types.ts';
import type { Config } from '../config/types.ts';
import type { Turn, UnitDecision } from '../reuse/types.ts';
import { encodeJsonString } from '../wire/splice.ts';
import type { ReadRequest, Splice } from '../wire/types.ts';
import type { Unit } from './plan.ts';
import { perMessage } from './template-tokens.ts';

export interface SinkRules {
  readonly tools: SinkTools;
  readonly config: Config['sinks'];
  /** Context window of a model; null = not known, nothing is left out. */
  readonly windowOf: (model: string | null) => number | null;
}

/** What a cut makes of a request. */
export interface Sunk {
  /** Decisions as they are reported: what is left out has no edits and no tokens. */
  readonly decisions: readonly UnitDecision[];
  /** The removal and the marker, in this order in the body. */
  readonly splices: readonly Splice[];
  /** Texts that were left out, as edits, for counting. */
  readonly removed: readonly Splice[];
  readonly report: SinksReport;
  /** Tokens in front of what was left out. */
  readonly headTokens: number;
}

/** null = everything stays. */
export async function sinkRequest(
  facts: {
    readonly request: ReadRequest;
    readonly units: readonly Unit[];
    readonly decisions: readonly UnitDecision[];
    readonly countTokens: (text: string) => Promise<number>;
  },
  { tools, config, windowOf }: SinkRules,
): Promise<Sunk | null> {
  const { request, units, decisions, countTokens } = facts;
  const windowTokens = windowOf(request.model);
  if (!config.enabled || windowTokens === null || request.dialect !== 'openai-chat') return null;
  const sinkUnits: SinkUnit[] = [];
  for (const [at, unit] of units.entries()) {
    const tokens = await unitTokens(unit, decisions[at], countTokens);
    sinkUnits.push({ role: roleOf(unit), tokens });
  }
  const sample = tools.marker({ messages: 9999, tokens: windowTokens });
  const cut = tools.cut(sinkUnits, {
    windowTokens,
    start: config.start,
    keep: config.keep,
    firstTurns: config.first_turns,
    markerTokens: await countTokens(sample),
  });
  if (cut === null) return null;
  const gone = units.slice(cut.from, cut.to);
  const messages = gone.flatMap((unit) => unit.messages);
  const first = messages[0];
  const next = units[cut.to]?.messages[0];
  if (first === undefined || next === undefined) return null;
  const marker = tools.marker({ messages: messages.length, tokens: cut.tokens });
  const removal = { byteStart: first.byteStart, byteEnd: next.byteStart, bytes: noBytes };
  return {
    decisions: decisions.map((decision, at) =>
      at >= cut.from && at < cut.to ? leftOut(decision) : decision,
    ),
    splices: [removal, markerSplice(units[cut.to], marker)],
    removed: gone.flatMap(({ spans }) =>
      spans.map(({ byteStart, byteEnd }) => ({ byteStart, byteEnd, bytes: noBytes })),
    ),
    report: {
      turns: gone.filter((unit) => roleOf(unit) === 'user').length,
      messages: messages.length,
      tokens: cut.tokens,
      from: first.index,
      to: next.index,
      cuts: cut.cuts,
      fresh: cut.madeAt === units.length - 1,
    },
    headTokens: sinkUnits.slice(0, cut.from).reduce((sum, { tokens }) => sum + tokens, 0),
  };
}

const noBytes = new Uint8Array(0);

async function unitTokens(
  { spans, messages }: Unit,
  decision: UnitDecision | undefined,
  countTokens: (text: string) => Promise<number>,
): Promise<number> {
  let tokens = perMessage * messages.length;
  for (const [at, { text }] of spans.entries()) {
    // Counted also where there is too much text for a report: where a cut lies must not depend on that.
    tokens += decision?.spans[at]?.tokensAfter ?? (await countTokens(text));
  }
  return tokens;
}

function roleOf({ messages }: Unit): SinkUnit['role'] {
  const role = messages[0]?.role;
  if (role === 'user' || role === 'assistant') return role;
  return role === 'tool' || role === 'function' ? 'tool' : 'other';
}

function leftOut({ spans }: UnitDecision): UnitDecision {
  const gone = spans.map((span): SpanReport => ({
    ...span,
    method: null,
    tokensAfter: 0,
    skipped: 'turn-left-out',
    original: null,
  }));
  return { edits: [], spans: gone };
}

/** In front of the first kept message's own words, so that roles still alternate; else as a message of its own. */
function markerSplice(unit: Unit | undefined, marker: string): Splice {
  const message = unit?.messages[0];
  const span = unit?.spans.find(({ messageIndex }) => messageIndex === message?.index);
  if (message?.role === 'user' && span !== undefined) {
    const { byteStart } = span;
    return { byteStart, byteEnd: byteStart, bytes: encodeJsonString(`${marker}\n\n`) };
  }
  const byteStart = message?.byteStart ?? 0;
  const bytes = Buffer.from(`${JSON.stringify({ role: 'user', content: marker })},`);
  return { byteStart, byteEnd: byteStart, bytes };
}

/** Splices of what is kept, without those inside what is removed, with the removal and the marker. */
export function withSinks(splices: readonly Splice[], sunk: Sunk | null): readonly Splice[] {
  const removal = sunk?.splices[0];
  if (sunk === null || removal === undefined) return splices;
  const { byteStart, byteEnd } = removal;
  const outside = splices.filter(
    (splice) => splice.byteEnd <= byteStart || splice.byteStart >= byteEnd,
  );
  return [...sunk.splices, ...outside].sort((a, b) => a.byteStart - b.byteStart);
}

/**
 * The turn as it is after a cut: another epoch, and of the prompt before a fresh cut only the head can be in a cache.
 * What the text that is left out would have cost is no saving of the compressor's.
 */
export function sunkTurn(turn: Turn, { report, headTokens }: Sunk): Turn {
  const { fresh, cuts, tokens } = report;
  const rewritten = { mode: 'rewrite', rewrite: true, rewriteReason: 'limit' } as const;
  const known = turn.reusableTokens;
  return {
    plan: { ...turn.plan, epoch: turn.plan.epoch + cuts, ...(fresh ? rewritten : {}) },
    planOf: (unit) => turn.planOf(unit),
    regime: turn.regime,
    previous: turn.previous,
    reusableTokens: fresh && known !== null ? Math.min(known, headTokens) : known,
    uncacheable: turn.uncacheable,
    known: (unit) => turn.known(unit),
    decided: (unit, decision) => turn.decided(unit, decision),
    forwarded: (facts) => turn.forwarded(facts),
    settled(facts) {
      const saved = facts.savedTokens === null ? null : Math.max(0, facts.savedTokens - tokens);
      const miss = turn.settled({ ...facts, savedTokens: fresh ? null : saved });
      return fresh && known !== null && known > headTokens ? 'rewritten' : miss;
    },
  };
}
