/** Rows of the validity table: masks, states instead of entries, parts encoded alone. */
import {
  A,
  E,
  X,
  approximate,
  bareKeys,
  cell,
  exact,
  hiding,
  invalid,
  never,
  nothing,
  positionOnly,
  recurrentState,
  rotatedKeys,
  row,
  under,
} from './validity-cells.ts';
import type { ValidityRow } from './validity.ts';

export const windows: readonly ValidityRow[] = [
  row(
    'streaming',
    'Sinks and recent tokens (StreamingLLM)',
    {
      append: under('same-session', E, A),
      cross: under('same-session', E, A),
      move: approximate,
      rescale: approximate,
      evict: under('same-session', E, A),
      rollback: under('before-first-slide', E, X),
    },
    'arXiv 2309.17453. Never index by text after the first slide. Before it, as RoPE with bare keys.',
  ),
  row(
    'lm-infinite',
    'Lambda mask with capped distance (LM-Infinite)',
    { ...hiding, move: approximate, rescale: approximate, evict: under('hidden-entries', E, A) },
    'arXiv 2308.16137, without top-k re-insertion. The embedded engine runs this one.',
  ),
  row(
    'lm-infinite-topk',
    'Lambda mask with top-k re-insertion',
    {
      ...bareKeys,
      append: under('entries-resident', E, X),
      cross: under('entries-resident', E, X),
      rollback: under('entries-resident', E, X),
    },
    'arXiv 2308.16137 v7: any middle token may come back, so none is ever hidden.',
  ),
  row(
    'swa',
    'Sliding window in every layer',
    hiding,
    'A moved chunk is exact after repair from its token (l-1)(window-1) on, in layer l counted from 1.',
  ),
  row(
    'hybrid-swa',
    'Sliding window and full layers',
    hiding,
    'Only entries of the windowed layers are ever hidden; a branch needs both groups.',
  ),
  row(
    'global-window',
    'Global tokens and window, causal',
    hiding,
    'Longformer (arXiv 2004.05150) as a decoder.',
  ),
  row(
    'longformer',
    'Global tokens and window, encoder',
    {
      append: approximate,
      cross: never,
      move: invalid,
      rescale: never,
      evict: invalid,
      rollback: approximate,
    },
    'arXiv 2004.05150 with its learned positions: earlier tokens see later ones. Not behind a chat API.',
  ),
  row(
    'longnet',
    'Dilated segments (LongNet)',
    { ...hiding, move: under('whole-segments', X, X, E) },
    'arXiv 2307.02486. What is seen depends on the absolute position; elsewhere a moved chunk is approximate after repair.',
  ),
];

export const states: readonly ValidityRow[] = [
  row(
    'linear-attention',
    'Linear attention (cosFormer), fixed length in its weight',
    { ...recurrentState, rescale: invalid },
    'arXiv 2202.08791.',
  ),
  row(
    'linear-attention-by-length',
    'Linear attention (cosFormer), weight by current length',
    nothing,
    'Every growth changes all weights that went into the state.',
  ),
  row('aft-simple', 'AFT-simple', recurrentState, 'arXiv 2105.14103 section 3.2.'),
  row(
    'aft-full',
    'AFT with its table of biases',
    { ...bareKeys, append: under('within-limit', E, 'none'), cross: never },
    'arXiv 2105.14103 section 3.1; keeps all keys and values, bounded by the table.',
  ),
  row('rwkv', 'RWKV', recurrentState, 'arXiv 2305.13048 (version 4).'),
  row(
    'mamba',
    'Selective state space (Mamba)',
    recurrentState,
    'arXiv 2312.00752. Servers save at block borders only.',
  ),
  row(
    'hybrid-recurrent',
    'Attention and recurrent layers',
    { ...recurrentState, rescale: invalid },
    'Attention entries alone are of no use without the state. Floored to the state block.',
  ),
  row(
    'linformer',
    'Linformer',
    { ...nothing, cross: never },
    'arXiv 2006.04768. Bidirectional, all positions mixed. Not behind a chat API.',
  ),
];

export const parallel: readonly ValidityRow[] = [
  row(
    'pcw-window',
    'Parallel windows: a window',
    {
      append: exact,
      cross: never,
      move: exact,
      rescale: positionOnly,
      evict: exact,
      rollback: exact,
    },
    'arXiv 2212.10947, windows from position 0. Append adds a window, evict drops another, move is any order and company.',
  ),
  row(
    'pcw-text',
    'Parallel windows: the text after them',
    {
      append: under('same-windows', E, X),
      cross: never,
      move: positionOnly,
      rescale: positionOnly,
      evict: positionOnly,
      rollback: exact,
    },
    'A longer window moves its positions; other windows change what it saw.',
  ),
  row(
    'structured-group',
    'Structured prompting: a group',
    {
      append: under('same-common-end', E, X),
      cross: never,
      move: under('same-common-end', E, X),
      rescale: positionOnly,
      evict: under('same-common-end', E, X),
      rollback: cell(X, E),
    },
    'arXiv 2212.06713. Groups end at one position: a longer group moves all others, which is exact after re-rotation.',
  ),
  row(
    'structured-text',
    'Structured prompting: the text after the groups',
    {
      append: under('same-windows', E, X),
      cross: never,
      move: positionOnly,
      rescale: positionOnly,
      evict: approximate,
      rollback: exact,
    },
    'The number of groups is in every logit of the text.',
  ),
  row(
    'map-requests',
    'Windows as requests of their own',
    { ...rotatedKeys, move: exact, evict: exact },
    'Map and reduce over ordinary requests: every window is its own prefix, in any order and company.',
  ),
];
