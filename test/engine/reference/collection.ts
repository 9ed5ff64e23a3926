/** The rows' layers. All are small: original length 16, windows of 6, two sinks. */
import { aftFull, aftSimple } from '../../../src/engine/reference/aft.ts';
import { attention, bareScheme } from '../../../src/engine/reference/attention.ts';
import type { AttentionScheme } from '../../../src/engine/reference/attention.ts';
import { alibi } from '../../../src/engine/reference/bias.ts';
import { plainRotary } from '../../../src/engine/reference/frequencies.ts';
import { cosFormer } from '../../../src/engine/reference/linear-attention.ts';
import { linformer } from '../../../src/engine/reference/linformer.ts';
import { mamba } from '../../../src/engine/reference/mamba.ts';
import { partsApart, rescaledSelf } from '../../../src/engine/reference/parallel.ts';
import { createRandom } from '../../../src/engine/reference/numbers.ts';
import {
  dualChunk,
  imageLayout,
  mRope,
  selfExtend,
} from '../../../src/engine/reference/regrouped.ts';
import {
  fixed,
  linear,
  llama3,
  longRope,
  ntkDynamic,
  ntkStatic,
  ntkStepped,
  plain,
  transformersLongest,
  yarn,
  yarnDynamic,
} from '../../../src/engine/reference/rope.ts';
import type { RopeSettings } from '../../../src/engine/reference/rope.ts';
import { rwkvChannelMixing, rwkvTimeMixing } from '../../../src/engine/reference/rwkv.ts';
import { createStack, randomTokens } from '../../../src/engine/reference/stack.ts';
import type { Stack, StackOptions } from '../../../src/engine/reference/stack.ts';
import type { CacheState } from '../../../src/engine/reference/types.ts';
import {
  dilated,
  encoderWindow,
  globalAndWindow,
  lambda,
  slidingWindow,
  streaming,
} from '../../../src/engine/reference/windows.ts';
import { xposRaw, xposScaled } from '../../../src/engine/reference/xpos.ts';
import { compareWithOutput, mapEntries, moveTrial, verdictOf } from './laboratory.ts';
import type { Make, Trial } from './laboratory.ts';
import {
  branches,
  edits,
  evidence,
  fullAttention,
  grow,
  hiding,
  lengthBound,
  moves,
  never,
  recurrence,
  rescales,
} from './specimens.ts';
import type { Specimen } from './specimens.ts';
import {
  groupSpecimen,
  groupTextSpecimen,
  requestSpecimen,
  windowSpecimen,
  windowTextSpecimen,
} from './parallel-specimens.ts';
import type { MakeFor } from './parallel-specimens.ts';

const settings: RopeSettings = { headDim: 6, base: 100, original: 16, factor: 4 };
const rescaledSettings: RopeSettings = { headDim: 6, base: 250, original: 16, factor: 8 };
const rotary = plainRotary(6, 100);
const otherRotary = plainRotary(6, 250);

/** Two layers of one scheme. */
function both(scheme: AttentionScheme, more: Partial<StackOptions> = {}): Make {
  const mixer = attention(scheme);
  return processes({ mixers: [mixer, mixer], ...more });
}

/** Every call is a new process; weights are drawn once per seed. */
function processes(options: Omit<StackOptions, 'seed'>): Make {
  const stacks = new Map<number, Stack>();
  return (seed) => {
    const stack = stacks.get(seed) ?? createStack({ seed, ...options });
    stacks.set(seed, stack);
    return stack.restart();
  };
}

function layers(...mixers: StackOptions['mixers']): Make {
  return processes({ mixers });
}

type SchemeOf = (s: RopeSettings) => AttentionScheme;

function rotaryBench(
  scheme: SchemeOf,
  more: Partial<StackOptions> = {},
): { make: Make; rescaled: Make } {
  return { make: both(scheme(settings), more), rescaled: both(scheme(rescaledSettings), more) };
}

/** Sizes for a scheme that changes at 16 tokens and again on every further one. */
const untilOriginal = {
  inside: [
    [10, 5],
    [10, 6],
  ],
  outside: [[20, 6]],
  across: [[12, 8]],
  branchInside: [[7, 5, 4]],
  branchOutside: [[18, 6, 3]],
} as const;

/** Sizes for a scheme that changes at 16 tokens and perhaps at 32. */
const inRegime = {
  inside: [
    [10, 5],
    [10, 6],
    [20, 6],
  ],
  outside: [[12, 8]],
  across: [[12, 8]],
  branchInside: [
    [7, 5, 4],
    [18, 6, 3],
  ],
  branchOutside: [[10, 9, 4]],
} as const;

const stepped = {
  ...inRegime,
  outside: [
    [12, 8],
    [28, 8],
  ],
} as const;

const neighbours = {
  inside: [
    [4, 3],
    [4, 4],
  ],
  outside: [[10, 8]],
  across: [[6, 6]],
  branchInside: [[4, 3, 4]],
  branchOutside: [[6, 8, 2]],
} as const;

const rotarySpecimens: Record<string, Specimen> = {
  rope: fullAttention(rotaryBench(plain)),
  linear: fullAttention(rotaryBench(linear)),
  'ntk-static': fullAttention(rotaryBench(ntkStatic)),
  yarn: fullAttention(rotaryBench(yarn)),
  llama3: fullAttention(rotaryBench(llama3)),
  'longrope-constant': fullAttention(rotaryBench((s) => longRope(s, 'constant-long'))),
  'ntk-dynamic': lengthBound(rotaryBench(ntkDynamic, { advance: transformersLongest(16) }), {
    ...untilOriginal,
    inside: [[10, 5]],
  }),
  'ntk-stepped': lengthBound(rotaryBench(ntkStepped), stepped),
  'yarn-dynamic': lengthBound(rotaryBench(yarnDynamic, { advance: Math.max }), untilOriginal),
  'longrope-length': lengthBound(
    rotaryBench((s) => longRope(s, 'by-length')),
    inRegime,
  ),
  'longrope-batch': (() => {
    const bench = rotaryBench((s) => longRope(s, 'by-batch'));
    const disturbed = { ...bench, cached: { companion: 30 } };
    return {
      ...fullAttention(disturbed),
      append: evidence(grow(disturbed, [[10, 5]])),
      cross: evidence(grow(bench, [[12, 8]])),
      move: evidence(moves(disturbed, [[3, 6, 7]])),
      rescale: evidence(rescales(bench)),
      rollback: evidence(branches(disturbed, [[7, 5, 4]])),
    };
  })(),
  mrope: (() => {
    const scheme = (turn: typeof rotary): Make => both(mRope(turn, imageLayout(2, 2, 3)));
    const bench = { make: scheme(rotary), rescaled: scheme(otherRotary) };
    // The image stands before the chunk in both texts; another one has two rows more.
    const larger = both(mRope(rotary, imageLayout(2, 4, 3)));
    return {
      ...fullAttention(bench),
      move: evidence((seed) => [
        moveTrial(bench.make, { seed, before: 9, after: 16, chunk: 7 }, larger),
      ]),
    };
  })(),
};

const xposSettings = { headDim: 6, base: 100, scaleBase: 16 };
const otherXpos = { headDim: 6, base: 250, scaleBase: 24 };

const otherSpecimens: Record<string, Specimen> = {
  alibi: fullAttention({ make: both(alibi(2)), rescaled: both(alibi(2, 0.5)) }),
  'xpos-raw': (() => {
    const bench = {
      make: both(xposRaw(xposSettings, 'last')),
      rescaled: both(xposRaw(otherXpos, 'last')),
    };
    const right = { make: both(xposRaw(xposSettings, 'own')) };
    const sizes = [
      [10, 5],
      [20, 6],
    ] as const;
    return {
      ...fullAttention(bench),
      append: evidence(
        (seed) => [...grow(bench, sizes, 1)(seed), ...grow(right, sizes)(seed)],
        grow(bench, sizes),
      ),
      cross: evidence(grow(bench, [[12, 8]], 1), grow(bench, [[12, 8]])),
      rollback: evidence(
        branches(bench, [
          [7, 5, 1],
          [18, 6, 1],
        ]),
      ),
    };
  })(),
  'xpos-centred': fullAttention({
    make: both(xposScaled(xposSettings, 'length')),
    rescaled: both(xposScaled(otherXpos, 'length')),
  }),
  'xpos-fixed': fullAttention({
    make: both(xposScaled(xposSettings, 'zero')),
    rescaled: both(xposScaled(otherXpos, 'zero')),
  }),
  learned: (() => {
    const bench = { make: both(bareScheme, { learnedPositions: 26 }) };
    return {
      ...fullAttention(bench),
      append: (seed) => ({
        ...evidence(
          grow(bench, [
            [10, 5],
            [20, 6],
          ]),
        )(seed),
        otherwise: beyondTable(bench.make(seed), 26),
      }),
      cross: never,
    };
  })(),
  'dual-chunk': (() => {
    const of = (turn: typeof rotary): Make =>
      both(dualChunk({ rotary: turn, chunk: 4, trained: 10 }));
    const bench = { make: of(rotary), rescaled: of(otherRotary) };
    return {
      ...fullAttention(bench),
      move: evidence(
        moves(bench, [
          [4, 8, 7],
          [3, 11, 6],
        ]),
        moves(bench, [[4, 9, 7]]),
      ),
      // Dropping a whole chunk would move the rest by one: not what an edit does.
      evict: evidence((seed) => edits(bench)(seed).slice(1)),
    };
  })(),
  'self-extend': (() => {
    const of = (turn: typeof rotary): Make =>
      both(selfExtend({ rotary: turn, neighbours: 8, group: 2 }));
    return lengthBound({ make: of(rotary), rescaled: of(otherRotary) }, neighbours);
  })(),
};

/** Running past a learned table is an error, not a state. */
function beyondTable(stack: Stack, limit: number): 'none' {
  const full = stack.prefill(Array.from({ length: limit }, () => 1));
  try {
    stack.append(full, [1]);
  } catch (error) {
    if (error instanceof RangeError) return 'none';
    throw error;
  }
  throw new Error('The table has no end');
}

/** Feeds `tokens` in calls of the given sizes; the last ones repeat. */
function feed(stack: Stack, tokens: readonly number[], sizes: readonly number[]): CacheState[] {
  const states: CacheState[] = [];
  let state: CacheState | undefined;
  for (let at = 0; at < tokens.length;) {
    const size = sizes[Math.min(states.length, sizes.length - 1)]!;
    const part = tokens.slice(at, at + size);
    state = state === undefined ? stack.prefill(part) : stack.append(state, part);
    states.push(state);
    at += size;
  }
  return states;
}

/** StreamingLLM with two sinks and eight recent tokens. */
function streamingSpecimen(): Specimen {
  const bench = {
    make: both(streaming({ rotary, sinks: 2, recent: 8 })),
    rescaled: both(streaming({ rotary: otherRotary, sinks: 2, recent: 8 })),
  };
  const run = (seed: number, length: number, sizes: readonly number[]): CacheState[] =>
    feed(bench.make(seed), randomTokens(createRandom(seed), length), sizes);
  const same = (state: CacheState, reference: CacheState): Trial => {
    const verdict = verdictOf(compareWithOutput(state, reference));
    return { stored: verdict, repaired: verdict };
  };
  /** A snapshot of the session goes on as the session itself, also in another process. */
  const session = (length: number) => (seed: number) => {
    const tokens = randomTokens(createRandom(seed), length);
    const snapshot = run(seed, length - 4, [6, 4]).at(-1)!;
    const state = bench.make(seed).append(snapshot, tokens.slice(length - 4));
    return [same(state, run(seed, length, [6, 4]).at(-1)!)];
  };
  /** Fed in other portions; rebuilt from the text that is still in the cache; rebuilt from the whole text. */
  const rebuilt = (length: number) => (seed: number) => {
    const tokens = randomTokens(createRandom(seed), length);
    const live = run(seed, length, [6, 4]).at(-1)!;
    const kept = live.layers[0]!.kind === 'tokens' ? live.layers[0]!.entries : [];
    const visible = bench.make(seed).prefill(kept.map(({ position }) => tokens[position]!));
    const relabelled = mapEntries(visible, (entry) => ({
      ...entry,
      position: kept[entry.position]!.position,
    }));
    const whole = mapEntries(bench.make(seed).prefill(tokens), (entry) =>
      kept.some(({ position }) => position === entry.position) ? entry : null,
    );
    return [run(seed, length, [6, 1]).at(-1)!, relabelled, whole].map((other) => same(live, other));
  };
  return {
    append: evidence(
      (seed) => [
        ...grow(bench, [
          [5, 3],
          [4, 6],
        ])(seed),
        ...session(18)(seed),
      ],
      rebuilt(18),
    ),
    cross: evidence(session(26), rebuilt(26)),
    move: evidence(
      moves(bench, [
        [2, 4, 4],
        [3, 6, 7],
      ]),
    ),
    rescale: evidence(rescales(bench)),
    evict: evidence(session(22), rebuilt(22)),
    rollback: evidence(branches(bench, [[4, 3, 4]]), (seed) => {
      // Back to token 14 of a session that has gone on to 22: what stood there then is gone.
      const then = run(seed, 14, [6, 4]).at(-1)!;
      const now = mapEntries(run(seed, 22, [6, 4]).at(-1)!, (e) => (e.position < 14 ? e : null));
      return [same(now, then)];
    }),
  };
}

const windowed = { head: 20, tail: 5, window: 6, globals: 2 };

function windowSpecimens(): Record<string, Specimen> {
  const { window, globals } = windowed;
  /** Of the next query at `length`, the window reaches back to length - window + 1. */
  const past = (position: number, length: number): boolean => position <= length - window;
  const pair = (visible: Parameters<typeof fixed>[1]): { make: Make; rescaled: Make } => ({
    make: both(fixed(rotary, visible)),
    rescaled: both(fixed(otherRotary, visible)),
  });
  const growth = [windowed.head, windowed.tail] as const;
  const branch = [10, 9, 3] as const;
  const infinite =
    (topK: number) =>
    (turn: typeof rotary): Make =>
      both(lambda({ rotary: turn, globals, limit: window, topK }));
  const middle = ({ position }: { position: number }, length: number): boolean =>
    position >= globals && past(position, length);
  const mixed = (turn: typeof rotary): Make =>
    layers(attention(fixed(turn, slidingWindow(window))), attention(fixed(turn)));
  const dilations = [
    { segment: 4, interval: 1 },
    { segment: 16, interval: 4 },
  ];
  const longNet = (turn: typeof rotary): Make => both(dilated(turn, dilations));
  const net = { make: longNet(rotary), rescaled: longNet(otherRotary) };
  const encoder = {
    make: both({ ...bareScheme, visible: encoderWindow(globals, 3) }, { learnedPositions: 26 }),
  };
  const again = { make: infinite(2)(rotary), rescaled: infinite(2)(otherRotary) };
  return {
    streaming: streamingSpecimen(),
    'lm-infinite': hiding({
      make: infinite(0)(rotary),
      rescaled: infinite(0)(otherRotary),
      hidden: (entry, _, length) => middle(entry, length),
      growth,
      branch,
    }),
    'lm-infinite-topk': (() => {
      const all = hiding({ ...again, hidden: () => false, growth, branch });
      // What the mask alone would hide is needed after all.
      const lost = hiding({
        ...again,
        hidden: (entry, _, length) => middle(entry, length),
        growth,
        branch,
      });
      return {
        ...fullAttention(again),
        append: all.append,
        cross: all.cross,
        rollback: (seed) => ({ ...all.rollback(seed), otherwise: lost.rollback(seed).otherwise }),
        evict: (seed) => {
          if (lost.evict(seed).stored !== 'invalid') throw new Error('The middle was not needed');
          return evidence(edits(again))(seed);
        },
      };
    })(),
    swa: hiding({
      ...pair(slidingWindow(window)),
      hidden: (entry, _, length) => past(entry.position, length),
      growth,
      branch,
    }),
    'hybrid-swa': hiding({
      make: mixed(rotary),
      rescaled: mixed(otherRotary),
      hidden: (entry, layer, length) => layer === 0 && past(entry.position, length),
      growth,
      branch,
    }),
    'global-window': hiding({
      ...pair(globalAndWindow(globals, window)),
      hidden: (entry, _, length) => middle(entry, length),
      growth,
      branch,
    }),
    longformer: { ...fullAttention(encoder), cross: never },
    longnet: {
      ...hiding({
        ...net,
        // At 20 tokens the longest segment in use is 16 to 31.
        hidden: (entry, _, length) => entry.position < Math.floor(length / 16) * 16,
        needed: 16,
        growth,
        branch,
      }),
      move: evidence(moves(net, [[16, 32, 16]]), moves(net, [[3, 6, 7]])),
    },
  };
}

function stateSpecimens(): Record<string, Specimen> {
  const cosine = (length: Parameters<typeof cosFormer>[0]): Make =>
    layers(cosFormer(length), cosFormer(length));
  const aft = {
    make: layers(aftFull(26), aftFull(26)),
    rescaled: layers(aftFull(26, 0.5), aftFull(26, 0.5)),
  };
  const hybrid = (turn: typeof rotary): Make => layers(attention(fixed(turn)), mamba);
  const projected = (strength: number): Make => {
    const mixer = linformer({ rows: 4, limit: 32, strength });
    return layers(mixer, mixer);
  };
  const inform = { make: projected(1), rescaled: projected(0.5) };
  const byLength = { make: cosine('sequence'), rescaled: cosine(64) };
  return {
    'linear-attention': recurrence({ make: cosine(16), rescaled: cosine(32) }),
    'linear-attention-by-length': {
      append: evidence(
        grow(byLength, [
          [10, 5],
          [20, 6],
        ]),
      ),
      cross: evidence(grow(byLength, [[12, 8]])),
      move: evidence(moves(byLength, [[3, 6, 7]])),
      rescale: evidence(rescales(byLength)),
      evict: evidence(edits(byLength)),
      rollback: evidence(branches(byLength, [[10, 4, 5]], true)),
    },
    'aft-simple': recurrence({ make: layers(aftSimple, aftSimple) }),
    'aft-full': {
      ...fullAttention(aft),
      append: (seed) => ({
        ...evidence(
          grow(aft, [
            [10, 5],
            [20, 6],
          ]),
        )(seed),
        otherwise: beyondTable(aft.make(seed), 26),
      }),
      cross: never,
    },
    rwkv: recurrence({
      make: layers(rwkvTimeMixing, rwkvChannelMixing, rwkvTimeMixing, rwkvChannelMixing),
    }),
    mamba: recurrence({ make: layers(mamba, mamba) }),
    'hybrid-recurrent': recurrence({ make: hybrid(rotary), rescaled: hybrid(otherRotary) }),
    linformer: {
      append: evidence(
        grow(inform, [
          [10, 5],
          [20, 6],
        ]),
      ),
      cross: never,
      move: evidence(moves(inform, [[3, 6, 7]])),
      rescale: evidence(rescales(inform)),
      evict: evidence(edits(inform)),
      rollback: evidence(branches(inform, [[10, 4, 5]])),
    },
  };
}

const apart = {
  make: both(fixed(rotary, partsApart)),
  rescaled: both(fixed(otherRotary, partsApart)),
};

/** Stacks of structured prompting for two and three groups, drawn once. */
function grouped(turn: typeof rotary): MakeFor {
  const stacks = [1, 2, 3].map((groups) => both(rescaledSelf(fixed(turn), groups)));
  return (groups) => stacks[groups - 1]!;
}

export const groups = { make: grouped(rotary), rescaled: grouped(otherRotary) };

export const collection: Readonly<Record<string, Specimen>> = {
  ...rotarySpecimens,
  ...otherSpecimens,
  ...windowSpecimens(),
  ...stateSpecimens(),
  'pcw-window': windowSpecimen(apart),
  'pcw-text': windowTextSpecimen(apart),
  'structured-group': groupSpecimen(groups),
  'structured-text': groupTextSpecimen(groups),
  'map-requests': requestSpecimen(rotaryBench(plain)),
};
