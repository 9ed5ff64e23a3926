/** The command line as one table of commands; each command is a file that exports `register`. */
import { Command, CommanderError } from 'commander';
import { SluiceError } from '../core/errors.ts';
import { version } from '../version.ts';
import * as compress from './compress.ts';
import * as doctor from './doctor.ts';
import { register as registerEval } from './eval/register.ts';
import * as explain from './explain.ts';
import { describeFailure, tell, UsageError, usageStatus } from './io.ts';
import * as models from './models.ts';
import * as plan from './plan.ts';
import * as serve from './serve.ts';

/** Adds one command to the program. */
type Register = (program: Command) => void;

const commands: readonly Register[] = [
  serve.register,
  compress.register,
  explain.register,
  models.register,
  plan.register,
  doctor.register,
  registerEval,
];

export function buildProgram(): Command {
  const program = new Command('sluice')
    .description('Cache-safe prompt compression in front of an LLM backend.')
    .version(version)
    .exitOverride()
    // What follows a command's name is the command's: `plan` and `plan extend` both have --json.
    .enablePositionalOptions()
    .showHelpAfterError('(--help lists what the command takes)');
  for (const register of commands) register(program);
  return program;
}

/**
 * Runs one command line (without the program's name) and returns its exit status: 0 done, 1 failed, 2 not understood.
 * Failures are told on stderr.
 */
export async function runProgram(args: readonly string[]): Promise<number> {
  try {
    await buildProgram().parseAsync(args, { from: 'user' });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    // commander has told its own message already
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : usageStatus;
    tell(describeFailure(error));
    const misused =
      error instanceof UsageError ||
      (SluiceError.isInstance(error) && error.code === 'CONFIG_INVALID');
    return misused ? usageStatus : 1;
  }
}
