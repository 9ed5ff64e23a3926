/** Requests that do not fit, and a server's answers to them. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { RequestReport } from '../../src/core/report.ts';
import { startWindowProxy, type WindowProxy } from './window-proxy.ts';
import type { SmallModelOptions } from './small-model.ts';

/** Ten documents of about 80 tokens; one of them has the answer. */
export const documents = Array.from({ length: 10 }, (_, at) =>
  Array.from(
    { length: 4 },
    (_, line) =>
      `Harbour ${at} got its ${['pier', 'crane', 'light', 'wall'][line]} in ${1900 + at * 10 + line} from builder ${'ABCDEFGHIJ'[at]}.`,
  ).join(' '),
);
export const question = 'When did harbour 7 get its crane?';
export const content = `${documents.map((text) => `<document>\n${text}\n</document>`).join('\n')}\n\n${question}`;
export const chat = (changes: object = {}): object => ({
  model: 'small',
  max_tokens: 20,
  messages: [
    { role: 'system', content: 'Answer briefly.' },
    { role: 'user', content },
  ],
  ...changes,
});
export const completion = (changes: object = {}): object => ({
  model: 'small',
  max_tokens: 20,
  prompt: `${documents.map((text, at) => `Document [${at + 1}] ${text}`).join('\n\n')}\n\nQuestion: ${question}\nAnswer:`,
  ...changes,
});

/** Knows the answer only where the text has it. */
export const reader: SmallModelOptions['answer'] = ({ text }) => {
  const knows = text.includes('Harbour 7 got its crane in 1971');
  const record = text.includes('Confidence Score: a number');
  if (record && !text.includes('Below are records')) {
    return knows
      ? { text: 'Extracted Information: crane in 1971\nAnswer: 1971\nConfidence Score: 5' }
      : { text: '[NO INFORMATION]' };
  }
  if (text.includes('Below are records')) {
    return { text: text.includes('1971') ? 'In 1971, so the records.' : 'No idea.' };
  }
  return knows
    ? { text: 'In 1971.', logProbability: -0.05 }
    : { text: 'In 1899 maybe.', logProbability: -1.5 };
};

export async function post(
  proxy: WindowProxy,
  path: string,
  body: object,
  headers: Record<string, string> = {},
): Promise<{ status: number; headers: Headers; text: string }> {
  const response = await fetch(`${proxy.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

export const start = (
  t: TestContext,
  options: Partial<Parameters<typeof startWindowProxy>[1]> = {},
) => startWindowProxy(t, { window: 500, answer: reader, ...options });

export function reportOf(proxy: WindowProxy, headers: Headers): RequestReport {
  const report = proxy.gateway.report(headers.get('x-sluice-request-id') ?? '', 'default');
  assert.ok(report !== null);
  return report;
}
