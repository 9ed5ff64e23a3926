/**
 * Records of evidence (the protocol of LLMxMapReduce, arXiv 2410.09342): each window answers with extracted
 * information, rationale, answer and confidence; windows without evidence say so and are dropped; what is too long is
 * merged group by group; conflicts are solved by confidence.
 */

export interface EvidenceRecord {
  /** Which window, or windows, it is from: 1, 2, ... as shown in prompts. */
  readonly label: string;
  readonly information: string;
  readonly rationale: string;
  readonly answer: string;
  /** 0 to 5; null = the model gave none. */
  readonly confidence: number | null;
}

/** What a window without evidence is told to write. */
export const noInformation = '[NO INFORMATION]';

const form = [
  'Extracted Information: what the text says about the question, quoted as closely as possible',
  'Rationale: one or two sentences on how that leads to the answer, or what is missing',
  'Answer: the answer as far as this text supports it',
  'Confidence Score: a number from 0 to 5',
].join('\n');

const calibration =
  '5 = the answer stands in the text word for word; 3 to 3.5 = it follows from the text by inference; 0 = the text does not support it.';

/** The instruction around the text of one window; `before` is the same for all windows of a request. */
export function recordPrompt(question: string): {
  readonly before: string;
  readonly after: string;
} {
  return {
    before: [
      'You are given one part of a longer text, and a question about the whole text. Other parts are read separately.',
      'Write a record of what this part contributes, in exactly this form:',
      form,
      `Confidence: ${calibration}`,
      `If this part holds nothing for the question, write ${noInformation} and nothing else.`,
      '',
      `Question: ${question}`,
      '',
      'Part of the text:',
      '',
    ].join('\n'),
    after: '\n\nRecord:\n',
  };
}

/** The instruction to merge several records into one of the same form. */
export function mergePrompt(question: string, records: readonly EvidenceRecord[]): string {
  return [
    'Below are records that were made of different parts of one text, to answer a question.',
    'Merge them into one record of the same form. Keep everything that may matter for the question; where they conflict, prefer the higher confidence and say so in the rationale.',
    form,
    `Confidence: ${calibration}`,
    '',
    `Question: ${question}`,
    '',
    showRecords(records),
    '',
    'Merged record:',
    '',
  ].join('\n');
}

/** The instruction for the final answer. */
export function answerPrompt(question: string, records: readonly EvidenceRecord[]): string {
  return [
    'Below are records that were made of different parts of one text, to answer a request. Each has a confidence score from 0 to 5.',
    'Answer the request from the records. Where they conflict, trust the higher confidence, and combine parts where the answer needs several. Do not mention the records or their scores.',
    '',
    showRecords(records),
    '',
    `Request: ${question}`,
    'Answer:',
  ].join('\n');
}

export function showRecords(records: readonly EvidenceRecord[]): string {
  return records.map(showRecord).join('\n\n');
}

function showRecord(record: EvidenceRecord): string {
  const lines = [`Part ${record.label}`, `Extracted Information: ${record.information}`];
  if (record.rationale !== '') lines.push(`Rationale: ${record.rationale}`);
  if (record.answer !== '') lines.push(`Answer: ${record.answer}`);
  if (record.confidence !== null) lines.push(`Confidence Score: ${record.confidence}`);
  return lines.join('\n');
}

const fields = ['extracted information', 'rationale', 'answer', 'confidence score'] as const;
const label =
  /^[\s>*_#-]*(extracted information|rationale|answer|confidence(?: score)?)[*_\s]*[:：][*_\s]*/i;

/**
 * Reads what a model wrote. Lines before the first label count as information, so that a model that ignores the form
 * still contributes what it says. null = no information.
 */
export function parseRecord(text: string, name: string): EvidenceRecord | null {
  const parts = new Map<(typeof fields)[number], string[]>();
  let current: (typeof fields)[number] = 'extracted information';
  for (const line of text.split('\n')) {
    const found = label.exec(line);
    if (found !== null) {
      const word = (found[1] ?? '').toLowerCase();
      current = fields.find((field) => field.startsWith(word)) ?? current;
    }
    const rest = found === null ? line : line.slice(found[0].length);
    const list = parts.get(current) ?? [];
    list.push(rest);
    parts.set(current, list);
  }
  const part = (field: (typeof fields)[number]): string =>
    (parts.get(field) ?? []).join('\n').trim();
  const information = part('extracted information');
  const answer = part('answer');
  const empty = (value: string): boolean =>
    value === '' || /^\W*no (?:relevant )?information\W*$/i.test(value);
  if (empty(information) && empty(answer)) return null;
  const score = /\d+(?:\.\d+)?/.exec(part('confidence score'))?.[0];
  const confidence = score === undefined ? null : Math.min(5, Math.max(0, Number(score)));
  if (confidence === 0 && empty(answer)) return null;
  return { label: name, information, rationale: part('rationale'), answer, confidence };
}

/**
 * Groups of neighbouring records that fit into `room` tokens together, each of at least two where that is possible.
 * null = one record alone is too long.
 */
export function groupRecords(
  records: readonly EvidenceRecord[],
  room: number,
  count: (text: string) => number,
): readonly (readonly EvidenceRecord[])[] | null {
  const groups: EvidenceRecord[][] = [];
  let current: EvidenceRecord[] = [];
  for (const record of records) {
    if (count(showRecords([record])) > room) return null;
    if (current.length > 0 && count(showRecords([...current, record])) > room) {
      groups.push(current);
      current = [];
    }
    current.push(record);
  }
  if (current.length > 0) groups.push(current);
  return groups;
}

/** The surest first; who tells no confidence stands in the middle. */
export function bySureness(a: EvidenceRecord, b: EvidenceRecord): number {
  return (b.confidence ?? 2.5) - (a.confidence ?? 2.5);
}

/** The records with the most confidence that fit together, in their order, and how many were given up. */
export function surestRecords(
  records: readonly EvidenceRecord[],
  room: number,
  count: (text: string) => number,
): { readonly kept: readonly EvidenceRecord[]; readonly dropped: number } {
  const order = records
    .map((record, at) => ({ record, at }))
    .sort((a, b) => bySureness(a.record, b.record) || a.at - b.at);
  const kept: typeof order = [];
  for (const entry of order) {
    const tried = [...kept, entry].sort((a, b) => a.at - b.at);
    if (count(showRecords(tried.map(({ record }) => record))) <= room) kept.push(entry);
  }
  kept.sort((a, b) => a.at - b.at);
  return { kept: kept.map(({ record }) => record), dropped: records.length - kept.length };
}
