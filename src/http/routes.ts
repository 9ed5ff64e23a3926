/** Sluice's own routes as an Express application; the proxied ones never come near it. */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import express, { type NextFunction, type Request, type Response } from 'express';
import { SluiceError } from '../core/errors.ts';
import type { Gateway } from '../gateway/types.ts';
import { compressRoute, explainRoute, reportBody, type Caller } from './compress-route.ts';
import { dashboardPage } from './dashboard.ts';
import { snakeCase } from './fields.ts';
import { splitRequestHeaders } from './headers.ts';
import { compactRoute, compressPromptRoute } from './neighbours.ts';
import { planRoute, type ExtendCall, type PlanCall } from './plan-route.ts';
import { asSluiceError, problemDocument, type ProblemDocument } from './problem.ts';
import { bufferBody, joinChunks } from './request-body.ts';
import { windowsRoute } from './windows-route.ts';
import { readTenant, readWishes } from './wishes.ts';

export interface RoutesDeps {
  readonly gateway: Gateway;
  readonly version: string;
  /** Text of openapi.yaml. */
  readonly openapi: string;
  /** Bodies on these routes above this many bytes are refused. */
  readonly maxBodyBytes: number;
  readonly trustTenantHeader: boolean;
  /** What a conversation would cost, as plain data. @throws SluiceError */
  readonly plan: PlanCall;
  /** What it takes to carry a model to a length, as plain data. @throws SluiceError */
  readonly extend: ExtendCall;
  /** Prometheus text and its content type. */
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
  readonly onDefect: (error: unknown) => void;
}

type Handler = (request: Request, response: Response) => Promise<void> | void;

export function createRoutes(
  deps: RoutesDeps,
): (request: IncomingMessage, response: ServerResponse) => void {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.enable('case sensitive routing');
  const post = (path: string, handler: Handler): void => {
    app.route(path).post(handler).all(methodNotAllowed('POST'));
  };
  const get = (path: string, handler: Handler): void => {
    app.route(path).get(handler).all(methodNotAllowed('GET, HEAD'));
  };
  addCompressing(deps, post);
  addReports(deps, get);
  addOperations(deps, get);
  app.use((request: Request) => {
    throw new SluiceError('NOT_FOUND', `Nothing is served at ${request.path.slice(0, 200)}`);
  });
  app.use(problemHandler(deps));
  return app;
}

type Register = (path: string, handler: Handler) => void;

function addCompressing(deps: RoutesDeps, post: Register): void {
  const { gateway } = deps;
  post('/v1/compress', async (request, response) => {
    const { body, caller } = await readCall(deps, request, response);
    response.json(await compressRoute(gateway, body, caller));
  });
  post('/v1/explain', async (request, response) => {
    const { body, caller } = await readCall(deps, request, response);
    response.json(await explainRoute(gateway, body, caller));
  });
  post('/v1/plan', async (request, response) => {
    const { body, caller } = await readCall(deps, request, response);
    response.json(await planRoute(deps, body, caller));
  });
  post('/v1/windows', async (request, response) => {
    const { body, caller, forwarded } = await readCall(deps, request, response);
    response.json(await windowsRoute(gateway, body, { ...caller, forwarded }));
  });
  post('/compact', async (request, response) => {
    const { body, caller } = await readCall(deps, request, response);
    const compact = await compactRoute(gateway, body, caller);
    const { responseHeaders } = compact;
    for (let at = 0; at + 1 < responseHeaders.length; at += 2) {
      response.setHeader(responseHeaders[at] ?? '', responseHeaders[at + 1] ?? '');
    }
    response.setHeader('content-type', 'application/json');
    response.end(compact.body);
  });
  post('/llm/v1/compressPrompt', async (request, response) => {
    const { body, caller } = await readCall(deps, request, response);
    response.json(await compressPromptRoute(gateway, body, caller));
  });
}

function addReports(deps: RoutesDeps, get: Register): void {
  const { gateway } = deps;
  get('/v1/requests/:id', (request, response) => {
    const id = idOf(request, 'id');
    const report = gateway.report(id, tenantOf(deps, request));
    if (report === null) throw new SluiceError('NOT_FOUND', `No report of a request '${id}'`);
    response.json(reportBody(report));
  });
  get('/v1/retrieve/:hash', (request, response) => {
    const hash = idOf(request, 'hash');
    const text = gateway.retrieve(hash, tenantOf(deps, request));
    if (text === null) throw new SluiceError('NOT_FOUND', `No original text with hash '${hash}'`);
    response.json({ original_content: text });
  });
  get('/v1/stats', (request, response) => {
    response.json(snakeCase(gateway.totals(tenantOf(deps, request))));
  });
}

function addOperations(deps: RoutesDeps, get: Register): void {
  const { gateway, version } = deps;
  get('/healthz', (_request, response) => {
    response.json({ status: 'ok', version });
  });
  get('/readyz', async (_request, response) => {
    const { ok, checks } = await gateway.ready();
    response.status(ok ? 200 : 503).json({ status: ok ? 'ready' : 'not ready', checks });
  });
  get('/status', async (_request, response) => {
    const { ok, checks } = await gateway.ready();
    const status = ok ? 'ok' : 'not ready';
    response.json({ status, service: 'sluice', version, device: 'cpu', checks });
  });
  get('/metrics', async (_request, response) => {
    const { contentType, text } = await deps.metrics();
    response.setHeader('content-type', contentType);
    response.end(text);
  });
  get('/openapi.yaml', (_request, response) => {
    response.setHeader('content-type', 'application/yaml; charset=utf-8');
    response.end(deps.openapi);
  });
  get('/dashboard', (_request, response) => {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.setHeader('content-security-policy', dashboardPage.policy);
    response.end(dashboardPage.html);
  });
}

/** Body and caller of a POST. The signal fires when the client goes away before its answer. */
async function readCall(
  deps: RoutesDeps,
  request: Request,
  response: Response,
): Promise<{
  readonly body: Buffer;
  readonly caller: Caller;
  readonly forwarded: readonly string[];
}> {
  const head = splitRequestHeaders(request.rawHeaders);
  const limit = deps.maxBodyBytes;
  const tooLarge = (bytes: string): SluiceError =>
    new SluiceError('BODY_TOO_LARGE', `The body has ${bytes} bytes; at most ${limit} are read`);
  if (head.contentEncoding !== null) {
    const message = `Content-Encoding '${head.contentEncoding.slice(0, 64)}' is not read here`;
    throw new SluiceError('REQUEST_INVALID', message);
  }
  if ((head.contentLength ?? 0) > limit) throw tooLarge(String(head.contentLength));
  const body = await bufferBody(request, { limit, contiguous: head.contentLength });
  if (body === null) throw new SluiceError('ABORTED', 'The client went away');
  if (!body.whole) throw tooLarge(`more than ${limit}`);
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) controller.abort();
  });
  const tenant = readTenant(head.sluice, deps.trustTenantHeader);
  const caller = { wishes: readWishes(head.sluice), tenant, signal: controller.signal };
  return { body: joinChunks(body.chunks), caller, forwarded: head.forwarded };
}

function tenantOf(deps: RoutesDeps, request: Request): string {
  return readTenant(splitRequestHeaders(request.rawHeaders).sluice, deps.trustTenantHeader);
}

function idOf(request: Request, name: string): string {
  const value = request.params[name];
  const id = typeof value === 'string' ? value : '';
  if (/^[\w.:-]{1,128}$/.test(id)) return id;
  throw new SluiceError('REQUEST_INVALID', `The ${name} in the path is not an identifier`);
}

function methodNotAllowed(allow: string): Handler {
  return (request, response) => {
    response.setHeader('allow', allow);
    const message = `${request.path.slice(0, 200)} answers ${allow}, not ${request.method}`;
    const id = randomUUID();
    const problem = problemDocument(new SluiceError('REQUEST_INVALID', message), id);
    sendProblem(response, { ...problem, status: 405, title: 'Method not allowed' }, id);
  };
}

function problemHandler(
  deps: RoutesDeps,
): (error: unknown, request: Request, response: Response, next: NextFunction) => void {
  // Express knows an error handler by its four parameters.
  return (error, request, response, _next) => {
    const failure = asSluiceError(error);
    if (failure.code === 'INTERNAL') deps.onDefect(error);
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    // A body that was not read to its end leaves the connection unusable.
    if (!request.complete) response.setHeader('connection', 'close');
    const id = randomUUID();
    sendProblem(response, problemDocument(failure, id), id);
  };
}

function sendProblem(response: Response, problem: ProblemDocument, id: string): void {
  response.status(problem.status);
  response.setHeader('content-type', 'application/problem+json');
  response.setHeader('x-sluice-request-id', id);
  response.end(JSON.stringify(problem));
}
