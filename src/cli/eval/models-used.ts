/** Which models a report stands on, with the SHA-256 of their files. */
import { basename, relative, resolve } from 'node:path';
import { parseConfig } from '../../config/load.ts';
import { SluiceError } from '../../core/errors.ts';
import { modelFolder, verifyModels } from '../../models.ts';
import { packageFolder, scoutFolder } from '../../sluice.ts';
import { tierOf } from './arms.ts';
import type { ArmName, ModelSettings } from './types.ts';

/** One model of a report. */
export interface UsedModel {
  readonly name: string;
  readonly version: string;
  /** As seen from the package's folder; of a model elsewhere, only its own folder's name. */
  readonly folder: string;
  /** The arms that ask it; `counts` = its tokenizer counts the tokens of every arm. */
  readonly arms: readonly (ArmName | 'counts')[];
  /** File name -> SHA-256 in hexadecimal, as the manifest has it and the file was found to have. */
  readonly files: Readonly<Record<string, string>>;
}

/** The models that the arms ask; every file is read and compared. @throws SluiceError MODEL_INVALID */
export async function modelsUsed(
  arms: readonly ArmName[],
  settings: ModelSettings,
): Promise<UsedModel[]> {
  const askedBy = new Map<string, (ArmName | 'counts')[]>([[scoutFolder, ['counts']]]);
  for (const arm of arms) {
    for (const folder of foldersOf(arm, settings)) {
      askedBy.set(folder, [...(askedBy.get(folder) ?? []), arm]);
    }
  }
  const models = await verifyModels([...askedBy.keys()]);
  return models.map(({ folder, manifest, problem }) => {
    if (manifest === null || problem !== null) {
      throw new SluiceError('MODEL_INVALID', `${folder}: ${problem ?? 'no manifest'}`);
    }
    const files = Object.entries(manifest.files).map(([file, { sha256 }]) => [file, sha256]);
    const { name, version } = manifest;
    const asking = askedBy.get(folder) ?? [];
    return {
      name,
      version,
      folder: placeOf(folder),
      arms: asking,
      files: Object.fromEntries(files),
    };
  });
}

/** The models of the arms that ran. */
export function modelsOfArms(models: readonly UsedModel[], arms: readonly ArmName[]): UsedModel[] {
  const ran = (arm: ArmName | 'counts'): boolean => arm === 'counts' || arms.includes(arm);
  return models
    .map((model) => ({ ...model, arms: model.arms.filter(ran) }))
    .filter(({ arms: asking }) => asking.length > 0);
}

const causal: ReadonlySet<ArmName> = new Set(['selective-context', 'llmlingua', 'longllmlingua']);

/** Folders of the models that an arm asks. */
function foldersOf(arm: ArmName, { classifier, vectors }: ModelSettings): string[] {
  if (causal.has(arm)) return [scoutFolder];
  if (arm === 'llmlingua2') {
    const folder = modelFolder(classifier, 'classifier');
    return folder === null ? [] : [folder];
  }
  if (arm !== 'auto' && tierOf(arm) === null) return [];
  const tier = tierOf(arm) ?? parseConfig({}).compress.tier;
  const folders = [
    modelFolder(null, 'table'),
    tier === 'express' ? null : modelFolder(vectors, 'vectors'),
    tier === 'thorough' ? modelFolder(null, 'pairs') : null,
  ];
  return folders.filter((folder) => folder !== null);
}

function placeOf(folder: string): string {
  const place = relative(packageFolder, resolve(folder));
  return place.startsWith('..') ? basename(place) : place;
}
