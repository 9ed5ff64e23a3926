/**
 * Writes what is derived from other files: the client's types from openapi.yaml, the table of docs/configuration.md from
 * the schema. `npm run generate` runs it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import openapiTS, { astToString } from 'openapi-typescript';
import { configurationFile, writeConfiguration } from './generate-configuration.ts';

export const specificationFile = 'openapi.yaml';
export const typesFile = 'src/client/schema.ts';

/** The types as text. @throws when the specification is not a valid OpenAPI document */
export async function generateTypes(): Promise<string> {
  const nodes = await openapiTS(readFileSync(specificationFile, 'utf8'), { immutable: true });
  return `/** Generated from openapi.yaml by \`npm run generate\`; do not edit. */\n\n${astToString(nodes)}`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  writeFileSync(typesFile, await generateTypes());
  writeConfiguration();
  console.log(`wrote ${typesFile} and ${configurationFile}`);
}
