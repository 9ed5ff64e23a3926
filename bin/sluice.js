#!/usr/bin/env node
// Entry of the command line. In a checkout it compiles first when dist/ is missing or older than src/, so that
// `npx sluice` and `npm start` work right after `npm ci`, whether or not install scripts ran.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = new URL('..', import.meta.url);
if (existsSync(new URL('src', root))) {
  const { buildIfStale } = await import(new URL('scripts/build.js', root).href);
  buildIfStale(fileURLToPath(root));
}
await import(new URL('dist/cli/main.js', root).href);
