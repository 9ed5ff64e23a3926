// Compiles src/ to dist/. Plain JavaScript, because it runs before anything is compiled.
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const stampName = join('dist', '.built');

/** Newest modification time below a folder, in milliseconds. */
function newest(folder) {
  let latest = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    const stat = statSync(join(entry.parentPath ?? entry.path, entry.name));
    if (stat.mtimeMs > latest) latest = stat.mtimeMs;
  }
  return latest;
}

/**
 * Compiles into dist/ of `root`; exits the process with the compiler's code when it fails. The result is put in place
 * at once, so that two builds at the same time, or a command that starts meanwhile, never see half of it.
 */
export function build(root) {
  const require = createRequire(join(root, 'package.json'));
  const compiler = require.resolve('typescript/bin/tsc');
  const started = Date.now();
  const fresh = join(root, `dist.${process.pid}`);
  const old = join(root, `dist.${process.pid}.old`);
  const result = spawnSync(
    process.execPath,
    [compiler, '-p', 'tsconfig.build.json', '--outDir', fresh],
    { cwd: root, stdio: ['ignore', 2, 2] },
  );
  if (result.status !== 0) {
    rmSync(fresh, { recursive: true, force: true });
    process.exit(result.status ?? 1);
  }
  // As old as the start: what was edited while the compiler ran is newer than the stamp.
  const stamp = join(fresh, '.built');
  writeFileSync(stamp, '');
  utimesSync(stamp, started / 1000, started / 1000);
  const dist = join(root, 'dist');
  if (existsSync(dist)) renameSync(dist, old);
  try {
    renameSync(fresh, dist);
  } catch (error) {
    // Somebody else was faster; their build is as good as ours.
    if (!existsSync(join(dist, '.built'))) throw error;
    rmSync(fresh, { recursive: true, force: true });
  }
  rmSync(old, { recursive: true, force: true });
  process.stderr.write(
    `compiled src/ to dist/ in ${((Date.now() - started) / 1000).toFixed(1)} s\n`,
  );
}

/** Compiles only when dist/ is missing or older than src/. */
export function buildIfStale(root) {
  const stamp = join(root, stampName);
  if (existsSync(stamp) && statSync(stamp).mtimeMs >= newest(join(root, 'src'))) return;
  build(root);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  build(fileURLToPath(new URL('..', import.meta.url)));
}
