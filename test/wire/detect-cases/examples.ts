/** Few-shot prompts: blocks of one string. Pairs of messages are tested in detect.test.ts. */
import type { DetectCase } from './cases.ts';
import { prompt } from './cases.ts';
import * as m from './material.ts';

export const exampleCases: readonly DetectCase[] = [
  {
    name: 'documents between the last example and the question',
    text: `Question: What is the capital of France?\nAnswer: Paris\n\nQuestion: Who wrote Hamlet?\nAnswer: Shakespeare\n\nDocument [1] The lighthouse\n${m.lighthouse}\n\nDocument [2] The river\n${m.river}\n\nQuestion: How tall is the lighthouse?\nAnswer:`,
    place: prompt,
    want: [
      ['X', 'Question: What', 'Paris'],
      ['X', 'Question: Who', 'Shakespeare'],
      ['D', 'The lighthouse at', 'school.'],
      ['D', 'The Sella', '1934.'],
      ['Q', 'Question: How tall', 'Answer:'],
    ],
  },
  {
    name: 'a labelled context between the last example and the question',
    text: `Q: How many legs has a hen?\nA: 2\n\nQ: How many legs has a cat?\nA: 4\n\nContext: ${m.lighthouse} ${m.river}\n\nQ: How tall is the lighthouse?\nA:`,
    place: prompt,
    want: [
      ['X', 'Q: How many legs has a hen', '2'],
      ['X', 'Q: How many legs has a cat', '4'],
      ['I', 'Context:'],
      ['D', 'The lighthouse at', '1934.'],
      ['Q', 'Q: How tall', 'A:'],
    ],
  },
  {
    name: 'Q and A',
    text: 'Q: How many legs do two hens have?\nA: 4\n\nQ: How many legs do three cats have?\nA: 12\n\nQ: How many legs do five ants have?\nA:',
    place: prompt,
    want: [
      ['X', 'Q: How many legs do two', '4'],
      ['X', 'Q: How many legs do three', '12'],
      ['Q', 'Q: How many legs do five', 'A:'],
    ],
  },
  {
    name: 'chain of thought with a leading instruction',
    text: "Work out the sums.\n\nQ: Ann has 3 nets and buys 4. How many has she?\nA: Let's think step by step. She starts with 3.\nThree and four are seven.\nSo the answer is 7.\n\nQ: Bo has 9 oars and loses 2. How many are left?\nA: Let's think step by step. Nine less two is seven. So the answer is 7.\n\nQ: Cy has 5 boats and sells 1. How many are left?\nA: Let's think step by step.",
    place: prompt,
    want: [
      ['I', 'Work out'],
      ['X', 'Q: Ann', 'answer is 7.'],
      ['X', 'Q: Bo', 'answer is 7.'],
      ['Q', 'Q: Cy', 'step by step.'],
    ],
  },
  {
    name: 'worked problems without an answer label',
    text: "Question: A net holds 3 fish and there are 4 nets. How many fish?\nLet's think step by step\n3 times 4 is 12\nThe answer is 12\n\nQuestion: A crate weighs 5 kg and there are 6 crates. How heavy are they?\nLet's think step by step\n5 times 6 is 30\nThe answer is 30\n\nQuestion: A rope is 9 m long and is cut in 3. How long is a piece?",
    place: prompt,
    want: [
      ['X', 'Question: A net', 'is 12'],
      ['X', 'Question: A crate', 'is 30'],
      ['Q', 'Question: A rope', 'piece?'],
    ],
  },
  {
    name: 'Input and Output with numbered headings',
    text: 'Turn the sentence into a question.\n\nExample 1:\nInput: The boat is red.\nOutput: Is the boat red?\n\nExample 2:\nInput: The sea was calm.\nOutput: Was the sea calm?\n\nInput: The port is closed.\nOutput:',
    want: [
      ['I', 'Turn the sentence'],
      ['X', 'Example 1:', 'red?'],
      ['X', 'Example 2:', 'calm?'],
      ['Q', 'Input: The port', 'Output:'],
    ],
  },
  {
    name: 'sentiment with separators',
    text: 'Decide the sentiment.\n\nTweet: I love the new ferry!\nSentiment: positive\n###\nTweet: The queue was endless.\nSentiment: negative\n###\nTweet: The cabin was fine.\nSentiment: neutral\n###\nTweet: Never again.\nSentiment:',
    place: prompt,
    want: [
      ['I', 'Decide'],
      ['X', 'Tweet: I love', '###'],
      ['X', 'Tweet: The queue', '###'],
      ['X', 'Tweet: The cabin', '###'],
      ['Q', 'Tweet: Never again.', 'Sentiment:'],
    ],
  },
  {
    name: 'translation pairs',
    text: 'English: The tide is low.\nFrench: La marée est basse.\n\nEnglish: The nets are dry.\nFrench: Les filets sont secs.\n\nEnglish: The wind has turned.\nFrench:',
    place: prompt,
    want: [
      ['X', 'English: The tide', 'basse.'],
      ['X', 'English: The nets', 'secs.'],
      ['Q', 'English: The wind', 'French:'],
    ],
  },
  {
    name: 'reading comprehension demonstrations with their own context',
    text: `Context: ${m.lighthouse}\nQuestion: Who kept the diary?\nAnswer: Ivor Dahl\n\nContext: ${m.bakery}\nQuestion: Where is the bakery?\nAnswer: Quay Street\n\nContext: ${m.river}\nQuestion: When was the dam built?\nAnswer:`,
    place: prompt,
    want: [
      ['X', 'Context: The lighthouse', 'Dahl'],
      ['X', 'Context: Maren', 'Street'],
      ['I', 'Context:'],
      ['D', 'The Sella', '1934.'],
      ['Q', 'Question: When', 'Answer:'],
    ],
  },
  {
    name: 'text to SQL',
    text: 'Question: How many ships are there?\nSQL: SELECT count(*) FROM ships;\nAnswer: 12\n\nQuestion: Which ship is the oldest?\nSQL: SELECT name FROM ships ORDER BY built LIMIT 1;\nAnswer: Asta\n\nQuestion: Which ships were built after 1990?\nSQL:',
    want: [
      ['X', 'Question: How many', '12'],
      ['X', 'Question: Which ship is', 'Asta'],
      ['Q', 'Question: Which ships', 'SQL:'],
    ],
  },
  {
    name: 'example tags',
    text: '<examples>\n<example>\nInput: 3 crowns\nOutput: 3.00\n</example>\n<example>\nInput: 12 crowns\nOutput: 12.00\n</example>\n</examples>\n\nInput: 8 crowns',
    want: [
      ['Q', '<examples>'],
      ['X', '<example>', '</example>'],
      ['X', '<example>', '</example>'],
      ['Q', '</examples>', '8 crowns'],
    ],
  },
  {
    name: 'one example alone is an instruction',
    text: '<example>\nInput: 3 crowns\nOutput: 3.00\n</example>\n\nInput: 8 crowns',
    want: [
      ['I', '<example>'],
      ['Q', 'Input: 8'],
    ],
  },
  {
    name: 'Chinese demonstrations',
    text: '问：小明有三个苹果，又买了两个，一共几个？\n答：五个\n\n问：一条船坐四人，三条船坐几人？\n答：十二人\n\n问：一根绳长九米，剪成三段，每段几米？\n答：',
    place: prompt,
    want: [
      ['X', '问：小明', '五个'],
      ['X', '问：一条', '十二人'],
      ['Q', '问：一根', '答：'],
    ],
  },
  {
    name: 'Russian demonstrations',
    text: 'Вопрос: Сколько будет два и три?\nОтвет: пять\n\nВопрос: Сколько будет шесть и один?\nОтвет: семь\n\nВопрос: Сколько будет девять без двух?\nОтвет:',
    want: [
      ['X', 'Вопрос: Сколько будет два', 'пять'],
      ['X', 'Вопрос: Сколько будет шесть', 'семь'],
      ['Q', 'Вопрос: Сколько будет девять', 'Ответ:'],
    ],
  },
  {
    name: 'questions without answers are all asked',
    text: 'Answer each of these.\n\nQuestion: How high is the tower?\n\nQuestion: Who kept the light?\n\nQuestion: When was the dam built?',
    want: [
      ['I', 'Answer each', 'light?'],
      ['Q', 'Question: When'],
    ],
  },
  {
    name: 'two examples only',
    text: 'Q: What is the capital of Norway?\nA: Oslo\n\nQ: What is the capital of Peru?\nA:',
    place: prompt,
    want: [['I', 'Q: What is the capital of Norway?', 'A:']],
  },
];
