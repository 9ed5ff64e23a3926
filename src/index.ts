/** Table of contents of the package. */

// the whole thing
export { createSluice, type Sluice } from './sluice.ts';
export { compressPrompt, type CompressPromptOptions } from './http/middleware.ts';

// plain data
export type { Config } from './config/types.ts';
export type { RequestReport, SpanReport, SkipReason, Decision, Usage } from './core/report.ts';
export type { Span, SpanKind, ContentKind, Policy, Role } from './core/span.ts';
export { keepReasons, type KeepMask, type KeepReason } from './core/mask.ts';
export { methodNames, type MethodName } from './core/method.ts';
export type { SinksReport, WindowsReport, WindowStrategy } from './core/window-words.ts';
export { SluiceError, errorTable, type ErrorCode } from './core/errors.ts';
export type { CompressTextInput, CompressTextResult } from './gateway/types.ts';
export type { ConversationPlan, PlannedTurn } from './plan-conversation.ts';
export type { PlanOptions } from './plans.ts';

// pure parts that need no server
export { createCompressor } from './compress/create.ts';
export { renderMask } from './compress/mask.ts';
export { survivorGroups, verifySurvivors } from './compress/guards.ts';
export { recoverSubsequence } from './compress/recover.ts';
export type {
  Budget,
  CompressJob,
  CompressResult,
  Compressor,
  MethodOptions,
  Segment,
  Survivors,
} from './compress/types.ts';
export { planExtension } from './context/extension/plan.ts';
export type { ExtensionPlan, PlanExtensionOptions, SchemePlan } from './context/extension/plan.ts';
export { plotExtension } from './context/extension/plot.ts';
export { scaledRope } from './context/extension/rope.ts';
export type { RopeScaling, RopeShape, ScaledRope } from './context/extension/rope.ts';
export { loadTokenizer } from './tokenize/load.ts';
export { wordGroups } from './tokenize/groups.ts';
export { sentenceRanges } from './tokenize/sentences.ts';
export type { TextTokenizer } from './tokenize/types.ts';
export { createScorers } from './score/create.ts';
export type { KeepScorer, Scorer, ScorerSet, SurprisalScorer } from './score/types.ts';
export { readRequest } from './wire/read.ts';
export { applySplices } from './wire/splice.ts';
export { renderWindow, splitWindows } from './context/windows/split.ts';
export { countVotes, normaliseAnswer } from './context/windows/vote.ts';
export { poolStep } from './context/windows/pooling.ts';
export { relevance } from './window-tools.ts';
export type {
  Material,
  Piece,
  SplitOptions,
  TextWindow,
  WindowAnswer,
  WindowJob,
} from './context/windows/types.ts';
export { sinkCut, sinkMarker } from './context/sinks.ts';
export type { SinkCut, SinkOptions, SinkUnit } from './context/types.ts';
export { contentKindOf, detectParts } from './wire/detect/detect.ts';

// the embedded engine: every position scheme on one model, and inputs longer than its window
export { openRuntime, type OpenRuntime, type OpenRuntimeOptions } from './engine/open.ts';
export type { EngineRuntime } from './engine/runtime.ts';
export { createScheme, type SchemeConfig } from './engine/schemes/create.ts';
export { windowPositions } from './engine/schemes/parallel.ts';
export { openGroups, openParallelWindows } from './engine/parallel.ts';
export { answerWithContexts, poolContexts } from './engine/nbce.ts';
export { restorePrefix, savePrefix } from './engine/save.ts';
