/** The file of the database on disk: permissions, checking before opening, and setting aside what cannot be used. */
import { fork } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  renameSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RootDatabase } from 'lmdb';
import { databaseFormat, environment, judge, openTables, type Tables } from './disk-tables.ts';

export interface OpenDatabase {
  readonly root: RootDatabase<Buffer, Buffer>;
  readonly tables: Tables;
  readonly path: string;
}

export interface OpenDatabaseOptions {
  readonly folder: string;
  /** Milliseconds that checking the file may take; when it takes longer it is used unchecked. */
  readonly checkMs: number;
  /** Whether the folder's disk has room for writing. */
  readonly hasRoom: () => boolean;
  readonly onWarning: (message: string) => void;
}

const fileName = 'ledger.lmdb';
const ends: readonly string[] = ['', '-lock'];
const crashes: readonly string[] = ['SIGSEGV', 'SIGBUS', 'SIGABRT', 'SIGILL', 'SIGFPE', 'SIGTRAP'];

/**
 * Opens the database of the folder, a fresh one when there is none or what is there cannot be used.
 * @throws when the folder cannot be written, its disk is nearly full or LMDB cannot be loaded
 */
export async function openDatabase(options: OpenDatabaseOptions): Promise<OpenDatabase> {
  const { folder, onWarning } = options;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (!options.hasRoom()) throw new Error('the disk is nearly full');
  const path = join(folder, fileName);
  makeFiles(path);
  const problem = await problemOf(path, options.checkMs);
  if (problem !== null) {
    setAside(path, problem, onWarning);
    makeFiles(path);
  }
  const { open } = await import('lmdb');
  // Not flushed at each commit: what is committed is in the operating system and outlives this process. Waiting for
  // the disk would cost every new unit a flush; `flush` below does it now and then.
  const root = open<Buffer, Buffer>({
    path,
    ...environment,
    noSync: true,
    // With it a failed commit (disk full) rejects a promise inside lmdb that nobody can catch.
    eventTurnBatching: false,
  });
  const judgement = judge(root);
  if (judgement !== 'fine') {
    await root.close();
    setAside(path, describe(judgement), onWarning);
    return openDatabase(options);
  }
  const tables = openTables(root);
  const format = Buffer.from('format');
  await tables.about.ifNoExists(format, () => {
    void tables.about.put(format, Buffer.from(String(databaseFormat)));
  });
  return { root, tables, path };
}

/**
 * Made here and not by LMDB, whose files others could read. An empty one is a fresh database. A file that is there is
 * not opened: closing it again would give up the locks that this process may hold on it.
 */
function makeFiles(path: string): void {
  for (const end of ends) {
    if (!existsSync(`${path}${end}`)) closeSync(openSync(`${path}${end}`, 'a', 0o600));
    chmodSync(`${path}${end}`, 0o600);
  }
  accessSync(path, constants.R_OK | constants.W_OK);
}

/** Why the file cannot be used, or null. */
async function problemOf(path: string, checkMs: number): Promise<string | null> {
  if (statSync(path).size === 0) return null;
  const { judgement, signal } = await check(path, checkMs);
  if (judgement === 'foreign' || judgement === 'newer') return describe(judgement);
  if (judgement === 'damaged') return 'is damaged or no database';
  const crashed = judgement === null && signal !== null && crashes.includes(signal);
  return crashed ? 'is damaged or no database' : null;
}

function describe(judgement: 'foreign' | 'newer'): string {
  return judgement === 'newer' ? 'was written by a newer version' : 'is no database of Sluice';
}

interface Checked {
  readonly judgement: string | null;
  readonly signal: string | null;
}

/** A check that could not be made says nothing: neither a judgement nor a signal of its own. */
function check(path: string, checkMs: number): Promise<Checked> {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const entry = fileURLToPath(new URL(`./disk-check.${extension}`, import.meta.url));
  return new Promise((resolve) => {
    const child = fork(entry, [path], { stdio: 'ignore', serialization: 'json' });
    let judgement: string | null = null;
    child.once('message', (message) => {
      judgement = typeof message === 'string' ? message : null;
    });
    child.once('error', () => resolve({ judgement: null, signal: null }));
    child.once('exit', (_code, signal) => resolve({ judgement, signal }));
    const timer = setTimeout(() => child.kill('SIGKILL'), checkMs);
    child.once('exit', () => clearTimeout(timer));
  });
}

/** Renames file and lock, never deletes them. Another process that has them open goes on with the renamed ones. */
function setAside(path: string, problem: string, onWarning: (message: string) => void): void {
  const aside = `${path}.aside-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`;
  for (const end of ends) {
    if (existsSync(`${path}${end}`)) renameSync(`${path}${end}`, `${aside}${end}`);
  }
  onWarning(
    `The store ${path} ${problem}. It was renamed to ${aside} and a fresh one is used: what was forwarded before is decided anew.`,
  );
}
