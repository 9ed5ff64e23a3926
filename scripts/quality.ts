/** `npm run quality`: writes the tables of docs/quality.md. */
import { readFileSync, writeFileSync } from 'node:fs';
import { qualityFile, qualityText, readResults } from './quality-page.ts';

writeFileSync(qualityFile, qualityText(readFileSync(qualityFile, 'utf8'), readResults()));
