/** `sluice serve`: the proxy, until a signal ends it. */
import { Option } from 'commander';
import type { Command } from 'commander';
import { backendSettings } from '../config/types.ts';
import { letHeapGrow } from './heap.ts';
import { print, tell } from './io.ts';
import type { ConfigFlags } from './options.ts';
import {
  addConfigOptions,
  collect,
  configOf,
  methodOption,
  parsePort,
  parseRate,
} from './options.ts';

interface ServeFlags extends ConfigFlags {
  readonly host?: string;
  readonly port?: number;
  readonly upstream?: readonly string[];
  readonly backend?: string;
  readonly model?: string;
  readonly method?: string;
  readonly rate?: number;
  /** false when `--no-compress` is given, else true. */
  readonly compress: boolean;
}

export function register(program: Command): void {
  const command = program
    .command('serve')
    .description('run the proxy; without an upstream the embedded backend answers')
    .option('--host <address>', 'address to listen on')
    .option('--port <n>', 'port to listen on; 0 picks a free one', parsePort)
    .option('--upstream <url>', "the server's base URL; may be given several times", collect)
    .addOption(
      new Option('--backend <kind>', 'kind of the upstream; detected when left out').choices(
        backendSettings,
      ),
    )
    .option('--model <path>', 'what the embedded backend serves: a model folder or a .gguf file')
    .addOption(methodOption())
    .option('--rate <share>', 'share of the tokens to keep', parseRate)
    .option('--no-compress', 'forward everything as it comes');
  addConfigOptions(command).action(serve);
}

async function serve(flags: ServeFlags): Promise<void> {
  const config = configOf(flags, {
    // A proxy is restarted under running conversations; what it forwarded must stand.
    defaults: { reuse: { store: 'disk' } },
    flags: {
      host: flags.host,
      port: flags.port,
      upstream: flags.upstream,
      backend: flags.backend,
      embedded: { model: flags.model },
      compress: {
        method: flags.method,
        rate: flags.rate,
        enabled: flags.compress ? undefined : false,
      },
    },
  });
  letHeapGrow();
  const { createSluice } = await import('../sluice.ts');
  const sluice = await createSluice(config);
  try {
    const { url } = await sluice.listen();
    await print(`sluice listening on ${url}\n`);
    await untilSignal();
  } catch (error) {
    throw explainListenError(error, `${config.host}:${config.port}`);
  } finally {
    await sluice.close();
  }
}

/** Says what to do about the two ways in which listening usually fails. */
function explainListenError(error: unknown, address: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : null;
  if (code === 'EADDRINUSE')
    return new Error(`${address} is in use; choose another port with --port`, { cause: error });
  if (code === 'EACCES')
    return new Error(`${address} is not allowed; choose a port above 1023 with --port`, {
      cause: error,
    });
  return error;
}

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process without waiting for running requests. */
function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    let stopping = false;
    const onSignal = (signal: NodeJS.Signals): void => {
      if (stopping) process.exit(1);
      stopping = true;
      tell(`sluice: ${signal}: finishing running requests; once more ends at once`);
      resolve();
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}
