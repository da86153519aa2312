/** One request of the load, timed as a client sees it: its first token, the gaps between tokens, its end. */
import { request } from "node:http";

/** A client gives up after so long; what was not answered by then failed. */
const GIVE_UP_MS = 120_000;

/** What a token's event has and no other, on each streaming route. */
const TOKEN_MARK = /"(?:delta":\{"content|text)":"/g;

/**
 * @param {object} job `{ path?, body, key?, abortAfter?: tokens, abortMs?, headers? }`
 * @returns what became of it; never rejects. Times are ms since it was sent.
 */
export function send(agent, url, job) {
  const { path = "/v1/chat/completions", body, key, abortAfter, abortMs, headers } = job;
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const sentMs = performance.now();
  const since = () => performance.now() - sentMs;
  const outcome = { sentMs, status: 0, tokens: 0, gaps: [], bytes: 0 };
  return new Promise((resolve) => {
    let lastMs;
    let timer;
    const done = (end) => {
      clearTimeout(timer);
      clearTimeout(aborting);
      outcome.end ??= end;
      outcome.ms ??= since();
      resolve(outcome);
    };
    const call = request(url + path, {
      agent,
      method: "POST",
      headers: {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(text),
        ...(key && { authorization: `Bearer ${key}` }),
        ...headers,
      },
    });
    const leave = (end) => {
      done(end);
      call.destroy();
    };
    timer = setTimeout(() => leave("gave up"), GIVE_UP_MS);
    const aborting = abortMs === undefined ? undefined : setTimeout(() => leave("left"), abortMs);
    call.on("error", (error) => {
      outcome.error = error.code ?? error.message;
      done("broken");
    });
    call.on("response", (response) => {
      outcome.status = response.statusCode;
      outcome.headMs = since();
      const wait = response.headers["retry-after-ms"];
      if (wait !== undefined) outcome.retryAfterMs = Number(wait);
      if (response.headers["retry-after"] !== undefined) outcome.hasRetryAfter = true;
      const isStream = response.headers["content-type"]?.startsWith("text/event-stream");
      let tail = "";
      response.setEncoding("utf8");
      response.on("data", (chunk) => {
        outcome.bytes += chunk.length;
        if (!isStream) {
          tail += chunk;
          return;
        }
        const now = since();
        // An event may lie across two chunks; its mark is at its beginning, so only the cut one is seen late.
        const seen = tail + chunk;
        const cut = seen.lastIndexOf("\n\n") + 2;
        for (const _ of seen.slice(0, cut).matchAll(TOKEN_MARK)) {
          if (lastMs === undefined) outcome.firstMs = now;
          else outcome.gaps.push(now - lastMs);
          lastMs = now;
          outcome.tokens++;
        }
        if (seen.includes('"error":{')) outcome.failure = /"code":"(\w+)"/.exec(seen)?.[1] ?? "?";
        if (seen.includes("data: [DONE]")) outcome.isWhole = true;
        tail = seen.slice(cut);
        if (abortAfter !== undefined && outcome.tokens >= abortAfter) leave("left");
      });
      response.on("end", () => {
        if (!isStream && response.statusCode !== 200) {
          outcome.failure = /"code":"(\w+)"/.exec(tail)?.[1] ?? "?";
        }
        const ok =
          response.statusCode === 200 && !outcome.failure && (!isStream || outcome.isWhole);
        if (ok && !isStream)
          outcome.tokens = Number(/"completion_tokens":(\d+)/.exec(tail)?.[1] ?? 0);
        done(ok ? "done" : response.statusCode === 200 ? "failed" : "refused");
      });
      response.on("error", (error) => {
        outcome.error = error.code ?? error.message;
        done("broken");
      });
    });
    call.end(text);
  });
}
