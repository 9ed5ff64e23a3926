/** The tables of the database on disk, and the judgement whether a file is such a database. */
import type { Database, RootDatabase } from 'lmdb';

/** Format of the tables; a higher number was written by a newer Sluice. */
export const databaseFormat = 1;

export interface Tables {
  /** `format` -> the number above, as text. */
  readonly about: Database<Buffer, Buffer>;
  /** Decision key -> record; the version of an entry is its stamp. */
  readonly decisions: Database<Buffer, Buffer>;
  /** Stamp and decision key -> nothing; oldest first. */
  readonly order: Database<Buffer, Buffer>;
  /** Conversation id -> record; the version of an entry is its stamp. */
  readonly conversations: Database<Buffer, Buffer>;
  /** Stamp and conversation id -> nothing; oldest first. */
  readonly turns: Database<Buffer, Buffer>;
  /** Lineage key -> id of the conversation that last forwarded that unit. */
  readonly units: Database<Buffer, Buffer>;
  /** Hash of a session's name -> conversation id. */
  readonly names: Database<Buffer, Buffer>;
}

const versioned = { decisions: true, conversations: true };
const tableNames = [
  'about',
  'decisions',
  'order',
  'conversations',
  'turns',
  'units',
  'names',
] as const;

/** How the environment is opened; the same for writing and for checking. */
export const environment = {
  noSubdir: true,
  maxDbs: tableNames.length,
  encoding: 'binary',
  keyEncoding: 'binary',
} as const;

/** Tables that are missing are made, unless the database is open for reading only. */
export function openTables(root: RootDatabase<Buffer, Buffer>): Tables {
  const table = (name: (typeof tableNames)[number]): Database<Buffer, Buffer> =>
    root.openDB<Buffer, Buffer>({
      name,
      encoding: environment.encoding,
      keyEncoding: environment.keyEncoding,
      useVersions: name in versioned,
    });
  return {
    about: table('about'),
    decisions: table('decisions'),
    order: table('order'),
    conversations: table('conversations'),
    turns: table('turns'),
    units: table('units'),
    names: table('names'),
  };
}

/** `fine` includes a database that is empty, or that another process is just making. */
export type Judgement = 'fine' | 'foreign' | 'newer';

/** Looks at the names of the tables and the format. */
export function judge(root: RootDatabase<Buffer, Buffer>): Judgement {
  const known = new Set<string>(tableNames);
  let tables = 0;
  for (const name of root.getKeys()) {
    if (!known.has(Buffer.from(name).toString('utf8').replaceAll('\0', ''))) return 'foreign';
    tables += 1;
  }
  if (tables === 0) return 'fine';
  const about = root.openDB<Buffer, Buffer>({
    name: 'about',
    encoding: environment.encoding,
    keyEncoding: environment.keyEncoding,
  });
  // lmdb answers undefined for a table that is not there when it may not make it
  const format = about === undefined ? undefined : about.get(Buffer.from('format'));
  if (format === undefined) return 'fine';
  const number = Number(format.toString('utf8'));
  if (!Number.isInteger(number)) return 'foreign';
  return number > databaseFormat ? 'newer' : 'fine';
}

/** Reads every entry of every table; throws, or ends the process, when the file is damaged. */
export function readAll(tables: Tables): void {
  for (const table of Object.values(tables)) {
    if (table === undefined) continue;
    for (const entry of table.getRange()) {
      if (!Buffer.isBuffer(entry.value)) throw new Error('a value is not binary');
    }
  }
}
