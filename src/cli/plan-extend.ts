/** `sluice plan extend` and `sluice plan backends`: what a longer context needs, and what each method means for caches. */
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Option } from 'commander';
import type { Command } from 'commander';
import { planServers, type PlanServer } from '../core/backend-kind.ts';
import { attentionProfiles } from '../core/attention-profiles.ts';
import { SluiceError } from '../core/errors.ts';
import { planExtension, plotExtension } from '../extension.ts';
import { print, readInput } from './io.ts';
import { parseCount } from './options.ts';
import { renderExtension } from './render/extension.ts';
import { renderProfiles } from './render/profiles.ts';

interface ExtendFlags {
  readonly model: string;
  readonly length: number;
  readonly server?: PlanServer;
  readonly json?: boolean;
  readonly plot?: string;
}

/** No config.json comes near it. */
const maxConfigBytes = 8 * 1024 * 1024;

export function register(plan: Command): void {
  plan
    .command('extend')
    .description('schemes, bounds, costs and server flags that carry a model to a length')
    .requiredOption('--model <file>', "the model's config.json, or its folder; - for stdin")
    .addOption(
      new Option('--length <n>', 'tokens of the longest prompt with its answer')
        .argParser(parseCount)
        .makeOptionMandatory(),
    )
    .addOption(new Option('--server <name>', 'flags of this server alone').choices(planServers))
    .option('--json', 'print as JSON, with all inverse frequencies')
    .option('--plot <file>', 'write frequency bands and predicted lengths as .svg or .html')
    .action(extend);
  plan
    .command('backends')
    .description('methods of attention and architecture: cost, reuse of caches, longest context')
    .option('--json', 'print as JSON')
    .action(backends);
}

async function extend({ model, length, server, json, plot }: ExtendFlags): Promise<void> {
  const config = parsed(await readInput(await configFile(model), maxConfigBytes), model);
  const plan = planExtension({ config, length, ...(server === undefined ? {} : { server }) });
  if (plot !== undefined) await writePlot(plot, plotExtension(plan));
  await print(json === true ? `${JSON.stringify(plan, null, 2)}\n` : renderExtension(plan));
}

async function configFile(model: string): Promise<string> {
  if (model === '-') return model;
  const found = await stat(model).catch(() => null);
  return found?.isDirectory() === true ? join(model, 'config.json') : model;
}

function parsed(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new SluiceError('REQUEST_INVALID', `${name} is not JSON`, { cause: error });
  }
}

async function writePlot(file: string, svg: string): Promise<void> {
  const page = `<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Extension plan</title>\n<body>\n${svg}</body></html>\n`;
  try {
    await writeFile(file, file.endsWith('.html') ? page : svg);
  } catch (error) {
    throw new SluiceError('REQUEST_INVALID', `Cannot write the plot to ${file}`, { cause: error });
  }
}

async function backends({ json }: { readonly json?: boolean }): Promise<void> {
  await print(
    json === true
      ? `${JSON.stringify(attentionProfiles, null, 2)}\n`
      : renderProfiles(attentionProfiles),
  );
}
