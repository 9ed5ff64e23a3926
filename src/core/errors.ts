/**
 * The one table of errors. A code says what went wrong; the table says which HTTP status it becomes, whether
 * trying again can help, and what to do. `docs/errors.md` documents every row (a test compares both ways).
 */

export interface ErrorRow {
  readonly status: number;
  readonly retryable: boolean;
  /** What the reader can do about it; one sentence. */
  readonly remedy: string;
}

export const errorTable = {
  CONFIG_INVALID: {
    status: 500,
    retryable: false,
    remedy: 'Correct the named key in the configuration file, environment or flag.',
  },
  REQUEST_INVALID: {
    status: 400,
    retryable: false,
    remedy: 'Correct the named field of the request; openapi.yaml has its schema.',
  },
  BODY_TOO_LARGE: {
    status: 413,
    retryable: false,
    remedy: 'Send a smaller body or raise limits.max_body_bytes.',
  },
  BUDGET_IMPOSSIBLE: {
    status: 422,
    retryable: false,
    remedy: 'Ask for at least one token, or for a rate above 0 and at most 1.',
  },
  WINDOW_TOO_SMALL: {
    status: 422,
    retryable: false,
    remedy:
      'Send shorter instructions or a shorter question, or serve the model with a longer context window.',
  },
  METHOD_UNAVAILABLE: {
    status: 409,
    retryable: false,
    remedy: 'Choose another method, or install the model it needs (`sluice models list`).',
  },
  MODEL_INVALID: {
    status: 500,
    retryable: false,
    remedy: 'Restore the model files (`sluice models verify` names the broken one).',
  },
  SCORER_FAILED: {
    status: 503,
    retryable: true,
    remedy: 'Look at the cause; `sluice doctor` checks the native runtime and the models.',
  },
  QUEUE_FULL: {
    status: 503,
    retryable: true,
    remedy: 'Send fewer requests at once, or raise score.queue.',
  },
  DEADLINE_EXCEEDED: {
    status: 504,
    retryable: true,
    remedy: 'Raise limits.compress_ms, or use a faster method.',
  },
  UPSTREAM_REFUSED: {
    status: 502,
    retryable: true,
    remedy: 'Start the upstream server or correct --upstream.',
  },
  UPSTREAM_TIMEOUT: {
    status: 504,
    retryable: true,
    remedy:
      'The upstream did not answer in time; raise limits.upstream_head_ms if it is only slow.',
  },
  UPSTREAM_REJECTED: {
    status: 502,
    retryable: false,
    remedy: "Look up the upstream's status; check the model's name and the credentials.",
  },
  UPSTREAM_RESET: {
    status: 502,
    retryable: true,
    remedy: 'The upstream broke the connection; look at its log.',
  },
  NOT_FOUND: {
    status: 404,
    retryable: false,
    remedy: 'Check the identifier; old entries are evicted.',
  },
  NOT_READY: { status: 503, retryable: true, remedy: 'Wait until /readyz answers 200.' },
  ABORTED: { status: 499, retryable: false, remedy: 'The caller went away; nothing to do.' },
  INTERNAL: {
    status: 500,
    retryable: false,
    remedy: 'This is a defect of Sluice; please report it with the request id.',
  },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof errorTable;

const marker: unique symbol = Symbol.for('sluice.error');

/** Every error that Sluice makes. `message` says what failed, on what, and what was found. */
export class SluiceError extends Error {
  readonly [marker] = true;
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'SluiceError';
    this.code = code;
  }

  get status(): number {
    return errorTable[this.code].status;
  }

  get retryable(): boolean {
    return errorTable[this.code].retryable;
  }

  get remedy(): string {
    return errorTable[this.code].remedy;
  }

  /** True for errors of any copy of this package and for ones that crossed a worker border with their marker. */
  static isInstance(value: unknown): value is SluiceError {
    return typeof value === 'object' && value !== null && marker in value;
  }
}

/** Exhaustiveness as a statement: a switch that forgets a case does not compile. */
export function assertNever(value: never): never {
  throw new SluiceError('INTERNAL', `Unhandled case ${JSON.stringify(value)}`);
}
