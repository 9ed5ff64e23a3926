/** Rows of the validity table: schemes that differ in their positions. */
import {
  A,
  E,
  X,
  bareKeys,
  cell,
  exact,
  invalid,
  lengthBound,
  never,
  positionOnly,
  rotatedKeys,
  row,
  under,
} from './validity-cells.ts';
import type { ValidityRow } from './validity.ts';

export const rotary: readonly ValidityRow[] = [
  row('rope', 'RoPE', rotatedKeys, 'arXiv 2104.09864. Only llama.cpp re-rotates (K-shift).'),
  row('linear', 'Linear interpolation (PI)', rotatedKeys, 'arXiv 2306.15595.'),
  row(
    'ntk-static',
    'NTK-aware base, static',
    rotatedKeys,
    'Also dynamic NTK as vLLM and SGLang run it.',
  ),
  row(
    'yarn',
    'YaRN, static',
    rotatedKeys,
    'arXiv 2309.00071. The repair includes the attention factor.',
  ),
  row('llama3', 'Llama 3 bands', rotatedKeys, 'Rope type llama3.'),
  row(
    'longrope-constant',
    'LongRoPE, table fixed per server',
    rotatedKeys,
    'arXiv 2402.13753; vLLM since PR 27431 by max_model_len, llama.cpp by context size. Servers share only with the same table.',
  ),
  row(
    'ntk-dynamic',
    'Dynamic NTK, as transformers has it',
    lengthBound('below-original'),
    'The base follows the longest length of the process: other requests change it too. Calls shorter than the original length reset it; exactly the original length does not.',
  ),
  row(
    'ntk-stepped',
    'Dynamic NTK in steps of two',
    lengthBound('inside-regime'),
    'Qwen 1, if every call took its own step. Its own code takes it in cold runs only and keeps it, per process, for continuations: another request between spoils them.',
  ),
  row(
    'yarn-dynamic',
    'Dynamic YaRN, dynamic LongRoPE',
    lengthBound('fresh-process'),
    'Research code; the scale grows with the longest length of the process and never shrinks: one long request spoils all later short ones.',
  ),
  row(
    'longrope-length',
    'LongRoPE, table by length',
    lengthBound('inside-regime'),
    'transformers phi3. Exactly the original length is still short. Neither table serves the other.',
  ),
  row(
    'longrope-batch',
    'LongRoPE, table by batch',
    { ...rotatedKeys, append: positionOnly, cross: positionOnly, rollback: positionOnly },
    'vLLM 0.7 to 0.11.0. Another request in the batch decides, so no verdict can rest on this one alone.',
  ),
  row(
    'mrope',
    'M-RoPE with media',
    rotatedKeys,
    'Same media, same hash. The rotation of every axis can be repaired; no server does (llama.cpp refuses).',
  ),
];

export const otherPositions: readonly ValidityRow[] = [
  row(
    'alibi',
    'ALiBi',
    bareKeys,
    'arXiv 2108.12409. Nothing to rotate: the bias is added to the score.',
  ),
  row(
    'xpos-raw',
    'xPos, keys cached bare',
    {
      ...bareKeys,
      append: under('single-token-steps', E, A),
      cross: under('single-token-steps', E, A),
    },
    'arXiv 2212.10554 as torchscale runs it: its incremental path places a suffix of n tokens n-1 too far. With the right offset every step is exact.',
  ),
  row(
    'xpos-centred',
    'xPos, keys cached scaled from half the length',
    {
      append: cell(X, E),
      cross: cell(X, E),
      move: positionOnly,
      rescale: positionOnly,
      evict: positionOnly,
      rollback: cell(X, E),
    },
    'The centre cancels in every logit, so that re-scaling the keys is the whole repair on append. Nobody does it.',
  ),
  row(
    'xpos-fixed',
    'xPos, keys cached scaled from 0',
    rotatedKeys,
    'As RoPE; overflows for long texts.',
  ),
  row(
    'learned',
    'Learned absolute positions',
    {
      append: under('within-limit', E, 'none'),
      cross: never,
      move: invalid,
      rescale: never,
      evict: invalid,
      rollback: exact,
    },
    'The position went through the first layer with the token: nothing can take it out.',
  ),
  row(
    'dual-chunk',
    'Dual chunk attention',
    { ...rotatedKeys, move: under('chunk-multiple', A, X) },
    'arXiv 2402.17463. Keys are rotated by their place in the chunk.',
  ),
  row(
    'self-extend',
    'Self-extend on rotated keys',
    lengthBound('inside-neighbours'),
    'The form llama.cpp once had. With bare keys (arXiv 2401.01325) it is append-exact.',
  ),
];
