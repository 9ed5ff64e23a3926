/** `sluice plan FILE`: what a conversation would cost through Sluice, before anything is sent. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { SluiceError } from '../core/errors.ts';
import { backendKinds, type BackendKind } from '../core/backend-kind.ts';
import type { ConversationPlan } from '../plan-conversation.ts';
import { print, readInput } from './io.ts';
import type { ConfigFlags } from './options.ts';
import { addConfigOptions, configOf, parseCount, parseRate } from './options.ts';
import { register as registerExtend } from './plan-extend.ts';

interface PlanFlags extends ConfigFlags {
  readonly backend?: BackendKind;
  readonly rate?: number;
  readonly prefillRate: number;
  readonly blockSize: number;
  readonly json?: boolean;
}

export function register(program: Command): void {
  const command = program
    .command('plan')
    .description('what would be forwarded, reused and paid for, turn by turn, for a conversation')
    .enablePositionalOptions()
    .argument(
      '[file]',
      'chat request, list of messages or list of requests as JSON; - for stdin',
      '-',
    )
    .addOption(
      new Option('--backend <kind>', 'prices of a hosted API, or time on a server').choices(
        backendKinds,
      ),
    )
    .addOption(new Option('--rate <share>', 'share of the tokens to keep').argParser(parseRate))
    .addOption(
      new Option('--prefill-rate <n>', 'prompt tokens a second of a server of your own')
        .argParser(parseCount)
        .default(5000),
    )
    .addOption(
      new Option('--block-size <n>', 'tokens of a cache block of a server of your own')
        .argParser(parseCount)
        .default(16),
    )
    .option('--json', 'print as JSON');
  addConfigOptions(command).action(plan);
  registerExtend(command);
}

async function plan(file: string, flags: PlanFlags): Promise<void> {
  const { rate, backend, prefillRate, blockSize: blockTokens } = flags;
  const config = configOf(flags, {
    // Time is no limit.
    defaults: { limits: { compress_ms: 3_600_000 }, log: { level: 'warn' } },
    flags: rate === undefined ? {} : { compress: { rate } },
  });
  const input = parsed(await readInput(file, config.limits.max_body_bytes));
  const { createSluice } = await import('../sluice.ts');
  // Nothing is sent, and nothing is remembered: no server is asked for anything.
  const reuse = { ...config.reuse, store: 'memory', events: [], event_replays: [] };
  const sluice = await createSluice({ ...config, upstream: [], backend: 'auto', reuse });
  try {
    const kind = backend ?? (config.backend === 'auto' ? 'vllm' : config.backend);
    const result = await sluice.plan(input, { backend: kind, prefillRate, blockTokens });
    await print(flags.json === true ? `${JSON.stringify(result, null, 2)}\n` : render(result));
  } finally {
    await sluice.close();
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new SluiceError('REQUEST_INVALID', 'The conversation is not JSON');
  }
}

/** A table, the totals and what they rest on. */
export function render(plan: ConversationPlan): string {
  const head = [
    'turn',
    'mode',
    'sent',
    'forwarded',
    'reused',
    'computed',
    'cost',
    'as it is',
    'why',
  ];
  const rows = plan.turns.map((turn) => [
    String(turn.turn),
    turn.mode ?? '-',
    String(turn.tokensBefore),
    String(turn.tokensAfter),
    String(turn.reusedAfter),
    String(turn.tokensAfter - turn.reusedAfter),
    turn.costAfter.toFixed(0),
    turn.costBefore.toFixed(0),
    turn.decision === 'unchanged'
      ? `unchanged (${turn.admission ?? 'not planned'})`
      : turn.decision,
  ]);
  const widths = head.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => {
        const text = column === 1 || column === 8;
        const width = column === 8 ? 0 : (widths[column] ?? 0);
        return text ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('  ')
      .trimEnd();
  const { before, after } = plan.total;
  const unit = plan.unit === 'ms' ? 'ms until the answers begin' : 'plain input tokens to pay for';
  const share = before === 0 ? '' : ` (${((100 * after) / before).toFixed(0)} %)`;
  return [
    line(head),
    ...rows.map(line),
    '',
    `In all ${after.toFixed(0)} against ${before.toFixed(0)} ${unit}${share}.`,
    ...plan.assumptions.map((text) => `Assumed: ${text}.`),
    '',
  ].join('\n');
}
