/** Checks of everything that Sluice needs on this machine; each failure says what to do about it. */
import { access, constants, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Config } from './config/types.ts';
import { version } from './version.ts';

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** What was found. */
  readonly detail: string;
  /** What to do about it; null when it is fine. */
  readonly remedy: string | null;
}

/** Oldest Node that package.json allows. */
const oldestNode = [20, 19] as const;

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** @param found As `process.versions.node`, e.g. `20.19.0`. */
export function checkNode(found: string): Check {
  const [major = 0, minor = 0] = found.split('.').map(Number);
  const ok = major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1]);
  return {
    name: 'node',
    ok,
    detail: `Node ${found}, Sluice ${version}`,
    remedy: ok ? null : `Install Node ${oldestNode.join('.')} or later.`,
  };
}

/** Loads the native library; imported here and not above, so that a broken one is a finding. */
async function checkRuntime(): Promise<Check> {
  const name = 'native runtime';
  try {
    await import('./score/session.ts');
    return { name, ok: true, detail: 'ONNX Runtime loads', remedy: null };
  } catch (error) {
    return {
      name,
      ok: false,
      detail: messageOf(error),
      remedy: `Run npm ci on this machine (${process.platform} ${process.arch}); ONNX Runtime has binaries for Linux and Windows on x64 and arm64, and for macOS on arm64.`,
    };
  }
}

async function checkModels(config: Config): Promise<Check[]> {
  const { modelFolders, verifyModels } = await import('./models.ts');
  const folders = modelFolders(config);
  if (folders.length === 0) {
    return [
      {
        name: 'models',
        ok: false,
        detail: 'no model is installed',
        remedy: 'Install the package again, or name a model folder in score.model.',
      },
    ];
  }
  const models = await verifyModels(folders);
  return models.map(({ folder, manifest, problem }) => ({
    name: `model ${manifest?.name ?? folder}`,
    ok: problem === null,
    detail: problem ?? `${manifest?.version ?? ''}, every file as in its manifest`,
    remedy: problem === null ? null : `Restore ${folder}, or name another folder.`,
  }));
}

async function checkUpstream(url: string, config: Config): Promise<Check> {
  const { createRemoteBackend } = await import('./backends/remote.ts');
  const name = `upstream ${url}`;
  const backend = await createRemoteBackend({
    url,
    kind: config.backend === 'embedded' ? 'auto' : config.backend,
    connectMs: config.limits.connect_ms,
    headMs: Math.min(config.limits.upstream_head_ms, 10_000),
    idleMs: Math.min(config.limits.upstream_idle_ms, 10_000),
    tokenizer: null,
  });
  try {
    const { ok, detail } = await backend.check(AbortSignal.timeout(10_000));
    return {
      name,
      ok,
      detail: `${backend.kind}: ${detail}`,
      remedy: ok ? null : 'Start the server, or correct the URL in upstream.',
    };
  } catch (error) {
    return {
      name,
      ok: false,
      detail: messageOf(error),
      remedy: 'Start the server, or correct the URL in upstream.',
    };
  } finally {
    await backend.close();
  }
}

/**
 * Makes a folder and what is missing above it, level by level: the `recursive` option of Node 20 never returns where the
 * file system refuses with ENOENT, as /proc does.
 */
async function makeFolder(folder: string): Promise<void> {
  const make = (): Promise<unknown> =>
    mkdir(folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  try {
    await make();
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (!missing || dirname(folder) === folder) throw error;
    await makeFolder(dirname(folder));
    await make();
  }
}

/** Writes and removes a file in the folder, which is made when it is missing. */
export async function checkStateDir(folder: string): Promise<Check> {
  const name = 'state directory';
  const probe = join(folder, `.probe-${process.pid}`);
  try {
    await makeFolder(folder);
    await access(folder, constants.R_OK | constants.W_OK);
    await writeFile(probe, '');
    await rm(probe);
    return { name, ok: true, detail: `${folder} can be written`, remedy: null };
  } catch (error) {
    return {
      name,
      ok: false,
      detail: messageOf(error),
      remedy: `Make ${folder} writable for this user, or set SLUICE_STATE_DIR to another folder.`,
    };
  }
}

/** Whether Redis answers, where decisions are kept there. */
async function checkRedis({ reuse }: Config): Promise<readonly Check[]> {
  if (reuse.store !== 'redis' || reuse.redis_url === null) return [];
  const { createRedisLedger } = await import('./reuse/stores/redis.ts');
  const name = `store redis ${new URL(reuse.redis_url).host}`;
  const remedy =
    'Start Redis or Valkey, or correct reuse.redis_url; until then requests go on without it.';
  try {
    const ledger = await createRedisLedger({
      url: reuse.redis_url,
      prefix: reuse.redis_prefix,
      ttlSeconds: 60,
      timeoutMs: 2000,
      cacheBytes: 1 << 20,
      onWarning: () => undefined,
    });
    const { ok, detail } = await ledger.check();
    await ledger.close();
    return [{ name, ok, detail, remedy: ok ? null : remedy }];
  } catch (error) {
    return [{ name, ok: false, detail: messageOf(error), remedy }];
  }
}

/** All checks in the order in which they are worth repairing. */
export async function runDoctor(config: Config): Promise<Check[]> {
  const upstreams = await Promise.all(config.upstream.map((url) => checkUpstream(url, config)));
  return [
    checkNode(process.versions.node),
    await checkRuntime(),
    ...(await checkModels(config)),
    ...upstreams,
    await checkStateDir(config.state_dir),
    ...(await checkRedis(config)),
  ];
}
