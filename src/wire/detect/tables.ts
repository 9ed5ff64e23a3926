/**
 * The words that prompts use around documents, questions and examples. Data only: to teach the detector a new
 * template, add a word here and a case to test/wire/detect-cases.
 */

/**
 * Names of tags that hold documents. Compared in lower case, without a trailing number (`doc_3`), and by the last
 * component of a compound name (`retrieved_context`, `source-document`).
 */
export const documentTags: ReadonlySet<string> = new Set(
  `document documents doc docs context contexts source sources passage passages file files article articles
  result results text transcript transcription webpage page pages chunk chunks excerpt excerpts snippet snippets evidence
  knowledge reference references background data content contents email emails paper report book chapter section log logs
  observation retrieval retrieved corpus story meeting dialogue notes attachment attachments quotes history diff
  material materials wiki note paragraph paragraphs record records post posts
  上下文 文档 文件 资料 参考资料 已知信息 参考 文章 内容 材料 检索结果 知识库 文書 資料 文脈 コンテキスト 문서 컨텍스트 контекст документ документы текст
  kontext dokument contexte texte contexto documento texto`.split(/\s+/),
);

/** Tags inside a document that name it; their text stays. */
export const metadataTags: ReadonlySet<string> = new Set(
  `title source url link id index document_index author authors date name path filename file_name metadata page_number
  score published timestamp type language mime_type 标题 来源`.split(/\s+/),
);

/** Tags whose text is an instruction or a question, also inside a document container. */
export const instructionTags: ReadonlySet<string> = new Set(
  `instruction instructions question questions query task tasks user_query user_question user_input rules guidelines
  system format output_format schema thinking answer constraints requirements 问题 指令 任务`.split(
    /\s+/,
  ),
);

/** One worked example each; two or more beside each other are demonstrations. */
export const exampleTags: ReadonlySet<string> = new Set(
  'example sample demonstration demo shot 示例 例子 例 beispiel exemple ejemplo пример'.split(' '),
);

export type LabelRole = 'context' | 'question' | 'answer' | 'instruction' | 'item';

/** `Word:` at the start of a line, a heading of only that word, or `【Word】`; lower case, without a number. */
const labelWords: Record<Exclude<LabelRole, 'item'>, string> = {
  context: `context|contexts|the context|background|background information|context information|passage|passages|document|documents|text|input text|article|
    the article|story|paragraph|paragraphs|reference|references|reference text|reference documents|source text|sources|source documents|excerpt|excerpts|transcript|meeting transcript|
    conversation transcript|knowledge|knowledge base|search results|retrieved documents|retrieved context|retrieved passages|relevant documents|relevant context|relevant passages|supporting documents|provided context|provided documents|
    content|contents|page content|web page|report|paper|abstract|log|logs|log file|log lines|server logs|data|json data|json|csv|csv data|table|code|evidence|facts|information|relevant information|email|emails|review|reviews|contract|policy|
    documentation|materials|notes|file contents|observation|observations|summaries|contextual information|
    上下文|已知信息|参考资料|参考内容|参考文档|参考信息|参考文献|背景|背景信息|背景资料|背景知识|资料|文档|文档内容|文章|文章内容|材料|正文|原文|段落|内容|检索结果|搜索结果|相关文档|相关资料|会议记录|知识库|知识库内容|阅读材料|文本|
    コンテキスト|文脈|背景情報|参考情報|参考資料|参考文書|文書|本文|資料|記事|문맥|컨텍스트|문서|본문|참고 자료|배경|내용|지문|
    контекст|документ|документы|текст|справочная информация|источники|статья|отрывок|фрагменты|
    kontext|dokument|dokumente|text|hintergrund|quellen|contexte|texte|documents|extrait|extraits|passage|contexto|documento|documentos|texto|fragmentos|contesto|testo|
    السياق|النص|المستند|الوثائق|نص`,
  question: `question|q|the question|follow up input|follow up question|follow-up question|follow up|user question|user query|query|user's question|my question|original question|user input|current question|final question|new question|question to answer|search query|
    claim|hypothesis|statement|key|
    问题|用户问题|提问|问|我的问题|用户提问|查询|当前问题|質問|ユーザーの質問|問い|問題|질문|사용자 질문|вопрос|запрос|вопрос пользователя|
    frage|question de l'utilisateur|pregunta|consulta|domanda|pergunta|السؤال|سؤال`,
  answer: `answer|the answer|helpful answer|final answer|your answer|short answer|response|assistant|summary|output|result|a|answer in english|standalone question|detailed answer|corresponding value|
    回答|答案|答|你的回答|总结|摘要|回答内容|答え|要約|답변|답|대답|ответ|краткое содержание|antwort|zusammenfassung|réponse|resumen|respuesta|risposta|resposta|الإجابة|الجواب|إجابة`,
  instruction: `chat history|conversation history|history|previous conversation|current conversation|历史对话|对话历史|instruction|instructions|task|your task|tasks|rules|requirements|guidelines|output format|format|response format|constraints|note|important|goal|objective|steps|format instructions|role|
    要求|指令|任务|说明|规则|注意|输出格式|回答要求|指示|タスク|要件|出力形式|지시|지침|요구사항|инструкция|инструкции|задание|задача|правила|anweisung|aufgabe|anweisungen|consigne|consignes|instrucciones|tarea|istruzioni|instruções|التعليمات|المهمة`,
};

/** Words that head one document of a numbered list: `Document 3:`, `文档1：`, `Passage [2]`. */
const itemWords = `document|doc|passage|source|context|article|paragraph|reference|result|search result|chunk|excerpt|snippet|file|page|text|evidence|fact|section|wikipedia title|title|document title|email|review|
  文档|资料|段落|文章|参考资料|来源|材料|片段|参考|搜索结果|文書|資料|参考文書|문서|자료|документ|источник|фрагмент|dokument|quelle|texte|documento|fuente|fragmento|المستند|مستند`;

function words(list: string): string[] {
  return list.split('|').map((word) => word.trim());
}

export const labelRoles: ReadonlyMap<string, LabelRole> = new Map(
  Object.entries(labelWords).flatMap(([role, list]) =>
    words(list).map((word): [string, LabelRole] => [word, roleNamed(role)]),
  ),
);

function roleNamed(name: string): LabelRole {
  const known: readonly LabelRole[] = ['context', 'question', 'answer', 'instruction'];
  return known.find((role) => role === name) ?? 'item';
}

export const numberedItems: ReadonlySet<string> = new Set(words(itemWords));

/** Label that opens a worked example -> labels that give its result. */
export const exampleLabels: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  (
    [
      [
        'q|question|problem|exercise',
        'a|answer|solution|the answer|final answer|response|explanation|reasoning',
      ],
      [
        'input|text|sentence|tweet|review|comment|email|source|english|premise|context|passage|article|title|headline|query|prompt|word|statement|description|message|utterance|instruction|document',
        'output|label|sentiment|answer|target|translation|french|german|spanish|chinese|response|summary|category|class|classification|intent|entities|sql|result|hypothesis|entailment|rating|keywords|completion|command|json|emotion|topic|tag|tags',
      ],
      [
        '问|问题|题目|输入|句子|文本|原文|评论|英文',
        '答|答案|回答|解答|输出|标签|情感|翻译|译文|类别|结果|中文',
      ],
      ['質問|入力|問題|文|問', '回答|出力|答え|答|ラベル|感情'],
      ['질문|입력|문장|문제', '답변|출력|답|정답|레이블'],
      ['вопрос|вход|текст|задача|ввод', 'ответ|выход|решение|метка|тональность|вывод'],
      ['frage|eingabe|satz', 'antwort|ausgabe|lösung'],
      ['entrée|phrase', 'réponse|sortie|traduction'],
      ['pregunta|entrada|frase', 'respuesta|salida|traducción'],
      ['سؤال|السؤال|س', 'جواب|الجواب|الإجابة|ج'],
    ] satisfies [string, string][]
  ).flatMap(([opens, results]) =>
    words(opens).map((word): [string, ReadonlySet<string>] => [word, new Set(words(results))]),
  ),
);

/** Line that may stand before a demonstration and belongs to it. */
export const exampleHeading: RegExp =
  /^[#*\s]*(?:examples?|sample|demonstration|shot|示例|例子|例|样例|beispiel|exemple|ejemplo|пример|예시|예)\s*[#(]?\d{0,3}\)?\s*[.:：]?\**$/iu;

/** Says that the blocks show a result although no label does. */
export const resultPhrase: RegExp =
  /\b(?:the (?:final )?answer is|so the answer|####|answer:|therefore,? the)|答案是|所以答案|答えは|ответ[:\s]|la respuesta es|la réponse est|die antwort ist/iu;

/** Sentences that announce that a document follows, up to the next blank line or after the closing colon. */
export const announcements: readonly { readonly name: string; readonly pattern: RegExp }[] = [
  {
    name: 'context template',
    pattern:
      /\b(?:use|using|given|based (?:only |solely )?on|consider|read)\b.{0,60}\b(?:following|below|provided|retrieved)\b.{0,60}\b(?:context|documents?|passages?|information|sources?|excerpts?|texts?|articles?|search results|snippets?|data|transcripts?|logs?|paragraphs?|facts|summaries|evidence|sections?|extracted parts|materials?|stor(?:y|ies)|report|conversation|json)\b/i,
  },
  {
    name: 'context template',
    pattern:
      /\bcontext\b.{0,60}\b(?:is|are) (?:given |provided |listed )?below|\b(?:context|sources?|documents?) below[.:]?$/i,
  },
  {
    name: 'announced text',
    pattern:
      /\b(?:following|below|here (?:is|are)|here's|this)\b.{0,60}\b(?:context|documents?|passages?|information|sources?|excerpts?|text|articles?|search results|snippets?|data|transcripts?|logs?|paragraphs?|papers?|reports?|emails?|conversation|meeting|stor(?:y|ies)|content|reviews?|contract|speech|abstract|chapter|essay|table|csv|json|output|file|notes|page)\b.{0,40}[:：]$/i,
  },
  {
    name: 'announced text',
    pattern:
      /(?:以下|下面|如下|下列|根据|基于|参考|阅读).{0,40}(?:信息|内容|资料|文档|文章|上下文|文本|段落|材料|片段|知识|记录|日志|数据|搜索结果|原文|新闻|报告|论文|小说|会议)/u,
  },
  {
    name: 'announced text',
    pattern:
      /(?:以下|次|下記)の?.{0,30}(?:コンテキスト|文脈|文章|文書|情報|資料|テキスト|記事|本文|ログ|議事録|データ)/u,
  },
  {
    name: 'announced text',
    pattern:
      /(?:다음|아래).{0,30}(?:문맥|컨텍스트|문서|정보|글|텍스트|자료|기사|내용|지문|로그|회의록)/u,
  },
  {
    name: 'announced text',
    pattern:
      /(?:следующ\p{L}+|ниже|приведенн\p{L}+|приведённ\p{L}+|вот).{0,60}(?:контекст\p{L}*|текст\p{L}*|документ\p{L}*|информаци\p{L}+|стать\p{L}+|отрыв\p{L}+|фрагмент\p{L}*|лог\p{L}*)/iu,
  },
  {
    name: 'announced text',
    pattern:
      /(?:folgende\p{L}*|unten|hier ist).{0,60}(?:kontext\p{L}*|text\p{L}*|dokument\p{L}*|informationen|artikel\p{L}*|auszüge?\p{L}*)/iu,
  },
  {
    name: 'announced text',
    pattern:
      /(?:suivante?s?|ci-dessous|voici).{0,60}(?:contexte|texte|documents?|informations?|article|extraits?|passages?)|(?:contexte|texte|documents?|article|extraits?) (?:suivante?s?|ci-dessous)/iu,
  },
  {
    name: 'announced text',
    pattern:
      /(?:siguientes?|a continuación|aquí está).{0,60}(?:contexto|textos?|documentos?|información|artículo|fragmentos?)|(?:contexto|texto|documentos?|artículo|fragmentos?) (?:siguientes?|a continuación)/iu,
  },
  { name: 'announced text', pattern: /(?:التالي|التالية|أدناه|الآتي)/u },
];

/** Opening words of a request, for telling a short instruction from the text it is about. */
export const requestStart: RegExp =
  /^(?:please|can you|could you|would you|kindly|now|i (?:want|need|would like)|tell me|summari[sz]e|summary|tl;?dr|translate|answer|explain|describe|list|extract|find|identify|classify|write|rewrite|paraphrase|analy[sz]e|compare|give|provide|what|who|whom|whose|when|where|which|why|how|is|are|was|were|do|does|did|has|have|should|based on|according to|using|given|in (?:one|two|three|a few|\d+)|from the|read|review|convert|generate|create|proofread|fix|determine|evaluate|return|output|respond|think|let's|请|帮|根据|总结|概括|翻译|什么|谁|为什么|如何|怎么|哪|提取|列出|分析|回答|用|把|将|以上|上文|上述|この|以上の|上記|次の|要約|翻訳|教えて|誰|何|いつ|どこ|なぜ|пожалуйста|кто|что|где|когда|почему|как|какой|какая|какие|сколько|суммируй|кратко|переведи|перечисли|ответь|на основе|bitte|wer|was|wo|wann|warum|wie|fasse|übersetze|s'il|qui|que|quoi|quel|quelle|où|quand|pourquoi|comment|résume|résumez|traduis|por favor|quién|qué|cuál|dónde|cuándo|resume|traduce|다음|위|요약|무엇|누가|왜|어떻게|من|ما|متى|أين|لماذا|كيف|لخص|ترجم)(?![\p{Script=Latin}\p{Script=Cyrillic}])/iu;

/** Wording of rules for the model. Text with much of it is never called a document by its shape alone. */
export const directive: RegExp =
  /\b(?:you (?:must|should|are|will|need|may|can|have)|must(?: not)?|never|always|do not|don't|make sure|ensure|your (?:task|job|role|goal|answer|response|output)|respond|reply|output|if the user|the user)\b|(?:你|您)(?:是|必须|应该|需要|可以)|必须|不要|请勿|禁止|务必|してください|しないで|하세요|하지 마|следует|не используй|нельзя|sie (?:müssen|sollen)|vous devez|debes/giu;

/** Markdown headings that hold material, at any length. */
export const materialHeading: RegExp =
  /^(?:(?:retrieved|relevant|source|reference|supporting|provided|input|raw|full)\s)?(?:documents?|contexts?|background(?: information)?|sources?|articles?|transcripts?|meeting transcript|data|reports?|passages?|content|text|abstract|introduction|logs?|search results|references?|excerpts?|knowledge(?: base)?|notes|paper|email(?: thread)?|file contents?|appendix)\b|^(?:上下文|参考资料|文档|资料|背景|文章|材料|正文|内容|原文|检索结果|会议记录)/iu;

/** Markdown headings that hold instructions, at any length. */
export const instructionHeading: RegExp =
  /\b(?:instructions?|task|rules?|requirements?|guidelines?|format|questions?|query|goals?|objectives?|constraints?|steps?|role|persona|tone|style|tools?|policy|policies|important|notes? to|examples?|output|response|answer|schema|checklist|todo|plan|acceptance criteria|how to|do not|don't|must)\b|(?:要求|指令|任务|规则|格式|问题|步骤|注意|约束|角色|示例|说明|目标)/iu;

/** Speakers that mean a dialogue with the model, which is no document. */
export const modelSpeakers: ReadonlySet<string> = new Set(
  'user human assistant ai system bot chatbot gpt chatgpt claude model me you 用户 助手 系统 ユーザー アシスタント 사용자 пользователь ассистент'.split(
    ' ',
  ),
);

/** Requests that are about a text beside them, not orders to make something. */
export const aboutText: RegExp =
  /[?？؟]["'”’)\]]?\s*$|^(?:who|what|whom|whose|when|where|which|why|how|is|are|was|were|do|does|did|has|have)\b|\b(?:summar\p{L}+|translat\p{L}+|tl;?dr|extract|paraphrase|proofread|rephrase|shorten|key (?:points|takeaways|findings)|according to|the (?:above|preceding)|above|articles?|texts?|passages?|documents?|transcripts?|paragraphs?|excerpts?|story|essay|paper|report|email|letter|conversation|meeting|review|contract|speech|chapter|code|log|data)\b|^(?:turn|translate|analy[sz]e) (?:this|it)|总结|概括|摘要|翻译|提取|以上|上文|上述|全文|文章|文中|根据|谁|什么|哪|何时|为什么|多少|要約|翻訳|以上の|上記|誰|何|요약|번역|위의|резюм|кратко|перевед|текст|zusammen|übersetz|résum|tradui|resum|traduc|لخص|ترجم/iu;

/** Words of a request that make the text beside it rules to follow. */
export const rulesAhead: RegExp =
  /\b(?:rules?|guide(?:lines?)?|instructions?|requirements?|spec(?:ification)?s?|template|format|schema|policy|policies|persona|style|steps|criteria|constraints|checklist|what it should do|features|plan)\b|规则|要求|指令|格式|指南|规范|步骤|规则/iu;

/** End of the text before JSON or a table that shows what the answer should look like. */
export const formatAhead: RegExp =
  /(?:\b(?:schema|format|template|structure|shape|respond|reply|return|like this|output (?:json|should|must|as|in)|example (?:output|response))\b|格式|模板|返回|输出)[^.?!。？！\n]{0,120}$/iu;
