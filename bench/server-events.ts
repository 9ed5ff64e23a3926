/** Server-sent events of a streamed answer, for programs that measure one. */

/** The JSON of every event, as it comes. @throws Error when the server does not answer 200 */
export async function* serverEvents(url: string, response: Response): AsyncGenerator<unknown> {
  if (!response.ok || response.body === null) {
    throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  }
  let rest = '';
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith('data: {')) yield JSON.parse(line.slice(6));
    }
  }
}
