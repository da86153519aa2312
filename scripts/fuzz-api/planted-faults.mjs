// A proxy that answers wrongly on purpose: what the fuzzer has to find.
import { createServer, request as forward } from "node:http";

const json = (status, body) => ({ status, body: JSON.stringify(body) });
const ERROR = { error: { message: "planted", type: "server_error", param: null, code: null } };

/** `spoil` gets the true answer and gives another, at `path` alone. */
export const FAULTS = [
  {
    name: "a route that answers 500",
    path: "/tokenize",
    spoil: (answer) => (answer.status === 200 ? json(500, ERROR) : answer),
  },
  {
    name: "a status that is not documented",
    path: "/detokenize",
    spoil: (answer) => (answer.status === 400 ? json(418, ERROR) : answer),
  },
  {
    name: "a body that is not as documented",
    path: "/tokenizer_info",
    spoil: (answer) => (answer.status === 200 ? json(200, { eos_token: 5 }) : answer),
  },
  { name: "a route that is open without the key", path: "/v1/models", addsKey: true },
];

/** @returns `{ url, close }` of a server that passes everything on to `target`, but for the fault. */
export async function startFaultyProxy(target, key, fault) {
  const { hostname, port } = new URL(target);
  const server = createServer((request, response) => {
    const isPlanted = new URL(request.url, target).pathname === fault?.path;
    const headers = { ...request.headers };
    if (isPlanted && fault.addsKey) headers.authorization = `Bearer ${key}`;
    // Not by fetch, which knows fewer methods than a fuzzer.
    const { method, url: path } = request;
    const asked = forward({ hostname, port, method, path, headers }, async (found) => {
      const chunks = [];
      for await (const chunk of found) chunks.push(chunk);
      const answer = { status: found.statusCode, body: Buffer.concat(chunks) };
      const { status, body } = isPlanted && fault.spoil ? fault.spoil(answer) : answer;
      const { "transfer-encoding": _, "content-length": length, ...rest } = found.headers;
      const bytes = method === "HEAD" ? length : String(Buffer.byteLength(body));
      response.writeHead(status, { ...rest, ...(bytes && { "content-length": bytes }) });
      response.end(body);
    });
    asked.on("error", (error) => response.destroy(error));
    request.pipe(asked);
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    close: () =>
      new Promise((closed) => {
        server.close(closed);
        server.closeAllConnections();
      }),
  };
}
