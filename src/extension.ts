/** The extension planner for the command line. */
export { planExtension } from './context/extension/plan.ts';
export type { ExtensionPlan, SchemePlan } from './context/extension/plan.ts';
export { plotExtension } from './context/extension/plot.ts';
export { planServers } from './context/extension/server-types.ts';
export type { PlanServer, ServerPlan } from './context/extension/server-types.ts';
