/** Questions over retrieved documents: the wording of widely used templates, in several languages. */
import type { DetectCase } from './cases.ts';
import { earlier, prompt } from './cases.ts';
import * as m from './material.ts';

const asked = 'How tall is the tower at Cape Arnor?';

export const retrievalCases: readonly DetectCase[] = [
  {
    name: 'LangChain stuff documents',
    text: `Use the following pieces of context to answer the question at the end. If you don't know the answer, just say that you don't know, don't try to make up an answer.\n\n${m.prose3}\n\nQuestion: ${asked}\nHelpful Answer:`,
    want: [
      ['I', 'Use the following'],
      ['D', 'The lighthouse', '1934.'],
      ['Q', 'Question: How tall', 'Helpful Answer:'],
    ],
  },
  {
    name: 'LangChain hub rag-prompt',
    text: `You are an assistant for question-answering tasks. Use the following pieces of retrieved context to answer the question. If you don't know the answer, just say that you don't know. Use three sentences maximum and keep the answer concise.\nQuestion: ${asked} \nContext: ${m.prose3} \nAnswer:`,
    want: [
      ['I', 'You are an assistant'],
      ['Q', 'Question: How tall', 'Context:'],
      ['D', 'The lighthouse', '1934.'],
      ['Q', 'Answer:'],
    ],
  },
  {
    name: 'LangChain based only on the following context',
    text: `Answer the question based only on the following context:\n${m.lighthouse}\n\n${m.river}\n\nQuestion: ${asked}\n`,
    want: [
      ['I', 'Answer the question based'],
      ['D', 'The lighthouse', '1934.'],
      ['Q', 'Question: How tall', 'Arnor?'],
    ],
  },
  {
    name: 'LangChain context tags',
    text: `Answer the following question based only on the provided context:\n\n<context>\n${m.prose3}\n</context>\n\nQuestion: ${asked}`,
    want: [
      ['I', 'Answer the following'],
      ['D', 'The lighthouse', '1934.'],
      ['Q', 'Question: How tall', 'Arnor?'],
    ],
  },
  {
    name: 'LangChain with sources',
    text: `Given the following extracted parts of a long document and a question, create a final answer with references ("SOURCES").\nIf you don't know the answer, just say that you don't know. Don't try to make up an answer.\nALWAYS return a "SOURCES" part in your answer.\n\nQUESTION: ${asked}\n=========\nContent: ${m.lighthouse}\nSource: 28-pl\nContent: ${m.river}\nSource: 30-pl\n=========\nFINAL ANSWER:`,
    want: [
      ['I', 'Given the following extracted'],
      ['Q', 'QUESTION: How tall', 'Content:'],
      ['D', 'The lighthouse'],
      ['Q', '', 'FINAL ANSWER:'],
    ],
  },
  {
    name: 'LlamaIndex text QA',
    text: `Context information is below.\n---------------------\n${m.prose3}\n---------------------\nGiven the context information and not prior knowledge, answer the query.\nQuery: ${asked}\nAnswer: `,
    want: [
      ['I', 'Context information is below.'],
      ['D', 'The lighthouse', '1934.'],
      ['I', '-----', 'answer the query.'],
      ['Q', 'Query: How tall', 'Answer:'],
    ],
  },
  {
    name: 'LlamaIndex old text QA without a label',
    text: `Context information is below. \n---------------------\n${m.prose3}\n---------------------\nGiven the context information and not prior knowledge, answer the question: ${asked}\n`,
    want: [
      ['Q', 'Context information is below.'],
      ['D', 'The lighthouse', '1934.'],
      ['Q', '-----', 'Arnor?'],
    ],
  },
  {
    name: 'LlamaIndex tree summarize',
    text: `Context information from multiple sources is below.\n---------------------\n${m.prose3}\n---------------------\nGiven the information from multiple sources and not prior knowledge, answer the query.\nQuery: ${asked}\nAnswer: `,
    want: [
      ['I', 'Context information from'],
      ['D', 'The lighthouse', '1934.'],
      ['I', '----'],
      ['Q', 'Query: How', 'Answer:'],
    ],
  },
  {
    name: 'LlamaIndex refine',
    text: `The original query is as follows: ${asked}\nWe have provided an existing answer: About 30 metres.\nWe have the opportunity to refine the existing answer (only if needed) with some more context below.\n------------\n${m.prose3}\n------------\nGiven the new context, refine the original answer to better answer the query. If the context isn't useful, return the original answer.\nRefined Answer: `,
    want: [
      ['Q', 'The original query'],
      ['D', 'The lighthouse', '1934.'],
      ['Q', '------------', 'Refined Answer:'],
    ],
  },
  {
    name: 'LlamaIndex summary',
    text: `Write a summary of the following. Try to use only the information provided. Try to include as many key details as possible.\n\n\n${m.prose3}\n\n\nSUMMARY:"""`,
    want: [
      ['Q', 'Write a summary'],
      ['D', 'The lighthouse', '1934.'],
      ['Q', 'SUMMARY:"""'],
    ],
  },
  {
    name: 'LlamaIndex citation sources',
    text: `Please provide an answer based solely on the provided sources. When referencing information from a source, cite the appropriate source(s) using their corresponding numbers.\nBelow are several numbered sources of information:\n------\nSource 1:\n${m.lighthouse}\n\nSource 2:\n${m.river}\n\n------\nQuery: ${asked}\nAnswer: `,
    want: [
      ['I', 'Please provide'],
      ['D', 'The lighthouse', 'school.'],
      ['D', 'The Sella', '1934.'],
      ['I', '------'],
      ['Q', 'Query:', 'Answer:'],
    ],
  },
  {
    name: 'Haystack documents loop',
    text: `Given the following information, answer the question.\n\nContext:\n    ${m.lighthouse}\n    ${m.river}\n\nQuestion: ${asked}\nAnswer:`,
    want: [
      ['I', 'Given the following', 'Context:'],
      ['D', 'The lighthouse', '1934.'],
      ['Q', 'Question: How', 'Answer:'],
    ],
  },
  {
    name: 'Haystack documents and instructions',
    text: `Answer the questions based on the given context.\n\nDocuments:\n${m.lighthouse}\n${m.river}\n\nInstructions: Be brief and quote numbers.\n\nQuestion: ${asked}\nAnswer:`,
    want: [
      ['I', 'Answer the questions', 'Documents:'],
      ['D', 'The lighthouse', '1934.'],
      ['I', 'Instructions: Be brief'],
      ['Q', 'Question: How', 'Answer:'],
    ],
  },
  {
    name: 'OpenAI cookbook articles in triple quotes',
    text: `Use the below articles on local history to answer the subsequent question. If the answer cannot be found in the articles, write "I could not find an answer."\n\nWikipedia article section:\n"""\n${m.lighthouse}\n\n${m.river}\n"""\n\nQuestion: ${asked}`,
    want: [
      ['I', 'Use the below'],
      ['D', 'The lighthouse', '1934.'],
      ['I', '"""'],
      ['Q', 'Question: How', 'Arnor?'],
    ],
  },
  {
    name: 'OpenAI cookbook Context and Q',
    text: `Answer the question as truthfully as possible using the provided context, and if the answer is not contained within the text below, say "I don't know."\n\nContext:\n* ${m.lighthouse}\n* ${m.river}\n\nQ: ${asked}\nA:`,
    place: prompt,
    want: [
      ['I', 'Answer the question'],
      ['D', '* The lighthouse', '1934.'],
      ['Q', 'Q: How', 'A:'],
    ],
  },
  {
    name: 'long documents in XML, question last',
    text: `<documents>\n<document index="1">\n<source>lights.txt</source>\n<document_content>\n${m.lighthouse}\n</document_content>\n</document>\n<document index="2">\n<source>rivers.txt</source>\n<document_content>\n${m.river}\n</document_content>\n</document>\n</documents>\n\n${asked} Quote the sentence first.`,
    want: [
      ['D', 'The lighthouse', 'school.'],
      ['D', 'The Sella', '1934.'],
      ['Q', 'How tall', 'first.'],
    ],
  },
  {
    name: 'document tags with attributes, instructions in tags',
    text: `<instructions>\nAnswer with one number.\n</instructions>\n<doc id="1" title="Lights">\n${m.lighthouse}\n</doc>\n<doc id="2" title="Rivers">${m.river}</doc>\n<question>${asked}</question>`,
    want: [
      ['I', '<instructions>', '</instructions>'],
      ['D', 'The lighthouse', 'school.'],
      ['D', 'The Sella', '1934.'],
      ['Q', '<question>', '</question>'],
    ],
  },
  {
    name: 'search results in tags',
    text: `Here are the search results:\n<search_results>\n<search_result><title>Lights</title><url>https://a.example/1</url>\n${m.lighthouse}\n</search_result>\n<search_result><title>Rivers</title>\n${m.river}\n</search_result>\n</search_results>\nUsing them, tell me: ${asked}`,
    want: [
      ['Q', 'Here are the search'],
      ['D', 'The lighthouse'],
      ['D', 'The Sella'],
      ['Q', 'Using them', 'Arnor?'],
    ],
  },
  {
    name: 'compound tag names',
    text: `<retrieved_context>\n${m.lighthouse}\n</retrieved_context>\n<user_query>\n${asked}\n</user_query>`,
    want: [
      ['D', 'The lighthouse', 'school.'],
      ['Q', '<user_query>', '</user_query>'],
    ],
  },
  {
    name: 'file tags hold code: pinned',
    text: `<file path="gauges.py">\n${m.python}</file>\n\nWhy does read_gauges fail on an empty line?`,
    want: [
      ['Code', 'import os'],
      ['Q', 'Why does'],
    ],
  },
  {
    name: 'Document [n](Title: ...)',
    text: `Write a high-quality answer for the given question using only the provided search results (some of which might be irrelevant).\n\nDocument [1](Title: Cape Arnor (lighthouse)) ${m.lighthouse}\nDocument [2](Title: Holt bakery) ${m.bakery}\nDocument [3](Title: Sella) ${m.river}\n\nQuestion: ${asked}\nAnswer:`,
    place: prompt,
    want: [
      ['I', 'Write a high-quality'],
      ['D', 'The lighthouse', 'school.'],
      ['D', 'Maren', 'house.'],
      ['D', 'The Sella', '1934.'],
      ['Q', 'Question: How', 'Answer:'],
    ],
  },
  {
    name: '[n] Title list without labels',
    text: `Answer from the sources and cite them as [n].\n\n[1] Cape Arnor\n${m.lighthouse}\n\n[2] Holt bakery\n${m.bakery}\n\n[3] Sella\n${m.river}\n\n${asked}`,
    want: [
      ['Q', 'Answer from'],
      ['D', 'The lighthouse', 'school.'],
      ['D', 'Maren', 'house.'],
      ['D', 'The Sella', '1934.'],
      ['Q', 'How tall', 'Arnor?'],
    ],
  },
  {
    name: '[n] text list in one line each',
    text: `[1] ${m.lighthouse}\n[2] ${m.bakery}\n[3] ${m.river}\n\nWhich of these places has a dam?`,
    want: [
      ['D', 'The lighthouse'],
      ['D', 'Maren'],
      ['D', 'The Sella', '1934.'],
      ['Q', 'Which of these', 'dam?'],
    ],
  },
  {
    name: 'Passage n:',
    text: `Read the passages and answer.\n\nPassage 1:\n${m.lighthouse}\n\nPassage 2:\n${m.bakery}\n\nPassage 3:\n${m.river}\n\nQuestion: ${asked}\nAnswer:`,
    place: prompt,
    want: [
      ['I', 'Read the passages'],
      ['D', 'The lighthouse', 'school.'],
      ['D', 'Maren', 'house.'],
      ['D', 'The Sella', '1934.'],
      ['Q', 'Question: How', 'Answer:'],
    ],
  },
  {
    name: '### Document n',
    text: `### Document 1\n${m.lighthouse}\n\n### Document 2\n${m.river}\n\n### Question\n${asked}\n\n### Answer\n`,
    want: [
      ['D', 'The lighthouse', 'school.'],
      ['D', 'The Sella', '1934.'],
      ['Q', '### Question', '### Answer'],
    ],
  },
  {
    name: 'Source: after each text',
    text: `Context:\n${m.lighthouse}\nSource: lights.txt\n\n${m.river}\nSource: rivers.txt\n\nUser question: ${asked}`,
    want: [
      ['I', 'Context:'],
      ['D', 'The lighthouse'],
      ['Q', 'User question: How'],
    ],
  },
  {
    name: 'context in bold label',
    text: `**Context:**\n${m.prose3}\n\n**Question:** ${asked}\n\n**Answer:**`,
    want: [
      ['I', '**Context:**'],
      ['D', 'The lighthouse', '1934.'],
      ['Q', '**Question:**', '**Answer:**'],
    ],
  },
  {
    name: 'context and question as headings',
    text: `# Context\n\n${m.prose3}\n\n# Question\n\n${asked}`,
    want: [
      ['I', '# Context'],
      ['D', 'The lighthouse', '1934.'],
      ['Q', '# Question', 'Arnor?'],
    ],
  },
  {
    name: 'question first, then the text',
    text: `Question: ${asked}\n\nText: ${m.prose3}\n\nAnswer in one sentence:`,
    want: [
      ['Q', 'Question: How', 'Text:'],
      ['D', 'The lighthouse', '1934.'],
      ['Q', 'Answer in one'],
    ],
  },
  {
    name: 'SQuAD style completion',
    text: `Background: ${m.lighthouse} ${m.river}\nQ: ${asked}\nA:`,
    place: prompt,
    want: [
      ['I', 'Background:'],
      ['D', 'The lighthouse', '1934.'],
      ['Q', 'Q: How', 'A:'],
    ],
  },
  {
    name: 'triple backticks as delimiters',
    text: `Summarize the text delimited by triple backticks into a single sentence.\n\`\`\`${m.lighthouse}\n${m.river}\`\`\``,
    want: [
      ['Q', 'Summarize the text'],
      ['D', 'The lighthouse', '1934.'],
      ['Q', '```'],
    ],
  },
  {
    name: 'triple quotes in the middle of a line',
    text: `Summarize the text below as a bullet point list.\n\nText: """\n${m.lighthouse}\n${m.river}\n"""`,
    want: [
      ['Q', 'Summarize the text', '"""'],
      ['D', 'The lighthouse', '1934.'],
      ['Q', '"""'],
    ],
  },
  {
    name: 'condense question keeps the history',
    text: `Given the following conversation and a follow up question, rephrase the follow up question to be a standalone question, in its original language.\n\nChat History:\nHuman: Who kept the light?\nAssistant: Ivor Dahl.\nFollow Up Input: And how tall is it?\nStandalone question:`,
    want: [
      ['I', 'Given the following'],
      ['Q', 'Follow Up Input:', 'question:'],
    ],
  },
  {
    name: 'documents in an earlier user turn',
    text: `Context:\n${m.prose3}\n\nQuestion: Who kept the light?`,
    place: earlier,
    want: [
      ['H', 'Context:'],
      ['D', 'The lighthouse', '1934.'],
      ['H', 'Question: Who'],
    ],
  },
  {
    name: 'tags in an earlier user turn',
    text: `Keep this for later.\n<document>\n${m.lighthouse}\n</document>\nDo not answer yet.`,
    place: earlier,
    want: [
      ['H', 'Keep this'],
      ['D', 'The lighthouse', 'school.'],
      ['H', 'Do not answer'],
    ],
  },
  {
    name: 'Chinese known information',
    text: `已知信息：\n${m.chinese}\n${m.chinese2}\n\n根据上述已知信息，简洁和专业的来回答用户的问题。如果无法从中得到答案，请说“根据已知信息无法回答该问题”，不允许在答案中添加编造成分。 问题是：望月桥有多长？`,
    want: [
      ['Q', '已知信息：'],
      ['D', '青石镇', '数据。'],
      ['Q', '根据上述', '多长？'],
    ],
  },
  {
    name: 'Chinese references and question labels',
    text: `你是一个严谨的助手，请根据参考资料回答问题。\n\n参考资料：\n${m.chinese}\n\n${m.chinese2}\n\n问题：白河水库什么时候建成？\n回答：`,
    want: [
      ['I', '你是一个', '参考资料：'],
      ['D', '青石镇', '数据。'],
      ['Q', '问题：', '回答：'],
    ],
  },
  {
    name: 'Chinese numbered documents',
    text: `请阅读以下文档并回答问题。\n\n文档1：${m.chinese}\n文档2：${m.chinese2}\n\n问题：望月桥有多长？`,
    want: [
      ['I', '请阅读'],
      ['D', '青石镇', '万人。'],
      ['D', '白河', '数据。'],
      ['Q', '问题：望月'],
    ],
  },
  {
    name: 'Chinese bracket headings',
    text: `【上下文】\n${m.chinese}\n${m.chinese2}\n【问题】\n望月桥有多长？`,
    want: [
      ['I', '【上下文】'],
      ['D', '青石镇', '数据。'],
      ['Q', '【问题】', '多长？'],
    ],
  },
  {
    name: 'Chinese context tags',
    text: `使用 <参考资料></参考资料> 标记中的内容作为你的知识：\n\n<参考资料>\n${m.chinese}\n</参考资料>\n\n回答要求：\n- 使用与问题相同的语言。\n\n问题："""望月桥有多长？"""`,
    want: [
      ['I', '使用'],
      ['D', '青石镇', '万人。'],
      ['I', '回答要求'],
      ['Q', '问题：'],
    ],
  },
  {
    name: 'Chinese long text and a closing order',
    text: `${m.chinese}\n${m.chinese2}\n${m.chinese}${m.chinese2}\n${m.chinese2}${m.chinese}\n${m.chinese}${m.chinese2}\n\n请用三句话总结以上内容。`,
    want: [
      ['D', '青石镇', '数据。'],
      ['Q', '请用三句话'],
    ],
  },
  {
    name: 'Japanese context and question',
    text: `以下の文脈に基づいて質問に答えてください。\n\n文脈：\n${m.japanese}\n\n質問：最初の桟橋の長さは？\n回答：`,
    want: [
      ['I', '以下の文脈', '文脈：'],
      ['D', '小浜港', '結んでいる。'],
      ['Q', '質問：', '回答：'],
    ],
  },
  {
    name: 'Korean context and question',
    text: `다음 문맥을 사용하여 질문에 답하세요.\n\n문맥: ${m.korean}\n\n질문: 공방은 몇 곳이었나?\n답변:`,
    want: [
      ['I', '다음 문맥'],
      ['D', '한솔마을', '열린다.'],
      ['Q', '질문:', '답변:'],
    ],
  },
  {
    name: 'Russian context and question',
    text: `Используй следующий контекст, чтобы ответить на вопрос.\n\nКонтекст:\n${m.russian}\n\nВопрос: Когда сгорел завод?\nОтвет:`,
    want: [
      ['I', 'Используй'],
      ['D', 'Посёлок', 'предметов.'],
      ['Q', 'Вопрос:', 'Ответ:'],
    ],
  },
  {
    name: 'Arabic context and question',
    text: `أجب عن السؤال بالاعتماد على النص.\n\nالسياق:\n${m.arabic}\n\nالسؤال: متى انتقل السكان إلى السهل؟\nالإجابة:`,
    want: [
      ['I', 'أجب عن'],
      ['D', 'تقع قرية'],
      ['Q', 'السؤال:', 'الإجابة:'],
    ],
  },
  {
    name: 'German context and question',
    text: `Beantworte die Frage nur mit dem folgenden Kontext.\n\nKontext: ${m.german}\n\nFrage: Wer war der letzte Müller?\nAntwort:`,
    want: [
      ['I', 'Beantworte'],
      ['D', 'Die Mühle', 'Zimmerleute.'],
      ['Q', 'Frage:', 'Antwort:'],
    ],
  },
  {
    name: 'French context and question',
    text: `Réponds à la question en utilisant uniquement le contexte suivant.\n\nContexte : ${m.french}\n\nQuestion : Quand le pont fut-il construit ?\nRéponse :`,
    want: [
      ['I', 'Réponds'],
      ['D', 'Le pont', 'platanes.'],
      ['Q', 'Question :', 'Réponse :'],
    ],
  },
  {
    name: 'Spanish context and question',
    text: `Responde usando solo el siguiente contexto.\n\nContexto:\n${m.spanish}\n\nPregunta: ¿Cuánto mide la torre?\nRespuesta:`,
    want: [
      ['I', 'Responde'],
      ['D', 'El faro', 'marinos.'],
      ['Q', 'Pregunta:', 'Respuesta:'],
    ],
  },
];
