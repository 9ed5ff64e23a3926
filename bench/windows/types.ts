/** What is compared, and what was answered. */

/** `full` needs a large window; all others get the small one. */
export const arms = [
  'full',
  'head',
  'tail',
  'compressed',
  'select',
  'vote',
  'reduce',
  'compressed+windows',
] as const;
export type Arm = (typeof arms)[number];

export interface Item {
  readonly set: string;
  readonly id: string;
  readonly texts: readonly string[];
  readonly question: string;
  readonly answers: readonly string[];
  /** A summary is compared with the reference; an answer stands in the line or does not. */
  readonly summary: boolean;
}

export interface Answer {
  readonly set: string;
  readonly id: string;
  readonly arm: Arm;
  /** Context window; 0 = large. */
  readonly window: number;
  readonly text: string;
  /** 0 to 1. */
  readonly score: number;
  /** Tokens of all prompts that were computed for it. */
  readonly promptTokens: number;
  readonly calls: number;
  readonly windows: number;
  readonly leftOut: number;
  readonly notes: readonly string[];
  /** Status of a request that was refused all the same. */
  readonly refused: number | null;
}

/** Names an answer among all. */
export const keyOf = ({ set, id, arm, window }: Partial<Answer>): string =>
  `${set} ${id} ${arm} ${window}`;
