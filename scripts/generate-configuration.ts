/** The table of every setting in docs/configuration.md, from the schema. `npm run generate` writes it. */
import { readFileSync, writeFileSync } from 'node:fs';
import type { ConfigKey } from '../src/config/keys.ts';
import { listKeys } from '../src/config/keys.ts';

export const configurationFile = 'docs/configuration.md';
const begin = '<!-- generated: keys -->';
const end = '<!-- /generated -->';

function row({ path, env, expects, default: value, description }: ConfigKey): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|');
  return `| \`${path}\` | \`${JSON.stringify(value)}\` | ${cell(expects)} | ${cell(description)} | \`${env}\` |`;
}

export function configurationTable(): string {
  const head = '| key | default | value | meaning | variable |\n| --- | --- | --- | --- | --- |';
  return [head, ...listKeys().map(row)].join('\n');
}

/** The file's text with a fresh table. */
export function configurationText(): string {
  const text = readFileSync(configurationFile, 'utf8');
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from === -1 || to === -1) throw new Error(`${configurationFile} has lost its marks`);
  return `${text.slice(0, from)}${begin}\n\n${configurationTable()}\n\n${text.slice(to)}`;
}

export function writeConfiguration(): void {
  writeFileSync(configurationFile, configurationText());
}
