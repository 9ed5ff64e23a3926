/** An extension plan for a terminal. */
import { reuseClasses } from '../../core/attention-profile.ts';
import type { ExtensionPlan, SchemePlan, ServerPlan } from '../../extension.ts';
import { columns } from './columns.ts';

/** Facts, a table of schemes, then each scheme with what it does and how servers are started. */
export function renderExtension(plan: ExtensionPlan): string {
  return [
    ...facts(plan),
    '',
    ...table(plan),
    '',
    ...plan.schemes.flatMap((scheme) => [...schemeLines(scheme), '']),
    ...plan.notes.map((note) => `Note: ${note}`),
    '',
  ].join('\n');
}

function facts(plan: ExtensionPlan): readonly string[] {
  const { model, bases, cache, prefill, effective } = plan;
  const { estimate, published } = effective;
  const rows = [
    [
      'Critical dimension',
      `${plan.criticalDimension} of ${model.ropeDim} rotated channels saw a whole period in training`,
    ],
    [
      'Base for the target',
      bases.perplexity === null
        ? `retrieval: at least ${count(bases.retrieval)} (arXiv 2405.14591); perplexity: the law says nothing here`
        : `perplexity: ${count(bases.perplexity)} (arXiv 2310.05209); retrieval: at least ${count(bases.retrieval)} (arXiv 2405.14591)`,
    ],
    [
      'KV cache',
      `${bytes(cache.bytesPerToken)} a token (${cache.dtype}), ${bytes(cache.bytesAtLength)} at the target; reusable: ${reuseClasses[cache.reuse]}`,
    ],
    [
      'Prefill',
      prefill === null
        ? 'not known: the configuration does not tell the feed-forward width'
        : `${tera(prefill.totalFlops)} TFLOP: ${tera(prefill.linearFlops)} for weights, ${tera(prefill.attentionFlops)} for attention`,
    ],
    [
      'Effective length',
      `about ${count(estimate.tokens)} (${count(estimate.from)} to ${count(estimate.to)}): ${estimate.basis}`,
    ],
    [
      '',
      published
        .map(({ model: name, claimed, effective: passed }) => {
          return `${name} ${count(claimed)} -> ${passed === null ? 'below 4,096' : count(passed)}`;
        })
        .join('; '),
    ],
  ];
  return [
    `${model.family}, ${model.layers} layers, base ${count(model.base)}: trained for ${count(model.trainedLength)} tokens, ` +
      `configured for ${count(model.configuredLength)} (${model.scaling}), wanted ${count(plan.length)} (x ${round(plan.factor)})`,
    '',
    ...columns(rows),
  ];
}

function table(plan: ExtensionPlan): readonly string[] {
  const servers = plan.schemes[0]?.servers.map(({ server }) => server) ?? [];
  const head = [
    'scheme',
    'attention',
    'pairs changed',
    'perplexity to',
    'retrieval to',
    ...servers,
  ];
  const rows = plan.schemes.map((scheme) => [
    scheme.title,
    scheme.attentionFactor.toFixed(4),
    `${scheme.changedPairs}/${scheme.inverseFrequencies.length}`,
    scheme.bounds.perplexity === null ? '-' : count(scheme.bounds.perplexity),
    `${scheme.bounds.retrievalReached ? '>= ' : ''}${count(scheme.bounds.retrieval)}`,
    ...scheme.servers.map(({ verdict }) => verdict),
  ]);
  return columns([head, ...rows], [1, 2, 3, 4]);
}

function schemeLines(scheme: SchemePlan): readonly string[] {
  return [
    `${scheme.title} (${scheme.source})`,
    `  short prompts  ${scheme.shortPrompts}`,
    `  tuning         ${scheme.tuning}`,
    `  cached keys    ${scheme.cache}`,
    ...scheme.servers.flatMap(serverLines),
  ];
}

function serverLines({ server, verdict, command, cacheRow, notes }: ServerPlan): readonly string[] {
  const row = cacheRow === null ? '' : `, cache as '${cacheRow}'`;
  return [
    `  ${server}: ${verdict}${row}`,
    ...(command === null ? [] : [`    ${command}`]),
    ...notes.map((note) => `    - ${note}`),
  ];
}

/** 131072 -> 131,072; large bases with few digits. */
function count(value: number): string {
  return value < 1e9 ? Math.round(value).toLocaleString('en-US') : value.toPrecision(3);
}

function round(value: number): string {
  return String(Number(value.toFixed(2)));
}

function tera(flops: number): string {
  const value = flops / 1e12;
  return value >= 100 ? count(value) : value.toPrecision(3);
}

function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const step = Math.min(units.length - 1, Math.floor(Math.log2(value) / 10));
  return `${round(value / 1024 ** step)} ${units[step] ?? ''}`;
}
