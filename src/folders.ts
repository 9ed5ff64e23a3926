/** Where the package's own files lie. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Folder of the package: models/, openapi.yaml and package.json lie there, in a checkout and when installed. */
export const packageFolder: string = fileURLToPath(new URL('..', import.meta.url));

/** Folder of the shipped causal model. */
export const scoutFolder: string = join(packageFolder, 'models', 'scout');
