/** Flags that several commands share, and how they become configuration. */
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { loadConfig } from '../config/load.ts';
import { logLevels } from '../config/types.ts';
import type { Config } from '../config/types.ts';
import { methodNames } from '../core/method.ts';
import type { MethodName } from '../core/method.ts';
import { contentKinds } from '../core/span.ts';
import type { ContentKind } from '../core/span.ts';
import { tell } from './io.ts';

/** A share in (0, 1]. */
export function parseRate(text: string): number {
  const rate = Number(text);
  if (text.trim() === '' || !(rate > 0 && rate <= 1))
    throw new InvalidArgumentError('Expected a share above 0 and at most 1.');
  return rate;
}

/** A whole number of at least 1. */
export function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isSafeInteger(count) || count < 1)
    throw new InvalidArgumentError('Expected a whole number of at least 1.');
  return count;
}

/** A port, 0 = any free one. */
export function parsePort(text: string): number {
  const port = Number(text);
  if (text.trim() === '' || !Number.isInteger(port) || port < 0 || port > 65_535)
    throw new InvalidArgumentError('Expected a whole number from 0 to 65535.');
  return port;
}

/** One more value of a flag that may be given several times. */
export function collect(value: string, earlier: readonly string[] | undefined): string[] {
  return [...(earlier ?? []), value];
}

export function methodOption(): Option {
  return new Option('--method <name>', 'how prose is compressed').choices(methodNames);
}

/** Flags of every command that reads the configuration. */
export interface ConfigFlags {
  readonly config?: string;
  readonly tokenizer?: string;
  readonly logLevel?: string;
}

export function addConfigOptions(command: Command): Command {
  return command
    .option('--config <file>', 'configuration file, YAML or JSON')
    .option('--tokenizer <folder>', "folder with the tokenizer.json of the upstream's model")
    .addOption(new Option('--log-level <level>', 'least severe level').choices(logLevels));
}

/**
 * The configuration of a command: its flags over the environment over the file. Odd findings are told on stderr.
 * @throws SluiceError CONFIG_INVALID
 */
export function configOf(
  flags: ConfigFlags,
  values: { readonly flags?: object; readonly defaults?: object } = {},
): Config {
  return loadConfig({
    file: flags.config,
    defaults: values.defaults,
    flags: {
      tokenizer: flags.tokenizer,
      log: { level: flags.logLevel },
      ...values.flags,
    },
    onFinding: ({ level, message }) => tell(`sluice: ${level}ing: ${message}`),
  });
}

/** Flags of the commands that take a text. */
export interface TextFlags extends ConfigFlags {
  readonly rate?: number;
  readonly targetTokens?: number;
  readonly question?: string;
  readonly instruction?: string;
  readonly method?: MethodName;
  readonly kind?: ContentKind;
}

export function addTextOptions(command: Command): Command {
  return addConfigOptions(command)
    .addOption(
      new Option('--rate <share>', 'share of the tokens to keep')
        .argParser(parseRate)
        .conflicts('targetTokens'),
    )
    .addOption(new Option('--target-tokens <n>', 'tokens that may remain').argParser(parseCount))
    .option('--question <text>', 'question that the text has to answer')
    .option('--instruction <text>', 'instruction that goes with the text')
    .addOption(methodOption())
    .addOption(
      new Option('--kind <kind>', 'what the text is; detected when left out').choices(contentKinds),
    );
}

/** One text, nobody else waiting: time is no limit, and the log stays out of the way unless asked for. */
const oneShotDefaults = { limits: { compress_ms: 3_600_000 }, log: { level: 'warn' } };

export function textConfigOf(flags: TextFlags): Config {
  // There is no conversation to remember.
  return configOf(flags, { defaults: oneShotDefaults, flags: { reuse: { store: 'memory' } } });
}

/** The parts of a compression request that were given as flags. */
export function wishesOf(flags: TextFlags): Omit<TextFlags, keyof ConfigFlags> {
  const { rate, targetTokens, question, instruction, method, kind } = flags;
  return {
    ...(rate === undefined ? {} : { rate }),
    ...(targetTokens === undefined ? {} : { targetTokens }),
    ...(question === undefined ? {} : { question }),
    ...(instruction === undefined ? {} : { instruction }),
    ...(method === undefined ? {} : { method }),
    ...(kind === undefined ? {} : { kind }),
  };
}
