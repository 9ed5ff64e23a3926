/** House rules that the compiler cannot hold: who may import whom, and which package is imported where. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative, sep } from 'node:path';
import { test } from 'node:test';

/** Folder -> folders it may import; `types` suffix = only their types.ts, as types. */
const allowed: Record<string, readonly string[]> = {
  core: [],
  observe: ['core'],
  config: ['core'],
  client: [],
  wire: ['core'],
  tokenize: ['core'],
  score: ['tokenize', 'core'],
  compress: ['score:types', 'tokenize', 'core'],
  context: ['compress:types', 'tokenize', 'core'],
  reuse: ['core'],
  engine: ['context', 'score', 'tokenize', 'core'],
  backends: ['wire', 'core', 'engine', 'tokenize:types'],
  gateway: [
    'backends:types',
    'engine:types',
    'reuse:types',
    'context:types',
    'compress:types',
    'score:types',
    'tokenize:types',
    'config:types',
    'observe',
    'wire',
    'core',
  ],
  http: ['gateway', 'wire', 'observe', 'core'],
  cli: ['config', 'client', 'root', 'core'],
  // sluice.ts, index.ts and embed points beside it: the composition root
  root: [
    'core',
    'observe',
    'config',
    'client',
    'wire',
    'tokenize',
    'score',
    'compress',
    'context',
    'reuse',
    'engine',
    'backends',
    'gateway',
    'http',
    'root',
  ],
};

/** Third-party package -> the one folder that imports it. */
const packages: Record<string, string> = {
  express: 'http',
  undici: 'backends',
  'onnxruntime-node': 'score',
  '@huggingface/tokenizers': 'tokenize',
  '@huggingface/jinja': 'tokenize',
  '@redis/client': 'reuse',
  lmdb: 'reuse',
  zeromq: 'backends',
  msgpackr: 'backends',
  tar: 'score',
  'lru-cache': 'core',
  'prom-client': 'observe',
  pino: 'observe',
  commander: 'cli',
  'cli-progress': 'cli',
  zod: 'config',
  yaml: 'config',
  'fastest-levenshtein': 'config',
  'openapi-fetch': 'client',
};

interface Import {
  readonly file: string;
  readonly specifier: string;
  readonly typeOnly: boolean;
}

function sourceFiles(): string[] {
  return readdirSync('src', { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.(ts|mts)$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, 'utf8');
  const found: Import[] = [];
  const pattern =
    /(?:^|\n)\s*(import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)/g;
  for (const match of text.matchAll(pattern)) {
    const specifier = match[3] ?? match[4];
    if (specifier !== undefined) found.push({ file, specifier, typeOnly: match[2] !== undefined });
  }
  return found;
}

function folderOf(path: string): string {
  const parts = relative('src', path).split(sep);
  return parts.length === 1 ? 'root' : (parts[0] ?? 'root');
}

const imports = sourceFiles().flatMap(importsOf);

test('every folder imports only what the table allows', () => {
  const broken: string[] = [];
  for (const { file, specifier, typeOnly } of imports) {
    if (!specifier.startsWith('.')) continue;
    const from = folderOf(file);
    const target = normalize(join(dirname(file), specifier));
    const to = folderOf(target);
    if (from === to) continue;
    const rules = allowed[from] ?? [];
    const whole = rules.includes(to);
    const typesOnly = rules.includes(`${to}:types`) && typeOnly && target.endsWith('types.ts');
    if (!whole && !typesOnly) broken.push(`${file} imports ${specifier} (${from} -> ${to})`);
  }
  assert.deepEqual(broken, [], 'move the code or pass plain data through core/');
});

test('every third-party package is imported in its one folder', () => {
  const broken: string[] = [];
  for (const { file, specifier, typeOnly } of imports) {
    if (specifier.startsWith('.') || specifier.startsWith('node:')) continue;
    const name = specifier.startsWith('@')
      ? specifier.split('/').slice(0, 2).join('/')
      : (specifier.split('/')[0] ?? specifier);
    const home = packages[name];
    if (home === undefined) broken.push(`${file} imports ${name}, which has no home folder yet`);
    else if (home !== folderOf(file) && !(typeOnly && folderOf(file) === 'root'))
      broken.push(`${file} imports ${name}, whose home is src/${home}/`);
  }
  assert.deepEqual(
    broken,
    [],
    'add the package to the table with its folder, or go through that folder',
  );
});

test('the environment is read in config/ only', () => {
  const broken = sourceFiles().filter(
    (file) => folderOf(file) !== 'config' && /process\.env\b/.test(readFileSync(file, 'utf8')),
  );
  assert.deepEqual(broken, []);
});

test('the table knows every folder of src/', () => {
  const folders = new Set(sourceFiles().map(folderOf));
  assert.deepEqual(
    [...folders].filter((folder) => !(folder in allowed)),
    [],
  );
});
