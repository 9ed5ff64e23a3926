/** Random conversations as clients hold them: appends, tool turns, edits, rewinds, branches, moved cache markers. */

export type Random = () => number;

/** Mulberry32: a seeded generator good enough to draw test cases. Values in [0, 1). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), state | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface SimulatedMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly text: string;
}

export interface SimulatedTurn {
  readonly messages: readonly SimulatedMessage[];
  /** Message that carries the cache marker, or null. */
  readonly marked: number | null;
  readonly step: Step;
}

export type Step = 'append' | 'tool' | 'edit' | 'rewind' | 'branch' | 'repeat';

const steps: readonly Step[] = [
  'append',
  'append',
  'append',
  'tool',
  'edit',
  'rewind',
  'branch',
  'repeat',
];

export function words(random: Random, count: number): string {
  return Array.from({ length: count }, () => `w${Math.floor(random() * 5000).toString(36)}`).join(
    ' ',
  );
}

const below = (random: Random, limit: number): number => Math.floor(random() * limit);

/**
 * One conversation, turn by turn: `next` takes what the assistant answered to the turn before. `scale`: words in the
 * longest messages.
 */
export function simulatedConversation(
  random: Random,
  scale: number,
): { next(answer: string | null): SimulatedTurn } {
  const system: SimulatedMessage = {
    role: 'system',
    text: `system ${below(random, 3)} ${'always the same words in here '.repeat(10)}`,
  };
  const user = (): SimulatedMessage => ({
    role: 'user',
    text: words(random, 5 + below(random, random() < 0.4 ? scale : 20)),
  });
  let current: readonly SimulatedMessage[] = [system, user()];
  let old: readonly SimulatedMessage[] = current;
  let first = true;
  const grow = (answer: string, step: Step): readonly SimulatedMessage[] => {
    const said = [...current, { role: 'assistant', text: answer } as const];
    if (step !== 'tool') return [...said, user()];
    return [...said, { role: 'tool', text: words(random, 30 + below(random, scale)) }];
  };
  return {
    next(answer) {
      const step =
        first || answer === null ? 'repeat' : (steps[below(random, steps.length)] ?? 'append');
      first = false;
      if (answer !== null) {
        const cut = 2 + below(random, Math.max(1, current.length - 2));
        if (step === 'append' || step === 'tool') {
          if (random() < 0.3) old = current;
          current = grow(answer, step);
        } else if (step === 'edit') {
          current = [...current.slice(0, cut - 1), user()];
        } else if (step === 'rewind') {
          current = current.slice(0, cut);
        } else if (step === 'branch') {
          [current, old] = [[...old, { role: 'assistant', text: 'other' }, user()], current];
        }
      }
      const marked = random() < 0.6 ? current.length - 1 : null;
      return { messages: current, marked, step };
    },
  };
}
