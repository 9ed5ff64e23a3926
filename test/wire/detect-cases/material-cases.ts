/** Pasted material, long texts, tool results, agent transcripts. */
import type { DetectCase } from './cases.ts';
import { earlier, prompt } from './cases.ts';
import * as m from './material.ts';

const tool = { role: 'tool', lastUser: false } as const;

export const materialCases: readonly DetectCase[] = [
  { name: 'tool: JSON', text: m.json, place: tool, want: [['Tjson', '[']] },
  { name: 'tool: JSON lines', text: m.jsonLines, place: tool, want: [['Tjson', '{']] },
  { name: 'tool: log', text: m.log, place: tool, want: [['Tlog', '2025']] },
  { name: 'tool: syslog', text: m.syslog, place: tool, want: [['Tlog', 'Mar']] },
  { name: 'tool: log with a stack trace', text: m.trace, place: tool, want: [['Tlog', '2025']] },
  { name: 'tool: diff', text: m.diff, place: tool, want: [['Tdiff', 'diff --git']] },
  { name: 'tool: CSV', text: m.csv, place: tool, want: [['Ttable', 'date,']] },
  { name: 'tool: Markdown table', text: m.pipeTable, place: tool, want: [['Ttable', '| Month']] },
  { name: 'tool: grep', text: m.grep, place: tool, want: [['Tsearch', 'src/gate']] },
  {
    name: 'tool: search engine list',
    text: m.links,
    place: tool,
    want: [['Tsearch', '1. Harbour']],
  },
  { name: 'tool: HTML', text: m.html, place: tool, want: [['Tmarkup', '<!DOCTYPE']] },
  { name: 'tool: Python is pinned', text: m.python, place: tool, want: [['Tcode', 'import os']] },
  {
    name: 'tool: TypeScript is pinned',
    text: m.typescript,
    place: tool,
    want: [['Tcode', 'import {']],
  },
  { name: 'tool: prose', text: m.prose3, place: tool, want: [['T', 'The lighthouse']] },
  {
    name: 'tool: Chinese prose',
    text: `${m.chinese}\n${m.chinese2}`,
    place: tool,
    want: [['T', '青石镇']],
  },
  { name: 'tool: one word', text: 'ok', place: tool, want: [['T', 'ok']] },
  {
    name: 'SWE-agent file view with numbered lines',
    text: `[File: src/store.py (18 lines total)]\n${m.python}`,
    place: tool,
    want: [['Tcode', '[File:']],
  },
  {
    name: 'system prompt',
    text: `<context>\n${m.prose3}\n</context>`,
    place: { role: 'system', lastUser: false },
    want: [['I', '<context>']],
  },
  {
    name: 'developer prompt',
    text: 'Be brief.',
    place: { role: 'developer', lastUser: false },
    want: [['I', 'Be brief.']],
  },
  {
    name: 'assistant text',
    text: `<document>\n${m.prose3}\n</document>`,
    place: { role: 'assistant', lastUser: false },
    want: [['H', '<document>']],
  },
  {
    name: 'earlier user text',
    text: 'And what about the bakery?',
    place: earlier,
    want: [['H', 'And what']],
  },
  {
    name: 'earlier long text without a sign',
    text: `${m.prose3}\n\nSummarize the above.`,
    place: earlier,
    want: [['H', 'The lighthouse']],
  },
  {
    name: 'document part',
    text: m.prose3,
    place: { partType: 'document' },
    want: [['D', 'The lighthouse']],
  },
  {
    name: 'file part with a log',
    text: m.log,
    place: { partType: 'file', lastUser: false },
    want: [['Dlog', '2025']],
  },
  {
    name: 'file part with code',
    text: m.python,
    place: { partType: 'input_file' },
    want: [['Code', 'import os']],
  },
  {
    name: 'few-shot message',
    text: 'Review: fine',
    place: { lastUser: false, demonstrationTurn: true },
    want: [['X', 'Review: fine']],
  },
  {
    name: 'pasted log, question after',
    text: `${m.log}\n\nWhy did the store stop?`,
    want: [
      ['Dlog', '2025', 'segment 11'],
      ['Q', 'Why did'],
    ],
  },
  {
    name: 'pasted log, question before',
    text: `What is wrong here?\n\n${m.trace}`,
    want: [
      ['Q', 'What is wrong'],
      ['Dlog', '2025', 'length 41'],
    ],
  },
  {
    name: 'pasted log directly under the question',
    text: `sshd fills our log, who is it?\n${m.syslog}`,
    want: [
      ['Q', 'sshd fills'],
      ['Dlog', 'Mar'],
    ],
  },
  {
    name: 'JSON blob and a key',
    text: `Extract the value of the key below.\n\nJSON data:\n${m.json}\n\nKey: "ord-1003"\nCorresponding value:`,
    want: [
      ['I', 'Extract the value'],
      ['Djson', '['],
      ['Q', 'Key:', 'value:'],
    ],
  },
  {
    name: 'JSON blob without a label',
    text: `Which order is unpaid?\n${m.json}`,
    want: [
      ['Q', 'Which order'],
      ['Djson', '['],
    ],
  },
  {
    name: 'JSON lines between two sentences',
    text: `These are the events of this morning.\n\n${m.jsonLines}\n\nHow many logins failed?`,
    want: [
      ['Q', 'These are'],
      ['Djson', '{'],
      ['Q', 'How many'],
    ],
  },
  {
    name: 'CSV in the message',
    text: `Plot the level by day:\n\n${m.csv}`,
    want: [
      ['Q', 'Plot the'],
      ['Dtable', 'date,'],
    ],
  },
  {
    name: 'Markdown table in the message',
    text: `${m.pipeTable}\n\nWhich month sold the most rolls?`,
    want: [
      ['Dtable', '| Month'],
      ['Q', 'Which month'],
    ],
  },
  {
    name: 'diff to review',
    text: `Review this change and say what could break.\n\n${m.diff}\n\nKeep it short.`,
    want: [
      ['Q', 'Review this'],
      ['Ddiff', 'diff --git'],
      ['Q', 'Keep it short.'],
    ],
  },
  {
    name: 'grep output in the message',
    text: `Where is the limit set to 300?\n\n${m.grep}`,
    want: [
      ['Q', 'Where is'],
      ['Dsearch', 'src/gate'],
    ],
  },
  {
    name: 'meeting transcript',
    text: `${m.transcript}\n\nWhat was decided about the blocks?`,
    want: [
      ['D', 'Dana: Good', 'Will do.'],
      ['Q', 'What was'],
    ],
  },
  {
    name: 'meeting transcript under an announcement',
    text: `Summarize the decisions in the following meeting transcript:\n\n${m.transcript}`,
    want: [
      ['Q', 'Summarize the'],
      ['D', 'Dana: Good', 'Will do.'],
    ],
  },
  {
    name: 'transcript with times',
    text: `${m.transcript.replaceAll(/^/gm, '[00:12:05] ')}\n\nWho writes the letter?`,
    want: [
      ['Dlog', '[00:12:05] Dana'],
      ['Q', 'Who writes'],
    ],
  },
  {
    name: 'long article, order last',
    text: `${m.prose3}\n\nSummarize the above in 3 bullet points.`,
    want: [
      ['D', 'The lighthouse', '1934.'],
      ['Q', 'Summarize the above'],
    ],
  },
  {
    name: 'long article, order first',
    text: `Translate this into German.\n\n${m.prose3}`,
    want: [
      ['Q', 'Translate this'],
      ['D', 'The lighthouse', '1934.'],
    ],
  },
  {
    name: 'long article, order on both sides',
    text: `I need a short summary of this article:\n\n${m.prose3}\n\nPlease keep all years and names.`,
    want: [
      ['Q', 'I need'],
      ['D', 'The lighthouse', '1934.'],
      ['Q', 'Please keep'],
    ],
  },
  {
    name: 'tl;dr',
    text: `${m.prose3}\n\nTl;dr`,
    place: prompt,
    want: [
      ['D', 'The lighthouse', '1934.'],
      ['Q', 'Tl;dr'],
    ],
  },
  {
    name: 'long text without any request stays',
    text: m.prose3,
    want: [['Q', 'The lighthouse', '1934.']],
  },
  {
    name: 'short text and a question stay',
    text: `${m.lighthouse}\n\nHow tall is it?`,
    want: [['Q', 'The lighthouse', 'tall is it?']],
  },
  {
    name: 'plain completions prompt',
    text: 'Once upon a time there was a lighthouse',
    place: prompt,
    want: [['I', 'Once upon']],
  },
  {
    name: 'fenced code is pinned',
    text: `Why does this fail?\n\n\`\`\`python\n${m.python}\`\`\`\n\nIt worked yesterday.`,
    want: [
      ['Q', 'Why does'],
      ['Code', '```python', '```'],
      ['Q', 'It worked'],
    ],
  },
  {
    name: 'fenced JSON is a document',
    text: `Which order is unpaid?\n\n\`\`\`json\n${m.json}\n\`\`\``,
    want: [
      ['Q', 'Which order'],
      ['Djson', '['],
      ['Q', '```'],
    ],
  },
  {
    name: 'fenced log is a document',
    text: `\`\`\`\n${m.log}\n\`\`\`\nWhat happened?`,
    want: [
      ['Q', '```'],
      ['Dlog', '2025'],
      ['Q', '```', 'happened?'],
    ],
  },
  {
    name: 'fenced diff is a document',
    text: `Review:\n\`\`\`diff\n${m.diff}\n\`\`\``,
    want: [
      ['Q', 'Review:'],
      ['Ddiff', 'diff --git'],
      ['Q', '```'],
    ],
  },
  {
    name: 'fence without a language around code',
    text: `What does this print?\n\`\`\`\n${m.python}\`\`\``,
    want: [
      ['Q', 'What does'],
      ['Code', '```'],
    ],
  },
  {
    name: 'unfenced code after a question',
    text: `What does this module do, and where could it fail?\n\n${m.python.repeat(3)}`,
    want: [
      ['Q', 'What does'],
      ['Code', 'import os'],
    ],
  },
  {
    name: 'code inside a tagged document stays',
    text: `<document>\n${m.lighthouse}\n\n\`\`\`python\n${m.python}\`\`\`\n\n${m.river}\n</document>\nWhat does it compute?`,
    want: [
      ['D', 'The lighthouse', 'school.'],
      ['Code', '```python', '```'],
      ['D', 'The Sella', '1934.'],
      ['Q', 'What does'],
    ],
  },
  {
    name: 'Markdown sections with a request',
    text: `Please turn this into a press note.\n\n## Cape Arnor\n${m.lighthouse} ${m.bakery} ${m.river}\n\n## The bakery\n${m.bakery} ${m.river} ${m.lighthouse}`,
    want: [
      ['Q', 'Please turn'],
      ['D', 'The lighthouse', '1934.'],
      ['Q', '## The bakery'],
      ['D', 'Maren', 'school.'],
    ],
  },
  {
    name: 'Markdown instructions are not material',
    text: `# Task\nYou must write a note about the harbour. ${'You should keep it short and never use lists. Make sure that every number is right. '.repeat(16)}\n\n# Output format\nReturn JSON.`,
    want: [['Q', '# Task', 'Return JSON.']],
  },
  {
    name: 'ReAct scratchpad',
    text: `Answer the following questions as best you can. You have access to the following tools:\n\nsearch: looks things up\n\nUse the following format:\n\nQuestion: the input question\nThought: you should always think about what to do\nAction: the action to take\nObservation: the result of the action\nFinal Answer: the final answer\n\nBegin!\n\nQuestion: Who kept the light at Cape Arnor?\nThought: I should search.\nAction: search\nAction Input: Cape Arnor\nObservation: ${m.lighthouse} ${m.bakery}\nThought:`,
    place: prompt,
    want: [
      ['I', 'Answer the following'],
      ['Q', 'Question: Who kept', 'Observation:'],
      ['T', 'The lighthouse', 'house.'],
      ['Q', 'Thought:'],
    ],
  },
  {
    name: 'agent observation as a user message',
    text: `OBSERVATION:\n${m.trace}`,
    want: [
      ['Q', 'OBSERVATION:'],
      ['Dlog', '2025'],
    ],
  },
];
