/** `sluice compress`: text in, shorter text out. */
import type { Command } from 'commander';
import { print, readInput, tell } from './io.ts';
import type { TextFlags } from './options.ts';
import { addTextOptions, textConfigOf, wishesOf } from './options.ts';
import { summaryOf } from './render/summary.ts';

interface CompressFlags extends TextFlags {
  readonly json?: boolean;
}

export function register(program: Command): void {
  const command = program
    .command('compress')
    .description('shorten a text; the result goes to stdout, what was done to stderr')
    .argument('[file]', 'file to read, - for stdin', '-')
    .option('--json', 'print text and report as JSON');
  addTextOptions(command).action(compress);
}

async function compress(file: string, flags: CompressFlags): Promise<void> {
  const config = textConfigOf(flags);
  const text = await readInput(file, config.limits.max_body_bytes);
  const { createSluice } = await import('../sluice.ts');
  const sluice = await createSluice(config);
  try {
    const result = await sluice.compress({ context: [text], ...wishesOf(flags) });
    if (flags.json === true) {
      await print(`${JSON.stringify(result, null, 2)}\n`);
      return;
    }
    await print(result.text);
    if (process.stdout.isTTY && !result.text.endsWith('\n')) await print('\n');
    tell(`sluice: ${summaryOf(result.report)}`);
  } finally {
    await sluice.close();
  }
}
