/** One pass over a body: read, plan, decide or replay, splice. Whatever fails on the way fails open. */
import { createHash, randomUUID } from 'node:crypto';
import { boundedCache, type BoundedCache } from '../core/bounded-cache.ts';
import type { Clock } from '../core/clock.ts';
import { SluiceError } from '../core/errors.ts';
import type { KeepMask } from '../core/mask.ts';
import type { RequestReport, SkipReason } from '../core/report.ts';
import type { Steps } from '../core/steps.ts';
import type { Survivors } from '../compress/types.ts';
import type { Config } from '../config/types.ts';
import { defectFields } from '../observe/defect.ts';
import type { Observer } from '../observe/types.ts';
import type { Reuse, Turn } from '../reuse/types.ts';
import type { TextTokenizer } from '../tokenize/types.ts';
import type { Changed } from '../wire/carry.ts';
import { dialectOf } from '../wire/dialect.ts';
import { mentionsSluice, readRequest } from '../wire/read.ts';
import { applySplices } from '../wire/splice.ts';
import type { ReadRequest } from '../wire/types.ts';
import { countableOf, type Countable } from './count-reports.ts';
import { compressedTokens } from './conversation.ts';
import { decideRequest, type DecidedRequest, type DecideRequestDeps } from './decide-request.ts';
import { reasonOf } from './decide.ts';
import type { FitRules } from './fit.ts';
import { countSkips, decisionOf, openReport } from './report.ts';
import { withSinks, type SinkRules } from './sinks.ts';
import { combineWishes, settingsFor, type CompressorSource } from './settings.ts';
import type { PrepareInput } from './types.ts';

/** What one pass over a body produced. */
export interface Pass {
  readonly body: Uint8Array;
  readonly report: RequestReport;
  readonly masks: ReadonlyMap<number, KeepMask>;
  readonly request: ReadRequest | null;
  /** The same with what was changed in it; null = it was not read, or whole messages are gone. */
  readonly changed: Changed | null;
  /** Null = its numbers are final, or there are none. */
  readonly countable: Countable | null;
  /** The conversation that the request is part of; null = nothing is remembered of it. */
  readonly turn: Turn | null;
  /** What the client calls it, scoped to its tenant; null = nothing. */
  readonly session: string | null;
  /** Tokens of the forwarded text up to and including each unit. */
  readonly tokens: readonly (number | null)[];
  /** What the compressor read for it, and what it left. */
  readonly compressed: { readonly before: number; readonly after: number };
}

export interface PassDeps {
  readonly config: Config;
  readonly survivors: Survivors;
  readonly tokenizer: TextTokenizer;
  readonly compressors: CompressorSource;
  readonly reuse: Reuse;
  /** Label of everything that decides how a text is shortened. */
  readonly policy: string;
  /** Asked for every request: the context window may be found out late. null = no turn is ever left out. */
  readonly sinkRules: () => SinkRules | null;
  readonly fit: FitRules;
  readonly observer: Observer;
  readonly clock: Clock;
  /** Name of the backend, for reports. */
  readonly backendName: string;
  /** Originals behind `/v1/retrieve`, by tenant and hash. */
  readonly originals: BoundedCache<string>;
}

export interface Passes {
  /** @throws SluiceError when the caller is gone, or when failing closed */
  run(input: PrepareInput, options: { readonly replay: boolean }): Promise<Pass>;
  /** The pass of a request whose own failed with `error` before anything was decided. */
  failed(input: PrepareInput, error: unknown): Pass;
  /** The report of a request that is not looked at. */
  bypassed(input: { path: string; tenant: string }, reason: SkipReason): RequestReport;
  /** The reason under which the original goes out. @throws SluiceError when it must not: caller gone, failing closed */
  mayFailOpen(error: unknown): SkipReason;
}

export function createPasses(deps: PassDeps): Passes {
  return new BodyPasses(deps);
}

class BodyPasses implements Passes {
  readonly #deps: PassDeps;
  readonly #counts = boundedCache<number>({ maxEntries: 20_000 });

  constructor(deps: PassDeps) {
    this.#deps = deps;
  }

  async run(input: PrepareInput, options: { readonly replay: boolean }): Promise<Pass> {
    const { config, clock, survivors } = this.#deps;
    const started = clock.monotonic();
    const off = switchedOff(config, input);
    if (off !== null && !mentionsSluice(input.body)) return this.#untouched(input, off);
    const read = readRequest(input.body, input.path, {
      contentEncoding: input.contentEncoding,
      inspectBytes: config.limits.inspect_bytes,
      bodyWishes: config.compress.body_wishes,
    });
    if (!read.ok) return this.#untouched(input, off ?? read.reason, read.detail);
    const { request } = read;
    const wishes = combineWishes(input.wishes, request.wishes);
    if (off !== null || wishes.compress === false) {
      const body = applySplices(input.body, request.removals);
      const changed = { request, splices: request.removals, byteLength: body.byteLength };
      return { ...this.#untouched(input, off ?? 'off-by-client'), body, changed };
    }
    const readMs = clock.monotonic() - started;
    const decided = await decideRequest(
      input,
      request,
      {
        settings: settingsFor(config, survivors, wishes),
        session: wishes.session,
        replay: options.replay,
      },
      this.#decideDeps(input.tenant),
    );
    const compressMs = clock.monotonic() - started - readMs;
    return this.#assemble(input, request, decided, { readMs, compressMs });
  }

  failed(input: PrepareInput, error: unknown): Pass {
    const report = { ...this.bypassed(input, reasonOf(error)), decision: 'failed-open' as const };
    return passOf({ body: input.body, report });
  }

  bypassed(input: { path: string; tenant: string }, reason: SkipReason): RequestReport {
    return openReport({
      id: randomUUID(),
      startedAt: this.#deps.clock.now(),
      tenant: input.tenant,
      dialect: dialectOf(input.path),
      backend: this.#deps.backendName,
      decision: 'bypassed',
      spans: null,
      skipped: { [reason]: 1 },
      tokenizer: null,
      estimated: false,
      readMs: null,
      compressMs: null,
    });
  }

  mayFailOpen(error: unknown): SkipReason {
    const reason = reasonOf(error);
    const closed = this.#deps.config.compress.on_failure === 'closed';
    if (reason !== 'client-gone' && !closed) {
      this.#report(error, 'a request is forwarded as it came');
      return reason;
    }
    if (SluiceError.isInstance(error)) throw error;
    throw new SluiceError('INTERNAL', 'The request could not be compressed', { cause: error });
  }

  #assemble(
    input: PrepareInput,
    request: ReadRequest,
    decided: DecidedRequest,
    timings: { readonly readMs: number; readonly compressMs: number },
  ): Pass {
    const { tokenizer, clock, backendName } = this.#deps;
    const { spans, failure, turn, session, tokens, masks, sunk, fit } = decided;
    const edits = [...decided.splices, ...request.removals].sort(
      (a, b) => a.byteStart - b.byteStart,
    );
    const splices = withSinks(edits, sunk);
    const report = openReport({
      id: randomUUID(),
      startedAt: clock.now(),
      tenant: input.tenant,
      dialect: request.dialect,
      backend: backendName,
      decision: spans === null ? 'failed-open' : decisionOf(spans, sunk?.report ?? null),
      spans,
      skipped: failure === null ? countSkips(spans ?? []) : { [failure]: 1 },
      tokenizer: tokenizer.id,
      estimated: tokenizer.estimated,
      fit,
      ...timings,
    });
    const body = applySplices(input.body, splices);
    return {
      body,
      report: sunk === null ? report : { ...report, sinks: sunk.report },
      masks,
      request,
      changed: sunk === null ? { request, splices, byteLength: body.byteLength } : null,
      countable:
        spans === null
          ? null
          : countableOf(request, [...decided.splices, ...(sunk?.removed ?? [])]),
      turn,
      session,
      tokens,
      compressed: compressedTokens(spans ?? []),
    };
  }

  /** Logs a failure without its message: parsers quote their input there. */
  #report(error: unknown, message: string): void {
    this.#deps.observer.log.error(defectFields(error), message);
  }

  #decideDeps(tenant: string): DecideRequestDeps {
    const { config, reuse, policy, compressors, originals } = this.#deps;
    return {
      reuse,
      policy,
      sinks: this.#deps.sinkRules(),
      fit: this.#deps.fit,
      deadlineMs: config.limits.compress_ms,
      maxCountedChars: config.limits.compress_chars,
      mayFailOpen: (error) => this.mayFailOpen(error),
      compressor: (method) => compressors(method),
      countSteps: (text) => this.#count(text),
      keepOriginal: (text) => {
        const hash = createHash('sha256').update(text).digest('hex').slice(0, 24);
        originals.set(`${tenant}\n${hash}`, text);
        return hash;
      },
      onFailure: (error) => this.#report(error, 'a stage of a request failed'),
    };
  }

  *#count(text: string): Steps<number> {
    const { tokenizer } = this.#deps;
    // Short texts cost less to count than to hash.
    if (text.length < 256) return tokenizer.count(text);
    const key = createHash('sha1').update(text).digest('base64');
    const known = this.#counts.get(key);
    if (known !== undefined) return known;
    yield;
    const count =
      tokenizer.countSteps === undefined
        ? tokenizer.count(text)
        : yield* tokenizer.countSteps(text);
    this.#counts.set(key, count);
    return count;
  }

  #untouched(input: PrepareInput, reason: SkipReason, detail?: string): Pass {
    if (detail !== undefined) this.#deps.observer.log.debug({ reason, detail }, 'body not read');
    return passOf({ body: input.body, report: this.bypassed(input, reason) });
  }
}

/** A pass that decided nothing. */
function passOf(facts: Pick<Pass, 'body' | 'report'>): Pass {
  return {
    ...facts,
    masks: new Map(),
    request: null,
    changed: null,
    countable: null,
    turn: null,
    session: null,
    tokens: [],
    compressed: { before: 0, after: 0 },
  };
}

function switchedOff(config: Config, input: PrepareInput): SkipReason | null {
  if (!config.compress.enabled) return 'off-by-config';
  return input.wishes.compress === false ? 'off-by-client' : null;
}
