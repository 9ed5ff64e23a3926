/** Requests that do not fit the model are read in windows: a backend in front of the backend. */
import { boundedCache, type BoundedCache } from '../../core/bounded-cache.ts';
import type { Clock } from '../../core/clock.ts';
import { SluiceError } from '../../core/errors.ts';
import type { RequestReport, SkipReason } from '../../core/report.ts';
import type { WindowCause, WindowsReport, WindowStrategy } from '../../core/window-words.ts';
import type { Backend, BackendCapabilities, LengthRefusal } from '../../backends/types.ts';
import type { WindowTools } from '../../context/windows/types.ts';
import type { Config } from '../../config/types.ts';
import { defectFields } from '../../observe/defect.ts';
import type { Observer } from '../../observe/types.ts';
import type { TextTokenizer } from '../../tokenize/types.ts';
import type { Pass } from '../pass.ts';
import { contextWindowOf } from '../context-window.ts';
import { responseHeaders } from '../report.ts';
import type { Reports } from '../reports.ts';
import { createServerScale, uncountedScale, type ServerScale } from '../server-scale.ts';
import type { PrepareInput, Prepared, Wishes } from '../types.ts';
import type { FlightPlan } from './flight.ts';
import { layoutFor } from './layout.ts';
import type { WindowRequest } from './request.ts';
import { WindowedBackend, type Facts, type WindowKeeper } from './windowed.ts';

/** Texts that were read in windows and are remembered, by hash. */
const maxSeen = 10_000;
/** Time for asking a server how many tokens a text has, milliseconds. */
const countMs = 2000;
/**
 * A small vocabulary counts up to so many times the tokens of a large one: asking a server that refuses what is too
 * long costs nothing. Others may cut silently; for those that do a text counts as long as it may be, which is what it is
 * made to fit by.
 */
const doubtIfItRefuses = 2;
const doubtIfItCuts = 1 / uncountedScale;
const doubtElse = 1.3;
/** Prose has about four bytes in a token. */
const mostTokenBytes = 12;

export interface WindowsDeps {
  readonly config: Config['windows'];
  /** Splitting longer texts would hold up everybody else. */
  readonly maxChars: number;
  readonly tools: WindowTools;
  readonly tokenizer: TextTokenizer;
  readonly reports: Reports;
  readonly observer: Observer;
  readonly clock: Clock;
  /** A request is answered from windows: what was believed of its prompt does not hold. */
  readonly onWindows: (id: string) => void;
}

export interface Windows {
  /** The same, behind a backend that reads in windows what would not fit. */
  wrap(input: PrepareInput, pass: Pass, prepared: Prepared): Prepared;
}

export function createWindows(deps: WindowsDeps): Windows {
  const service = new WindowService(deps);
  return { wrap: (input, pass, prepared) => service.wrap(input, pass, prepared) };
}

class WindowService implements WindowKeeper {
  readonly #deps: WindowsDeps;
  readonly seen: BoundedCache<true> = boundedCache<true>({ maxEntries: maxSeen });
  /** What is known of how each backend counts. */
  readonly #scales = new WeakMap<Backend, ServerScale>();

  constructor(deps: WindowsDeps) {
    this.#deps = deps;
  }

  wrap(input: PrepareInput, pass: Pass, prepared: Prepared): Prepared {
    const { config } = this.#deps;
    const wish = input.wishes.windows;
    const wanted = typeof wish === 'number' ? Math.min(wish, config.max_windows) : null;
    switch (allowed({ mode: config.mode, wish, pass })) {
      case 'no':
        return prepared;
      case 'off':
        this.skip(prepared.id, 'windows-off');
        return this.#late(prepared);
      case 'unfit':
        this.skip(prepared.id, 'windows-unfit');
        return this.#late(prepared);
      case 'yes':
        return this.#behind(prepared, {
          id: prepared.id,
          path: input.path,
          tenant: input.tenant,
          cause: wanted === null ? this.#causeOf(pass, prepared) : 'asked',
          wanted,
          strategy: input.wishes.windowStrategy ?? null,
          changed: pass.changed,
        });
    }
  }

  #limitOf(backend: Backend, model: string | null): number | null {
    return contextWindowOf(backend, model, this.#deps.config.limit_tokens);
  }

  skip(id: string, reason: SkipReason, count = 1): void {
    this.#deps.reports.amend(id, (report) => skipping(report, reason, count));
  }

  noted(id: string, windows: WindowsReport): void {
    this.#deps.onWindows(id);
    this.#deps.reports.amend(id, (report) => withWindows(report, windows));
  }

  fellBack(id: string, error: unknown): void {
    const unfit = SluiceError.isInstance(error) && error.code === 'WINDOW_TOO_SMALL';
    this.skip(id, unfit ? 'windows-unfit' : 'window-failed');
    this.#deps.observer.log.warn(defectFields(error), 'a request could not be read in windows');
  }

  splits({ materials, frame }: WindowRequest): boolean {
    let chars = 0;
    for (const { text } of materials) chars += text.length;
    for (const text of frame) chars += text.length;
    return chars <= this.#deps.maxChars;
  }

  unfit(id: string, why: string): void {
    this.skip(id, 'windows-unfit');
    this.#deps.observer.log.debug({ why }, 'a request cannot be read in windows');
  }

  /** What a flight needs; asks the server how it counts. */
  async plan(
    facts: Facts & { readonly cause: WindowCause },
    request: WindowRequest,
    refused: { readonly backend: Backend; readonly refusal: LengthRefusal | null },
  ): Promise<FlightPlan> {
    const { config, tools, tokenizer, clock } = this.#deps;
    const { backend, refusal } = refused;
    const { strategy, notes } = this.#strategy(facts, request);
    const count = (text: string): number => tokenizer.count(text);
    const all = [...request.frame, ...request.materials.map(({ text }) => text)];
    const scaleOf = this.#scaleOf(backend);
    const { model } = request;
    const scale = await scaleOf(all, { count, model, told: refusal?.prompt ?? null });
    const total = Math.ceil(all.reduce((sum, text) => sum + count(text), 0) * scale);
    const known = this.#limitOf(backend, model) ?? Infinity;
    const limit = Math.min(known, refusal === null ? known : (refusal.limit ?? total * 0.75));
    const layout = layoutFor(request, {
      configured: config.layout,
      strategy,
      tenant: facts.tenant,
      seen: this.seen,
      count,
    });
    const fixed = { config, tools, count, strategy, layout, wanted: facts.wanted };
    return {
      request,
      cause: facts.cause,
      strategy,
      scale,
      // On demand, where nobody knows a limit, nothing limits a window but its share.
      limit: Number.isFinite(limit) ? Math.floor(limit) : total + 4096,
      rulesFor: (learned) => ({ ...fixed, ...learned }),
      notes,
      now: () => clock.now(),
    };
  }

  #scaleOf(backend: Backend): ServerScale {
    const { tokenizer } = this.#deps;
    const scale =
      this.#scales.get(backend) ?? createServerScale({ tokenizer, backend, waitMs: countMs });
    this.#scales.set(backend, scale);
    return scale;
  }

  #strategy(
    facts: Facts,
    request: WindowRequest,
  ): { readonly strategy: WindowStrategy; readonly notes: readonly string[] } {
    const configured = this.#deps.config.strategy;
    const usual = request.chat && !request.more ? 'reduce' : 'select';
    const wanted = facts.strategy ?? (configured === 'auto' ? usual : configured);
    // A chat cannot be asked to go on with an answer that it has begun.
    if (wanted === 'nbce' && request.chat) {
      return { strategy: usual, notes: ['nbce-needs-completions'] };
    }
    // Records are made and answered without the conversation around the documents.
    if (wanted === 'reduce' && request.more) {
      return { strategy: 'select', notes: ['reduce-would-lose-messages'] };
    }
    return { strategy: wanted, notes: [] };
  }

  /** Surely too long. Where another tokenizer counts, the server is asked first, and its refusal starts windows. */
  #causeOf(pass: Pass, { backend, body }: Prepared): 'too-long' | null {
    const limit = this.#limitOf(backend, pass.request?.model ?? null);
    if (limit === null) return null;
    const doubt = this.#deps.tokenizer.estimated ? doubtAbout(backend.capabilities) : 1;
    // Where there was too much text to count, it is at least a token for so many bytes.
    const tokens = pass.report.tokensAfter ?? body.byteLength / mostTokenBytes;
    return tokens > limit * doubt ? 'too-long' : null;
  }

  #behind(prepared: Prepared, facts: Facts): Prepared {
    const late = this.#late(prepared);
    const { progress } = prepared;
    return {
      ...late,
      backend: new WindowedBackend(prepared.backend, this, facts),
      progress: {
        headers: () => late.progress?.headers() ?? prepared.responseHeaders,
        answering: () => progress?.answering(),
        elsewhere: () => {
          const next = progress?.elsewhere() ?? null;
          return next === null ? null : this.#behind(next, facts);
        },
      },
    };
  }

  /** With response headers as the report is when they are sent. */
  #late(prepared: Prepared): Prepared {
    const { progress, id, responseHeaders: early } = prepared;
    const headers = (): readonly string[] => {
      const first = progress?.headers() ?? early;
      const report = this.#deps.reports.get(id);
      return report === null ? first : responseHeaders(report);
    };
    return {
      ...prepared,
      progress: {
        headers,
        answering: () => progress?.answering(),
        elsewhere: () => progress?.elsewhere() ?? null,
      },
    };
  }
}

function doubtAbout({ refusesLength }: BackendCapabilities): number {
  if (refusesLength === null) return doubtElse;
  return refusesLength ? doubtIfItRefuses : doubtIfItCuts;
}

function allowed(facts: {
  readonly mode: Config['windows']['mode'];
  readonly wish: Wishes['windows'];
  readonly pass: Pass;
}): 'yes' | 'no' | 'off' | 'unfit' {
  const { mode, wish, pass } = facts;
  const asked = wish !== undefined && wish !== 'off';
  if (mode === 'off') return asked ? 'off' : 'no';
  // Who switches compressing off wants his bytes to pass, unless he asks for windows.
  if (wish === 'off' || (!asked && (mode === 'asked' || pass.request === null))) return 'no';
  const documents = pass.request?.spans.some(
    ({ kind, policy }) => kind === 'document' && policy === 'compressible',
  );
  if (documents !== false) return 'yes';
  return typeof wish === 'number' ? 'unfit' : 'no';
}

function skipping(report: RequestReport, reason: SkipReason, count: number): RequestReport {
  if (count === 0) return report;
  const skipped = { ...report.skipped, [reason]: (report.skipped[reason] ?? 0) + count };
  return { ...report, skipped };
}

/** NBCE reports twice: what was left out is counted once. */
function withWindows(report: RequestReport, windows: WindowsReport): RequestReport {
  const first = report.windows === null;
  const known = { ...report, windows, epoch: null, plannedReuse: null, reuse: null };
  if (!first) return known;
  const many = (state: string): number =>
    windows.windows.filter((window) => window.state === state).length;
  const left = skipping(known, 'window-left-out', many('left-out'));
  return skipping(left, 'window-failed', many('failed'));
}
