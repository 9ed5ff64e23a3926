/** A request on its way in windows: questions side by side, then the answer through the same handler. */
import { SluiceError } from '../../core/errors.ts';
import { answerTokensLeft, costOf, sumOfTokens } from '../../core/spending.ts';
import { TooLong } from '../../core/too-long.ts';
import type {
  WindowCause,
  WindowsReport,
  WindowState,
  WindowStrategy,
} from '../../core/window-words.ts';
import type {
  Backend,
  ForwardHandle,
  ForwardHandler,
  ForwardRequest,
  LengthRefusal,
} from '../../backends/types.ts';
import type {
  Ask,
  FinalStage,
  WindowJob,
  WindowOutcome,
  WindowPrompt,
  WindowRun,
} from '../../context/windows/types.ts';
import { readAnswer } from './answers.ts';
import { createComposer, demandOf, type Composer } from './bodies.ts';
import { AnsweredStatus, askBackend, finalHeaders, questionHeaders } from './calls.ts';
import { capOf, cutWindows, type Cut, type Rules } from './layout.ts';
import { placesOf, type WindowRequest } from './request.ts';
import { watchRefusals, type Refused } from './watch.ts';
import { WrittenAnswer } from './written-answer.ts';

export interface FlightPlan {
  readonly request: WindowRequest;
  readonly cause: WindowCause;
  readonly strategy: WindowStrategy;
  /** Rules for a scale and a limit; called again when the first window was refused. */
  readonly rulesFor: (learned: { readonly scale: number; readonly limit: number }) => Rules;
  readonly scale: number;
  readonly limit: number;
  readonly notes: readonly string[];
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export interface FlightEvents {
  /** The last stage begins: from now on the answer is on its way. */
  onReport(report: WindowsReport): void;
  /** Nothing was answered; the request goes out as it came, or its refusal comes back. */
  onFallback(error: unknown): void;
}

/** A window that does not fit is cut again this many times. */
const mostCuts = 2;

export class WindowFlight implements ForwardHandle {
  readonly #backend: Backend;
  readonly #forwarded: ForwardRequest;
  readonly #handler: ForwardHandler;
  readonly #controller = new AbortController();
  #final: ForwardHandle | null = null;

  constructor(backend: Backend, forwarded: ForwardRequest, handler: ForwardHandler) {
    this.#backend = backend;
    this.#forwarded = forwarded;
    this.#handler = handler;
  }

  abort(): void {
    this.#controller.abort();
    this.#final?.abort();
  }

  resume(): void {
    this.#final?.resume();
  }

  get aborted(): boolean {
    return this.#controller.signal.aborted;
  }

  /** Never rejects. */
  async start(plan: FlightPlan, events: FlightEvents): Promise<void> {
    try {
      const { run, cut, rules, composer } = await this.#asked(plan);
      if (this.aborted) return;
      const report = (): WindowsReport => reportOf(plan, { run, cut, rules });
      await this.#finish(plan, { run, composer, cut, rules }, () => events.onReport(report()));
    } catch (error) {
      if (!this.aborted) events.onFallback(error);
    }
  }

  /** Forwards bytes. */
  #forward(body: Uint8Array, handler: ForwardHandler): void {
    const headers = finalHeaders(this.#forwarded.headers, body.byteLength);
    this.#final = this.#backend.forward({ ...this.#forwarded, headers, body }, handler);
    if (this.aborted) this.#final.abort();
  }

  async #asked(plan: FlightPlan): Promise<{
    readonly run: WindowRun;
    readonly cut: Cut;
    readonly rules: Rules;
    readonly composer: Composer;
  }> {
    let { scale, limit } = plan;
    for (let tries = 0; ; tries++) {
      const { rules, cut } = cutFor(plan, plan.rulesFor({ scale, limit }));
      if (cut.asked.length === 0) {
        const message = 'windows.max_total_tokens or windows.max_cost allows no window';
        throw new SluiceError('WINDOW_TOO_SMALL', message);
      }
      const windows = cut.asked.flatMap((at) => cut.windows[at] ?? []);
      const { tools, layout } = rules;
      const composer = createComposer(plan.request, windows, { tools, layout });
      try {
        const job = this.#job(plan, { cut, rules });
        const run = await tools.run(job, this.#ask(composer));
        return { run, cut: afterWindows(cut, run, rules), rules, composer };
      } catch (error) {
        if (!(error instanceof TooLong) || tries === mostCuts) throw error;
        scale *= grown(error, { limit, prompt: cut.longestTokens });
        limit = Math.min(limit, error.limit ?? limit);
      }
    }
  }

  #job(plan: FlightPlan, { cut, rules }: { readonly cut: Cut; readonly rules: Rules }): WindowJob {
    const { config, strategy, count, limit, scale } = rules;
    const { maxTokens } = plan.request;
    return {
      strategy,
      question: demandOf(plan.request),
      windows: cut.asked.map((at) => ({
        tokens: Math.ceil((cut.windows[at]?.tokens ?? 0) * scale) + cut.besideTokens,
        relevance: cut.windows[at]?.relevance ?? 0,
      })),
      frameTokens: cut.frameTokens,
      concurrency: config.concurrency,
      answerTokens: Math.min(config.answer_tokens, maxTokens ?? Infinity, Math.floor(limit / 4)),
      recordTokens: cut.recordTokens,
      roomTokens: cut.roomTokens,
      maxTokens: cut.reservedTokens,
      cap: capOf(config),
      count,
      scale,
      signal: this.#controller.signal,
    };
  }

  #ask(composer: Composer): Ask {
    // A server that does not notice that its caller has left notices a stream that nobody reads.
    const stream = this.#backend.capabilities.noticesAbort === false;
    return async (prompt, options) => {
      const body = composer.question(prompt, { ...options, stream });
      const headers = questionHeaders(this.#forwarded.headers, body.byteLength);
      const request = { ...this.#forwarded, headers, body };
      const bytes = await askBackend(this.#backend, request, this.#controller.signal);
      const answer = readAnswer(bytes);
      if (answer === null) throw new AnsweredStatus(200);
      return answer;
    };
  }

  async #finish(
    plan: FlightPlan,
    asked: {
      readonly run: WindowRun;
      readonly composer: Composer;
      readonly cut: Cut;
      readonly rules: Rules;
    },
    report: () => void,
  ): Promise<void> {
    const { run, composer, cut, rules } = asked;
    const { final } = run;
    report();
    if (final.type === 'prompt') {
      const send = (prompt: WindowPrompt, handler: ForwardHandler): void =>
        this.#forward(composer.final(prompt, cut.answerTokens), handler);
      send(final.prompt, this.#shorterIfRefused(final, { cut, rules, send, report }));
      return;
    }
    const written = new WrittenAnswer(this.#handler, plan.request, plan.now);
    this.#final = written;
    await written.write(final.pieces, run, report);
  }

  /** The client's handler; a last prompt that can be made shorter is, once, when the server refuses its length. */
  #shorterIfRefused(
    { prompt, within }: Extract<FinalStage, { readonly type: 'prompt' }>,
    how: {
      readonly cut: Cut;
      readonly rules: Rules;
      readonly send: (prompt: WindowPrompt, handler: ForwardHandler) => void;
      readonly report: () => void;
    },
  ): ForwardHandler {
    if (within === undefined || prompt.type !== 'text') return this.#handler;
    const { cut, rules, send, report } = how;
    const read = (status: number, body: Uint8Array): LengthRefusal | null =>
      this.#backend.refusedLength?.(status, body) ?? null;
    const onRefused = ({ refusal }: Refused): void => {
      if (this.aborted) return;
      const believed = rules.count(prompt.text);
      const room = (refusal.limit ?? rules.limit) - cut.answerTokens;
      const counted = refusal.prompt ?? Math.ceil(believed * rules.scale * 1.25);
      const shorter = within(Math.floor(((believed * room) / counted) * 0.97));
      report();
      send(shorter, this.#handler);
    };
    return watchRefusals(this.#handler, { read, onRefused });
  }
}

/** Where records leave no room for text, windows that answer by themselves may. */
function cutFor(plan: FlightPlan, rules: Rules): { readonly rules: Rules; readonly cut: Cut } {
  try {
    return { rules, cut: cutWindows(plan.request, rules) };
  } catch (error) {
    const tight = SluiceError.isInstance(error) && error.code === 'WINDOW_TOO_SMALL';
    if (!tight || rules.strategy !== 'reduce') throw error;
    const other: Rules = { ...rules, strategy: 'select' };
    return { rules: other, cut: cutWindows(plan.request, other) };
  }
}

/** With the answer that the caps allow now that it is known what the windows took. */
function afterWindows(cut: Cut, run: WindowRun, { config }: Rules): Cut {
  if (run.final.type !== 'prompt') return cut;
  const prompts = run.outcomes.map(({ promptTokens }) => promptTokens ?? 0);
  const prompt = Math.max(cut.longestTokens, ...prompts);
  const left = answerTokensLeft(capOf(config), sumOfTokens(run.spent, { prompt, answer: 0 }));
  const answerTokens = Math.max(cut.reservedTokens, Math.min(cut.answerTokens, left));
  return { ...cut, answerTokens };
}

/** How much longer a prompt was than it was believed to be. */
function grown(
  told: TooLong,
  believed: { readonly limit: number; readonly prompt: number },
): number {
  const counted = told.prompt === null ? 1 : (told.prompt / believed.prompt) * 1.02;
  // A lower limit explains it; otherwise the count was wrong, and some servers stop counting at their limit.
  const lowered = told.limit !== null && told.limit < believed.limit;
  return Math.max(lowered ? 1 : 1.15, counted);
}

function reportOf(
  { request, cause, notes, strategy }: FlightPlan,
  { run, cut, rules }: { readonly run: WindowRun; readonly cut: Cut; readonly rules: Rules },
): WindowsReport {
  const { prices } = capOf(rules.config);
  const stateOf = (at: number): WindowOutcome | null => run.outcomes[cut.asked.indexOf(at)] ?? null;
  return {
    cause,
    strategy: rules.strategy,
    layout: rules.layout,
    limitTokens: rules.limit,
    sharedTokens: cut.sharedTokens,
    windows: cut.windows.map(({ pieces, tokens, relevance }, at) => {
      const outcome = stateOf(at);
      const state: WindowState = outcome?.state ?? 'left-out';
      return {
        places: placesOf(request, pieces),
        tokens,
        relevance: Math.round(relevance * 1000) / 1000,
        confidence: outcome?.confidence ?? null,
        state,
        error: outcome?.error ?? null,
        promptTokens: outcome?.promptTokens ?? null,
        cachedTokens: outcome?.cachedTokens ?? null,
      };
    }),
    calls: run.calls + (run.final.type === 'prompt' ? 1 : 0),
    promptTokens: run.promptTokens,
    completionTokens: run.completionTokens,
    cachedTokens: run.cachedTokens,
    cost: prices === null ? null : Math.round(costOf(run.spent, prices) * 1e6) / 1e6,
    notes: [
      ...notes,
      ...(rules.strategy === strategy ? [] : [`no-room-for-${strategy}`]),
      ...((request.maxTokens ?? 0) > cut.answerTokens
        ? [`answer-limited;tokens=${cut.answerTokens}`]
        : []),
      ...run.notes,
    ],
  };
}
