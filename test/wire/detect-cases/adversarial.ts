/** Prompts that look like something else. Doubt must end in pinned text. */
import type { DetectCase } from './cases.ts';
import { prompt } from './cases.ts';
import * as m from './material.ts';

export const adversarialCases: readonly DetectCase[] = [
  { name: 'empty string', text: '', want: [] },
  { name: 'white space only', text: ' \n\n\t ', want: [] },
  {
    name: 'talk about tags',
    text: 'What is the difference between <context> and </context> in a prompt, and should I use <document> too?',
    want: [['Q', 'What is the difference', 'too?']],
  },
  {
    name: 'a sentence that begins with a numbered document',
    text: 'Document [1] is missing from the shared folder and Ann asked me for it again today.\nCan you tell me where it went?',
    want: [['Q', 'Document [1]', 'it went?']],
  },
  {
    name: 'tags in backticks',
    text: 'Why does `<document>` need `</document>`, and what goes between `<context>` and `</context>`?',
    want: [['Q', 'Why does']],
  },
  {
    name: 'unclosed tag',
    text: `<document>\n${m.lighthouse}\n\nHow tall is it?`,
    want: [['Q', '<document>', 'tall is it?']],
  },
  {
    name: 'closing tag alone',
    text: `${m.lighthouse}\n</document>\nHow tall is it?`,
    want: [['Q', 'The lighthouse', 'tall is it?']],
  },
  {
    name: 'crossed tags',
    text: `<context>\n${m.lighthouse}\n<doc>\n${m.river}\n</context>\n</doc>\nHow tall is it?`,
    want: [
      ['D', 'The lighthouse', '1934.'],
      ['Q', '</doc>', 'tall is it?'],
    ],
  },
  {
    name: 'closing tag quoted inside a document',
    text: `<document>\n${m.lighthouse} The manual writes "</document>" at the end.\n${m.river}\n</document>\nHow tall is it?`,
    want: [
      ['D', 'The lighthouse', 'writes "'],
      ['Q', '" at the end.', 'tall is it?'],
    ],
  },
  {
    name: 'tag words inside the question',
    text: `<context>\n${m.prose3}\n</context>\nWrap the answer in <answer> tags and the source in <source>.`,
    want: [
      ['D', 'The lighthouse', '1934.'],
      ['Q', 'Wrap the answer'],
    ],
  },
  {
    name: 'same tag nested',
    text: `<doc>\n<doc>\n${m.lighthouse}\n</doc>\n<doc>\n${m.river}\n</doc>\n</doc>\nWhich is taller?`,
    want: [
      ['D', 'The lighthouse', 'school.'],
      ['D', 'The Sella', '1934.'],
      ['Q', 'Which is'],
    ],
  },
  {
    name: 'self-closing tag',
    text: `<document src="a.txt"/>\nHow tall is the tower?`,
    want: [['Q', '<document', 'tower?']],
  },
  {
    name: 'HTML in the question',
    text: 'How do I centre this?\n<div class="a"><p>Hello</p></div>',
    want: [['Q', 'How do I']],
  },
  {
    name: 'document that contains Question:',
    text: `Context:\n${m.lighthouse}\n\nQuestion: who built it? Nobody knows, says the diary.\n\n${m.river}\n\n${m.bakery}\n\nQuestion: How tall is the tower?\nAnswer:`,
    want: [
      ['I', 'Context:'],
      ['D', 'The lighthouse', 'house.'],
      ['Q', 'Question: How tall', 'Answer:'],
    ],
  },
  {
    name: 'tagged document that contains Question: and Answer:',
    text: `<context>\nQuestion: Is it open?\nAnswer: Yes.\n\nQuestion: Is it free?\nAnswer: No.\n\nQuestion: Is it far?\nAnswer: No.\n</context>\n\nIs it free on Mondays?`,
    want: [
      ['D', 'Question: Is it open?', 'No.'],
      ['Q', 'Is it free on'],
    ],
  },
  {
    name: 'code with Q: comments',
    text: `Explain this:\n\`\`\`python\n# Q: one\n# A: two\n# Q: three\n# A: four\n# Q: five\n# A: six\n${m.python}\`\`\``,
    want: [
      ['Q', 'Explain this:'],
      ['Code', '```python'],
    ],
  },
  {
    name: 'nested fences',
    text: `Show me how to write this in Markdown.\n\n\`\`\`\`markdown\nText\n\`\`\`js\nlet a = 1;\n\`\`\`\nMore text\n\`\`\`\`\n\nThanks`,
    want: [
      ['Q', 'Show me'],
      ['Code', '````markdown', '````'],
      ['Q', 'Thanks'],
    ],
  },
  { name: 'unclosed fence', text: 'Fix this:\n```python\nprint("a"\n', want: [['Q', 'Fix this:']] },
  {
    name: 'tags inside a fence are code',
    text: `How do I parse this?\n\`\`\`xml\n<documents><document>one</document></documents>\n\`\`\`\nWith a stream.`,
    want: [
      ['Q', 'How do I'],
      ['Code', '```xml', '```'],
      ['Q', 'With a stream.'],
    ],
  },
  {
    name: 'unclosed fence inside a document ends with it',
    text: `<document>\n${m.lighthouse}\n\`\`\`\n</document>\n<document>\n${m.river}\n</document>\nWhich is older?`,
    want: [
      ['D', 'The lighthouse'],
      ['D', 'The Sella', '1934.'],
      ['Q', 'Which is older?'],
    ],
  },
  {
    name: 'CRLF line ends',
    text: `Context:\n${m.prose3}\n\nQuestion: How tall is it?\nAnswer:`.replaceAll('\n', '\r\n'),
    want: [
      ['I', 'Context:'],
      ['D', 'The lighthouse', '1934.'],
      ['Q', 'Question: How', 'Answer:'],
    ],
  },
  {
    name: 'CRLF tags',
    text: `<document>\r\n${m.lighthouse}\r\n</document>\r\n\r\nHow tall is it?`,
    want: [
      ['D', 'The lighthouse', 'school.'],
      ['Q', 'How tall'],
    ],
  },
  {
    name: 'long instructions for a text to write',
    text: `Write a story about a keeper. You must use the first person. ${'You should describe the storm, the lamp and the sea, and never name the town. Make sure that the keeper is alone. Do not use dialogue. '.repeat(12)}\n\nYou must end with the morning.`,
    want: [['Q', 'Write a story', 'morning.']],
  },
  {
    name: 'requested sections are not material',
    text: 'Create a report with the following sections:\n- Summary\n- Costs of the harbour wall\n- Open questions\n\nUse plain words.',
    want: [['Q', 'Create a report']],
  },
  {
    name: 'requested format is not material',
    text: 'Use the following report format:\n\n1. Title\n2. Three findings with numbers\n3. One paragraph of advice, at most eighty words long, in plain English and without any list\n\nTopic: the harbour wall',
    want: [['Q', 'Use the following', 'harbour wall']],
  },
  {
    name: 'numbered instructions',
    text: 'Do this:\n1. Read the file.\n2. Count the lines.\n3. Print the number.\n4. Stop.',
    want: [['Q', 'Do this:']],
  },
  {
    name: 'citations in a question',
    text: 'Does [1] contradict [2], and is [3] newer than both?',
    want: [['Q', 'Does [1]']],
  },
  {
    name: 'braces that are no JSON',
    text: `{name}, please fill the template: {greeting} {body} {signature}\n\n{not json at all}`,
    want: [['Q', '{name}']],
  },
  {
    name: 'unbalanced JSON stays',
    text: `Repair this:\n{"orders": [${'{"id": 1, "total": 20.5, "paid": true}, '.repeat(12)}`,
    want: [['Q', 'Repair this:']],
  },
  {
    name: 'conversation with the model in a prompt',
    text: `User: hello\nAssistant: hello\nUser: how are you?\nAssistant: fine\nUser: what is new?\nAssistant: nothing\nUser: and the harbour?\nAssistant: closed\nUser: why?\nAssistant:`.replaceAll(
      'nothing',
      m.lighthouse,
    ),
    place: prompt,
    want: [['I', 'User: hello', 'Assistant:']],
  },
  {
    name: 'colons are no speakers',
    text: `Please answer:\nName: Ann\nAge: 31\nCity: Verrin\nJob: diver\nHobby: sailing\nFood: bread\nDrink: tea\nColour: blue\nWhat should she do on Sunday?`,
    want: [['Q', 'Please answer:', 'Sunday?']],
  },
  {
    name: 'emoji and astral characters',
    text: `<doc>\n😀${m.lighthouse}😀\n</doc>\n😀 How tall is it? 😀`,
    want: [
      ['D', '😀The lighthouse', '😀'],
      ['Q', '😀 How', '😀'],
    ],
  },
  {
    name: 'lone surrogates',
    text: `<doc>\n\ud800${m.lighthouse}\udc00\n</doc>\nHow tall is it?`,
    want: [
      ['D', '\ud800The lighthouse', '\udc00'],
      ['Q', 'How tall'],
    ],
  },
  {
    name: 'one endless line',
    text: `Context: ${m.lighthouse.repeat(30)} Question: how tall is it?`,
    want: [
      ['Q', 'Context:'],
      ['D', 'The lighthouse', 'school.'],
      ['Q', 'Question: how'],
    ],
  },
  {
    name: 'question label far from the end',
    text: `Question: How tall is the tower?\n\nContext:\n${m.prose3.repeat(6)}`,
    want: [
      ['Q', 'Question: How', 'Context:'],
      ['D', 'The lighthouse'],
    ],
  },
  {
    name: 'rules of a game',
    text: `Let us play. Rules of the game:\n\n${Array.from({ length: 24 }, (_, at) => `${at + 1}. Field ${at} costs ${at * 3} points and gives ${at} coins to the player who holds the token.`).join('\n')}\n\nStart the game with two players.`,
    want: [['Q', 'Let us play', 'two players.']],
  },
  {
    name: 'style guide',
    text: `Use this style guide when you answer:\n\n${'Headlines are in sentence case. Numbers below ten are spelled out. Dates are written as 4 April 2025. Oxford commas are used. '.repeat(9)}\n\nRewrite: "we has 5 Apples , oranges and pears"`,
    want: [['Q', 'Use this style', 'pears"']],
  },
  {
    name: 'description of a thing to build',
    text: `I am building an app for notes. Here is what it should do:\n\n${'A click on a note opens it on the right. The editor saves after half a second. Notes are synced when the network is back. '.repeat(9)}\n\nCan you write the data model?`,
    want: [['Q', 'I am building', 'data model?']],
  },
  {
    name: 'JSON that shows the format of the answer',
    text: `Extract the fields from the mail. Return JSON in this format:\n\n${m.json}\n\nMail: our invoice is wrong.`,
    want: [['Q', 'Extract the fields', 'is wrong.']],
  },
  {
    name: 'fenced JSON that shows the format of the answer',
    text: `Respond with this schema:\n\`\`\`json\n${m.json}\n\`\`\`\nInput: two rolls, paid.`,
    want: [
      ['Q', 'Respond'],
      ['Code', '```json', '```'],
      ['Q', 'Input: two'],
    ],
  },
  {
    name: 'examples in a document are not demonstrations',
    text: `<document>\nQ: one?\nA: yes\n\nQ: two?\nA: no\n\nQ: three?\nA: yes\n</document>\n\nHow many answers are yes?`,
    want: [
      ['D', 'Q: one?', 'A: yes'],
      ['Q', 'How many'],
    ],
  },
];
