/** `sluice models list|verify|pull|bench`: which models are installed, whether they are whole, and how fast they are. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { modelsHome } from '../config/environment.ts';
import type { ModelStatus } from '../models.ts';
import { print, UsageError } from './io.ts';
import type { ConfigFlags } from './options.ts';
import { addConfigOptions, configOf, parseCount } from './options.ts';

interface ModelsFlags extends ConfigFlags {
  readonly json?: boolean;
  readonly dir?: string;
}

interface PullFlags extends ModelsFlags {
  readonly sha256?: string;
  readonly name?: string;
  readonly replace?: boolean;
  readonly maxBytes: number;
}

interface BenchFlags extends ModelsFlags {
  readonly reference?: string;
  readonly text?: string;
  readonly seconds: number;
}

/** 4 GiB: twice the size of the biggest model that scores on a CPU in any useful time. */
const MAX_BYTES = 4 * 1024 ** 3;

export function register(program: Command): void {
  const models = program.command('models').description('installed models');
  const command = (name: string, description: string): Command =>
    addConfigOptions(
      models
        .command(name)
        .description(description)
        .option('--dir <folder>', "folder of the user's models (default: in the data directory)")
        .option('--json', 'print as JSON'),
    );
  command('list', 'shipped models, pulled ones, and those that the configuration names').action(
    list,
  );
  command('verify', 'compare every file with the checksums of its manifest')
    .argument('[name]', 'name or folder of one model; left out = all')
    .action(verify);
  command('pull', 'check a model and put it beside the others')
    .argument('<source>', 'folder, .tar.gz file, or the address of one')
    .option('--sha256 <hex>', "the archive's SHA-256; required for an address", parseDigest)
    .option('--name <name>', 'name of the model here')
    .option('--replace', 'put it in the place of the model that has the name')
    .option('--max-bytes <n>', 'most bytes of the archive and its content', parseCount, MAX_BYTES)
    .action(pull);
  command('bench', 'tokens per CPU second, memory, and rank agreement with an fp32 file')
    .argument('<model>', 'name or folder')
    .option('--reference <file>', 'ONNX file to compare with (default: an fp32 one in the folder)')
    .option('--text <file>', 'text to score instead of the one of this package')
    .option('--seconds <n>', 'CPU time to spend', parseSeconds, 3)
    .action(bench);
}

function parseDigest(text: string): string {
  if (!/^[0-9a-f]{64}$/i.test(text)) throw new InvalidArgumentError('Expected 64 hex digits.');
  return text;
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (text.trim() === '' || !(seconds > 0 && seconds <= 600))
    throw new InvalidArgumentError('Expected seconds above 0 and at most 600.');
  return seconds;
}

async function foldersOf(flags: ModelsFlags): Promise<string[]> {
  const { modelFolders } = await import('../models.ts');
  return modelFolders(configOf(flags), { home: flags.dir ?? modelsHome() });
}

function bytesOf({ manifest }: ModelStatus): number {
  return Object.values(manifest?.files ?? {}).reduce((sum, file) => sum + file.bytes, 0);
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

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
  const size = megabytes(bytesOf(model));
  return [name, version, kind, String(context_length), size, licence, folder];
}

async function list(flags: ModelsFlags): Promise<void> {
  const { listModels } = await import('../models.ts');
  const models = listModels(await foldersOf(flags));
  if (flags.json === true) return print(`${JSON.stringify(models, null, 2)}\n`);
  const head = ['name', 'version', 'kind', 'context', 'size', 'licence', 'folder'];
  await print(alignColumns([head, ...models.map(listRow)]));
}

/** The installed models of that name or folder. @throws UsageError when there is none */
async function named(name: string, flags: ModelsFlags): Promise<ModelStatus[]> {
  const { listModels } = await import('../models.ts');
  const known = listModels(await foldersOf(flags));
  const wanted = known.filter(({ folder, manifest }) => manifest?.name === name || folder === name);
  if (wanted.length > 0) return wanted;
  const names = known.map(({ folder, manifest }) => manifest?.name ?? folder).join(', ');
  throw new UsageError(`no model ${name}; there are: ${names === '' ? 'none' : names}`);
}

async function verify(name: string | undefined, flags: ModelsFlags): Promise<void> {
  const { verifyModels } = await import('../models.ts');
  const folders =
    name === undefined
      ? await foldersOf(flags)
      : (await named(name, flags)).map(({ folder }) => folder);
  const models = await verifyModels(folders);
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

async function pull(source: string, flags: PullFlags): Promise<void> {
  if (/^https?:/i.test(source) && flags.sha256 === undefined)
    throw new UsageError(`--sha256 is required for an address; ${source} was given without it`);
  const { pullModel, settingFor } = await import('../model-tools.ts');
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  process.once('SIGINT', onSignal);
  try {
    const pulled = await pullModel({
      source,
      into: resolve(flags.dir ?? modelsHome()),
      name: flags.name ?? null,
      sha256: flags.sha256 ?? null,
      maxBytes: flags.maxBytes,
      replace: flags.replace === true,
      signal: stop.signal,
    });
    const setting = settingFor(pulled.manifest);
    if (flags.json === true) return await print(`${JSON.stringify({ ...pulled, setting })}\n`);
    const { manifest, folder } = pulled;
    await print(
      `${manifest.name} ${manifest.version}, ${manifest.kind}, is in ${folder}\n` +
        `to use it: ${setting}: ${folder}\n`,
    );
  } finally {
    process.off('SIGINT', onSignal);
  }
}

async function bench(model: string, flags: BenchFlags): Promise<void> {
  const { benchModel, benchText, isModelFolder } = await import('../model-tools.ts');
  const folder = isModelFolder(model)
    ? resolve(model)
    : ((await named(model, flags))[0]?.folder ?? model);
  const result = await benchModel({
    folder,
    text: flags.text === undefined ? benchText() : await readFile(flags.text, 'utf8'),
    reference: flags.reference ?? null,
    seconds: flags.seconds,
  });
  if (flags.json === true) return print(`${JSON.stringify(result, null, 2)}\n`);
  const { reference, rankAgreement, compared } = result;
  await print(
    alignColumns([
      ['model', `${result.id}, ${result.kind}`],
      ['tokens per CPU second', `${Math.round(result.tokensPerCpuSecond)}, one thread`],
      ['memory', megabytes(result.memoryBytes)],
      rankAgreement === null
        ? ['rank agreement', 'no fp32 file to compare with (--reference)']
        : ['rank agreement', `${rankAgreement.toFixed(5)} over ${compared} values of ${reference}`],
    ]),
  );
}
