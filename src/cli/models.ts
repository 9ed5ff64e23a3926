/** `sluice models list|verify`: which models are installed, and whether their files are whole. */
import type { Command } from 'commander';
import type { ModelStatus } from '../models.ts';
import { print, UsageError } from './io.ts';
import type { ConfigFlags } from './options.ts';
import { addConfigOptions, configOf } from './options.ts';

interface ModelsFlags extends ConfigFlags {
  readonly json?: boolean;
}

export function register(program: Command): void {
  const models = program.command('models').description('installed models');
  addConfigOptions(
    models
      .command('list')
      .description('shipped models and the ones that the configuration names')
      .option('--json', 'print as JSON'),
  ).action(list);
  addConfigOptions(
    models
      .command('verify')
      .description('compare every file with the checksums of its manifest')
      .argument('[name]', 'name or folder of one model; left out = all')
      .option('--json', 'print as JSON'),
  ).action(verify);
}

async function foldersOf(flags: ConfigFlags): Promise<string[]> {
  const { modelFolders } = await import('../models.ts');
  return modelFolders(configOf(flags));
}

function bytesOf({ manifest }: ModelStatus): number {
  return Object.values(manifest?.files ?? {}).reduce((sum, file) => sum + file.bytes, 0);
}

/** Rows as columns of equal width, the last one ragged. */
export function alignColumns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, cell.length)));
  return rows
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

function listRow(model: ModelStatus): string[] {
  const { manifest, folder, problem } = model;
  if (manifest === null) return ['?', '', '', '', '', '', `${folder}: ${problem ?? ''}`];
  const { name, version, kind, context_length, licence } = manifest;
  const megabytes = `${(bytesOf(model) / 1e6).toFixed(1)} MB`;
  return [name, version, kind, String(context_length), megabytes, licence, folder];
}

async function list(flags: ModelsFlags): Promise<void> {
  const { listModels } = await import('../models.ts');
  const models = listModels(await foldersOf(flags));
  if (flags.json === true) return print(`${JSON.stringify(models, null, 2)}\n`);
  const head = ['name', 'version', 'kind', 'context', 'size', 'licence', 'folder'];
  await print(alignColumns([head, ...models.map(listRow)]));
}

async function verify(name: string | undefined, flags: ModelsFlags): Promise<void> {
  const { listModels, verifyModels } = await import('../models.ts');
  const known = listModels(await foldersOf(flags));
  const wanted =
    name === undefined
      ? known
      : known.filter(({ folder, manifest }) => manifest?.name === name || folder === name);
  if (name !== undefined && wanted.length === 0) {
    const names = known.map(({ folder, manifest }) => manifest?.name ?? folder).join(', ');
    throw new UsageError(`no model ${name}; there are: ${names === '' ? 'none' : names}`);
  }
  const models = await verifyModels(wanted.map(({ folder }) => folder));
  if (models.length === 0 || models.some(({ problem }) => problem !== null)) process.exitCode = 1;
  if (flags.json === true) return print(`${JSON.stringify(models, null, 2)}\n`);
  if (models.length === 0) return print('no model is installed\n');
  await print(
    alignColumns(
      models.map(({ folder, manifest, problem }) => [
        problem === null ? 'ok' : 'BROKEN',
        manifest?.name ?? folder,
        problem ?? folder,
      ]),
    ),
  );
}
