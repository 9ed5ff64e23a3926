/** The settings of inputs that are longer than the model's window. */
import { z } from 'zod';
import { windowStrategies } from '../core/window-words.ts';
import { windowLayouts, windowModes } from './types.ts';

const money = z.number().min(0).max(1_000_000).nullable().default(null);

const tokens = z.int().min(1).max(100_000_000);

export const windowsSchema = z.strictObject({
  mode: z
    .enum(windowModes)
    .default('auto')
    .describe(
      'When a text is read in windows, by several requests: `auto` = where a request does not fit the model, and where a client asks for it (`x-sluice-windows`); `asked` = only then; `off` = never. Clients can switch it off.',
    ),
  strategy: z
    .enum(['auto', ...windowStrategies])
    .default('auto')
    .describe(
      'How one answer comes of several windows: `select` = the window that is most relevant and surest; `vote` = equal answers added up; `reduce` = records of evidence from all windows, answered together; `nbce` = token by token, completions on servers that tell log probabilities only. `auto` = `reduce` for chats, `select` for completions.',
    ),
  layout: z
    .enum(windowLayouts)
    .default('auto')
    .describe(
      'What stands first in the prompts of windows: `question-first` = what they have in common, so that they share it in the cache; `text-first` = the text, so that the next question about it shares it; `auto` = by what has repeated so far.',
    ),
  max_windows: z
    .int()
    .min(1)
    .max(1000)
    .default(16)
    .describe('Windows of one request; of more the least relevant are left out, and reported.'),
  max_total_tokens: tokens
    .default(200_000)
    .describe('Prompt and answer tokens of all requests that one request may become.'),
  max_cost: money.describe(
    'What all these requests together may cost, in the currency of `windows.input_price` and `windows.output_price`, which it needs; as if the provider had no cache. null = tokens alone are bounded.',
  ),
  input_price: money.describe('Price of a million prompt tokens; null = not known.'),
  output_price: money.describe('Price of a million answer tokens; null = not known.'),
  concurrency: z
    .int()
    .min(1)
    .max(1000)
    .default(4)
    .describe('Windows of one request that are asked at the same time.'),
  answer_tokens: tokens
    .default(64)
    .describe('Tokens of the answer that `select` and `vote` ask each window for.'),
  record_tokens: tokens.default(300).describe('Tokens of the record that `reduce` asks for.'),
  fit_rate: z
    .number()
    .min(0.01)
    .max(1)
    .nullable()
    .default(0.125)
    .describe(
      'Share of the tokens that is kept at least where a text does not fit the context window at `compress.rate`: it is shortened as far as it takes, but no further than this; where even this would not make it fit, it is left at the rate. null = never below `compress.rate`.',
    ),
  limit_tokens: tokens
    .nullable()
    .default(null)
    .describe("Context window of the model in tokens; null = as the backend's answers tell."),
});

export const sinksSchema = z.strictObject({
  enabled: z
    .boolean()
    .default(false)
    .describe(
      'Leave out the middle of a chat that comes near the context window, and say so in the forwarded text.',
    ),
  start: z
    .number()
    .min(0.65)
    .max(0.95)
    .default(0.8)
    .describe('Share of the context window from which on turns are left out.'),
  keep: z
    .number()
    .min(0.1)
    .max(0.6)
    .default(0.4)
    .describe('Share of the context window that is left then.'),
  first_turns: z
    .int()
    .min(0)
    .max(1000)
    .default(1)
    .describe('Turns at the beginning that stay, beside the system prompt.'),
});
