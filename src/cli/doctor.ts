/** `sluice doctor`: checks what Sluice needs here, and says what to do about each failure. */
import type { Command } from 'commander';
import type { Check } from '../doctor.ts';
import { print } from './io.ts';
import type { ConfigFlags } from './options.ts';
import { addConfigOptions, collect, configOf } from './options.ts';

interface DoctorFlags extends ConfigFlags {
  readonly upstream?: readonly string[];
  readonly json?: boolean;
}

export function register(program: Command): void {
  const command = program
    .command('doctor')
    .description('check Node, native runtime, models, upstreams and state directory')
    .option('--upstream <url>', "a server's base URL; may be given several times", collect)
    .option('--json', 'print as JSON');
  addConfigOptions(command).action(doctor);
}

export function renderChecks(checks: readonly Check[]): string {
  return checks
    .map(({ name, ok, detail, remedy }) => {
      const line = `${ok ? 'ok    ' : 'FAILED'}  ${name}: ${detail}\n`;
      return remedy === null ? line : `${line}        ${remedy}\n`;
    })
    .join('');
}

async function doctor(flags: DoctorFlags): Promise<void> {
  const config = configOf(flags, { flags: { upstream: flags.upstream } });
  const { runDoctor } = await import('../doctor.ts');
  const checks = await runDoctor(config);
  if (checks.some(({ ok }) => !ok)) process.exitCode = 1;
  await print(flags.json === true ? `${JSON.stringify(checks, null, 2)}\n` : renderChecks(checks));
}
