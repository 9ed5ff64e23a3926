/** `sluice explain`: what a compression keeps and drops, and why, as a readable diff or a page. */
import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { print, readInput, tell } from './io.ts';
import type { TextFlags } from './options.ts';
import { addTextOptions, textConfigOf, wishesOf } from './options.ts';
import { renderHtml } from './render/html.ts';
import { colourStyle, plainStyle, renderText } from './render/text.ts';

interface ExplainFlags extends TextFlags {
  readonly html?: string;
}

export function register(program: Command): void {
  const command = program
    .command('explain')
    .description('show what would be kept and dropped, and why')
    .argument('[file]', 'file to read, - for stdin', '-')
    .option('--html <file>', 'write a page instead; - for stdout');
  addTextOptions(command).action(explain);
}

async function explain(file: string, flags: ExplainFlags): Promise<void> {
  const config = textConfigOf(flags);
  const text = await readInput(file, config.limits.max_body_bytes);
  const { createSluice } = await import('../sluice.ts');
  const sluice = await createSluice(config);
  try {
    const result = await sluice.compress({ context: [text], explain: true, ...wishesOf(flags) });
    const input = { texts: [text], report: result.report };
    if (flags.html === undefined) {
      const colours = process.stdout.isTTY && process.stdout.hasColors();
      await print(renderText(input, colours ? colourStyle : plainStyle));
    } else if (flags.html === '-') {
      await print(renderHtml(input));
    } else {
      await writeFile(flags.html, renderHtml(input));
      tell(`sluice: wrote ${flags.html}`);
    }
  } finally {
    await sluice.close();
  }
}
