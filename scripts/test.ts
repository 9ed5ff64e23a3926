/** Runs every `*.test.ts` below test/ (or the paths given) with the runner of Node; one command for Node 20, 22 and 24. */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const wanted = process.argv.slice(2);
/** Heavy checks with a command of their own. */
const excluded = ['integration', 'soak'];
const files = readdirSync('test', { withFileTypes: true, recursive: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
  .map((entry) => join(entry.parentPath, entry.name))
  .filter((path) =>
    wanted.length === 0
      ? !excluded.some((folder) => path.startsWith(join('test', folder)))
      : wanted.some((part) => path.includes(part)),
  )
  .sort();
/** Real engines use every core: one at a time, or the one that starts spoils the times of the other. */
const engines = wanted.some((part) => part.includes('integration'));
if (files.length === 0) {
  console.error(`no test file matches ${wanted.join(', ')}`);
  process.exit(1);
}
const result = spawnSync(
  process.execPath,
  [
    '--import',
    'tsx',
    '--test',
    `--test-concurrency=${engines ? 1 : 2}`,
    `--test-timeout=${engines ? 900_000 : 180_000}`,
    ...files,
  ],
  { stdio: 'inherit' },
);
process.exit(result.status ?? 1);
