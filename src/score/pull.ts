/** Putting a model of one's own where Sluice finds it: from a folder, a local archive or a URL. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { SluiceError } from '../core/errors.ts';
import { fetchArchive, isUrl, unpack } from './archive.ts';
import { createScorers, roleOf } from './create.ts';
import { readManifest, verifyModel } from './manifest.ts';
import type { ModelManifest } from './types.ts';

export interface PullOptions {
  /** A folder, a .tar.gz or .tar file, or the http(s) address of one. */
  readonly source: string;
  /** Folder that holds a folder per model. */
  readonly into: string;
  /** Name of the model's folder; null = the manifest's name, or what the source is called. */
  readonly name: string | null;
  /** SHA-256 of the archive in hex digits; required for an address. */
  readonly sha256: string | null;
  /** Most bytes of the archive, and of what is in it. */
  readonly maxBytes: number;
  /** Put it in the place of a model that has the name. */
  readonly replace: boolean;
  readonly signal: AbortSignal | null;
}

export interface PulledModel {
  readonly folder: string;
  readonly manifest: ModelManifest;
}

/** Files that go along although no manifest names them. */
const companions = ['CARD.md', 'README.md', 'LICENSE', 'LICENSE.txt', 'NOTICE'];

/**
 * Copies a model, checks it and puts it in place at once: there is never half a model under its name. A folder
 * without `manifest.json` gets the derived one. Before it is put in place it is opened and run once, as the proxy
 * would.
 * @throws SluiceError MODEL_INVALID saying what is wrong; nothing is left behind then
 */
export async function pullModel(options: PullOptions): Promise<PulledModel> {
  const { source, into, sha256 } = options;
  if (sha256 !== null && !/^[0-9a-f]{64}$/i.test(sha256))
    throw new SluiceError('MODEL_INVALID', '--sha256 must be 64 hex digits');
  if (isUrl(source) && sha256 === null)
    throw new SluiceError('MODEL_INVALID', `--sha256 is required for the address ${source}`);
  await mkdir(into, { recursive: true });
  const staging = await mkdtemp(join(into, '.pull-'));
  try {
    const origin = await originOf(options, staging);
    const fresh = join(staging, 'model');
    const manifest = await copyModel(origin, fresh);
    await tryModel(fresh, manifest);
    const folder = join(into, folderName(options.name ?? manifest.name));
    if (existsSync(folder)) {
      if (!options.replace)
        throw new SluiceError('MODEL_INVALID', `${folder} exists already (--replace, or --name)`);
      await rename(folder, join(staging, 'old'));
    }
    await rename(fresh, folder);
    return { folder, manifest };
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/** A name that is one folder on every system. */
function folderName(name: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name)) return name;
  throw new SluiceError(
    'MODEL_INVALID',
    `${JSON.stringify(name)} cannot be the name of a folder: give one with --name (letters, digits, . _ -)`,
  );
}

interface Origin {
  /** Folder that holds the model's files. */
  readonly folder: string;
  /** Name of a model whose manifest is derived. */
  readonly name: string;
}

async function originOf(options: PullOptions, staging: string): Promise<Origin> {
  const { source, sha256, maxBytes, signal } = options;
  if (!isUrl(source) && !existsSync(source))
    throw new SluiceError('MODEL_INVALID', `${source} does not exist`);
  if (!isUrl(source) && statSync(source).isDirectory()) {
    if (sha256 !== null)
      throw new SluiceError('MODEL_INVALID', '--sha256 is for archives; a folder has none');
    return { folder: source, name: options.name ?? basename(resolve(source)) };
  }
  const file = join(staging, 'archive');
  const unpacked = join(staging, 'unpacked');
  await fetchArchive({ source, file, sha256, maxBytes, signal });
  await mkdir(unpacked);
  await unpack(file, unpacked, { source, maxBytes });
  await rm(file);
  const place = isUrl(source) ? new URL(source).pathname : source;
  const name = basename(place).replace(/\.(tar\.gz|tgz|tar)$/i, '');
  return { folder: modelRoot(unpacked, source), name: options.name ?? name };
}

/** The archive's top, or the one folder in it. */
function modelRoot(unpacked: string, source: string): string {
  const isModel = (folder: string): boolean =>
    ['manifest.json', 'config.json'].some((name) => existsSync(join(folder, name)));
  if (isModel(unpacked)) return unpacked;
  const inner = readdirSync(unpacked, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(unpacked, entry.name))
    .filter(isModel);
  const [only] = inner;
  if (only !== undefined && inner.length === 1) return only;
  throw new SluiceError(
    'MODEL_INVALID',
    `${source} must hold one model (manifest.json or config.json), at its top or in one folder`,
  );
}

/** Copies the files that the manifest names, and those that tell about the model. */
async function copyModel({ folder, name }: Origin, into: string): Promise<ModelManifest> {
  const derived = !existsSync(join(folder, 'manifest.json'));
  const manifest = derived ? { ...readManifest(folder), name } : readManifest(folder);
  const names = new Set(Object.keys(manifest.files));
  for (const companion of companions) if (existsSync(join(folder, companion))) names.add(companion);
  await mkdir(into);
  for (const file of names) {
    await mkdir(dirname(join(into, file)), { recursive: true });
    if (!existsSync(join(folder, file)))
      throw new SluiceError('MODEL_INVALID', `${file}, which the manifest names, is missing`);
    await copyFile(join(folder, file), join(into, file));
  }
  if (derived)
    await writeFile(join(into, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  else await copyFile(join(folder, 'manifest.json'), join(into, 'manifest.json'));
  const { files } = await verifyModel(into);
  const broken = files.filter((file) => !file.ok).map((file) => file.name);
  if (broken.length > 0)
    throw new SluiceError(
      'MODEL_INVALID',
      `The SHA-256 of ${broken.join(', ')} is not the manifest's`,
    );
  return manifest;
}

/** Opens the model and runs it once. */
async function tryModel(folder: string, manifest: ModelManifest): Promise<void> {
  const none = { surprisal: null, keep: null };
  const sizes = { workers: 1, threads: 1, queue: 1, cacheEntries: 1 };
  const pool = await createScorers({ ...none, ...sizes, [roleOf(manifest)]: folder });
  await pool.close();
}
