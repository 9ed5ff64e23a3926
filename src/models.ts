/** Installed models: what lies in `models/`, what the configuration names, and whether the files are whole. */
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from './config/types.ts';
import { SluiceError } from './core/errors.ts';
import { readManifest, verifyModel } from './score/manifest.ts';
import type { ModelManifest } from './score/types.ts';

/** Where the models of this package lie, beside src/ and beside dist/. */
const shippedModels = fileURLToPath(new URL('../models', import.meta.url));

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

/** The shipped folders that have a manifest, and the folders that the configuration names, each once. */
export function modelFolders(config: Config, shipped: string = shippedModels): string[] {
  const found = existsSync(shipped)
    ? readdirSync(shipped, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => join(shipped, entry.name))
        .filter((folder) => existsSync(join(folder, 'manifest.json')))
        .sort()
    : [];
  const named = [config.score.model, config.score.classifier, config.embedded.model]
    .filter((folder) => folder !== null)
    .map((folder) => resolve(folder));
  return [...new Set([...found, ...named])];
}

/** Reads the manifests; files are not looked at. */
export async function listModels(folders: readonly string[]): Promise<ModelStatus[]> {
  return Promise.all(folders.map(statusOf));
}

async function statusOf(folder: string): Promise<ModelStatus> {
  try {
    return { folder, manifest: await readManifest(folder), problem: null };
  } catch (error) {
    return { folder, manifest: null, problem: messageOf(error) };
  }
}

/** Reads the manifests and compares every file's size and SHA-256 with them. */
export async function verifyModels(folders: readonly string[]): Promise<ModelStatus[]> {
  const models: ModelStatus[] = [];
  for (const folder of folders) {
    const status = await statusOf(folder);
    models.push(status.problem === null ? await verified(status) : status);
  }
  return models;
}

async function verified(status: ModelStatus): Promise<ModelStatus> {
  try {
    await verifyModel(status.folder);
    return status;
  } catch (error) {
    if (!SluiceError.isInstance(error)) throw error;
    return { ...status, problem: error.message };
  }
}
