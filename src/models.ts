/** Installed models: what lies in `models/`, what the configuration names, and whether the files are whole. */
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from './config/types.ts';
import { readManifest, verifyModel } from './score/manifest.ts';
import type { FileCheck } from './score/manifest.ts';
import type { ModelManifest } from './score/types.ts';

/** Where the models of this package lie, beside src/ and beside dist/. */
const shippedModels = fileURLToPath(new URL('../models', import.meta.url));

/** Roles whose model can be switched off, and the shipped folders for them: the first that is installed is used. */
const shippedFor = {
  classifier: ['keep'],
  vectors: ['minilm', 'student'],
  table: ['table'],
  pairs: ['cross'],
} as const;

/**
 * Folder of the model that a setting means: null = the shipped one where there is one, `none` = no model.
 * @returns null for no model
 */
export function modelFolder(
  setting: string | null,
  role: keyof typeof shippedFor,
  shipped: string = shippedModels,
): string | null {
  if (setting !== null) return setting === 'none' ? null : setting;
  const folders = shippedFor[role].map((name) => join(shipped, name));
  return folders.find((folder) => existsSync(join(folder, 'manifest.json'))) ?? null;
}

/** One model folder. */
export interface ModelStatus {
  readonly folder: string;
  /** null when the manifest cannot be read; `problem` says why. */
  readonly manifest: ModelManifest | null;
  /** What is wrong, or null. Checksums are compared by `verifyModels` only. */
  readonly problem: string | null;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Folders with a manifest inside a folder, by name. */
function foldersIn(place: string): string[] {
  if (!existsSync(place)) return [];
  return readdirSync(place, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map((entry) => join(place, entry.name))
    .filter((folder) => existsSync(join(folder, 'manifest.json')))
    .sort();
}

/** The shipped models, the user's (those in `home`), and the folders that the configuration names, each once. */
export function modelFolders(
  config: Config,
  places: { readonly shipped?: string; readonly home?: string | null } = {},
): string[] {
  const { shipped = shippedModels, home = null } = places;
  const found = [...foldersIn(shipped), ...(home === null ? [] : foldersIn(resolve(home)))];
  const { model, classifier, vectors, table, pairs } = config.score;
  const named = [model, classifier, vectors, table, pairs, config.embedded.model]
    .filter((folder) => folder !== null)
    .filter((folder) => folder !== 'none')
    .map((folder) => resolve(folder));
  return [...new Set([...found, ...named])];
}

/** Reads the manifests; files are not looked at. */
export function listModels(folders: readonly string[]): ModelStatus[] {
  return folders.map(statusOf);
}

function statusOf(folder: string): ModelStatus {
  try {
    return { folder, manifest: readManifest(folder), problem: null };
  } catch (error) {
    return { folder, manifest: null, problem: messageOf(error) };
  }
}

/** Reads the manifests and compares every file's SHA-256 with them. */
export async function verifyModels(folders: readonly string[]): Promise<ModelStatus[]> {
  const models: ModelStatus[] = [];
  for (const folder of folders) {
    const status = statusOf(folder);
    models.push(status.problem === null ? await verified(status) : status);
  }
  return models;
}

async function verified(status: ModelStatus): Promise<ModelStatus> {
  const { files } = await verifyModel(status.folder);
  const broken = files.filter((file) => !file.ok).map(brokenFile);
  return broken.length === 0 ? status : { ...status, problem: broken.join('; ') };
}

function brokenFile({ name, expected, found }: FileCheck): string {
  if (found === null) return `${name} is missing`;
  return `${name} has SHA-256 ${found.slice(0, 12)}, not ${expected.slice(0, 12)}`;
}
