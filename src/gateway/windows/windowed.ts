/** A backend in front of another: what would not fit is read in windows. */
import type { WindowCause, WindowsReport, WindowStrategy } from '../../core/window-words.ts';
import type {
  Backend,
  ForwardHandle,
  ForwardHandler,
  ForwardRequest,
  LengthRefusal,
} from '../../backends/types.ts';
import type { TextTokenizer } from '../../tokenize/types.ts';
import type { Changed } from '../../wire/carry.ts';
import { WindowFlight, type FlightPlan } from './flight.ts';
import { windowRequest, type WindowRequest } from './request.ts';
import { watchRefusals, type Refused } from './watch.ts';

/** What is known of a request before it is forwarded. */
export interface Facts {
  readonly id: string;
  readonly path: string;
  readonly tenant: string;
  /** null = only if the backend refuses. */
  readonly cause: WindowCause | null;
  readonly wanted: number | null;
  readonly strategy: WindowStrategy | null;
  /** What was found in the request before it was compressed; null = it has to be read. */
  readonly changed: Changed | null;
}

/** Plans, and keeps the books. */
export interface WindowKeeper {
  plan(
    facts: Facts & { readonly cause: WindowCause },
    request: WindowRequest,
    refused: { readonly backend: Backend; readonly refusal: LengthRefusal | null },
  ): Promise<FlightPlan>;
  /** False = there is too much text to split without holding up others. */
  splits(request: WindowRequest): boolean;
  noted(id: string, report: WindowsReport): void;
  unfit(id: string, why: string): void;
  fellBack(id: string, error: unknown): void;
}

/** A backend that forwards, and reads in windows what does not fit. */
export class WindowedBackend implements Backend {
  readonly #backend: Backend;
  readonly #service: WindowKeeper;
  readonly #facts: Facts;

  constructor(backend: Backend, service: WindowKeeper, facts: Facts) {
    this.#backend = backend;
    this.#service = service;
    this.#facts = facts;
  }

  get kind(): Backend['kind'] {
    return this.#backend.kind;
  }

  get name(): string {
    return this.#backend.name;
  }

  get capabilities(): Backend['capabilities'] {
    return this.#backend.capabilities;
  }

  get fingerprint(): string {
    return this.#backend.fingerprint;
  }

  get tokenizer(): TextTokenizer | null {
    return this.#backend.tokenizer;
  }

  forward(request: ForwardRequest, handler: ForwardHandler): ForwardHandle {
    const { body } = request;
    if (!(body instanceof Uint8Array)) return this.#backend.forward(request, handler);
    const exchange = new WindowedExchange({
      backend: this.#backend,
      service: this.#service,
      facts: this.#facts,
      request: { ...request, body },
      handler,
    });
    exchange.start();
    return exchange;
  }

  check(signal: AbortSignal | null): ReturnType<Backend['check']> {
    return this.#backend.check(signal);
  }

  close(): Promise<void> {
    return this.#backend.close();
  }
}

interface ExchangeOptions {
  readonly backend: Backend;
  readonly service: WindowKeeper;
  readonly facts: Facts;
  readonly request: ForwardRequest & { readonly body: Uint8Array };
  readonly handler: ForwardHandler;
}

class WindowedExchange implements ForwardHandle {
  readonly #options: ExchangeOptions;
  #current: ForwardHandle | null = null;
  #aborted = false;

  constructor(options: ExchangeOptions) {
    this.#options = options;
  }

  abort(): void {
    this.#aborted = true;
    this.#current?.abort();
  }

  resume(): void {
    this.#current?.resume();
  }

  start(): void {
    const { facts } = this.#options;
    if (facts.cause === null) this.#forward(true);
    else void this.#inWindows(facts.cause, null);
  }

  /** @param watched a refusal of the length is answered with windows */
  #forward(watched: boolean): void {
    const { backend, request, handler } = this.#options;
    const read = (status: number, body: Uint8Array): LengthRefusal | null =>
      backend.refusedLength?.(status, body) ?? null;
    const onRefused = (refused: Refused): void => {
      if (!this.#aborted) void this.#inWindows('refused', refused);
    };
    const through = watched ? watchRefusals(handler, { read, onRefused }) : handler;
    this.#current = backend.forward(request, through);
  }

  /** Never rejects: what cannot be read in windows goes out as it came, or its refusal comes back. */
  async #inWindows(cause: WindowCause, refused: Refused | null): Promise<void> {
    const { backend, service, facts, request, handler } = this.#options;
    const { id } = facts;
    const fallback = (): void => {
      if (this.#aborted) return;
      if (refused === null) this.#forward(false);
      else refused.deliver();
    };
    try {
      const read = windowRequest(request.body, facts);
      if ('unfit' in read) {
        service.unfit(id, read.unfit);
        return fallback();
      }
      if (!service.splits(read)) {
        service.unfit(id, 'too-long');
        return fallback();
      }
      const refusal = refused?.refusal ?? null;
      const plan = await service.plan({ ...facts, cause }, read, { backend, refusal });
      if (this.#aborted) return;
      const flight = new WindowFlight(backend, request, handler);
      this.#current = flight;
      await flight.start(plan, {
        onReport: (report) => service.noted(id, report),
        onFallback: (error) => {
          service.fellBack(id, error);
          fallback();
        },
      });
    } catch (error) {
      service.fellBack(id, error);
      fallback();
    }
  }
}
