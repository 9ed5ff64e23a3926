/** The extension planner for the command line. */
export { planExtension } from './context/extension/plan.ts';
export type { ExtensionPlan, SchemePlan } from './context/extension/plan.ts';
export { plotExtension } from './context/extension/plot.ts';
export type { ServerPlan } from './context/extension/server-types.ts';
