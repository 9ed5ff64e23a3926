/** Starting the servers under test, each in a process of its own. */
import { fork, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

const here = import.meta.dirname;
const root = join(here, '..');

export interface Subject {
  readonly name: string;
  readonly port: number;
  /** Header lines of every request to it, each ending in CRLF. */
  readonly headers: string;
  /** CPU seconds of its process so far, all threads. */
  usage(): Promise<{ readonly cpuSeconds: number; readonly rss: number }>;
  stop(): void;
}

interface StartOptions {
  readonly name: string;
  readonly file: string;
  readonly args?: readonly string[];
  readonly headers?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** For a server that does not report its port by message. */
  readonly port?: number;
}

function nextMessage<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => {
      child.off('message', onMessage);
      reject(new Error(`a server of the bench exited with ${code}`));
    };
    const onMessage = (message: unknown): void => {
      child.off('exit', onExit);
      resolve(message as T);
    };
    child.once('message', onMessage);
    child.once('exit', onExit);
  });
}

export async function startSubject(options: StartOptions): Promise<Subject> {
  const child = fork(options.file, [...(options.args ?? [])], {
    execArgv: ['--import', join(here, 'servers', 'probe.mjs')],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: { ...process.env, NODE_ENV: 'production', ...options.env },
  });
  let { port } = options;
  if (port === undefined) ({ port } = await nextMessage<{ port: number }>(child));
  else await listening(port);
  return {
    name: options.name,
    port,
    headers: options.headers ?? '',
    async usage() {
      const answer = nextMessage<{ cpuSeconds: number; rss: number }>(child);
      child.send('usage');
      return answer;
    },
    stop: () => void child.kill(),
  };
}

async function listening(port: number): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    const answered = await fetch(`http://127.0.0.1:${port}/`).then(
      async (response) => {
        await response.text();
        return true;
      },
      () => false,
    );
    if (answered) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing listens on port ${port}`);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof address !== 'object' || address === null) throw new Error('no free port');
  return address.port;
}

/** Compiles src/ for the bench: under a loader that keeps function names every closure would cost more. */
export function compileSource(): void {
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const flags = ['--outDir', join(here, 'dist'), '--declaration', 'false'];
  spawnSync(
    process.execPath,
    [
      compiler,
      '-p',
      join(root, 'tsconfig.build.json'),
      ...flags,
      '--isolatedDeclarations',
      'false',
    ],
    { cwd: root, stdio: 'ignore' },
  );
  if (!existsSync(join(here, 'dist', 'http', 'server.js'))) {
    throw new Error('src/ did not compile; see npm run check');
  }
}

const server = (name: string): string => join(here, 'servers', `${name}.mjs`);

export function startUpstream(chunks: number, gapMs: number): Promise<Subject> {
  const args = [String(chunks), String(gapMs)];
  return startSubject({ name: 'upstream', file: server('upstream'), args });
}

export function startProxies(upstream: string): Promise<Subject[]> {
  return Promise.all([
    startSubject({ name: 'minimal', file: server('minimal'), args: [upstream] }),
    startSubject({
      name: 'minimal, heap grown',
      file: server('minimal'),
      args: [upstream, 'grow'],
    }),
    startSubject({ name: 'bare', file: server('bare'), args: [upstream] }),
    startSubject({
      name: 'sluice',
      file: server('sluice'),
      args: [upstream],
      headers: 'x-sluice-compress: off\r\n',
    }),
  ]);
}

/** Portkey's gateway from npm, in a folder of its own; or the reason why it is not there. */
export async function startPortkey(upstream: string): Promise<Subject | string> {
  const folder = join(here, 'portkey');
  const file = join(folder, 'node_modules', '@portkey-ai', 'gateway', 'build', 'start-server.js');
  if (!existsSync(file)) {
    const installed = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], {
      cwd: folder,
      stdio: 'ignore',
    });
    if (installed.status !== 0 || !existsSync(file)) {
      return 'Portkey left out: `npm ci` in bench/portkey failed';
    }
  }
  const port = await freePort();
  return startSubject({
    name: 'portkey',
    file,
    args: ['--headless', `--port=${port}`],
    port,
    headers: `x-portkey-provider: openai\r\nx-portkey-custom-host: ${upstream}/v1\r\nauthorization: Bearer none\r\n`,
    env: { TRUSTED_CUSTOM_HOSTS: 'localhost,127.0.0.1' },
  });
}
